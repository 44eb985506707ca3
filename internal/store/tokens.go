package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const tokenColumns = "tokens.id, tokens.name, coalesce(tokens.user_id, 0) AS user_id, " +
	"coalesce(tokens.session_id, 0) AS session_id, tokens.permissions, " +
	"tokens.can_view_masked_data, tokens.allow_list, tokens.created_at, tokens.expires_at, tokens.last_used_at, " +
	"tokens.created_by_user, tokens.created_by_token"

// issuerGone reports that the creator of a service token is deleted or inactive.
const issuerGone = "(created_by_user <> 0" +
	" AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = created_by_user AND active)" +
	" OR created_by_token <> 0" +
	" AND NOT EXISTS (SELECT 1 FROM tokens AS issuers WHERE issuers.id = tokens.created_by_token)) AS issuer_gone"

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
	CreatedByUser     int64     `db:"created_by_user"`
	CreatedByToken    int64     `db:"created_by_token"`
	IssuerGone        bool      `db:"issuer_gone"` // false where the query does not select it
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
		CreatedBy: identity.Creator{UserID: r.CreatedByUser, TokenID: r.CreatedByToken}, IssuerGone: r.IssuerGone,
	}, nil
}

// Grant holds a token and, where the token acts for a user, the rights of that user.
type Grant struct {
	Token identity.Token
	// The other fields are of the user that the token acts for.
	UserActive            bool
	UserPermissions       identity.Permissions
	UserCanViewMaskedData bool
	UserAllowList         identity.AllowList
	// UserMustEnrol reports that a group of the user requires a second factor, which the
	// user does not have.
	UserMustEnrol bool
	// SessionFreshUntil and SessionCreatedAt are set for the access token of a session.
	SessionFreshUntil time.Time
	SessionCreatedAt  time.Time
	// SessionIdle is how long a held session lasts after its last use; 0 for any other. See
	// HoldSession.
	SessionIdle time.Duration
}

// grantColumns are those of a token with the rights of its user, grantJoins has them from the
// rows that are called tokens.
const (
	grantColumns = tokenColumns + `,
		coalesce(users.active, false) AS user_active,
		coalesce(users.can_view_masked_data, false) AS user_can_view_masked_data,
		coalesce(users.allow_list, '') AS user_allow_list,
		(SELECT coalesce(string_agg(
				(SELECT permissions FROM groups WHERE groups.id = memberships.group_id), ' '), '')
			FROM memberships WHERE memberships.user_id = tokens.user_id) AS user_permissions,
		NOT coalesce(users.tfa, true) AND EXISTS (SELECT 1 FROM memberships JOIN groups ON groups.id = memberships.group_id
			WHERE memberships.user_id = tokens.user_id AND groups.require_tfa) AS user_must_enrol,
		sessions.fresh_until AS session_fresh_until, sessions.created_at AS session_created_at,
		coalesce(sessions.idle_seconds, 0) AS session_idle`
	grantJoins    = " LEFT JOIN users ON users.id = tokens.user_id LEFT JOIN sessions ON sessions.id = tokens.session_id"
	grantByDigest = "SELECT " + grantColumns + " FROM tokens" + grantJoins + " WHERE tokens.digest = $1"
	grantByToken  = "SELECT " + grantColumns + " FROM tokens" + grantJoins +
		" WHERE tokens.id = $1 AND tokens.session_id IS NULL"
	grantBySession = "SELECT " + grantColumns + ` FROM (SELECT 0 AS id, 'session' AS name, user_id, id AS session_id,
			'*' AS permissions, true AS can_view_masked_data, '' AS allow_list, created_at, expires_at, last_used_at,
			0 AS created_by_user, 0 AS created_by_token FROM sessions) AS tokens` + grantJoins +
		" WHERE tokens.session_id = $1"
)

// grantOf returns the query for the grant of a caller with its argument, or "" for the command
// line. A caller without a credential, as a job has, is found by its session or token. The Token of
// a session lasts as long as the session and has no id.
func grantOf(caller identity.Actor) (query string, arg any) {
	switch {
	case caller.Credential != "":
		return grantByDigest, caller.Credential
	case caller.SessionID != 0:
		return grantBySession, caller.SessionID
	case caller.TokenID != 0:
		return grantByToken, caller.TokenID
	}
	return "", nil
}

// GrantOf returns the current grant of a caller who is not the command line. None is NotFound.
func (r reader) GrantOf(ctx context.Context, caller identity.Actor) (Grant, error) {
	query, arg := grantOf(caller)
	return r.grant(ctx, query, arg)
}

// Grant returns a token by its digest, with its user's current rights, in one query. No
// such token is NotFound.
func (r reader) Grant(ctx context.Context, digest string) (Grant, error) {
	return r.grant(ctx, grantByDigest, digest)
}

// grant reads the grant that a query selects.
func (r reader) grant(ctx context.Context, query string, arg any) (Grant, error) {
	var row grantRow
	err := r.get(ctx, &row, query, arg)
	if err != nil {
		if isNoRows(err) {
			return Grant{}, identity.Errorf(identity.NotFound, "not_found", "There is no such token.")
		}
		return Grant{}, fmt.Errorf("find token: %w", err)
	}
	return row.grant()
}

// grantRow is a row of grantColumns.
type grantRow struct {
	tokenRow

	UserActive            bool   `db:"user_active"`
	UserCanViewMaskedData bool   `db:"user_can_view_masked_data"`
	UserAllowList         string `db:"user_allow_list"`
	UserPermissions       string `db:"user_permissions"`
	UserMustEnrol         bool   `db:"user_must_enrol"`

	SessionFreshUntil timestamp `db:"session_fresh_until"`
	SessionCreatedAt  timestamp `db:"session_created_at"`
	SessionIdle       int64     `db:"session_idle"`
}

// targets returns the pointers that grantColumns are scanned into.
func (r *grantRow) targets() []any {
	return []any{
		&r.ID, &r.Name, &r.UserID, &r.SessionID, &r.Permissions, &r.CanViewMaskedData, &r.AllowList, &r.CreatedAt,
		&r.ExpiresAt, &r.LastUsedAt, &r.CreatedByUser, &r.CreatedByToken, &r.UserActive, &r.UserCanViewMaskedData,
		&r.UserAllowList, &r.UserPermissions, &r.UserMustEnrol, &r.SessionFreshUntil, &r.SessionCreatedAt, &r.SessionIdle,
	}
}

func (r *grantRow) grant() (Grant, error) {
	token, err := r.token()
	if err != nil {
		return Grant{}, err
	}
	allowList, err := identity.AllowListFrom(r.UserAllowList)
	if err != nil {
		return Grant{}, fmt.Errorf("user %d: allow-list: %w", r.UserID, err)
	}
	return Grant{
		Token: token, UserActive: r.UserActive, UserCanViewMaskedData: r.UserCanViewMaskedData,
		UserAllowList: allowList, UserPermissions: identity.PermissionsFrom(r.UserPermissions),
		UserMustEnrol: r.UserMustEnrol, SessionFreshUntil: r.SessionFreshUntil.Time,
		SessionCreatedAt: r.SessionCreatedAt.Time, SessionIdle: time.Duration(r.SessionIdle) * time.Second,
	}, nil
}

// Token returns the service token with this id, or NotFound.
func (r reader) Token(ctx context.Context, id int64) (identity.Token, error) {
	var row tokenRow
	err := r.get(ctx, &row,
		"SELECT "+tokenColumns+", "+issuerGone+" FROM tokens WHERE id = $1 AND session_id IS NULL", id)
	if err != nil {
		return identity.Token{}, one(err, "token", id)
	}
	return row.token()
}

// Tokens returns one page of the service tokens that match, by id, and how many
// there are.
func (r reader) Tokens(ctx context.Context, f identity.TokenFilter, page identity.Page,
) ([]identity.Token, int64, error) {
	where := &conditions{texts: []string{"session_id IS NULL"}}
	where.addCreator(f.CreatedBy)
	if f.UserID != 0 {
		where.add("user_id = $%d", f.UserID)
	}
	if !f.ExpiresAfter.IsZero() || !f.ExpiresBefore.IsZero() {
		where.add("expires_at > $%d", timestamp{}) // the zero time is never
	}
	if !f.ExpiresAfter.IsZero() {
		where.add("expires_at >= $%d", timestamp{f.ExpiresAfter})
	}
	if !f.ExpiresBefore.IsZero() {
		where.add("expires_at < $%d", timestamp{f.ExpiresBefore})
	}
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM tokens"+where.String(), where.args...); err != nil {
		return nil, 0, fmt.Errorf("count tokens: %w", err)
	}
	n := len(where.args)
	query := "SELECT " + tokenColumns + ", " + issuerGone + " FROM tokens" + where.String() +
		" ORDER BY id LIMIT $" + strconv.Itoa(n+1) + " OFFSET $" + strconv.Itoa(n+2)
	rows, _, err := pageOf[tokenRow](ctx, r, page.Limit, query, append(where.args, page.Limit, page.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list tokens: %w", err)
	}
	tokens, err := tokensFrom(rows)
	return tokens, total, err
}

func tokensFrom(rows []tokenRow) ([]identity.Token, error) {
	tokens := make([]identity.Token, len(rows))
	for i, row := range rows {
		var err error
		if tokens[i], err = row.token(); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// InsertToken stores a new token with the digest of its secret and returns its id.
func (t *Tx) InsertToken(ctx context.Context, token identity.Token, digest string) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO tokens (name, digest, user_id, session_id, permissions, can_view_masked_data,
			allow_list, created_at, expires_at, last_used_at, created_by_user, created_by_token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`,
		token.Name, digest, orNull(token.UserID), orNull(token.SessionID), token.Permissions.String(),
		token.CanViewMaskedData, token.AllowList.String(),
		timestamp{token.CreatedAt}, timestamp{token.ExpiresAt}, timestamp{token.LastUsedAt},
		token.CreatedBy.UserID, token.CreatedBy.TokenID)
	return id, err
}

// TouchToken stores a use of a token, unless it has a later one than since. It also
// stores it for the token's session, with the address, unless sessionID is 0.
func (t *Tx) TouchToken(ctx context.Context, id, sessionID int64, source string, now, since time.Time) error {
	_, err := t.exec(ctx, "UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND last_used_at < $3",
		id, timestamp{now}, timestamp{since})
	if err == nil && sessionID != 0 {
		_, err = t.exec(ctx, "UPDATE sessions SET last_used_at = $2, source = $3 WHERE id = $1",
			sessionID, timestamp{now}, source)
	}
	t.tokenTouched(id)
	return err
}

// DeleteToken deletes a token and reports whether it existed: of several revocations at
// once, one returns true.
func (t *Tx) DeleteToken(ctx context.Context, id int64) (bool, error) {
	deleted, err := t.exec(ctx, "DELETE FROM tokens WHERE id = $1", id)
	t.tokenDeleted(id)
	return deleted > 0, err
}

// TokensNamed returns the service tokens with this name except the one with this digest.
func (t *Tx) TokensNamed(ctx context.Context, name identity.Label, exceptDigest string) ([]identity.Token, error) {
	var rows []tokenRow
	err := t.all(ctx, &rows, "SELECT "+tokenColumns+
		" FROM tokens WHERE name = $1 AND user_id IS NULL AND digest <> $2 ORDER BY id",
		name, exceptDigest)
	if err != nil {
		return nil, fmt.Errorf("tokens named %s: %w", name, err)
	}
	return tokensFrom(rows)
}

// TokenCount returns how many service tokens there are that a user has created.
func (t *Tx) TokenCount(ctx context.Context, userID int64) (int64, error) {
	var n int64
	err := t.get(ctx, &n, "SELECT count(*) FROM tokens WHERE created_by_user = $1 AND created_by_user <> 0", userID)
	return n, err
}

// orNull returns NULL for the id 0.
func orNull(id int64) sql.NullInt64 { return sql.NullInt64{Int64: id, Valid: id != 0} }
