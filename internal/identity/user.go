package identity

import (
	"slices"
	"time"
)

// MaxGroupsPerUser bounds the groups that one request may name.
const MaxGroupsPerUser = 256

// User is a person who works in the back office. The password hash is not part
// of it: it never leaves the store but to be compared.
type User struct {
	ID                int64 // ≥ 1, assigned by the store, never given out again
	Name              Name
	Email             Email
	Phone             Phone // "" for none
	Active            bool
	BlockedCode       BlockedCode // why the user is not active; "" for active users
	TFA               bool
	Groups            []int64 // ascending, without duplicates
	AllowList         AllowList
	ClientTags        []ClientTag
	CanViewMaskedData bool
	CreatedAt         time.Time
	UpdatedAt         time.Time // zero until the first change
	LastSigninAt      time.Time // zero until the first sign-in
	Version           int64     // 1, and one more per change
}

// BlockedCode is a reason for a user to be inactive, as far as programs know one.
type BlockedCode string

// The reasons. Most of the inactive have none.
const (
	NoBlockedCode BlockedCode = ""
	EmailChanged  BlockedCode = "email_changed" // and the new address is yet to be confirmed
)

// IdempotencyPeriod is how long the answer to a creation is kept for a repetition.
const IdempotencyPeriod = 24 * time.Hour

// IsAdministrator reports whether the user is an active member of Administrators.
func (u User) IsAdministrator() bool {
	return u.Active && slices.Contains(u.Groups, AdministratorsID)
}

// UserChange is a partial update: nil leaves a field as it is.
type UserChange struct {
	Name              *Name
	Email             *Email
	Password          *Password
	Phone             *Phone
	Active            *bool
	BlockedCode       *BlockedCode
	TFA               *bool
	Groups            *[]int64
	AllowList         *AllowList
	ClientTags        *[]ClientTag
	CanViewMaskedData *bool
}

// OnlyOwn reports whether the change is confined to what users may change of
// themselves: the password and the fields that are declared as own.
func (c UserChange) OnlyOwn() bool {
	c.Password = nil
	for _, field := range userFields {
		if field.isOwn() {
			field.leave(&c)
		}
	}
	return c == UserChange{} // a field that is not in the table is not own either
}

// Apply returns u as it is after the change, the password aside. An active user has
// no reason to be inactive.
func (c UserChange) Apply(u User) User {
	for _, field := range userFields {
		field.apply(&c, &u)
	}
	if u.Active {
		u.BlockedCode = NoBlockedCode
	}
	return u
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Diff returns what differs between two states of a user, by the names of the fields. For a creation before is the zero User, for a deletion after is.
func (u User) Diff(after User) Changes {
	changes := Changes{}
	for _, field := range userFields {
		field.diff(&u, &after, changes)
	}
	return changes
}

// UserFilter selects users; all set fields must hold. The zero value selects everyone.
type UserFilter struct {
	Name   string // substring of the name, without regard to case
	Search string // substring of name, e-mail or phone, without regard to case
	// SearchNames confines Search to names.
	SearchNames bool
	Email       string // the whole address, without regard to case; "" for any
	TFA         *bool
	Group       int64 // member of; 0 for any
	Active      *bool
	// None selects no user: filters of a request exclude each other.
	None bool
}

// UserSort is what a list of users is ordered by; ties are ordered by id.
type UserSort string

// The orders of a list of users.
const (
	SortByID         UserSort = "id"
	SortByName       UserSort = "name"
	SortByEmail      UserSort = "email"
	SortByCreation   UserSort = "createTime"
	SortByLastSignin UserSort = "lastSigninTime" // who never signed in comes first
)

// UserSorts lists the orders.
var UserSorts = []UserSort{SortByID, SortByName, SortByEmail, SortByCreation, SortByLastSignin}

// UserQuery asks for one page of users.
type UserQuery struct {
	Filter     UserFilter
	Sort       UserSort
	Descending bool
	Limit      int     // ≥ 1; how many at the most is each dialect's business
	Offset     int64   // ≥ 0; ignored where After is set
	After      *Cursor // the row after which the page starts
	// Brief reads only ID, Email, Active, BlockedCode, CreatedAt, UpdatedAt and, of
	// Groups, whether Administrators is among them. It goes with SortByID.
	Brief bool
}

// UserPage is one page of users.
type UserPage struct {
	Users []User
	Total int64   // all matches; not counted (0) for a page after a cursor
	Next  *Cursor // nil on the last page
}
