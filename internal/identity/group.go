package identity

import "time"

// AdministratorsID is the group that holds every permission and can be neither
// changed nor deleted.
const AdministratorsID int64 = 1

// Group gives its members permissions.
type Group struct {
	ID          int64
	Name        Label // unique without regard to case
	Permissions Permissions
	// RequireTFA says that members without a second factor can only enrol one after they have
	// signed in.
	RequireTFA bool
	CreatedAt  time.Time
	UpdatedAt  time.Time // zero until the first change
	Version    int64
}

// GroupChange is a partial update: nil leaves a field as it is.
type GroupChange struct {
	Name        *Label
	Permissions *Permissions
	RequireTFA  *bool
}

// TouchesRights reports whether the change is about what members may do or need.
func (c GroupChange) TouchesRights() bool { return c.Permissions != nil || c.RequireTFA != nil }

// Apply returns g as it is after the change.
func (c GroupChange) Apply(g Group) Group {
	set(&g.Name, c.Name)
	set(&g.Permissions, c.Permissions)
	set(&g.RequireTFA, c.RequireTFA)
	return g
}

// Diff returns the fields that differ between two states of a group.
func (g Group) Diff(after Group) Changes {
	changes := Changes{}
	changed(changes, FieldName, g.Name, after.Name)
	changed(changes, FieldRequireTFA, g.RequireTFA, after.RequireTFA)
	if g.Permissions != after.Permissions {
		changes[FieldPermissions] = Change{g.Permissions.Names(), after.Permissions.Names()}
	}
	return changes
}
