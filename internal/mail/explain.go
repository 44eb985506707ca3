package mail

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"unicode"

	"github.com/rosterhq/roster/internal/identity"
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
			return fmt.Errorf("the server did not accept user and password (%d)", reply.Code)
		}
		return fmt.Errorf("the server answered %d before any mail", reply.Code)
	case errors.As(err, &lookup):
		return errors.New("the server's name could not be looked up")
	case errors.As(err, &dial) && dial.Op == "dial":
		return dial // address and system error
	case errors.As(err, &certificate):
		return errors.New("the server's certificate is not to be trusted")
	}
	return errors.New("the server does not speak SMTP as configured: check host, port, encryption and ways to sign in")
}

// refusal says what the server refused. Its own words are worth repeating, but
// not once it has seen the message, for it may quote from it.
func refusal(what string, err error, withWords bool) error {
	var reply *textproto.Error
	if !errors.As(err, &reply) {
		return fmt.Errorf("the connection broke before the server had accepted %s", what)
	}
	words := enhancedCode(reply.Msg)
	if withWords {
		words = oneLine(reply.Msg)
	}
	return errors.New(strings.TrimSpace(fmt.Sprintf("the server refused %s: %d %s", what, reply.Code, words)))
}

// permanent marks a refusal that was for good. That a user and password are
// wanted says nothing about the mail.
func permanent(refusal, err error) error {
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code >= firstPermanent && reply.Code != codeNeedsAuth {
		return &identity.PermanentError{Cause: refusal}
	}
	return refusal
}

// enhancedCode returns the x.y.z (RFC 3463) that an answer starts with, or "".
func enhancedCode(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if strings.Count(word, ".") == 2 && !strings.ContainsFunc(word, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		return word
	}
	return ""
}

func oneLine(text string) string {
	const most = 200
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
