package identity

import (
	"slices"
	"time"
)

// MaxGroupsPerUser bounds the groups that one request may name.
const MaxGroupsPerUser = 256

// User is a person who works in the back office. It does not have the password hash, which
// leaves the store only to be compared.
type User struct {
	ID                int64 // ≥ 1, assigned by the store, never reused
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

// BlockedCode is the reason of a user to be inactive, for programs.
type BlockedCode string

// The reasons. Most inactive users have none.
const (
	NoBlockedCode BlockedCode = ""
	EmailChanged  BlockedCode = "email_changed" // the new address is not confirmed yet
)

// IdempotencyPeriod is how long the answer to a creation is stored for a repetition.
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

// OnlyOwn reports whether the change has only what users may change of themselves: the
// password and the fields that are declared as own.
func (c UserChange) OnlyOwn() bool {
	c.Password = nil
	for _, field := range userFields {
		if field.isOwn() {
			field.leave(&c)
		}
	}
	return c == UserChange{} // a field that is not in the table is not own either
}

// Apply returns u after the change, without the password. It clears the BlockedCode of an
// active user.
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

// Diff returns the fields that differ between two states of a user. For a creation u is the
// zero User.
func (u User) Diff(after User) Changes {
	changes := Changes{}
	for _, field := range userFields {
		field.diff(&u, &after, changes)
	}
	return changes
}

// ChangeTo returns the change that makes u the user after: the fields that differ.
func (u User) ChangeTo(after User) UserChange {
	var change UserChange
	for _, field := range userFields {
		field.change(&u, &after, &change)
	}
	return change
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
	// The periods include their first moment and not their last; the zero time is no bound.
	// A user who never signed in counts as before any time.
	SigninAfter, SigninBefore   time.Time
	CreatedAfter, CreatedBefore time.Time
	// Locked says whether too many wrong passwords or codes keep a user out, from one address
	// or from all, at the time LockedAt, which the service sets.
	Locked   *bool
	LockedAt time.Time
	IDs      []int64 // one of these; nil for any, empty for none
	// None selects no user, for a request whose filters exclude each other.
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
	SortByLastSignin UserSort = "lastSigninTime" // users who never signed in come first
)

// UserSorts lists the orders.
var UserSorts = []UserSort{SortByID, SortByName, SortByEmail, SortByCreation, SortByLastSignin}

// UserQuery asks for one page of users.
type UserQuery struct {
	Filter     UserFilter
	Sort       UserSort
	Descending bool
	Limit      int     // ≥ 1; each dialect has a maximum of its own
	Offset     int64   // ≥ 0; ignored where After is set
	After      *Cursor // the row after which the page starts
	// Brief reads only ID, Email, Active, BlockedCode, CreatedAt, UpdatedAt and, of
	// Groups, whether Administrators is among them. It goes with SortByID.
	Brief bool
	// NoTotal leaves the total out, which can cost more than the page.
	NoTotal bool
}

// UserPage is one page of users.
type UserPage struct {
	Users []User
	Total int64   // all matches; 0 with NoTotal and for a page after a cursor
	Next  *Cursor // nil on the last page
}

// UserCount is how many users match a filter.
type UserCount struct {
	Total int64
	// IsLowerBound says that there are more matches than Total, too many to count.
	IsLowerBound bool
}
