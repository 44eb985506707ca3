// Package identity is the domain of Roster: users, groups, tokens, events and
// the caller that acts on them, with the rules that need nothing but the values
// themselves. It knows no SQL, no HTTP and no clock, and imports the standard
// library only.
package identity
