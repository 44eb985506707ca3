package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/rosterhq/roster/internal/identity"
)

// blockBits is the size of a block of user_counts as a power of two. The triggers of
// the schema use the same size.
const blockBits = 10

// sortColumns has the columns that ORDER BY may name.
var sortColumns = map[identity.UserSort]string{
	identity.SortByID:         "id",
	identity.SortByName:       "name_folded",
	identity.SortByEmail:      "email_folded",
	identity.SortByCreation:   "created_at",
	identity.SortByLastSignin: signedInAt,
}

// signedInAt is the time of the last sign-in in usersBySignin, where an index has it with
// signedID. users has a column last_signin_at as well, which only the version before writes.
const (
	signedInAt    = "signed_in_at"
	signedID      = "signed_id"
	usersBySignin = "users JOIN (SELECT id AS signed_id, last_signin_at AS signed_in_at FROM signins) AS signed ON signed_id = id"
	// signinsAlone has all that a count of users by period, status and second factor needs.
	signinsAlone = "(SELECT id AS signed_id, last_signin_at AS signed_in_at, active, tfa FROM signins) AS signed"
)

// inOrder returns the columns of the index of a column that users are ordered by.
func inOrder(column, direction string) string {
	switch column {
	case "id":
		return "id" + direction
	case signedInAt:
		return signedInAt + direction + ", " + signedID + direction
	}
	return column + direction + ", id" + direction
}

// Users returns one page of the users that match, with the exact total unless the page
// starts after a cursor or the query asks for none. It chooses the cheapest of four plans:
//
//	usersAfterCursor  the page starts after a cursor
//	usersByIndex      a text or a period to search for, which few users have
//	usersFromBlock    by id, from an offset, with no filter or those that user_counts has
//	usersFromStart    all others
//
// No planner knows how common a text is, and a prepared statement not how common a period,
// so the database is not left to choose.
func (r reader) Users(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	if q.Filter.None {
		return identity.UserPage{Users: []identity.User{}}, nil
	}
	if q.After != nil {
		return r.usersAfterCursor(ctx, q)
	}
	where := r.userConditions(q.Filter, true)
	isWalk := where.lead != "" && where.lead == sortColumns[q.Sort] // the walk is the search
	if where.searching && !(q.NoTotal && isWalk) {
		if page, complete, err := r.usersByIndex(ctx, q); complete || err != nil {
			return page, err
		}
	}
	byBlocks := q.Offset > 0 && q.Sort == identity.SortByID && countedByBlocks(q.Filter)
	if q.NoTotal && !byBlocks {
		return r.usersFromStart(ctx, q, 0)
	}
	total, err := r.CountUsers(ctx, q.Filter)
	switch {
	case err != nil || total <= q.Offset:
		return pageFrom(nil, false, q, total, true, err)
	case byBlocks:
		return r.usersFromBlock(ctx, q, total)
	}
	return r.usersFromStart(ctx, q, total)
}

// usersAfterCursor continues behind a known row. It costs the same at any depth. It
// searches as the page before did: through the index unless that found too many.
func (r reader) usersAfterCursor(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	where := r.userConditions(q.Filter, !q.After.Broad)
	if err := where.addAfter(*q.After); err != nil {
		return identity.UserPage{}, err
	}
	rows, more, err := r.userRows(ctx, where, q, 0)
	return pageFrom(rows, more, q, 0, q.After.Broad, err)
}

// usersByIndex collects all matches through the index of what is searched for and sorts
// them: total and page in one query. It is cheapest for up to limits.broadMatches matches. complete is
// false where there are more, or where the offset leaves no row to tell the total.
func (r reader) usersByIndex(ctx context.Context, q identity.UserQuery,
) (page identity.UserPage, complete bool, err error) {
	rows, more, err := r.userRows(ctx, r.userConditions(q.Filter, true), q, q.Offset)
	var total int64
	if len(rows) > 0 {
		total = rows[0].matches
	}
	complete = total <= r.pool.limits.broadMatches && (len(rows) > 0 || q.Offset == 0)
	if err != nil || !complete {
		return identity.UserPage{}, false, err
	}
	page, err = pageFrom(rows, more, q, total, false, nil)
	return page, true, err
}

// usersFromBlock walks the ids from the block of user_counts in which the offset falls.
// It costs the same at any offset, but works only where blocks are all that counts.
func (r reader) usersFromBlock(ctx context.Context, q identity.UserQuery, total int64) (identity.UserPage, error) {
	where := r.userConditions(q.Filter, false)
	offset, err := r.seekBlock(ctx, where, q)
	if err != nil {
		return identity.UserPage{}, err
	}
	rows, more, err := r.userRows(ctx, where, q, offset)
	return pageFrom(rows, more, q, total, true, err)
}

// usersFromStart walks the order from its start. It is cheapest where the offset is
// small and so many users match that the walk soon meets enough of them.
func (r reader) usersFromStart(ctx context.Context, q identity.UserQuery, total int64) (identity.UserPage, error) {
	rows, more, err := r.userRows(ctx, r.userConditions(q.Filter, false), q, q.Offset)
	return pageFrom(rows, more, q, total, true, err)
}

// userRows reads a page and reports whether more rows follow.
func (r reader) userRows(ctx context.Context, where *conditions, q identity.UserQuery, offset int64,
) (rows []*userRow, more bool, err error) {
	columns := append(slices.Clone(listedColumns(q)), groupsColumn, matchesColumn)
	var scanned userRow // every row writes every column of it
	targets := scanned.targets(columns)
	scan := func(found *sqlx.Rows) (*userRow, int, error) {
		err := found.Scan(targets...)
		row := scanned
		return &row, row.textBytes(), err
	}
	query := where.pageQuery(q, r.pool.limits.broadMatches)
	rows, more, err = pageBy(ctx, r, q.Limit, scan, query, append(where.args, q.Limit+1, offset)...)
	if err != nil {
		return nil, false, fmt.Errorf("list users: %w", err)
	}
	return rows, more, nil
}

func pageFrom(rows []*userRow, more bool, q identity.UserQuery, total int64, broad bool, err error,
) (identity.UserPage, error) {
	if err != nil {
		return identity.UserPage{}, err
	}
	page := identity.UserPage{Total: total}
	if q.NoTotal {
		page.Total = 0
	}
	if more {
		last := rows[len(rows)-1]
		page.Next = &identity.Cursor{
			Sort: q.Sort, Descending: q.Descending, Broad: broad, ID: last.ID, Key: last.sortKey(q.Sort),
		}
	}
	page.Users = make([]identity.User, len(rows))
	for i, row := range rows {
		page.Users[i] = row.User
	}
	return page, nil
}

// countedByBlocks reports whether user_counts, which sums about a thousand users per
// row, alone can tell how many match.
func countedByBlocks(f identity.UserFilter) bool {
	// SearchNames selects nobody by itself.
	return reflect.DeepEqual(f, identity.UserFilter{Active: f.Active, TFA: f.TFA, Group: f.Group, SearchNames: f.SearchNames})
}

// blockCount returns the expression for the matching users of a row of user_counts.
func blockCount(f identity.UserFilter) string {
	count := func(users, tfa string) string {
		switch {
		case f.TFA == nil:
			return users
		case *f.TFA:
			return tfa
		}
		return users + " - " + tfa
	}
	all, active := count("users", "tfa"), count("active", "active_tfa")
	switch {
	case f.Active == nil:
		return all
	case *f.Active:
		return active
	}
	return all + " - (" + active + ")"
}

// CountUsers returns how many users match, exactly.
func (r reader) CountUsers(ctx context.Context, f identity.UserFilter) (int64, error) {
	var total int64
	var err error
	switch {
	case f.None:
	case countedByBlocks(f):
		query := "SELECT coalesce(sum(" + blockCount(f) + "), 0) FROM user_counts WHERE group_id = $1"
		err = r.get(ctx, &total, query, f.Group)
	default:
		where := r.userConditions(f, true)
		err = r.get(ctx, &total, "SELECT count(*) FROM "+where.from()+where.String(), where.args...)
	}
	if err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return total, nil
}

// UserCount returns how many users match: exactly where user_counts alone can tell, else
// limits.countedUsers at most. It costs the same however many users there are.
func (r reader) UserCount(ctx context.Context, f identity.UserFilter) (identity.UserCount, error) {
	if f.None {
		return identity.UserCount{}, nil
	}
	if countedByBlocks(f) {
		total, err := r.CountUsers(ctx, f)
		return identity.UserCount{Total: total}, err
	}
	most := r.pool.limits.countedUsers
	query, args := r.boundedCount(f, most)
	var total int64
	if err := r.get(ctx, &total, query, args...); err != nil {
		return identity.UserCount{}, fmt.Errorf("count users: %w", err)
	}
	return identity.UserCount{Total: min(total, most), IsLowerBound: total > most}, nil
}

// boundedCount returns the query for the number of matches, or for most+1 where there are
// more than most.
func (r reader) boundedCount(f identity.UserFilter, most int64) (query string, args []any) {
	where := r.userConditions(f, true)
	from := where.from()
	if where.bySignin && reflect.DeepEqual(f, identity.UserFilter{
		Active: f.Active, TFA: f.TFA, SigninAfter: f.SigninAfter, SigninBefore: f.SigninBefore, SearchNames: f.SearchNames,
	}) {
		from = signinsAlone
	}
	return "SELECT count(*) FROM (SELECT 1 FROM " + from + where.String() + where.order() +
		" LIMIT " + strconv.FormatInt(most+1, 10) + ") AS counted", where.args
}

// seekBlock adds the condition to start at the block in which the offset falls and
// returns the rest of the offset, inside the block.
func (r reader) seekBlock(ctx context.Context, where *conditions, q identity.UserQuery) (int64, error) {
	direction := ""
	if q.Descending {
		direction = " DESC"
	}
	var start struct {
		Block  int64 `db:"block"`
		Before int64 `db:"before"`
	}
	err := r.get(ctx, &start, "SELECT block, upto - n AS before FROM"+
		" (SELECT block, n, sum(n) OVER (ORDER BY block"+direction+" ROWS UNBOUNDED PRECEDING) AS upto FROM"+
		" (SELECT block, sum("+blockCount(q.Filter)+") AS n FROM user_counts WHERE group_id = $2 GROUP BY block) AS counts"+
		") AS sums WHERE upto > $1 ORDER BY block"+direction+" LIMIT 1", q.Offset, q.Filter.Group)
	switch {
	case isNoRows(err): // users were deleted since the total was read
		return q.Offset, nil
	case err != nil:
		return 0, fmt.Errorf("find offset: %w", err)
	}
	if q.Descending {
		where.add("id < $%d", (start.Block+1)<<blockBits)
	} else {
		where.add("id >= $%d", start.Block<<blockBits)
	}
	return q.Offset - start.Before, nil
}

// conditions builds a WHERE clause with its arguments.
type conditions struct {
	texts []string
	args  []any
	// searching makes an index find the rows before they are ordered: that of texts, that
	// of lead, or that of locked users.
	searching bool
	// lead is the column of a period that the search goes by; "" for none.
	lead string
	// bySignin says that the conditions or the order name signedInAt.
	bySignin bool
}

// from returns what the conditions select from.
func (c *conditions) from() string {
	if c.bySignin {
		return usersBySignin
	}
	return "users"
}

// order returns the order in which a search finds its rows. It changes no result, but
// leaves the database only the index of that column.
func (c *conditions) order() string {
	if c.lead == "" {
		return ""
	}
	return " ORDER BY " + inOrder(c.lead, "")
}

// add adds a condition with one placeholder.
func (c *conditions) add(format string, arg any) {
	c.args = append(c.args, arg)
	c.texts = append(c.texts, fmt.Sprintf(format, len(c.args)))
}

// addCreator adds the condition that a creator, or each part of it that is set, has made the row.
func (c *conditions) addCreator(by identity.Creator) {
	// <> 0 is the condition of the indexes of tokens.
	if by.UserID != 0 {
		c.add("created_by_user = $%d AND created_by_user <> 0", by.UserID)
	}
	if by.TokenID != 0 {
		c.add("created_by_token = $%d AND created_by_token <> 0", by.TokenID)
	}
}

// either joins the last two conditions with OR.
func (c *conditions) either() {
	n := len(c.texts)
	c.texts = append(c.texts[:n-2], "("+c.texts[n-2]+" OR "+c.texts[n-1]+")")
}

func (c *conditions) String() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// addAfter adds the condition to start after a cursor.
func (c *conditions) addAfter(after identity.Cursor) error {
	comparison := ">"
	if after.Descending {
		comparison = "<"
	}
	if after.Sort == identity.SortByID {
		c.add("id "+comparison+" $%d", after.ID)
		return nil
	}
	key, err := sortValue(after)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	c.args = append(c.args, key, after.ID)
	c.bySignin = c.bySignin || after.Sort == identity.SortByLastSignin
	c.texts = append(c.texts, fmt.Sprintf("(%s) %s ($%d, $%d)",
		inOrder(sortColumns[after.Sort], ""), comparison, len(c.args)-1, len(c.args)))
	return nil
}

// listedColumns are those that a list reads. Of the keys of texts it reads the one that it is ordered
// by, which cursors have.
func listedColumns(q identity.UserQuery) []userColumn {
	switch {
	case q.Brief:
		return briefColumns
	case q.Sort == identity.SortByName:
		return columnsByName
	case q.Sort == identity.SortByEmail:
		return columnsByEmail
	}
	return columnsWithoutKeys
}

// pageQuery returns the query for a page. Its last two arguments are limit and offset.
// A search collects one match more than broadMatches at most.
func (c *conditions) pageQuery(q identity.UserQuery, broadMatches int64) string {
	direction := ""
	if q.Descending {
		direction = " DESC"
	}
	order := inOrder(sortColumns[q.Sort], direction)
	c.bySignin = c.bySignin || !c.searching && q.Sort == identity.SortByLastSignin
	columns, groups := selectColumns(listedColumns(q)), selectGroups
	if q.Brief {
		groups = selectAdministrators
	}
	with, from, matches := "", c.from()+c.String(), "0"
	if c.searching {
		with = "WITH matches AS MATERIALIZED (SELECT " + columns + " FROM " + c.from() + c.String() + c.order()
		if q.After == nil { // usersByIndex gives up where there are more
			with += " LIMIT " + strconv.FormatInt(broadMatches+1, 10)
		}
		with += ") "
		from, matches = "matches AS users", "(SELECT count(*) FROM matches)"
		columns = columnNames(listedColumns(q))
		if q.Sort == identity.SortByLastSignin {
			order = inOrder("last_signin_at", direction)
		}
	}
	limit := len(c.args) + 1
	return with + "SELECT " + columns + ", " + groups + ", " + matches + " AS matches FROM " + from +
		" ORDER BY " + order + " LIMIT $" + strconv.Itoa(limit) + " OFFSET $" + strconv.Itoa(limit+1)
}

// userConditions translates a filter. indexed says to search through an index: for texts
// the trigram index, which works from three characters on.
func (r reader) userConditions(f identity.UserFilter, indexed bool) *conditions {
	c := &conditions{}
	if f.Name != "" {
		c.addContains(r.pool.engine, identity.Fold(f.Name), indexed, "name_folded")
	}
	if f.Search != "" {
		columns := []string{"name_folded", "email_folded", "phone"}
		if f.SearchNames {
			columns = columns[:1]
		}
		c.addContains(r.pool.engine, identity.Fold(f.Search), indexed, columns...)
		if key := identity.EmailKey(f.Search); !f.SearchNames && key != identity.FoldASCII(f.Search) {
			// Part of an address: email_folded has the domain in ASCII.
			c.addContains(r.pool.engine, key, indexed, "email_folded")
			c.either()
		}
	}
	if f.Email != "" {
		c.add("email_folded = $%d", identity.EmailKey(f.Email))
	}
	if f.Active != nil {
		c.add("active = $%d", *f.Active)
	}
	if f.TFA != nil {
		c.add("tfa = $%d", *f.TFA)
	}
	if f.Group != 0 {
		c.add("id IN (SELECT user_id FROM memberships WHERE group_id = $%d)", f.Group)
	}
	if f.Locked != nil {
		const locked = "SELECT user_id FROM throttles WHERE user_id <> 0 AND blocked_until > $%d ORDER BY blocked_until"
		if *f.Locked {
			c.add("id "+fmt.Sprintf(r.pool.engine.first, locked), timestamp{f.LockedAt})
			c.searching = c.searching || indexed
		} else {
			c.add("id NOT IN ("+locked+")", timestamp{f.LockedAt})
		}
	}
	c.addPeriod("created_at", f.CreatedAfter, f.CreatedBefore, indexed)
	c.addPeriod(signedInAt, f.SigninAfter, f.SigninBefore, indexed)
	if f.IDs != nil {
		c.add(r.pool.engine.among("id", r.pool.engine.numbers), jsonArray(f.IDs))
	}
	return c
}

// addPeriod adds the condition that a time is not before from and before to; the zero time
// is no bound. It leads the search, unless there is another one, which finds fewer.
func (c *conditions) addPeriod(column string, from, to time.Time, indexed bool) {
	c.bySignin = c.bySignin || column == signedInAt && !(from.IsZero() && to.IsZero())
	if !from.IsZero() {
		c.add(column+" >= $%d", timestamp{from})
	}
	if !to.IsZero() {
		c.add(column+" < $%d", timestamp{to})
	}
	if indexed && !c.searching && !(from.IsZero() && to.IsZero()) {
		c.searching, c.lead = true, column
	}
}

func (c *conditions) addContains(e *engine, text string, indexed bool, columns ...string) {
	const trigram = 3
	indexed = indexed && utf8.RuneCountInString(text) >= trigram
	condition, args := e.contains(columns, len(c.args)+1, text, indexed)
	c.args = append(c.args, args...)
	c.texts = append(c.texts, condition)
	c.searching = c.searching || indexed
}
