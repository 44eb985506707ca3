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
	codeNeedsAuth     = 530
	codeBadAuth       = 535
	codeEncryptFirst  = 538
	firstPermanent    = 500
)

// explainConnect returns the reason why there is no usable connection. It leaves out the text
// of the server, which may repeat the password.
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

// refusal returns what the server has refused, with its codes. It leaves out the text of the
// server, which may repeat the recipient and the content of the message.
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

// unwritable returns the error for a mail that cannot be written. The cause is only logged.
func unwritable(cause error) error {
	return &delivery.Permanent{Cause: fmt.Errorf("%w: %w", delivery.Error("the mail cannot be written"), cause)}
}

// permanent makes a refusal permanent if the server's code is. A demand for user and
// password is not: it is not about the mail.
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

// enhancedCode returns the enhanced code at the start of an answer, or "".
func enhancedCode(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if !enhanced.MatchString(word) {
		return ""
	}
	return word
}
