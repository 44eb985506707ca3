package mail

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/delivery"
)

var update = flag.Bool("update", false, "write the golden files anew")

const siteURL = "https://roster.example.com"

var mails = []delivery.Mail{
	{Kind: delivery.MailProfileCreated, Link: siteURL + "/console/"},
	{Kind: delivery.MailAccountChanged, Changed: []string{"email", "password", "tfa", "active"}},
	{Kind: delivery.MailSigninCode, Code: "042137", ExpiresAt: afternoon},
	{
		Kind: delivery.MailPasswordReset, Link: siteURL + "/reset?token=rst_abc&x=y",
		ExpiresAt: time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC),
	},
	{
		Kind: delivery.MailInvitation, Link: siteURL + "/password/reset#token=rst_abc", Inviter: `Jane <b>Doe</b> & "Co"`,
		ExpiresAt: time.Date(2026, 3, 11, 12, 30, 0, 0, time.UTC),
	},
	{Kind: delivery.MailNewSource, Link: siteURL + "/password/reset", Source: "2001:db8::7", At: afternoon},
}

var afternoon = time.Date(2026, 3, 4, 13, 10, 0, 0, time.FixedZone("", 3600))

func addressed(m delivery.Mail) delivery.Mail {
	m.ID, m.To = "0192f3a4-5b6c-7d8e-9f00-112233445566", "zoe@example.com"
	m.Name = `Zoë "Zo" <i>O'Neil</i> & Söhne 株式会社`
	return m
}

// active matches what loads or runs something.
var active = regexp.MustCompile(`(?i)<(img|script|link|iframe)|src=|url\(`)

func TestLetters(t *testing.T) {
	t.Parallel()
	for _, m := range mails {
		letter, err := write(addressed(m), siteURL)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, string(m.Kind)+".txt", "Subject: "+letter.subject+"\n\n"+letter.text)
		golden(t, string(m.Kind)+".html", letter.html)
		for line := range strings.Lines(letter.text) {
			if strings.TrimRight(line, " \t\n")+"\n" != line {
				t.Errorf("%s: blanks at the end of %q", m.Kind, line)
			}
		}
		if strings.Contains(letter.text, "\n\n\n") || strings.Contains(letter.html, "\n\n") {
			t.Errorf("%s: several empty lines in a row", m.Kind)
		}
		if strings.Contains(letter.html, "<i>") || active.MatchString(letter.html) {
			t.Errorf("%s: the page has what it must not have", m.Kind)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", name, diff)
	}
}

// TestLettersWithLess: optional values that are missing leave no gap.
func TestLettersWithLess(t *testing.T) {
	t.Parallel()
	for _, m := range mails {
		m.ID, m.To, m.ExpiresAt = "1", "zoe@example.com", time.Time{}
		if m.Kind == delivery.MailProfileCreated {
			m.Link = ""
		}
		letter, err := write(m, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{letter.text, letter.html} {
			if !strings.Contains(text, "Hello,") || !strings.Contains(text, "Sent by Roster. ") ||
				strings.Contains(text, "until") || strings.Contains(text, "\n\n\n") {
				t.Errorf("%s:\n%s", m.Kind, text)
			}
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, m := range []delivery.Mail{
		{}, {Kind: "layout"}, {Kind: delivery.MailAccountChanged, Changed: []string{"phone"}},
	} {
		if letter, err := write(addressed(m), ""); err == nil {
			t.Errorf("%v: %v", m, letter)
		}
	}
}

func TestLinksOfOtherSchemesAreDead(t *testing.T) {
	t.Parallel()
	letter, err := write(delivery.Mail{Kind: delivery.MailPasswordReset, Link: "javascript:alert(1)"}, "")
	if err != nil || strings.Contains(letter.html, `href="javascript:`) {
		t.Errorf("%v\n%s", err, letter.html)
	}
}
