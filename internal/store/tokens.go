package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const tokenColumns = "tokens.id, tokens.name, coalesce(tokens.user_id, 0) AS user_id, " +
	"coalesce(tokens.session_id, 0) AS session_id, tokens.permissions, " +
	"tokens.can_view_masked_data, tokens.allow_list, tokens.created_at, tokens.expires_at, tokens.last_used_at"

type tokenRow struct {
	ID                int64     `db:"id"`
	Name              string    `db:"name"`
	UserID            int64     `db:"user_id"`
	SessionID         int64     `db:"session_id"`
	Permissions       string    `db:"permissions"`
	CanViewMaskedData bool      `db:"can_view_masked_data"`
	AllowList         string    `db:"allow_list"`
	CreatedAt         timestamp `db:"created_at"`
	ExpiresAt         timestamp `db:"expires_at"`
	LastUsedAt        timestamp `db:"last_used_at"`
}

func (r tokenRow) token() (identity.Token, error) {
	allowList, err := identity.AllowListFrom(r.AllowList)
	if err != nil {
		return identity.Token{}, fmt.Errorf("token %d: allow-list: %w", r.ID, err)
	}
	return identity.Token{
		ID: r.ID, Name: identity.Label(r.Name), UserID: r.UserID, SessionID: r.SessionID,
		Permissions:       identity.PermissionsFrom(r.Permissions),
		CanViewMaskedData: r.CanViewMaskedData, AllowList: allowList,
		CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time, LastUsedAt: r.LastUsedAt.Time,
	}, nil
}

// Grant is all that one look-up of a token tells: the token and, where it acts
// for a user, what decides about that user.
type Grant struct {
	Token identity.Token
	// For a token that acts for a user:
	UserActive            bool
	UserPermissions       identity.Permissions
	UserCanViewMaskedData bool
	UserAllowList         identity.AllowList
}

// Grant finds a token by its digest, with its user's rights as they are now, in
// one query; no such token is NotFound.
func (r reader) Grant(ctx context.Context, digest string) (Grant, error) {
	var row struct {
		tokenRow

		UserActive            bool   `db:"user_active"`
		UserCanViewMaskedData bool   `db:"user_can_view_masked_data"`
		UserAllowList         string `db:"user_allow_list"`
		UserPermissions       string `db:"user_permissions"`
	}
	err := r.get(ctx, &row, "SELECT "+tokenColumns+`,
			coalesce(users.active, false) AS user_active,
			coalesce(users.can_view_masked_data, false) AS user_can_view_masked_data,
			coalesce(users.allow_list, '') AS user_allow_list,
			(SELECT coalesce(string_agg((SELECT permissions FROM groups WHERE groups.id = memberships.group_id), ' '), '')
				FROM memberships WHERE memberships.user_id = tokens.user_id) AS user_permissions
		FROM tokens LEFT JOIN users ON users.id = tokens.user_id WHERE tokens.digest = $1`, digest)
	if err != nil {
		if isNoRows(err) {
			return Grant{}, identity.Errorf(identity.NotFound, "not_found", "There is no such token.")
		}
		return Grant{}, fmt.Errorf("find token: %w", err)
	}
	token, err := row.token()
	if err != nil {
		return Grant{}, err
	}
	allowList, err := identity.AllowListFrom(row.UserAllowList)
	if err != nil {
		return Grant{}, fmt.Errorf("user %d: allow-list: %w", row.UserID, err)
	}
	return Grant{
		Token: token, UserActive: row.UserActive, UserCanViewMaskedData: row.UserCanViewMaskedData,
		UserAllowList: allowList, UserPermissions: identity.PermissionsFrom(row.UserPermissions),
	}, nil
}

// Token returns the service token with this id, or NotFound.
func (r reader) Token(ctx context.Context, id int64) (identity.Token, error) {
	var row tokenRow
	if err := r.get(ctx, &row, "SELECT "+tokenColumns+" FROM tokens WHERE id = $1 AND session_id IS NULL", id); err != nil {
		return identity.Token{}, one(err, "token", id)
	}
	return row.token()
}

// Tokens returns one page of the service tokens by id, and how many there are.
func (r reader) Tokens(ctx context.Context, page identity.Page) ([]identity.Token, int64, error) {
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM tokens WHERE session_id IS NULL"); err != nil {
		return nil, 0, fmt.Errorf("count tokens: %w", err)
	}
	rows, _, err := pageOf[tokenRow](ctx, r, page.Limit,
		"SELECT "+tokenColumns+" FROM tokens WHERE session_id IS NULL ORDER BY id LIMIT $1 OFFSET $2", page.Limit, page.Offset)
	if err != nil {
		return nil, 0, fmt.Errorf("list tokens: %w", err)
	}
	tokens := make([]identity.Token, len(rows))
	for i, row := range rows {
		if tokens[i], err = row.token(); err != nil {
			return nil, 0, err
		}
	}
	return tokens, total, nil
}

// InsertToken stores a new token by the digest of its secret and returns its id.
func (t *Tx) InsertToken(ctx context.Context, token identity.Token, digest string) (int64, error) {
	var id int64
	orNull := func(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: id != 0} }
	err := t.get(ctx, &id, `INSERT INTO tokens (name, digest, user_id, session_id, permissions, can_view_masked_data, allow_list,
			created_at, expires_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
		token.Name, digest, orNull(token.UserID), orNull(token.SessionID), token.Permissions.String(), token.CanViewMaskedData,
		token.AllowList.String(), timestamp{token.CreatedAt}, timestamp{token.ExpiresAt}, timestamp{token.LastUsedAt})
	return id, err
}

// TouchToken records a use of the token, unless one was recorded since.
func (t *Tx) TouchToken(ctx context.Context, id int64, now, since time.Time) error {
	_, err := t.exec(ctx, "UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND last_used_at < $3",
		id, timestamp{now}, timestamp{since})
	t.effects.touched = append(t.effects.touched, accessChange{tokenID: id})
	return err
}

// DeleteToken deletes a token and tells whether it was there: of several
// revocations at once, one did it.
func (t *Tx) DeleteToken(ctx context.Context, id int64) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM tokens WHERE id = $1", id)
	t.effects.access = append(t.effects.access, accessChange{tokenID: id})
	return deleted > 0, err
}

// DeleteTokensNamed deletes the tokens of services with this name, but for the
// one with this digest.
func (t *Tx) DeleteTokensNamed(ctx context.Context, name identity.Label, exceptDigest string) error {
	deleted, err := t.exec(ctx, "DELETE FROM tokens WHERE name = $1 AND user_id IS NULL AND digest <> $2", name, exceptDigest)
	if deleted > 0 {
		t.effects.access = append(t.effects.access, accessChange{})
	}
	return err
}
