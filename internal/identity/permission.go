package identity

import "strings"

// Permission is one thing a caller may do.
type Permission uint8

// The permissions, in the order in which they are listed to callers.
const (
	UsersView Permission = iota
	UsersCreate
	UsersUpdate
	UsersDelete
	GroupsView
	GroupsManage
	TokensManage
	TokensIntrospect
	WebhooksManage
	RecordsManage
	AuditView
)

var permissionNames = [...]string{
	"users.view", "users.create", "users.update", "users.delete", "groups.view", "groups.manage",
	"tokens.manage", "tokens.introspect", "webhooks.manage", "records.manage", "audit.view",
}

// String returns the name, such as users.view.
func (p Permission) String() string { return permissionNames[p] }

// UnmarshalText reads a permission's name; an unknown one is a *ValueError.
func (p *Permission) UnmarshalText(text []byte) error {
	for i, name := range permissionNames {
		if name == string(text) {
			*p = Permission(i)
			return nil
		}
	}
	return invalid("unknown_permission", "must be one of %s", strings.Join(permissionNames[:], ", "))
}

// Permissions is a set of permissions.
type Permissions uint32

// AllPermissions holds every permission there is.
const AllPermissions = Permissions(1)<<len(permissionNames) - 1

// allPermissionsText is how the full set is kept: whoever holds everything also
// holds the permissions that a later release brings.
const allPermissionsText = "*"

// PermissionSet returns the set of the given permissions.
func PermissionSet(list ...Permission) Permissions {
	var s Permissions
	for _, p := range list {
		s |= 1 << p
	}
	return s
}

// Has reports whether p is in the set.
func (s Permissions) Has(p Permission) bool { return s&(1<<p) != 0 }

// Contains reports whether every permission of other is in the set.
func (s Permissions) Contains(other Permissions) bool { return other&^s == 0 }

// Names returns the permissions' names in their fixed order; never nil.
func (s Permissions) Names() []string {
	names := make([]string, 0, len(permissionNames))
	for i, name := range permissionNames {
		if s.Has(Permission(i)) {
			names = append(names, name)
		}
	}
	return names
}

// Scope returns the names separated by spaces, as RFC 6749 §3.3 writes scopes.
func (s Permissions) Scope() string { return strings.Join(s.Names(), " ") }

// String is Scope, or "*" for the full set.
func (s Permissions) String() string {
	if s == AllPermissions {
		return allPermissionsText
	}
	return s.Scope()
}

// PermissionsFrom reads what String writes. Names that this release does not
// know are passed over: they may have been stored by a newer one.
func PermissionsFrom(text string) Permissions {
	var s Permissions
	for name := range strings.FieldsSeq(text) {
		if name == allPermissionsText {
			return AllPermissions
		}
		var p Permission
		if p.UnmarshalText([]byte(name)) == nil {
			s |= 1 << p
		}
	}
	return s
}
