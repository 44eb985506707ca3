package identity

import (
	"slices"
	"time"
)

// Source is a place that a user has signed in from: an IPv4 address, or the /64 of an IPv6
// address; "***" if it is masked.
type Source struct {
	Address                 string
	FirstSeenAt, LastSeenAt time.Time
}

// Masked returns the source as others see it without CanViewMaskedData: it reveals a part
// of the allow-list.
func (s Source) Masked() Source {
	s.Address = mask
	return s
}

// SigninState tells how many tries to sign in as a user have failed of late, and what that
// has locked.
type SigninState struct {
	WrongPasswords int       // in the last 24 hours, from all addresses
	WrongCodes     int       // in the last hour, from all addresses
	LockedUntil    time.Time // from one address at least; zero if nothing is locked
	// LockedEverywhereUntil is for all addresses. A lock by wrong passwords leaves out those
	// that the user has signed in from within SourcePeriod.
	LockedEverywhereUntil time.Time
}

// At returns the state at a time: locks that are over by then are none.
func (s SigninState) At(now time.Time) SigninState {
	if !s.LockedUntil.After(now) {
		s.LockedUntil = time.Time{}
	}
	if !s.LockedEverywhereUntil.After(now) {
		s.LockedEverywhereUntil = time.Time{}
	}
	return s
}

// Access is what a user may do, and which groups give it.
type Access struct {
	Permissions       []GivenPermission // in their fixed order; Everything first
	CanViewMaskedData bool
	TFARequiredBy     []Group // the groups that require a second factor
}

// GivenPermission is a permission with the groups that give it, by id.
type GivenPermission struct {
	Permission Permission
	Groups     []Group
}

// AccessOf returns the access of a user who is in these groups, which are in order.
func AccessOf(u User, groups []Group) Access {
	access := Access{CanViewMaskedData: u.CanViewMaskedData}
	add := func(p Permission) {
		giving := slices.DeleteFunc(slices.Clone(groups), func(g Group) bool { return !g.Permissions.Has(p) })
		if len(giving) > 0 {
			access.Permissions = append(access.Permissions, GivenPermission{p, giving})
		}
	}
	add(Everything)
	for i := range permissionNames {
		add(Permission(i))
	}
	access.TFARequiredBy = slices.DeleteFunc(slices.Clone(groups), func(g Group) bool { return !g.RequireTFA })
	return access
}

// Holdings are what a user still holds, as a list of what to look at when somebody leaves.
type Holdings struct {
	Sessions        int64 // that have not expired
	TokensActingFor Held[Token]
	TokensCreated   Held[Token]
	WebhooksCreated Held[Webhook]
}

// Held is how many things a user holds, and the first of them by id.
type Held[T any] struct {
	Total int64
	First []T  // at most MaxHeld
	Shown bool // false if the caller may know the number only
}

// ShownIf returns what is held as a caller sees it who may, or may not, know more than the
// number.
func (h Held[T]) ShownIf(allowed bool) Held[T] {
	if h.Shown = allowed; !allowed {
		h.First = nil
	}
	return h
}

// MaxHeld bounds Held.First.
const MaxHeld = 10

// UserMatches are the users that a list of texts names.
type UserMatches struct {
	Users    []User   // in the order of the texts, each user once
	NotFound []string // the texts that name nobody, in their order
}

// MaxUserTexts bounds the texts that one search takes, and the users that it finds.
const MaxUserTexts = 1000
