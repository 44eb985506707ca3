package mail

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

//go:embed templates
var files embed.FS

var (
	texts = texttemplate.Must(texttemplate.ParseFS(files, "templates/*.txt"))
	pages = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/*.html"))
)

// subjects have no name and no secret: they are shown on locked screens.
var subjects = map[delivery.MailKind]string{
	delivery.MailProfileCreated: "Your profile in Roster",
	delivery.MailAccountChanged: "Your Roster profile has changed",
	delivery.MailSigninCode:     "Your code for signing in to Roster",
	delivery.MailPasswordReset:  "Choose a new password for Roster",
	delivery.MailNewSource:      "A new sign-in to your Roster profile",
	delivery.MailInvitation:     "You are invited to Roster",
}

// changes has the text for each field of MailAccountChanged.
var changes = map[string]string{
	identity.FieldEmail:    "your e-mail address",
	identity.FieldPassword: "your password",
	identity.FieldTFA:      "the second step of signing in",
	identity.FieldActive:   "whether your profile is active",
}

// letter is the text of a mail.
type letter struct{ subject, text, html string }

// moment returns a time as text, "" for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("15:04 UTC on 2 January 2006")
}

// Compose returns the texts of a mail as a Sender sends them. publicURL is the URL of Roster
// in the mails; may be nil. The error is for a kind of mail that has no texts.
func Compose(m delivery.Mail, publicURL *url.URL) (subject, text, html string, err error) {
	l, err := write(m, site(publicURL))
	return l.subject, l.text, l.html, err
}

// write writes the text of a mail. site is the URL of Roster, or "".
func write(m delivery.Mail, site string) (letter, error) {
	subject, ok := subjects[m.Kind]
	if !ok {
		return letter{}, errors.New("there is no such kind of mail")
	}
	data := struct {
		delivery.Mail
		Site, Until, When string
		Changes           []string
	}{Mail: m, Site: site, Until: moment(m.ExpiresAt), When: moment(m.At)}
	for _, name := range m.Changed {
		words, ok := changes[name]
		if !ok {
			return letter{}, fmt.Errorf("there are no words for a change of %q", name)
		}
		data.Changes = append(data.Changes, words)
	}
	var text, html strings.Builder
	if err := errors.Join(
		texts.ExecuteTemplate(&text, string(m.Kind)+".txt", data),
		pages.ExecuteTemplate(&html, string(m.Kind)+".html", data),
	); err != nil {
		return letter{}, err
	}
	return letter{subject: subject, text: text.String(), html: html.String()}, nil
}
