package delivery

import (
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// MailKind is the kind of a mail. Each kind has a template.
type MailKind string

// The kinds of mail.
const (
	MailProfileCreated MailKind = "profile_created" // a profile was created for the user
	MailAccountChanged MailKind = "account_changed" // e-mail, password, tfa or active has changed
	MailSigninCode     MailKind = "signin_code"     // the second factor before an authenticator is enrolled
	MailPasswordReset  MailKind = "password_reset"  // a link to choose a new password
	MailNewSource      MailKind = "new_source"      // a sign-in from a source that is new for the user
	MailInvitation     MailKind = "invitation"      // a link to choose the first password
)

// Mail is the content of a mail to one person. Which fields it uses depends on Kind.
type Mail struct {
	Kind MailKind
	ID   string // the same at each attempt, for the Message-ID
	To   identity.Email
	Name identity.Name // of the person; "" to leave it out

	Changed   []string  // MailAccountChanged: email, password, tfa, active; never empty
	Code      string    // MailSigninCode: six digits
	Link      string    // absolute; of MailProfileCreated where to sign in, or ""
	ExpiresAt time.Time // of Code or Link
	Source    string    // MailNewSource: the address of the sign-in
	At        time.Time // MailNewSource: the time of the sign-in
	Inviter   string    // MailInvitation: the name of the person who invites; "" for none
}
