package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/rosterhq/roster/internal/identity"
)

// A page of users is cheap at any size and depth because of three choices:
//   - Totals and offsets of the list by id come from user_blocks, which sums
//     about a thousand users per row, instead of counting users.
//   - A substring is found through the trigram index, total and page in one
//     query, unless it is so common that walking the order meets enough of it
//     at once. No planner knows how common a text is, so none is asked.
//   - A cursor continues behind a known row.

// broadMatches is from how many matches on walking the order beats collecting
// and sorting all matches.
var broadMatches int64 = 5000 // not a constant for its tests only

// blockBits is the size of a block of user_blocks as a power of two; the
// triggers of the schema have it too.
const blockBits = 10

// sortColumns is the allow-list of what may stand in ORDER BY.
var sortColumns = map[identity.UserSort]string{
	identity.SortByID:         "id",
	identity.SortByName:       "name_folded",
	identity.SortByEmail:      "email_folded",
	identity.SortByCreation:   "created_at",
	identity.SortByLastSignin: "last_signin_at",
}

// Users returns one page of the users that match, with the exact total unless
// the page starts after a cursor.
func (r reader) Users(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	if q.After != nil {
		where := r.userConditions(q.Filter, !q.After.Broad)
		if err := where.addAfter(*q.After); err != nil {
			return identity.UserPage{}, err
		}
		rows, more, err := r.userRows(ctx, where, q, 0)
		return pageFrom(rows, more, q, 0, q.After.Broad, err)
	}
	if where := r.userConditions(q.Filter, true); where.searching {
		rows, more, err := r.userRows(ctx, where, q, q.Offset)
		if err != nil || len(rows) > 0 && rows[0].matches <= broadMatches || len(rows) == 0 && q.Offset == 0 {
			var total int64
			if len(rows) > 0 {
				total = rows[0].matches
			}
			return pageFrom(rows, more, q, total, false, err)
		}
	}
	return r.countedUsers(ctx, q)
}

// countedUsers counts first and then walks the order.
func (r reader) countedUsers(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	total, err := r.countUsers(ctx, q.Filter)
	if err != nil || total <= q.Offset {
		return identity.UserPage{Users: []identity.User{}, Total: total}, err
	}
	where, offset := r.userConditions(q.Filter, false), q.Offset
	if offset > 0 && q.Sort == identity.SortByID && countedByBlocks(q.Filter) {
		if offset, err = r.seekBlock(ctx, where, q); err != nil {
			return identity.UserPage{}, err
		}
	}
	rows, more, err := r.userRows(ctx, where, q, offset)
	return pageFrom(rows, more, q, total, true, err)
}

// userRows reads a page and tells whether more follow.
func (r reader) userRows(ctx context.Context, where *conditions, q identity.UserQuery, offset int64,
) (rows []*userRow, more bool, err error) {
	columns := append(slices.Clone(listedColumns(q)), groupsColumn, matchesColumn)
	scan := func(found *sqlx.Rows) (*userRow, int, error) {
		var row userRow
		err := found.Scan(row.targets(columns)...)
		return &row, row.textBytes(), err
	}
	rows, more, err = pageBy(ctx, r, q.Limit, scan, where.pageQuery(q), append(where.args, q.Limit+1, offset)...)
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

// countedByBlocks reports whether user_blocks alone can tell how many match.
func countedByBlocks(f identity.UserFilter) bool {
	return f == identity.UserFilter{OnlyActive: f.OnlyActive, OnlyInactive: f.OnlyInactive} && !(f.OnlyActive && f.OnlyInactive)
}

// blockCount is the expression for the matching users of a block.
func blockCount(f identity.UserFilter) string {
	switch {
	case f.OnlyActive:
		return "active"
	case f.OnlyInactive:
		return "users - active"
	}
	return "users"
}

func (r reader) countUsers(ctx context.Context, f identity.UserFilter) (int64, error) {
	var total int64
	var err error
	if countedByBlocks(f) {
		err = r.get(ctx, &total, "SELECT coalesce(sum("+blockCount(f)+"), 0) FROM user_blocks")
	} else {
		where := r.userConditions(f, true)
		err = r.get(ctx, &total, "SELECT count(*) FROM users"+where.String(), where.args...)
	}
	if err != nil {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return total, nil
}

// seekBlock adds the condition to start at the block in which the offset falls
// and returns what remains of the offset inside it.
func (r reader) seekBlock(ctx context.Context, where *conditions, q identity.UserQuery) (int64, error) {
	direction := ""
	if q.Descending {
		direction = " DESC"
	}
	var start struct {
		Block  int64 `db:"block"`
		Before int64 `db:"before"`
	}
	err := r.get(ctx, &start, "SELECT block, upto - n AS before FROM (SELECT block, n, sum(n) OVER (ORDER BY block"+direction+
		" ROWS UNBOUNDED PRECEDING) AS upto FROM (SELECT block, "+blockCount(q.Filter)+" AS n FROM user_blocks) AS counts) AS sums"+
		" WHERE upto > $1 ORDER BY block"+direction+" LIMIT 1", q.Offset)
	switch {
	case isNoRows(err): // users went away since the total was read
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
	// searching says that the trigram index is to find the rows before they are
	// ordered; the planner, which cannot know how rare a text is, is not asked.
	searching bool
}

// add adds a condition with one placeholder.
func (c *conditions) add(format string, arg any) {
	c.args = append(c.args, arg)
	c.texts = append(c.texts, fmt.Sprintf(format, len(c.args)))
}

// either makes one condition of the last two: one of them has to hold.
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

// addAfter adds the condition to start behind a cursor.
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
	c.texts = append(c.texts, fmt.Sprintf("(%s, id) %s ($%d, $%d)",
		sortColumns[after.Sort], comparison, len(c.args)-1, len(c.args)))
	return nil
}

// listedColumns are those that a list reads.
func listedColumns(q identity.UserQuery) []userColumn {
	if q.Brief {
		return briefColumns
	}
	return userColumns
}

// pageQuery returns the query for a page; its last two arguments are limit and offset.
func (c *conditions) pageQuery(q identity.UserQuery) string {
	direction := ""
	if q.Descending {
		direction = " DESC"
	}
	order := "id" + direction
	if q.Sort != identity.SortByID {
		order = sortColumns[q.Sort] + direction + ", " + order
	}
	columns, groups := columnNames(listedColumns(q)), selectGroups
	if q.Brief {
		groups = selectAdministrators
	}
	with, from, matches := "", "users"+c.String(), "0"
	if c.searching {
		with = "WITH matches AS MATERIALIZED (SELECT " + columns + " FROM users" + c.String()
		if q.After == nil { // more are too many anyway
			with += " LIMIT " + strconv.FormatInt(broadMatches+1, 10)
		}
		with += ") "
		from, matches = "matches AS users", "(SELECT count(*) FROM matches)"
	}
	limit := len(c.args) + 1
	return with + "SELECT " + columns + ", " + groups + ", " + matches + " AS matches FROM " + from +
		" ORDER BY " + order + " LIMIT $" + strconv.Itoa(limit) + " OFFSET $" + strconv.Itoa(limit+1)
}

// userConditions translates a filter. indexed says to search texts through the
// trigram index, which needs three characters to work with.
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
			// An address, whose domain is kept in another form than it is spelled in.
			c.addContains(r.pool.engine, key, indexed, "email_folded")
			c.either()
		}
	}
	if f.Email != "" {
		c.add("email_folded = $%d", identity.EmailKey(f.Email))
	}
	if f.OnlyActive {
		c.add("active = $%d", true)
	}
	if f.OnlyInactive {
		c.add("active = $%d", false)
	}
	if f.TFA != nil {
		c.add("tfa = $%d", *f.TFA)
	}
	if f.Group != 0 {
		c.add("id IN (SELECT user_id FROM memberships WHERE group_id = $%d)", f.Group)
	}
	return c
}

func (c *conditions) addContains(e *engine, text string, indexed bool, columns ...string) {
	const trigram = 3
	indexed = indexed && utf8.RuneCountInString(text) >= trigram
	condition, args := e.contains(columns, len(c.args)+1, text, indexed)
	c.args = append(c.args, args...)
	c.texts = append(c.texts, condition)
	c.searching = c.searching || indexed
}
