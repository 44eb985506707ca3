package identity

import "time"

// MaxTokenPeriod is the longest lifetime of a token that expires.
const MaxTokenPeriod = 366 * 24 * time.Hour

// Creator is the creator of a token or a webhook: a user in a session (UserID), a service token
// (TokenID), or one that acts for a user (both). It is the zero value for the
// command line. Both may have been deleted since.
type Creator struct{ UserID, TokenID int64 }

// TokenFilter selects service tokens; all set fields must hold.
type TokenFilter struct {
	CreatedBy Creator
	UserID    int64 // acts for this user; 0 for any
	// The end lies in this period, without its last moment; the zero time is no bound. A
	// token that never expires is in no period.
	ExpiresAfter, ExpiresBefore time.Time
}

// WebhookFilter selects webhooks; all set fields must hold.
type WebhookFilter struct{ CreatedBy Creator }

// Token is a service token: the credential of a service, which may act for a user. The
// access token of a session is a Token as well, with all the user's rights. It has neither
// the secret nor its digest.
type Token struct {
	ID                int64
	Name              Label
	UserID            int64 // the user it acts for; 0 for a service of its own
	SessionID         int64 // the session whose access token it is; 0 for a service token
	Permissions       Permissions
	CanViewMaskedData bool
	AllowList         AllowList
	CreatedAt         time.Time
	ExpiresAt         time.Time // zero for never
	LastUsedAt        time.Time // to the minute; zero until the first use
	CreatedBy         Creator
	IssuerGone        bool // the creator has been deleted, deactivated or revoked since
}

// ExpiredAt reports whether the token has expired at the given time.
func (t Token) ExpiredAt(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Diff returns the fields that differ between two states of a token.
func (t Token) Diff(after Token) Changes {
	changes := Changes{}
	changed(changes, FieldName, t.Name, after.Name)
	changed(changes, FieldUserID, t.UserID, after.UserID)
	changed(changes, FieldCanViewMaskedData, t.CanViewMaskedData, after.CanViewMaskedData)
	if !t.ExpiresAt.Equal(after.ExpiresAt) {
		changes[FieldExpiresAt] = Change{timeOrNil(t.ExpiresAt), timeOrNil(after.ExpiresAt)}
	}
	if t.Permissions != after.Permissions {
		changes[FieldPermissions] = Change{t.Permissions.Names(), after.Permissions.Names()}
	}
	if t.AllowList.String() != after.AllowList.String() {
		changes[FieldAllowList] = Change{t.AllowList, after.AllowList}
	}
	return changes
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
