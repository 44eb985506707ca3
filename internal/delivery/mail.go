package delivery

import (
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// MailKind says what a mail is about; there is one template for each.
type MailKind string

// The kinds of mail.
const (
	MailProfileCreated MailKind = "profile_created" // someone has made a profile for you
	MailAccountChanged MailKind = "account_changed" // e-mail, password, tfa or active has changed
	MailSigninCode     MailKind = "signin_code"     // the second factor before an authenticator is enrolled
	MailPasswordReset  MailKind = "password_reset"  // a link to choose a new password
	MailNewSource      MailKind = "new_source"      // someone has signed in from where the user never has of late
)

// Mail is what a mail to one person says. Which fields matter depends on Kind.
type Mail struct {
	Kind MailKind
	ID   string // stable over repetitions, for the Message-ID
	To   identity.Email
	Name identity.Name // of the person; "" where it is not to be told

	Changed   []string  // MailAccountChanged: email, password, tfa, active; never empty
	Code      string    // MailSigninCode: six digits
	Link      string    // MailPasswordReset, MailNewSource: absolute; MailProfileCreated: where to sign in, or ""
	ExpiresAt time.Time // of Code or Link
	Source    string    // MailNewSource: the address that it came from
	At        time.Time // MailNewSource: when it was
}
