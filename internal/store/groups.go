package store

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/internal/identity"
)

const groupColumns = "id, name, permissions, require_tfa, created_at, updated_at, version"

type groupRow struct {
	ID          int64     `db:"id"`
	Name        string    `db:"name"`
	Permissions string    `db:"permissions"`
	RequireTFA  bool      `db:"require_tfa"`
	CreatedAt   timestamp `db:"created_at"`
	UpdatedAt   timestamp `db:"updated_at"`
	Version     int64     `db:"version"`
}

func (r groupRow) group() identity.Group {
	return identity.Group{
		ID: r.ID, Name: identity.Label(r.Name), Permissions: identity.PermissionsFrom(r.Permissions),
		RequireTFA: r.RequireTFA, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time, Version: r.Version,
	}
}

// Group returns the group with this id, or NotFound.
func (r reader) Group(ctx context.Context, id int64) (identity.Group, error) {
	return r.group(ctx, "SELECT "+groupColumns+" FROM groups WHERE id = $1", id)
}

// GroupForDeletion is Group, and locks the group against changes and new members until
// the transaction ends.
func (t *Tx) GroupForDeletion(ctx context.Context, id int64) (identity.Group, error) {
	return t.group(ctx, "SELECT "+groupColumns+" FROM groups WHERE id = $1"+t.pool.engine.forDeletion, id)
}

func (r reader) group(ctx context.Context, query string, id int64) (identity.Group, error) {
	var row groupRow
	if err := r.get(ctx, &row, query, id); err != nil {
		return identity.Group{}, one(err, "group", id)
	}
	return row.group(), nil
}

// Groups returns one page of the groups by id, and how many there are.
func (r reader) Groups(ctx context.Context, page identity.Page) ([]identity.Group, int64, error) {
	rows, more, err := pageOf[groupRow](ctx, r, page.Limit,
		"SELECT "+groupColumns+" FROM groups ORDER BY id LIMIT $1 OFFSET $2", page.Limit+1, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list groups: %w", err)
	}
	total := page.Offset + int64(len(rows))
	if more || len(rows) == 0 { // else this is the last page
		if err := r.get(ctx, &total, "SELECT count(*) FROM groups"); err != nil {
			return nil, 0, fmt.Errorf("count groups: %w", err)
		}
	}
	return groupsFrom(rows), total, nil
}

// GroupNames returns the names of the first groups by id, at most limit.
func (r reader) GroupNames(ctx context.Context, limit int) (map[int64]string, error) {
	var rows []struct {
		ID   int64
		Name string
	}
	if err := r.all(ctx, &rows, "SELECT id, name FROM groups ORDER BY id LIMIT $1", limit); err != nil {
		return nil, fmt.Errorf("names of groups: %w", err)
	}
	names := make(map[int64]string, len(rows))
	for _, row := range rows {
		names[row.ID] = row.Name
	}
	return names, nil
}

// LockGroups returns the groups that exist among the ids, by id, and locks them against
// changes until the transaction ends; exclusively also against other locks. It takes the
// locks in the order of ids, so that two transactions cannot wait for each other here.
func (t *Tx) LockGroups(ctx context.Context, ids []int64, exclusively bool) ([]identity.Group, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	lock := t.lock(t.pool.engine.forShare)
	if exclusively {
		lock = t.lock(t.pool.engine.forUpdate)
	}
	var rows []groupRow
	err := t.all(ctx, &rows, "SELECT "+groupColumns+" FROM groups WHERE "+
		fmt.Sprintf(t.pool.engine.among("id", t.pool.engine.numbers), 1)+" ORDER BY id"+lock, jsonArray(ids))
	if err != nil {
		return nil, fmt.Errorf("lock groups: %w", err)
	}
	return groupsFrom(rows), nil
}

// GroupsNamed returns the groups that names name, without regard to case.
func (r reader) GroupsNamed(ctx context.Context, names []identity.Label) ([]identity.Group, error) {
	if len(names) == 0 {
		return nil, nil
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = identity.Fold(string(name))
	}
	var rows []groupRow
	err := r.all(ctx, &rows, "SELECT "+groupColumns+" FROM groups WHERE "+
		fmt.Sprintf(r.pool.engine.among("name_folded", r.pool.engine.texts), 1), jsonArray(keys))
	if err != nil {
		return nil, fmt.Errorf("find groups: %w", err)
	}
	return groupsFrom(rows), nil
}

func groupsFrom(rows []groupRow) []identity.Group {
	groups := make([]identity.Group, len(rows))
	for i, row := range rows {
		groups[i] = row.group()
	}
	return groups
}

// GroupsOf returns the groups of a user, by id.
func (r reader) GroupsOf(ctx context.Context, userID int64) ([]identity.Group, error) {
	var rows []groupRow
	err := r.all(ctx, &rows, "SELECT "+groupColumns+` FROM groups
		WHERE id IN (SELECT group_id FROM memberships WHERE user_id = $1) ORDER BY id`, userID)
	if err != nil {
		return nil, fmt.Errorf("groups of a user: %w", err)
	}
	return groupsFrom(rows), nil
}

// HasMembers reports whether any user is in the group.
func (r reader) HasMembers(ctx context.Context, groupID int64) (bool, error) {
	var found bool
	err := r.get(ctx, &found, "SELECT EXISTS (SELECT 1 FROM memberships WHERE group_id = $1)", groupID)
	return found, err
}

// RequiresTFA reports whether a group of the user requires a second factor.
func (r reader) RequiresTFA(ctx context.Context, userID int64) (bool, error) {
	var required bool
	err := r.get(ctx, &required, `SELECT EXISTS (SELECT 1 FROM memberships JOIN groups ON groups.id = memberships.group_id
		WHERE memberships.user_id = $1 AND groups.require_tfa)`, userID)
	return required, err
}

// InsertGroup stores a new group and returns its id. A taken name is a Conflict.
func (t *Tx) InsertGroup(ctx context.Context, g identity.Group) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO groups (name, name_folded, permissions, created_at, require_tfa)
		VALUES ($1, $2, $3, $4, $5) RETURNING id`,
		g.Name, identity.Fold(string(g.Name)), g.Permissions.String(), timestamp{g.CreatedAt}, g.RequireTFA)
	return id, err
}

// UpdateGroup stores the fields of a group, version included. before is the group as it
// is stored. Permissions that are the same are not written: the column may have names
// that only a later release knows, which a change of another field must not remove.
func (t *Tx) UpdateGroup(ctx context.Context, before, g identity.Group) error {
	t.accessChanged(allUsers) // its members are not looked up
	_, err := t.exec(ctx, `UPDATE groups
		SET name = $2, name_folded = $3, updated_at = $4, version = $5, require_tfa = $6 WHERE id = $1`,
		g.ID, g.Name, identity.Fold(string(g.Name)), timestamp{g.UpdatedAt}, g.Version, g.RequireTFA)
	if err != nil || before.Permissions == g.Permissions {
		return err
	}
	_, err = t.exec(ctx, "UPDATE groups SET permissions = $2 WHERE id = $1", g.ID, g.Permissions.String())
	return err
}

// DeleteGroup deletes a group, which must have no members.
func (t *Tx) DeleteGroup(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM groups WHERE id = $1", id)
	return err
}
