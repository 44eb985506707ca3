// Package identity is the domain of Roster: users, groups, tokens, events and the caller
// that acts on them, with the rules that depend only on these values. It has no SQL, no
// HTTP and no clock. It imports the standard library and golang.org/x/net/idna only.
package identity
