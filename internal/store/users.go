package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// userColumns are the stored columns of a user, membershipsColumn is what comes
// with them from another table. A row of both is a userRow.
const (
	userColumns = "id, name, name_folded, email, email_folded, phone, active, blocked_code, tfa, allow_list, client_tags, " +
		"can_view_masked_data, created_at, updated_at, last_signin_at, version"
	membershipsColumn = "(SELECT coalesce(string_agg(group_id || '', ' ' ORDER BY group_id), '') " +
		"FROM memberships WHERE user_id = users.id) AS group_ids"
	selectUser = "SELECT " + userColumns + ", " + membershipsColumn + " FROM users WHERE id = $1"

	// The same for lists that are brief. The group is identity.AdministratorsID.
	briefColumns        = "id, email, active, blocked_code, created_at, updated_at, '[]' AS client_tags"
	administratorColumn = "CASE WHEN EXISTS (SELECT 1 FROM memberships WHERE user_id = users.id AND group_id = 1) " +
		"THEN '1' ELSE '' END AS group_ids"
)

type userRow struct {
	ID                int64     `db:"id"`
	Name              string    `db:"name"`
	NameFolded        string    `db:"name_folded"`
	Email             string    `db:"email"`
	EmailFolded       string    `db:"email_folded"`
	Phone             string    `db:"phone"`
	Active            bool      `db:"active"`
	BlockedCode       string    `db:"blocked_code"`
	TFA               bool      `db:"tfa"`
	AllowList         string    `db:"allow_list"`
	ClientTags        string    `db:"client_tags"`
	CanViewMaskedData bool      `db:"can_view_masked_data"`
	CreatedAt         timestamp `db:"created_at"`
	UpdatedAt         timestamp `db:"updated_at"`
	LastSigninAt      timestamp `db:"last_signin_at"`
	Version           int64     `db:"version"`
	GroupIDs          string    `db:"group_ids"`
}

func (r userRow) user() (identity.User, error) {
	allowList, err := identity.AllowListFrom(r.AllowList)
	if err != nil {
		return identity.User{}, fmt.Errorf("user %d: allow-list: %w", r.ID, err)
	}
	tags, err := identity.ClientTagsFrom(r.ClientTags)
	if err != nil {
		return identity.User{}, fmt.Errorf("user %d: client tags: %w", r.ID, err)
	}
	groups := []int64{}
	for field := range strings.FieldsSeq(r.GroupIDs) {
		id, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return identity.User{}, fmt.Errorf("user %d: groups: %w", r.ID, err)
		}
		groups = append(groups, id)
	}
	return identity.User{
		ID: r.ID, Name: identity.Name(r.Name), Email: identity.Email(r.Email), Phone: identity.Phone(r.Phone),
		Active: r.Active, BlockedCode: identity.BlockedCode(r.BlockedCode), TFA: r.TFA, Groups: groups, AllowList: allowList, ClientTags: tags,
		CanViewMaskedData: r.CanViewMaskedData, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time,
		LastSigninAt: r.LastSigninAt.Time, Version: r.Version,
	}, nil
}

// User returns the user with this id, or NotFound.
func (r reader) User(ctx context.Context, id int64) (identity.User, error) {
	var row userRow
	if err := r.get(ctx, &row, selectUser, id); err != nil {
		return identity.User{}, one(err, "user", id)
	}
	return row.user()
}

// UserForUpdate is User, and keeps others from changing the user until the
// transaction ends. It locks first and reads after: a statement that waits for a
// lock sees the locked row as it is then, but memberships, which come from
// another table, as they were before the wait.
func (t *Tx) UserForUpdate(ctx context.Context, id int64) (identity.User, error) {
	if lock := t.lock(t.pool.engine.forUpdate); lock != "" {
		var locked int64
		if err := t.get(ctx, &locked, "SELECT id FROM users WHERE id = $1"+lock, id); err != nil {
			return identity.User{}, one(err, "user", id)
		}
	}
	return t.User(ctx, id)
}

// UserByEmail returns the user with this address, as identity.EmailKey compares
// addresses, and the password hash; or NotFound. It is one query, so that it takes the same time
// whether there is one.
func (r reader) UserByEmail(ctx context.Context, email string) (u identity.User, passwordHash string, err error) {
	var row struct {
		userRow

		PasswordHash string `db:"password_hash"`
	}
	err = r.get(ctx, &row, "SELECT "+userColumns+", "+membershipsColumn+", password_hash FROM users WHERE email_folded = $1",
		identity.EmailKey(email))
	if err != nil {
		return identity.User{}, "", one(err, "user", 0)
	}
	u, err = row.user()
	return u, row.PasswordHash, err
}

// RequireFreeEmail returns the Conflict that InsertUser would return for an address that
// is taken already.
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
	tags, err := identity.ClientTagsText(u.ClientTags)
	if err != nil {
		return 0, err
	}
	var id int64
	err = t.get(ctx, &id, `INSERT INTO users (name, name_folded, email, email_folded, password_hash, phone, active, tfa,
			allow_list, client_tags, can_view_masked_data, created_at, blocked_code)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
		u.Name, u.Name.Key(), u.Email, u.Email.Key(), passwordHash, u.Phone, u.Active, u.TFA,
		u.AllowList.String(), tags, u.CanViewMaskedData, timestamp{u.CreatedAt}, u.BlockedCode)
	if err != nil {
		return 0, err
	}
	return id, t.insertMemberships(ctx, id, u.Groups)
}

// UpdateUser stores the fields of a user that was before, version included, but
// for the password and the memberships.
func (t *Tx) UpdateUser(ctx context.Context, before, u identity.User) error {
	if before.Active != u.Active || before.TFA != u.TFA ||
		before.CanViewMaskedData != u.CanViewMaskedData || !slices.Equal(before.AllowList, u.AllowList) {
		t.accessChanged(u.ID)
	}
	tags, err := identity.ClientTagsText(u.ClientTags)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE users SET name = $2, name_folded = $3, email = $4, email_folded = $5, phone = $6,
			active = $7, tfa = $8, allow_list = $9, client_tags = $10, can_view_masked_data = $11, updated_at = $12, version = $13,
			blocked_code = $14
		WHERE id = $1`,
		u.ID, u.Name, u.Name.Key(), u.Email, u.Email.Key(), u.Phone, u.Active, u.TFA,
		u.AllowList.String(), tags, u.CanViewMaskedData, timestamp{u.UpdatedAt}, u.Version, u.BlockedCode)
	return err
}

// UpdatePasswordHash stores the hash of a new password.
func (t *Tx) UpdatePasswordHash(ctx context.Context, userID int64, hash string) error {
	_, err := t.exec(ctx, "UPDATE users SET password_hash = $2 WHERE id = $1", userID, hash)
	return err
}

// ReplaceMemberships makes the user a member of exactly these groups.
func (t *Tx) ReplaceMemberships(ctx context.Context, userID int64, groups []int64) error {
	if _, err := t.exec(ctx, "DELETE FROM memberships WHERE user_id = $1", userID); err != nil {
		return err
	}
	t.accessChanged(userID)
	return t.insertMemberships(ctx, userID, groups)
}

func (t *Tx) insertMemberships(ctx context.Context, userID int64, groups []int64) error {
	for _, group := range groups {
		if _, err := t.exec(ctx, "INSERT INTO memberships (user_id, group_id) VALUES ($1, $2)", userID, group); err != nil {
			return err
		}
	}
	return nil
}

// DeleteUser deletes a user with all that belongs to it. That its events
// happened stays; what is personal in them, and in kept answers, does not. The event
// of the deletion itself comes after it.
func (t *Tx) DeleteUser(ctx context.Context, id int64) error {
	t.accessChanged(id)
	for _, statement := range []string{
		"UPDATE events SET changes = '{}' WHERE subject_type = 'user' AND subject_id = $1",
		"UPDATE events SET changes = '{}' WHERE person_id = $1 AND person_id <> 0", // for the index
		// Where the user was, what the user's tokens are called, and where those were
		// who tried to be the user. Where a service was is not about the user.
		`UPDATE events SET source = '', client_request_id = '', actor_name = CASE WHEN actor_token_id = 0 THEN actor_name ELSE '' END
			WHERE actor_user_id = $1`,
		`UPDATE events SET source = '', client_request_id = ''
			WHERE subject_type = 'user' AND subject_id = $1 AND actor_user_id = 0 AND actor_token_id = 0`,
		"DELETE FROM outbox WHERE channel = 'mail' AND user_id = $1",
		"DELETE FROM outbox WHERE address <> '' AND address = (SELECT email_folded FROM users WHERE id = $1)",
		// What is on its way still arrives. All rows are written, so that one that is
		// just being settled is not missed.
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

// HasUsersOrTokens reports whether anyone has ever been set up here.
func (r reader) HasUsersOrTokens(ctx context.Context) (bool, error) {
	var found bool
	err := r.get(ctx, &found, "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM tokens)")
	return found, err
}

// sortKey returns a row's value in the given order, as a cursor carries it.
func (r userRow) sortKey(sort identity.UserSort) string {
	switch sort {
	case identity.SortByName:
		return r.NameFolded
	case identity.SortByEmail:
		return r.EmailFolded
	case identity.SortByCreation:
		return identity.TimeKey(r.CreatedAt.Time)
	case identity.SortByLastSignin:
		return identity.TimeKey(r.LastSigninAt.Time)
	case identity.SortByID:
	}
	return ""
}

// sortValue is the inverse of sortKey for a query's argument.
func sortValue(c identity.Cursor) (any, error) {
	switch c.Sort {
	case identity.SortByCreation, identity.SortByLastSignin:
		t, err := c.Time()
		return timestamp{t}, err
	case identity.SortByID, identity.SortByName, identity.SortByEmail:
	}
	return c.Key, nil
}
