package mail

import (
	"errors"
	"net/url"
	"strconv"

	gomail "github.com/wneessen/go-mail"

	"github.com/rosterhq/roster/internal/identity"
)

// server is a parsed SMTP URL.
type server struct {
	host        string
	port        int
	implicitTLS bool
	starttls    gomail.TLSPolicy
	user        string            // with a password, or not at all
	password    identity.Password // a type that is hidden in logs
}

const (
	portRelay      = 25
	portSubmission = 587
	portTLS        = 465
)

// parseServer reads an SMTP URL. No error repeats any part of it.
func parseServer(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" ||
		u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return server{}, errors.New("the SMTP URL must be like smtp://user:password@host:587 or smtps://…, " +
			"with special characters in user and password percent-encoded")
	}
	s := server{
		host: u.Hostname(), port: portRelay, starttls: gomail.TLSOpportunistic, implicitTLS: u.Scheme == "smtps",
		user: u.User.Username(),
	}
	password, _ := u.User.Password()
	s.password = identity.Password(password)
	if (s.user == "") != (s.password == "") {
		return server{}, errors.New("the SMTP URL must have both a user and a password, or neither")
	}
	if s.user != "" {
		s.port, s.starttls = portSubmission, gomail.TLSMandatory
	}
	if s.implicitTLS {
		s.port = portTLS
	}
	if text := u.Port(); text != "" {
		if s.port, err = strconv.Atoi(text); err != nil || s.port < 1 || s.port > 65535 {
			return server{}, errors.New("the SMTP URL must have a port between 1 and 65535, or none")
		}
	}
	return s, s.parseQuery(u)
}

func (s *server) parseQuery(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("the SMTP URL has a query that cannot be read")
	}
	for name, values := range query {
		switch {
		case name != "starttls" || len(values) != 1 || s.implicitTLS:
			return errors.New("the SMTP URL may have no parameter but one starttls, and none with smtps")
		case values[0] == "never":
			s.starttls = gomail.NoTLS
		case values[0] == "require":
			s.starttls = gomail.TLSMandatory
		default:
			return errors.New("starttls in the SMTP URL must be never or require")
		}
	}
	return nil
}

func (s *server) options() []gomail.Option {
	options := []gomail.Option{gomail.WithPort(s.port), gomail.WithTLSPolicy(s.starttls)}
	if s.implicitTLS {
		options = append(options, gomail.WithSSL())
	}
	if s.user == "" {
		return options
	}
	mechanisms := []gomail.SMTPAuthType{
		gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5,
	}
	if s.starttls == gomail.NoTLS { // starttls=never allows the password in clear
		mechanisms = []gomail.SMTPAuthType{
			gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc,
		}
	}
	return append(options, gomail.WithOpportunisticSMTPAuth(mechanisms...), gomail.WithUsername(s.user),
		gomail.WithPassword(string(s.password)))
}
