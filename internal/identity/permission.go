package identity

import (
	"slices"
	"strings"
)

// Permission is one thing a caller may do.
type Permission uint8

// The permissions, in the order in which they are listed to callers.
const (
	UsersView Permission = iota
	UsersCreate
	UsersUpdate
	UsersDelete
	UsersSelf // the rights of a token on the user that it acts for only
	GroupsView
	GroupsManage
	TokensManage
	TokensIntrospect
	WebhooksManage
	RecordsManage
	AuditView

	// Everything includes all permissions, also those of later releases.
	Everything Permission = 31
)

// everythingName is the name of Everything.
const everythingName = "*"

var permissionNames = [...]string{
	"users.view", "users.create", "users.update", "users.delete", "users.self", "groups.view", "groups.manage",
	"tokens.manage", "tokens.introspect", "webhooks.manage", "records.manage", "audit.view",
}

// String returns the name, such as users.view.
func (p Permission) String() string {
	if p == Everything {
		return everythingName
	}
	return permissionNames[p]
}

// UnmarshalText reads a permission's name; an unknown one is a *ValueError.
func (p *Permission) UnmarshalText(text []byte) error {
	if string(text) == everythingName {
		*p = Everything
		return nil
	}
	i := slices.Index(permissionNames[:], string(text))
	if i < 0 {
		return invalid("unknown_permission", "must be one of %s, or * for all", strings.Join(permissionNames[:], ", "))
	}
	*p = Permission(i) //nolint:gosec // G115: there are twelve
	return nil
}

// Permissions is a set of permissions. A set is closed: users.create, users.update and
// users.delete include users.view, and Everything includes all.
type Permissions uint32

// everyNamed holds every permission that this release knows.
const everyNamed = Permissions(1)<<len(permissionNames) - 1

// AllPermissions holds every permission, those of later releases too.
const AllPermissions = everyNamed | 1<<Everything

// PermissionSet returns the closed set of the given permissions.
func PermissionSet(list ...Permission) Permissions {
	var s Permissions
	for _, p := range list {
		s |= 1 << p
	}
	if s.Has(Everything) {
		return AllPermissions
	}
	if s&(1<<UsersCreate|1<<UsersUpdate|1<<UsersDelete) != 0 {
		s |= 1 << UsersView
	}
	return s
}

// Has reports whether p is in the set.
func (s Permissions) Has(p Permission) bool { return s&(1<<p) != 0 }

// Contains reports whether every permission of other is in the set.
func (s Permissions) Contains(other Permissions) bool { return other&^s == 0 }

// HasAllNamed reports whether every permission that this release knows is in
// the set.
func (s Permissions) HasAllNamed() bool { return s.Contains(everyNamed) }

// Names returns the permissions' names in their fixed order, "*" first where the
// set holds Everything; never nil.
func (s Permissions) Names() []string {
	names := make([]string, 0, 1+len(permissionNames))
	if s.Has(Everything) {
		names = append(names, everythingName)
	}
	for i, name := range permissionNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Scope returns the names separated by spaces, as RFC 6749 §3.3 writes scopes.
func (s Permissions) Scope() string { return strings.Join(s.Names(), " ") }

// String returns a set as it is stored: "*" if it holds Everything, else Scope. So a set of
// all names of this release does not get those of later releases.
func (s Permissions) String() string {
	if s.Has(Everything) {
		return everythingName
	}
	return s.Scope()
}

// PermissionsFrom reads the text that String returns. It ignores unknown names, which a
// newer release may have stored.
func PermissionsFrom(text string) Permissions {
	var list []Permission
	for name := range strings.FieldsSeq(text) {
		var p Permission
		if p.UnmarshalText([]byte(name)) == nil {
			list = append(list, p)
		}
	}
	return PermissionSet(list...)
}
