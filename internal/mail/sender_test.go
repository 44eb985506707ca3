package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/mail/mailtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var public = &url.URL{Scheme: "https", Host: "roster.example.com"}

// secrets are in no error and no log.
const (
	password = "pa:ss/wo@rd"
	code     = "042137"
)

func codeMail() delivery.Mail { return addressed(mails[2]) }

func newSender(t *testing.T, c Config) *Sender {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		server    mailtest.Config
		query     string
		trusted   bool
		encrypted bool
	}{
		"plain":                       {},
		"plain, never encrypted":      {server: mailtest.Config{Encryption: mailtest.StartTLS}, query: "?starttls=never"},
		"encrypted for it is offered": {server: mailtest.Config{Encryption: mailtest.StartTLS}, encrypted: true},
		"encrypted for it has to be": {
			server: mailtest.Config{Encryption: mailtest.StartTLS}, query: "?starttls=require", trusted: true, encrypted: true,
		},
		"signed in": {
			server:  mailtest.Config{Encryption: mailtest.StartTLS, User: "roster", Password: password},
			trusted: true, encrypted: true,
		},
		"signed in, in clear": {
			server: mailtest.Config{User: "roster", Password: password}, query: "?starttls=never",
		},
		"smtps": {
			server: mailtest.Config{Encryption: mailtest.Implicit}, trusted: true, encrypted: true,
		},
		"smtps, signed in": {
			server:  mailtest.Config{Encryption: mailtest.Implicit, User: "roster", Password: password},
			trusted: true, encrypted: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.Start(t, test.server)
			c := Config{URL: server.URL() + test.query, PublicURL: public}
			if test.trusted {
				c.Roots = server.Roots()
			}
			if err := newSender(t, c).Send(t.Context(), codeMail()); err != nil {
				t.Fatal(err)
			}
			message := server.Wait(t, 1)[0]
			if message.From != "roster@roster.example.com" || !slices.Equal(message.To, []string{"zoe@example.com"}) ||
				message.Encrypted != test.encrypted {
				t.Errorf("from %q to %q, encrypted %v", message.From, message.To, message.Encrypted)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	begun := time.Now().Truncate(time.Second)
	server := mailtest.Start(t, mailtest.Config{})
	s := newSender(t, Config{URL: server.URL(), From: "Roßter <no-reply@mail.example.com>", PublicURL: public})
	for _, m := range mails {
		m = addressed(m)
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for i, message := range server.Wait(t, len(mails)) {
		m := addressed(mails[i])
		letter, err := write(m, siteURL)
		if err != nil {
			t.Fatal(err)
		}
		if message.Text != letter.text || message.HTML != letter.html || message.Subject() != letter.subject {
			t.Errorf("%s came as %q\n%s\n%s", m.Kind, message.Subject(), message.Text, message.HTML)
		}
		want := map[string]string{
			"Message-Id":     "<" + m.ID + "@mail.example.com>",
			"Auto-Submitted": "auto-generated",
			"Mime-Version":   "1.0",
		}
		for name, value := range want {
			if got := message.Header[name]; !slices.Equal(got, []string{value}) {
				t.Errorf("%s: %q", name, got)
			}
		}
		names := []string{
			"Message-Id", "Auto-Submitted", "Mime-Version", "Date", "Subject", "From", "To", "Content-Type",
		}
		for name := range message.Header {
			if !slices.Contains(names, name) {
				t.Errorf("there is a header %s", name)
			}
		}
		if to, err := message.Header.AddressList("To"); err != nil || len(to) != 1 ||
			*to[0] != (netmail.Address{Name: string(m.Name), Address: string(m.To)}) {
			t.Errorf("to %v, %v", to, err)
		}
		if from, err := message.Header.AddressList("From"); err != nil || len(from) != 1 ||
			*from[0] != (netmail.Address{Name: "Roßter", Address: "no-reply@mail.example.com"}) {
			t.Errorf("from %v, %v", from, err)
		}
		if date, err := message.Header.Date(); err != nil || date.Before(begun) || date.After(time.Now()) {
			t.Errorf("date %v, %v", date, err)
		}
	}
}

// TestNothingGetsIntoTheHeader: a name or an id adds nothing else to the header.
func TestNothingGetsIntoTheHeader(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t, mailtest.Config{})
	s := newSender(t, Config{URL: server.URL(), PublicURL: public})
	names := []string{
		"x\r\nBcc: y@example.com", "x\nBcc: y@example.com", "x\rBcc: y@example.com", "x\r\n\r\n<html>",
		"\r\n.\r\nMAIL FROM:<y@example.com>",
		`"<y@example.com>, "`, "x@example.com, y", "=?utf-8?q?=0D=0ABcc:_y?=", "x\x00y", strings.Repeat("株", 255),
		strings.Repeat(`"\`, 127),
	}
	for i, name := range names {
		m := codeMail()
		m.Name = identity.Name(name)
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		message := server.Wait(t, i+1)[i]
		to, err := message.Header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != "zoe@example.com" || len(message.Header["To"]) != 1 ||
			message.Header["Bcc"] != nil || len(message.Header) != 8 {
			t.Errorf("%q: %v, %v, %v", name, to, err, message.Header)
		}
		if !slices.Equal(message.To, []string{"zoe@example.com"}) {
			t.Errorf("%q: sent to %q", name, message.To)
		}
		const mostOnALine = 998 // RFC 5322 §2.1.1
		for line := range bytes.Lines(message.Raw) {
			if len(line) > mostOnALine {
				t.Errorf("%q: a line of %d bytes", name, len(line))
			}
		}
	}
	for _, id := range []string{"", "a b", "a>\r\nBcc: y", "a@b", "ä", strings.Repeat("x", 129)} {
		m := codeMail()
		m.ID = id
		if err := s.Send(t.Context(), m); !delivery.IsPermanent(err) {
			t.Errorf("%q: %v", id, err)
		}
	}
	m := codeMail()
	m.To = "zoe@example.com>\r\nRCPT TO:<y@example.com"
	if err := s.Send(t.Context(), m); err == nil {
		t.Error("a broken address is taken")
	}
	if n := len(server.Messages()); n != len(names) {
		t.Errorf("%d messages", n)
	}
}

func TestAddressesBeyondASCII(t *testing.T) {
	t.Parallel()
	old, modern := mailtest.Start(t, mailtest.Config{}), mailtest.Start(t, mailtest.Config{UTF8: true})
	tests := []struct {
		server *mailtest.Server
		to     identity.Email
		want   string
	}{
		{old, "zoe@müller.example", "zoe@xn--mller-kva.example"},
		{modern, "zoe@müller.example", "zoe@xn--mller-kva.example"},
		{old, "zoë@example.com", ""},
		{modern, "zoë@example.com", "zoë@example.com"},
	}
	for _, test := range tests {
		m := codeMail()
		m.To = test.to
		before := len(test.server.Messages())
		err := newSender(t, Config{URL: test.server.URL()}).Send(t.Context(), m)
		if test.want == "" {
			if !delivery.IsPermanent(err) {
				t.Errorf("%s: %v", test.to, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := test.server.Messages()[before].To; !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: sent to %q", test.to, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		step      mailtest.Step
		code      int
		permanent bool
		text      string
	}{
		"recipient, for now":   {mailtest.StepRcpt, 451, false, "the server refused the recipient: 451 4.0.0"},
		"recipient, for good":  {mailtest.StepRcpt, 550, true, "the server refused the recipient: 550 5.0.0"},
		"recipient, sign in":   {mailtest.StepRcpt, 530, false, "the server refused the recipient: 530 5.0.0"},
		"recipient, good-bye":  {mailtest.StepRcpt, 421, false, "the server refused the recipient: 421 4.0.0"},
		"message, for now":     {mailtest.StepData, 452, false, "the server refused the message: 452 4.0.0"},
		"message, for good":    {mailtest.StepData, 554, true, "the server refused the message: 554 5.0.0"},
		"the sender, for now":  {mailtest.StepMail, 451, false, "the server refused the sender: 451 4.0.0"},
		"the sender, for good": {mailtest.StepMail, 550, false, "the server refused the sender: 550 5.0.0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.Start(t, mailtest.Config{})
			s := newSender(t, Config{URL: server.URL()})
			text := "no such"
			if test.step == mailtest.StepData {
				text = "your message has the code " + code
			}
			server.Refuse(test.step, 1, test.code, text)
			err := s.Send(t.Context(), codeMail())
			if err == nil || err.Error() != test.text || delivery.IsPermanent(err) != test.permanent {
				t.Errorf("%v, permanent %v", err, delivery.IsPermanent(err))
			}
			if n := len(server.Messages()); n != 0 {
				t.Errorf("%d messages", n)
			}
			if err := s.Send(t.Context(), codeMail()); err != nil || len(server.Messages()) != 1 {
				t.Errorf("the second attempt: %v, %d messages", err, len(server.Messages()))
			}
		})
	}
}

func TestRefusalInWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5.7.1 it has " + code:               "the server refused it: 550 5.7.1",
		"4.123.999":                          "the server refused it: 550 4.123.999",
		code + " is in it":                   "the server refused it: 550",
		"":                                   "the server refused it: 550",
		"no such user zoe@example.com":       "the server refused it: 550",
		"10.1.2.3 is not allowed":            "the server refused it: 550",
		"5." + code + ".0 digits":            "the server refused it: 550",
		"5.1." + code:                        "the server refused it: 550",
		"5.1.1zoe@example.com":               "the server refused it: 550",
		"5.1.1\nzoe@example.com":             "the server refused it: 550",
		"5.1.1\tzoe@example.com":             "the server refused it: 550",
		"7.1.1 no class":                     "the server refused it: 550",
		"5.1 half":                           "the server refused it: 550",
		"5.1.٣ digits of another alphabet":   "the server refused it: 550",
		strings.Repeat("5", 1000) + ".1.1 x": "the server refused it: 550",
	} {
		if got := refusal("it", &textproto.Error{Code: 550, Msg: text}); got.Error() != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := refusal("it", io.EOF); got.Error() != "the connection broke before the server had accepted it" {
		t.Error(got)
	}
}

const notAsConfigured = "the server does not speak SMTP as configured: " +
	"check host, port, encryption and ways to sign in"

func TestNoServer(t *testing.T) {
	t.Parallel()
	start := func(c mailtest.Config) *mailtest.Server { return mailtest.Start(t, c) }
	withUser := func(u string) string { return strings.Replace(u, "://", "://roster:"+url.QueryEscape(password)+"@", 1) }
	hanging := start(mailtest.Config{})
	hanging.Hang(mailtest.StepData)
	plain, encrypted := start(mailtest.Config{}), start(mailtest.Config{Encryption: mailtest.StartTLS})
	closed := start(mailtest.Config{User: "roster", Password: "other", Encryption: mailtest.StartTLS})
	const notSent = "the mail was not sent within 500ms"
	tests := map[string]struct {
		url, text string
	}{
		"absent":              {mailtest.Absent(t), "the server refused the connection"},
		"silent":              {mailtest.Silent(t), notSent},
		"silent, smtps":       {strings.Replace(mailtest.Silent(t), "smtp", "smtps", 1), notSent},
		"hanging":             {hanging.URL(), notSent},
		"unknown name":        {"smtp://mail.invalid", "the server's name could not be looked up"},
		"no encryption":       {plain.URL() + "?starttls=require", notAsConfigured},
		"no encryption, user": {withUser(plain.URL()), notAsConfigured},
		"no TLS at all":       {strings.Replace(plain.URL(), "smtp", "smtps", 1), notAsConfigured},
		"no ways to sign in":  {withUser(plain.URL()) + "?starttls=never", notAsConfigured},
		"untrusted":           {encrypted.URL() + "?starttls=require", "the server's certificate is not to be trusted"},
		"untrusted, user":     {withUser(encrypted.URL()), "the server's certificate is not to be trusted"},
		"wrong password": {
			withUser(strings.Replace(closed.URL(), "roster:other@", "", 1)), "the server did not accept user and password (535)",
		},
		"signing in is needed": {
			strings.Replace(closed.URL(), "roster:other@", "", 1), "the server refused the sender: 530 5.7.0",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{URL: test.url}
			if name == "wrong password" {
				c.Roots = closed.Roots()
			}
			s := newSender(t, c)
			if test.text == notSent {
				s.timeout = 500 * time.Millisecond
			}
			err := s.Send(t.Context(), codeMail())
			if err == nil || delivery.IsPermanent(err) || err.Error() != test.text {
				t.Fatalf("%v, permanent %v", err, delivery.IsPermanent(err))
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), url.QueryEscape(password)) ||
				strings.Contains(err.Error(), code) {
				t.Errorf("a secret is in %q", err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := mailtest.Start(t, mailtest.Config{})
	server.Hang(mailtest.StepRcpt)
	stop := time.AfterFunc(100*time.Millisecond, cancel)
	defer stop.Stop()
	err := newSender(t, Config{URL: server.URL()}).Send(ctx, codeMail())
	if !errors.Is(err, context.Canceled) || delivery.IsPermanent(err) {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	bad := []Config{
		{},
		{URL: "mail.example.com"},
		{URL: "http://mail.example.com"},
		{URL: "smtp://"},
		{URL: "smtp://:25"},
		{URL: "smtp://roster:hid%zzden@mail.example.com"},
		{URL: "smtp://roster:hid/den@mail.example.com"},
		{URL: "smtp://mail.example.com/hidden"},
		{URL: "smtp://mail.example.com:0"},
		{URL: "smtp://mail.example.com:65536"},
		{URL: "smtp://hidden@mail.example.com"},
		{URL: "smtp://:hidden@mail.example.com"},
		{URL: "smtp://mail.example.com?starttls=hidden"},
		{URL: "smtp://mail.example.com?hidden=1"},
		{URL: "smtps://mail.example.com?starttls=never"},
		{URL: "smtp://mail.example.com?starttls=never&starttls=never"},
		{URL: "smtp://mail.example.com?%zz"},
		{URL: "smtp://mail.example.com#hidden"},
		{URL: "smtp://mail.example.com", From: "hidden"},
		{URL: "smtp://mail.example.com", From: "a@example.com, b@example.com"},
		{URL: "smtp://mail.example.com", From: "a@example.com\r\nBcc: b@example.com"},
	}
	for _, c := range bad {
		if s, err := New(c); err == nil || strings.Contains(err.Error(), "hid") {
			t.Errorf("%+v: %v, %v", c, s, err)
		}
	}
	good := []struct {
		url  string
		port int
	}{
		{"smtp://mail.example.com", 25},
		{"smtp://mail.example.com:2525/", 2525},
		{"smtp://u:p@mail.example.com", 587},
		{"smtps://mail.example.com", 465},
		{"smtps://u:p@[::1]:1", 1},
	}
	for _, test := range good {
		if s, err := New(Config{URL: test.url}); err != nil || s.server.port != test.port ||
			s.from.Address != "roster@localhost" {
			t.Errorf("%s: %+v, %v", test.url, s, err)
		}
	}
	for host, want := range map[string]string{
		"roster.example.com:8443": "roster@roster.example.com", "127.0.0.1:8080": "roster@localhost",
		"[::1]:8080": "roster@localhost",
	} {
		if s, err := New(Config{URL: "smtp://localhost", PublicURL: &url.URL{Scheme: "http", Host: host}}); err != nil ||
			s.from.Address != want {
			t.Errorf("%s: %+v, %v", host, s, err)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := NewLog(slog.New(slog.NewTextHandler(&out, nil)), public)
	if err := l.Send(t.Context(), codeMail()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=INFO", "to=zoe@example.com", code, "https://roster.example.com"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in %s", want, out.String())
		}
	}
	if err := l.Send(t.Context(), delivery.Mail{}); !delivery.IsPermanent(err) {
		t.Error(err)
	}
}

// TestHostileServer: a server puts private text into each of its answers, at each step, and
// none of it is in the error.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	const words = "2.0.0 hidden zoe@example.com 10.1.2.3 " + code
	tests := map[string]struct {
		codes string // of the replies, from the greeting on; then the server hangs up
		want  string
	}{
		"greeting": {"554", "the server answered 554 before any mail"},
		"no greeting": {
			"hidden", "the server does not speak SMTP as configured: check host, port, encryption and ways to sign in",
		},
		"unknown hello": {"220|502|502 5.5.1", "the server answered 502 before any mail"},
		"sender":        {"220|250|550 5.1.8", "the server refused the sender: 550 5.1.8"},
		"recipient":     {"220|250|250|550 5.1.1", "the server refused the recipient: 550 5.1.1"},
		"data":          {"220|250|250|250|451 4.3.0", "the server refused the message: 451 4.3.0"},
		"message":       {"220|250|250|250|354|554", "the server refused the message: 554 2.0.0"},
		"no code":       {"220|250|hidden", "the connection broke before the server had accepted the sender"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var replies []string
			for reply := range strings.SplitSeq(test.codes, "|") {
				code, _, _ := strings.Cut(reply, " ")
				first := code + "-" + strings.TrimSpace(strings.TrimPrefix(reply, code)+" "+words)
				replies = append(replies, first+"\r\n"+reply+" "+words)
			}
			err := newSender(t, Config{URL: scripted(t, replies) + "?starttls=never"}).Send(t.Context(), codeMail())
			var ours delivery.Error
			if !errors.As(err, &ours) || string(ours) != test.want {
				t.Fatalf("%q, want %q", ours, test.want)
			}
			for _, hidden := range []string{"hidden", "zoe", "z***", "10.1.2.3", "127.0.0.1", code} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("%q has %s", err, hidden)
				}
			}
		})
	}
}

// scripted returns the URL of a server that sends its replies one after another,
// each for a line that it is sent, but for those of a message, and hangs up.
func scripted(t *testing.T, replies []string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewReader(conn)
		inMessage := false
		for _, reply := range replies {
			if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
				return
			}
			inMessage = strings.HasPrefix(reply, "354")
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if !inMessage || line == ".\r\n" {
					break
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "smtp://" + listener.Addr().String()
}
