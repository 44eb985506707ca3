package identity

import "time"

// MaxTokenPeriod is how long a token lasts at most, unless it lasts for ever.
const MaxTokenPeriod = 366 * 24 * time.Hour

// Creator is who made a token: a person in a session (UserID), a service token
// (TokenID), or one that acts for a user (both). It is the zero value for the
// command line. Either can be gone since.
type Creator struct{ UserID, TokenID int64 }

// TokenFilter selects service tokens; all set fields must hold.
type TokenFilter struct{ CreatedBy Creator }

// Token is a service token: a credential of a service, or of one that acts for
// a user. The access token of a session is one, too, with all the user's rights.
// The secret itself is not part of it, nor is its digest.
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
	IssuerGone        bool // who made it has been deleted, deactivated or revoked since
}

// ExpiredAt reports whether the token is over at the given time.
func (t Token) ExpiredAt(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Diff returns what differs between two states of a token, by wire name.
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
