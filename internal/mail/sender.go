// Package mail writes the texts of mails and sends them to an SMTP server. Its errors are for
// logs and operators: they have no body, code, link, password or address, and no text of the
// server. It does not retry.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/net/idna"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

// timeout bounds the sending of one mail, including the look-up of the server.
const timeout = 10 * time.Second

// Config has the settings of a Sender.
type Config struct {
	// URL names the SMTP server: smtp://user:password@host:port, with user and
	// password percent-encoded, or smtps:// for TLS from the first byte. The
	// default ports are 465 for smtps, 587 with a user, and 25.
	//
	// With smtp, encryption is used if it is offered, and the server's certificate is not
	// checked: an attacker who could forge it could also hide the offer. With a user, or
	// ?starttls=require, encryption and a valid certificate are required. With
	// ?starttls=never it is not used.
	URL string
	// From is one address, with or without a name as in "Roster <roster@example.com>"; "" is
	// roster at the host of PublicURL, or at localhost.
	From string
	// PublicURL is the URL of Roster in the mails; may be nil.
	PublicURL *url.URL
	// Roots are the authorities for the server's certificate; nil is those of the system.
	Roots *x509.CertPool
}

// Sender sends mails by SMTP, each on a connection of its own. It is safe for
// concurrent use.
type Sender struct {
	server  server
	from    *netmail.Address
	domain  string // of from
	self    string // the name to greet the server with
	site    string
	roots   *x509.CertPool
	timeout time.Duration
}

// New checks the configuration and returns a Sender. The error does not have the password. It
// makes no connection.
func New(c Config) (*Sender, error) {
	s := &Sender{self: publicHost(c.PublicURL), site: site(c.PublicURL), roots: c.Roots, timeout: timeout}
	var err error
	if s.server, err = parseServer(c.URL); err != nil {
		return nil, err
	}
	if c.From == "" {
		c.From = "roster@" + s.self
	}
	if s.from, err = netmail.ParseAddress(c.From); err != nil {
		return nil, errors.New("the sender must be one mail address such as roster@example.com " +
			"or Roster <roster@example.com>")
	}
	s.domain = s.from.Address[strings.LastIndexByte(s.from.Address, '@')+1:]
	return s, nil
}

// publicHost returns the host name of this service; localhost for an address.
func publicHost(public *url.URL) string {
	if public == nil || public.Hostname() == "" {
		return "localhost"
	}
	if _, err := netip.ParseAddr(public.Hostname()); err == nil {
		return "localhost"
	}
	return public.Hostname()
}

func site(public *url.URL) string {
	if public == nil {
		return ""
	}
	return public.String()
}

// Send sends one mail, in at most 10 seconds. The error is a *delivery.Permanent if the
// server has refused this recipient or message for good (5xx), or if the mail cannot be
// written. After an error the mail may still arrive, for example after a lost connection.
func (s *Sender) Send(ctx context.Context, m delivery.Mail) error {
	message, err := s.message(m)
	if err != nil {
		return unwritable(err)
	}
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.transmit(limited, message, address(m.To))
	switch {
	case err == nil || delivery.IsPermanent(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", delivery.Error("the mail was interrupted"), ctx.Err())
	case limited.Err() != nil:
		return delivery.Errorf("the mail was not sent within %s", s.timeout)
	}
	return err
}

// message returns the mail as it is sent.
func (s *Sender) message(m delivery.Mail) (*gomail.Msg, error) {
	if !isID(m.ID) {
		return nil, errors.New("the mail has no id that a Message-ID could have")
	}
	if _, err := identity.ParseEmail(string(m.To)); err != nil {
		return nil, fmt.Errorf("the address %w", err)
	}
	letter, err := write(m, s.site)
	if err != nil {
		return nil, err
	}
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(s.from)
	// A name with control characters becomes one encoded word.
	message.AddToMailAddress(&netmail.Address{Name: string(m.Name), Address: address(m.To)})
	message.Subject(letter.subject)
	message.SetMessageIDWithValue(m.ID + "@" + s.domain)
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation notices, please
	message.SetBodyString(gomail.TypeTextPlain, letter.text)
	message.AddAlternativeString(gomail.TypeTextHTML, letter.html)
	return message, nil
}

// isID reports whether an id is safe in a header.
func isID(id string) bool {
	const maxLength = 128
	return id != "" && len(id) <= maxLength && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// address spells the domain in ASCII, which every server can read. One that has
// no such form stays as it is.
func address(e identity.Email) string {
	local, domain, _ := strings.Cut(string(e), "@")
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return local + "@" + ascii
	}
	return string(e)
}

// transmit sends a message. It does not use DialAndSend, which does not return which step has
// failed: the meaning of a code depends on the step.
func (s *Sender) transmit(ctx context.Context, message *gomail.Msg, to string) error {
	client, hangUp, err := s.connect(ctx)
	if err != nil {
		return explainConnect(err)
	}
	defer hangUp()
	if !isASCII(to + s.from.Address) {
		if offered, _ := client.Extension("SMTPUTF8"); !offered {
			return &delivery.Permanent{Cause: delivery.Error("the server takes no addresses beyond ASCII")}
		}
	} else {
		client.SkipSMTPUTF8(true) // a later server without the extension could refuse it
	}
	if err := client.Mail((&netmail.Address{Address: s.from.Address}).String()); err != nil {
		return refusal("the sender", err) // not permanent: the configuration is wrong, not the mail
	}
	if err := client.Rcpt((&netmail.Address{Address: to}).String()); err != nil {
		return permanent(refusal("the recipient", err), err)
	}
	content, err := client.Data()
	if err != nil {
		return permanent(refusal("the message", err), err)
	}
	if _, err := message.WriteTo(content); err != nil {
		return delivery.Error("the connection broke in the middle of the message")
	}
	if err := content.Close(); err != nil {
		return permanent(refusal("the message", err), err)
	}
	_ = client.Quit() // the server has accepted the mail
	return nil
}

// connect returns a connection after the greeting, and after encryption and sign-in if they
// are configured. The caller must call hangUp; the end of ctx closes the connection as well.
func (s *Sender) connect(ctx context.Context) (client *smtp.Client, hangUp func(), err error) {
	var conn net.Conn
	hangUp = func() {
		if conn != nil {
			_ = conn.Close()
		}
	}
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		var err error
		if s.server.implicitTLS {
			conn, err = (&tls.Dialer{Config: s.tlsConfig()}).DialContext(dialing, network, address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(dialing, network, address)
		}
		if err != nil {
			conn = nil
			return nil, err
		}
		// The client extends its own deadlines at each step. This one is for all steps.
		opened := conn
		context.AfterFunc(ctx, func() { _ = opened.Close() })
		return opened, nil
	}
	options := append(
		s.server.options(),
		gomail.WithTimeout(2*s.timeout), // later than ctx ends, so that the error is always that of ctx
		gomail.WithHELO(s.self),
		gomail.WithTLSConfig(s.tlsConfig()),
		gomail.WithDialContextFunc(dial),
	)
	dialer, err := gomail.NewClient(s.server.host, options...)
	if err != nil {
		return nil, nil, err
	}
	client, err = dialer.DialToSMTPClientWithContext(ctx)
	if err != nil {
		hangUp()
		return nil, nil, err
	}
	return client, hangUp, nil
}

func (s *Sender) tlsConfig() *tls.Config {
	opportunistic := !s.server.implicitTLS && s.server.starttls == gomail.TLSOpportunistic
	return &tls.Config{
		ServerName:         s.server.host,
		RootCAs:            s.roots,
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: opportunistic, //nolint:gosec // the alternative is no encryption; see Config.URL
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
