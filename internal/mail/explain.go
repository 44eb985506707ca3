package mail

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"syscall"

	"github.com/rosterhq/roster/internal/delivery"
)

const (
	codeTemporaryAuth = 454
	codeNeedsAuth     = 530 // up to here and from here on, the configuration's fault
	codeBadAuth       = 535
	codeEncryptFirst  = 538
	firstPermanent    = 500
)

// explainConnect says why there is no connection over which a mail could be sent.
// The server's own words stay out of it: it has just been told the password.
func explainConnect(err error) error {
	var (
		reply       *textproto.Error
		lookup      *net.DNSError
		dial        *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &reply):
		switch reply.Code {
		case codeTemporaryAuth, codeNeedsAuth, codeBadAuth, codeEncryptFirst:
			return delivery.Errorf("the server did not accept user and password (%d)", reply.Code)
		}
		return delivery.Errorf("the server answered %d before any mail", reply.Code)
	case errors.As(err, &lookup):
		return delivery.Error("the server's name could not be looked up")
	case errors.Is(err, syscall.ECONNREFUSED):
		return delivery.Error("the server refused the connection")
	case errors.As(err, &dial) && dial.Op == "dial":
		return delivery.Error("the server cannot be reached")
	case errors.As(err, &certificate):
		return delivery.Error("the server's certificate is not to be trusted")
	}
	return delivery.Error("the server does not speak SMTP as configured: " +
		"check host, port, encryption and ways to sign in")
}

// refusal says what the server refused, by its codes. Its words can repeat the
// recipient, what is in the message and whatever it likes.
func refusal(what string, err error) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return delivery.Errorf("the connection broke before the server had accepted %s", what)
	}
	if code := enhancedCode(reply.Msg); code != "" {
		return delivery.Errorf("the server refused %s: %d %s", what, reply.Code, code)
	}
	return delivery.Errorf("the server refused %s: %d", what, reply.Code)
}

// unwritable is the failure of a mail that cannot be put into words; why is for the log.
func unwritable(cause error) error {
	return &delivery.Permanent{Cause: fmt.Errorf("%w: %w", delivery.Error("the mail cannot be written"), cause)}
}

// permanent marks a refusal that was for good. That a user and password are
// wanted says nothing about the mail.
func permanent(refusal, err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= firstPermanent && reply.Code != codeNeedsAuth {
		return &delivery.Permanent{Cause: refusal}
	}
	return refusal
}

// enhanced is an enhanced code (RFC 3463 §2): a class, and two numbers of up to
// three digits.
var enhanced = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}$`)

// enhancedCode returns the enhanced code that an answer starts with, or "".
func enhancedCode(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if !enhanced.MatchString(word) {
		return ""
	}
	return word
}
