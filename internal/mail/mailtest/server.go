// Package mailtest has SMTP servers for tests: one that keeps what it is sent and
// fails as it is told, one that never speaks, and one that is not there.
package mailtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Encryption is how a server does TLS.
type Encryption int

// The kinds of encryption.
const (
	Plain    Encryption = iota // none at all
	StartTLS                   // offered
	Implicit                   // from the first byte, as in smtps
)

// Config says what a server is like. The zero value takes mail from every client,
// unencrypted, to ASCII addresses.
type Config struct {
	Encryption     Encryption
	User, Password string // needed to send mail; not if both are ""
	UTF8           bool   // takes addresses beyond ASCII (SMTPUTF8)
}

// Step is a place in the conversation where a server can fail.
type Step string

// The steps of the conversation.
const (
	StepMail Step = "MAIL" // the sender
	StepRcpt Step = "RCPT" // the recipient
	StepData Step = "DATA" // after the message has come
)

// Server is an SMTP server on 127.0.0.1. It is safe for concurrent use.
type Server struct {
	config  Config
	address string
	roots   *x509.CertPool
	done    chan struct{}

	mu       sync.Mutex
	messages []Message
	arrived  chan struct{} // closed and made anew with each message
	failures map[Step]*failure
}

type failure struct {
	times int // left, or -1 for always
	code  int // 0 is silence
	text  string
}

// Start starts a server that ends with the test.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	s := &Server{config: config, done: make(chan struct{}), arrived: make(chan struct{}), failures: map[Step]*failure{}}
	certificate := s.newCertificate()
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{server: s, conn: c}, nil
	}))
	server.Domain = "mailtest"
	server.AllowInsecureAuth = config.Encryption == Plain
	server.EnableSMTPUTF8 = config.UTF8
	server.ErrorLog = log.New(io.Discard, "", 0)
	listener := listen(t)
	s.address = listener.Addr().String()
	switch config.Encryption {
	case StartTLS:
		server.TLSConfig = certificate
	case Implicit:
		listener = tls.NewListener(listener, certificate)
	case Plain:
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		close(s.done)
		_ = server.Close()
		<-ended
	})
	return s
}

// newCertificate borrows the certificate for 127.0.0.1 that net/http/httptest has.
func (s *Server) newCertificate() *tls.Config {
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	s.roots = x509.NewCertPool()
	s.roots.AddCert(lender.Certificate())
	return &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// URL returns the server's SMTP URL, with user and password if it has them.
func (s *Server) URL() string {
	u := url.URL{Scheme: "smtp", Host: s.address}
	if s.config.Encryption == Implicit {
		u.Scheme = "smtps"
	}
	if s.config.User != "" || s.config.Password != "" {
		u.User = url.UserPassword(s.config.User, s.config.Password)
	}
	return u.String()
}

// Roots returns what to trust in order to trust the server's certificate.
func (s *Server) Roots() *x509.CertPool { return s.roots }

// Refuse lets the next commands at a step, so many times, be answered with a code
// such as 451 or 550; times -1 means from now on, 0 never again.
func (s *Server) Refuse(step Step, times, code int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[step] = &failure{times: times, code: code, text: text}
}

// Hang lets commands at a step, from now on, wait for their answer until the end
// of the test.
func (s *Server) Hang(step Step) { s.Refuse(step, -1, 0, "") }

// Messages returns what has been accepted up to now, in order of arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Wait returns the messages as soon as there are at least n, and ends the test if
// there are not within 10 seconds.
func (s *Server) Wait(t testing.TB, n int) []Message {
	t.Helper()
	const most = 10 * time.Second
	late := time.After(most)
	for {
		s.mu.Lock()
		messages, arrived := slices.Clone(s.messages), s.arrived
		s.mu.Unlock()
		if len(messages) >= n {
			return messages
		}
		select {
		case <-arrived:
		case <-late:
			t.Fatalf("%d messages after %s, want %d", len(messages), most, n)
		}
	}
}

func (s *Server) add(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// fail is what was asked for with Refuse or Hang.
func (s *Server) fail(step Step) error {
	s.mu.Lock()
	f := s.failures[step]
	if f == nil || f.times == 0 {
		s.mu.Unlock()
		return nil
	}
	if f.times > 0 {
		f.times--
	}
	code, text := f.code, f.text
	s.mu.Unlock()
	if code == 0 {
		<-s.done
	}
	const class = 100
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / class, 0, 0}, Message: text}
}

// session is one connection.
type session struct {
	server   *Server
	conn     *smtp.Conn
	signedIn bool
	from     string
	to       []string
}

func (s *session) AuthMechanisms() []string {
	if s.server.config.User == "" && s.server.config.Password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.signedIn = user == s.server.config.User && password == s.server.config.Password
		if !s.signedIn {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if len(s.AuthMechanisms()) > 0 && !s.signedIn {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	s.from = from
	return s.server.fail(StepMail)
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return s.server.fail(StepRcpt)
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.fail(StepData); err != nil {
		return err
	}
	m, err := parse(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	_, m.Encrypted = s.conn.TLSConnectionState()
	m.From, m.To = s.from, s.to
	s.server.add(m)
	return nil
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

// Silent returns the SMTP URL of a server that takes connections and never says
// a word.
func Silent(t testing.TB) string {
	t.Helper()
	listener := listen(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "smtp://" + listener.Addr().String()
}

// Absent returns an SMTP URL at which no server listens.
func Absent(t testing.TB) string {
	t.Helper()
	listener := listen(t)
	_ = listener.Close()
	return "smtp://" + listener.Addr().String()
}
