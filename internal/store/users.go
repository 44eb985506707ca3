package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/rosterhq/roster/internal/identity"
)

// The groups of a user, which come from another table, as groupsColumn.
const (
	selectGroups = "(SELECT coalesce(string_agg(group_id || '', ' ' ORDER BY group_id), '') " +
		"FROM memberships WHERE user_id = users.id) AS group_ids"
	// selectAdministrators is for a brief list. The group is identity.AdministratorsID.
	selectAdministrators = "CASE WHEN EXISTS (SELECT 1 FROM memberships WHERE user_id = users.id AND group_id = 1) " +
		"THEN '1' ELSE '' END AS group_ids"
)

var (
	selectUser        = "SELECT " + selectColumns(userColumns) + ", " + selectGroups + " FROM users WHERE id = $1"
	selectUserByEmail = "SELECT " + selectColumns(userColumns) + ", " + selectGroups +
		", password_hash FROM users WHERE email_folded = $1"
	insertUsers = "INSERT INTO users (" + columnNames(insertColumns) + ") VALUES "
	insertUser  = insertUsers + valueList(1, len(insertColumns)) + " RETURNING id"
	updateUser  = "UPDATE users SET " +
		placeholders(updateColumns, updatedFrom, func(c userColumn) string { return c.name + " = " }) +
		" WHERE id = $1"
)

// updatedFrom is the number of the first placeholder of updateUser after the id.
const updatedFrom = 2

// userRow reads one row, or returns sql.ErrNoRows.
func (r reader) userRow(ctx context.Context, columns []userColumn, query string, args ...any) (*userRow, error) {
	var row userRow
	err := r.scanOne(ctx, row.targets(columns), query, args...)
	return &row, err
}

// scanOne reads one row into targets, or returns sql.ErrNoRows.
func (r reader) scanOne(ctx context.Context, targets []any, query string, args ...any) error {
	return r.run(ctx, query, func(q queryer) (err error) {
		found, err := q.QueryxContext(ctx, args...)
		if err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, found.Close()) }() // reports what fails after the first row
		if !found.Next() {
			return cmp.Or(found.Err(), sql.ErrNoRows)
		}
		return found.Scan(targets...)
	})
}

// User returns the user with this id, or NotFound.
func (r reader) User(ctx context.Context, id int64) (identity.User, error) {
	row, err := r.userRow(ctx, append(slices.Clip(userColumns), groupsColumn), selectUser, id)
	return row.User, one(err, "user", id)
}

// UserForUpdate is User, and locks the user until the transaction ends. It locks first and
// reads after: a statement that waits for a lock reads the locked row as it is after the
// wait, but memberships, which are in another table, as they were before the wait.
func (t *Tx) UserForUpdate(ctx context.Context, id int64) (identity.User, error) {
	if err := t.lockUser(ctx, id); err != nil {
		return identity.User{}, err
	}
	return t.User(ctx, id)
}

func (t *Tx) lockUser(ctx context.Context, id int64) error {
	lock := t.lock(t.pool.engine.forUpdate)
	if lock == "" || t.locked == id {
		return nil
	}
	var locked int64
	return one(t.get(ctx, &locked, "SELECT id FROM users WHERE id = $1"+lock, id), "user", id)
}

// UserAndCaller is UserForUpdate, and in the same query reads the permissions of the user's groups,
// which it locks as LockGroups does, and the grant of the caller. NotFound leaves open which of the
// two there is not; the command line has no grant.
func (t *Tx) UserAndCaller(ctx context.Context, id int64, caller identity.Actor,
) (u identity.User, permissions identity.Permissions, grant Grant, err error) {
	grantQuery, credential := grantOf(caller)
	if grantQuery == "" {
		return u, 0, grant, notFound("user", id)
	}
	if err := t.lockUser(ctx, id); err != nil {
		return u, 0, grant, err
	}
	columns := append(slices.Clip(userColumns), groupsColumn)
	query := "SELECT changed.*, caller.* FROM (SELECT " + selectColumns(userColumns) + ", " + selectGroups + ", " +
		"(SELECT coalesce(string_agg(permissions, ' '), '') FROM (SELECT permissions FROM groups WHERE id IN " +
		"(SELECT group_id FROM memberships WHERE user_id = users.id) ORDER BY id" + t.lock(t.pool.engine.forShare) +
		") AS held) AS held_permissions FROM users WHERE id = $2) AS changed, (" + grantQuery + ") AS caller"
	var row userRow
	var held string
	var callerRow grantRow
	targets := append(append(row.targets(columns), &held), callerRow.targets()...)
	if err := t.scanOne(ctx, targets, query, credential, id); err != nil {
		return u, 0, grant, one(err, "user", id)
	}
	grant, err = callerRow.grant()
	return row.User, identity.PermissionsFrom(held), grant, err
}

// LockUsers returns the users that exist among the ids, and locks them until the transaction ends.
// It takes the locks in the order of ids, so that two transactions cannot wait for each other
// here, and reads after; see UserForUpdate.
func (t *Tx) LockUsers(ctx context.Context, ids []int64) ([]identity.User, error) {
	if lock := t.lock(t.pool.engine.forUpdate); lock != "" && len(ids) > 0 {
		var locked []int64
		err := t.all(ctx, &locked, "SELECT id FROM users WHERE "+
			fmt.Sprintf(t.pool.engine.among("id", t.pool.engine.numbers), 1)+" ORDER BY id"+lock, jsonArray(ids))
		if err != nil {
			return nil, fmt.Errorf("lock users: %w", err)
		}
	}
	return t.UsersNamed(ctx, UserKeys{IDs: ids})
}

// UsersWithoutPassword returns those of the ids whose users have no password.
func (r reader) UsersWithoutPassword(ctx context.Context, ids []int64) ([]int64, error) {
	var without []int64
	if len(ids) == 0 {
		return nil, nil
	}
	err := r.all(ctx, &without, "SELECT id FROM users WHERE password_hash = '' AND "+
		fmt.Sprintf(r.pool.engine.among("id", r.pool.engine.numbers), 1), jsonArray(ids))
	return without, err
}

// UserByEmail returns the user with this address, as identity.EmailKey compares addresses,
// and the password hash; or NotFound. It is one query, so that it takes the same time with
// and without a user.
func (r reader) UserByEmail(ctx context.Context, email string) (u identity.User, passwordHash string, err error) {
	columns := append(slices.Clip(userColumns), groupsColumn, hashColumn)
	row, err := r.userRow(ctx, columns, selectUserByEmail, identity.EmailKey(email))
	return row.User, row.passwordHash, one(err, "user", 0)
}

// RequireFreeEmail returns the Conflict of InsertUser if an address is taken.
func (r reader) RequireFreeEmail(ctx context.Context, email identity.Email) error {
	var taken bool
	err := r.get(ctx, &taken, "SELECT EXISTS (SELECT 1 FROM users WHERE email_folded = $1)", email.Key())
	if err == nil && taken {
		err = conflicts["users_email_folded"]()
	}
	return err
}

// PasswordHash returns a user's password hash, or NotFound. The empty hash matches
// no password.
func (r reader) PasswordHash(ctx context.Context, userID int64) (string, error) {
	var hash string
	err := r.get(ctx, &hash, "SELECT password_hash FROM users WHERE id = $1", userID)
	return hash, one(err, "user", userID)
}

// HasOtherAdministrator reports whether an active user other than this one is
// in Administrators. LockGroups on that group first, so that two changes cannot
// each rely on the other's administrator.
func (t *Tx) HasOtherAdministrator(ctx context.Context, userID int64) (bool, error) {
	var found bool
	err := t.get(ctx, &found, `SELECT EXISTS (SELECT 1 FROM memberships JOIN users ON users.id = memberships.user_id
		WHERE group_id = $1 AND users.active AND users.id <> $2)`, identity.AdministratorsID, userID)
	return found, err
}

// InsertUser stores a new user and returns its id. A taken address is a Conflict.
func (t *Tx) InsertUser(ctx context.Context, u identity.User, passwordHash string) (int64, error) {
	row := rowOf(u)
	row.passwordHash = passwordHash
	var id int64
	err := t.get(ctx, &id, insertUser, row.arguments(insertColumns)...)
	if err != nil {
		return 0, err
	}
	u.ID = id
	return id, t.insertMemberships(ctx, u)
}

// InsertUsers stores new users, each with the password hash at the same place, and returns their
// ids by the keys of their addresses. A user whose address is taken gets none. It inserts in the
// order of the keys, so that two transactions do not wait for each other.
func (t *Tx) InsertUsers(ctx context.Context, users []identity.User, hashes []string) (map[string]int64, error) {
	rows := make([]*userRow, len(users))
	for i, u := range users {
		rows[i] = rowOf(u)
		rows[i].passwordHash = hashes[i]
	}
	slices.SortFunc(rows, func(a, b *userRow) int { return cmp.Compare(a.emailKey, b.emailKey) })
	values := make([][]any, len(rows))
	for i, row := range rows {
		values[i] = row.arguments(insertColumns)
	}
	ids := make(map[string]int64, len(rows))
	for list, args := range t.valueLists(values) {
		var stored []struct {
			ID  int64  `db:"id"`
			Key string `db:"email_folded"`
		}
		err := t.all(ctx, &stored, insertUsers+list+" ON CONFLICT (email_folded) DO NOTHING RETURNING id, email_folded", args...)
		if err != nil {
			return nil, err
		}
		for _, row := range stored {
			ids[row.Key] = row.ID
		}
	}
	var members []identity.User
	for _, row := range rows {
		if id, found := ids[row.emailKey]; found {
			row.ID = id
			members = append(members, row.User)
		}
	}
	return ids, t.insertMemberships(ctx, members...)
}

// UpdateUser stores the fields of a user, version included, but not the password and the
// memberships. before is the present state.
func (t *Tx) UpdateUser(ctx context.Context, before, u identity.User) error {
	if before.Active != u.Active || before.TFA != u.TFA ||
		before.CanViewMaskedData != u.CanViewMaskedData || !slices.Equal(before.AllowList, u.AllowList) {
		t.accessChanged(u.ID)
	}
	_, err := t.exec(ctx, updateUser, append([]any{u.ID}, rowOf(u).arguments(updateColumns)...)...)
	return err
}

// UpdatePasswordHash stores the hash of a new password, or another hash of the present one.
func (t *Tx) UpdatePasswordHash(ctx context.Context, userID int64, hash string) error {
	_, err := t.exec(ctx, "UPDATE users SET password_hash = $2, password_decoy = $3 WHERE id = $1",
		userID, hash, identity.DecoyOf(hash))
	return err
}

// selectDecoys finds each decoy by a step to the next one in the index, so that it reads few rows
// however many users have the same.
const selectDecoys = `WITH RECURSIVE decoys (decoy) AS (
	SELECT min(password_decoy) FROM users WHERE password_decoy > ''
	UNION ALL
	SELECT (SELECT min(password_decoy) FROM users WHERE password_decoy > '' AND password_decoy > decoy)
	FROM decoys WHERE decoy IS NOT NULL
) SELECT decoy FROM decoys WHERE decoy IS NOT NULL`

// PasswordDecoys returns the decoys of all hashes in use, each once; see identity.DecoyOf.
func (r reader) PasswordDecoys(ctx context.Context) ([]string, error) {
	var decoys []string
	err := r.all(ctx, &decoys, selectDecoys)
	return decoys, err
}

// ReplaceMemberships makes the user a member of exactly these groups.
func (t *Tx) ReplaceMemberships(ctx context.Context, userID int64, groups []int64) error {
	if _, err := t.exec(ctx, "DELETE FROM memberships WHERE user_id = $1", userID); err != nil {
		return err
	}
	t.accessChanged(userID)
	return t.insertMemberships(ctx, identity.User{ID: userID, Groups: groups})
}

func (t *Tx) insertMemberships(ctx context.Context, users ...identity.User) error {
	var rows [][]any
	for _, u := range users {
		for _, group := range u.Groups {
			rows = append(rows, []any{u.ID, group})
		}
	}
	return t.insertAll(ctx, "memberships (user_id, group_id)", rows)
}

// DeleteUser deletes a user with all its data. It keeps the user's events, but erases the
// personal data in them, and deletes stored answers. The event of the deletion itself is
// recorded after it.
func (t *Tx) DeleteUser(ctx context.Context, id int64) error {
	t.accessChanged(id)
	for _, statement := range []string{
		"UPDATE events SET changes = '{}' WHERE subject_type = 'user' AND subject_id = $1",
		"UPDATE events SET changes = '{}' WHERE person_id = $1 AND person_id <> 0", // for the index
		// The sources of the user and of those who tried to sign in as the user, and the names
		// of the user's tokens. The source of a service is not personal.
		`UPDATE events SET source = '', client_request_id = '',
				actor_name = CASE WHEN actor_token_id = 0 THEN actor_name ELSE '' END
			WHERE actor_user_id = $1`,
		`UPDATE events SET source = '', client_request_id = ''
			WHERE subject_type = 'user' AND subject_id = $1 AND actor_user_id = 0 AND actor_token_id = 0`,
		"DELETE FROM outbox WHERE channel = 'mail' AND user_id = $1",
		"DELETE FROM outbox WHERE address <> '' AND address = (SELECT email_folded FROM users WHERE id = $1)",
		// Pending messages are still sent. All rows are written, so that one that is completed
		// at the same time is not missed.
		"UPDATE import_rows SET email = '', data = '' WHERE user_id = $1 AND user_id <> 0", // for the index
		"UPDATE outbox SET erase = true, payload = CASE WHEN state = 'pending' THEN payload ELSE '' END WHERE user_id = $1",
		"DELETE FROM idempotency_keys WHERE user_id = $1",
		"DELETE FROM users WHERE id = $1",
	} {
		if _, err := t.exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return nil
}

// HasUsersOrTokens reports whether there is a user or a token with a permission.
func (r reader) HasUsersOrTokens(ctx context.Context) (bool, error) {
	var found bool
	err := r.get(ctx, &found, "SELECT EXISTS (SELECT 1 FROM users) "+
		"OR EXISTS (SELECT 1 FROM tokens WHERE permissions <> '')")
	return found, err
}

// HasUsers reports whether there is a user.
func (r reader) HasUsers(ctx context.Context) (bool, error) {
	var found bool
	err := r.get(ctx, &found, "SELECT EXISTS (SELECT 1 FROM users)")
	return found, err
}

// OnlyUnusedToken reports that there is no user and no token but one of this name and those
// without permissions, and that it has not been used.
func (r reader) OnlyUnusedToken(ctx context.Context, name string) (bool, error) {
	var only bool
	err := r.get(ctx, &only, "SELECT NOT EXISTS (SELECT 1 FROM users) AND EXISTS (SELECT 1 FROM tokens WHERE name = $1) "+
		"AND NOT EXISTS (SELECT 1 FROM tokens WHERE permissions <> '' AND (name <> $1 OR last_used_at <> $2))",
		name, timestamp{})
	return only, err
}

// sortKey returns the row's key of a cursor in an order.
func (r *userRow) sortKey(sort identity.UserSort) string {
	switch sort {
	case identity.SortByName:
		return r.nameKey
	case identity.SortByEmail:
		return r.emailKey
	case identity.SortByCreation:
		return identity.TimeKey(r.CreatedAt)
	case identity.SortByLastSignin:
		return identity.TimeKey(r.LastSigninAt)
	case identity.SortByID:
	}
	return ""
}

// sortValue returns the argument of a query for the key of a cursor.
func sortValue(c identity.Cursor) (any, error) {
	switch c.Sort {
	case identity.SortByCreation, identity.SortByLastSignin:
		t, err := c.Time()
		return timestamp{t}, err
	case identity.SortByID, identity.SortByName, identity.SortByEmail:
	}
	return c.Key, nil
}
