package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/rosterhq/roster/internal/identity"
)

// Users returns one page of the users that match, with the exact total unless the page
// starts after a cursor or the query asks for none. Every page is read in one way: the ids of
// the page are found in indexes, as far as these reach, and then the rows of these ids are read.
// The ids are found in the cheaper of two ways:
//
//	collectMatches  finds all matches through an index and sorts them; for few matches
//	walkOrder       reads the index of the order, from that end which is nearer to the page
//
// No planner knows how common a text is, and a prepared statement not how common a period or
// how deep an offset, so the database is not left to choose. user_counts tells how many users
// a filter of status, second factor and group has. Of other filters a search through the index
// tells, as it stops where there are many.
func (r reader) Users(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	switch {
	case q.Filter.None:
		return identity.UserPage{Users: []identity.User{}}, nil
	case countedByBlocks(q.Filter):
		return r.usersCounted(ctx, q)
	}
	share, err := r.shareOf(ctx, q)
	if err != nil {
		return identity.UserPage{}, err
	}
	// A text that is too short for the index costs one pass to collect, and two to count and to walk.
	broad := share > mostHave || share > manyHave && (q.NoTotal || !r.userConditions(q.Filter, true).searches())
	if q.After != nil {
		broad = q.After.Broad
	}
	if !broad {
		page, complete, err := r.usersFound(ctx, q)
		if complete || err != nil {
			return page, err
		}
	}
	where, err := r.whereUsers(q, false)
	if err != nil {
		return identity.UserPage{}, err
	}
	var total int64
	if q.After == nil && !q.NoTotal {
		if total, err = r.countUsers(ctx, q.Filter, share < mostHave); err != nil || total <= q.Offset {
			return pageFrom(nil, false, q, total, true, err)
		}
	}
	rows, more, err := r.userRows(ctx, q, walkOrder(q, where, perRow, total))
	return pageFrom(rows, more, q, total, true, err)
}

// The shares of users with a text from which on it is many or most of them. To read the index for all of these
// takes longer than to walk the order, and to count without. Measured on PostgreSQL 15.
const manyHave, mostHave = 0.05, 0.3

// shareOf returns which share of the latest users has the texts of a filter; 0 where it has none, and for a page
// after a cursor, which tells what the page before has found.
func (r reader) shareOf(ctx context.Context, q identity.UserQuery) (float64, error) {
	texts := identity.UserFilter{Name: q.Filter.Name, Search: q.Filter.Search, SearchNames: q.Filter.SearchNames}
	isAddress := rarePart(texts.Search) != texts.Search // which few have
	if q.After != nil || isAddress || texts.Name == "" && texts.Search == "" {
		return 0, nil
	}
	const sample = 100
	where := r.userConditions(texts, false)
	where.addOn(anyTable, r.pool.engine.among("id", "SELECT id FROM users ORDER BY id DESC LIMIT $%d"), sample)
	var have int64
	if err := r.get(ctx, &have, "SELECT count(*)"+where.over(usersTable, perRow), where.args...); err != nil {
		return 0, fmt.Errorf("sample users: %w", err)
	}
	return float64(have) / sample, nil
}

// whereUsers returns the conditions of a list with its cursor.
func (r reader) whereUsers(q identity.UserQuery, indexed bool) (*userConditions, error) {
	where := r.userConditions(q.Filter, indexed)
	if q.After == nil {
		return where, nil
	}
	return where, where.addAfter(*q.After)
}

// usersFound collects the matches of a search, or of a text that is too short for the index and that few
// have: total and page in one query. complete is false where there is nothing to look for, where there
// are more than limits.broadMatches, or where the offset leaves no row to tell the total.
func (r reader) usersFound(ctx context.Context, q identity.UserQuery,
) (page identity.UserPage, complete bool, err error) {
	where, err := r.whereUsers(q, true)
	if err != nil || !where.searches() && q.Filter.Name == "" && q.Filter.Search == "" {
		return page, false, err
	}
	if q.NoTotal && q.After == nil && where.order != nil && *where.order == userOrders[q.Sort] {
		return page, false, nil // the walk is the search
	}
	bound := r.pool.limits.broadMatches
	if q.After != nil || !where.searches() { // the page before, or the sample, has not found more
		bound = 0
	}
	rows, more, err := r.userRows(ctx, q, collectMatches(q, where, where.search.home(), bound))
	var total int64
	if len(rows) > 0 {
		total = rows[0].matches
	}
	switch isEmpty := len(rows) == 0; {
	case q.After != nil:
		complete = true
	case isEmpty && q.NoTotal:
		complete = bound == 0 || q.Offset <= bound
	case isEmpty:
		complete = q.Offset == 0
	default:
		complete = bound == 0 || total <= bound
	}
	if err != nil || !complete {
		return page, false, err
	}
	page, err = pageFrom(rows, more, q, total, false, nil)
	return page, true, err
}

// usersCounted returns a page by a filter for which user_counts has the total.
func (r reader) usersCounted(ctx context.Context, q identity.UserQuery) (identity.UserPage, error) {
	where, err := r.whereUsers(q, false)
	if err != nil {
		return identity.UserPage{}, err
	}
	everyone := isFilter(q.Filter, identity.UserFilter{SearchNames: q.Filter.SearchNames})
	if everyone && (q.After != nil || q.Offset == 0) {
		ids := walkOrder(q, where, perRow, 0)
		if q.After == nil && !q.NoTotal {
			ids.matches = sumOfBlocks("users", "0")
		}
		rows, more, err := r.userRows(ctx, q, ids)
		var total int64
		if len(rows) > 0 {
			total = rows[0].matches
		}
		return pageFrom(rows, more, q, total, true, err)
	}
	n, err := r.blockTotals(ctx, q.Filter)
	if err != nil || n.Matches == 0 || q.After == nil && n.Matches <= q.Offset {
		return pageFrom(nil, false, q, n.Matches, true, err)
	}
	var ids idQuery
	table, groups := n.cheapest(q)
	switch {
	case table != anyTable:
		if where, err = r.whereUsers(q, true); err == nil {
			ids = collectMatches(q, where, table, 0)
		}
	case q.Sort == identity.SortByID && q.After == nil && q.Offset > 0:
		inside := q
		inside.Offset, err = r.seekBlock(ctx, where, q)
		ids = walkOrder(inside, where, groups, 0)
	default:
		ids = walkOrder(q, where, groups, n.Matches)
	}
	if err != nil {
		return identity.UserPage{}, err
	}
	rows, more, err := r.userRows(ctx, q, ids)
	return pageFrom(rows, more, q, n.Matches, true, err)
}

// idQuery finds the ids of a page, and of one user more if there is one.
type idQuery struct {
	with    string // the clause WITH before all; "" for none
	ids     string
	args    []any
	matches string // the expression for the number of matches; "0" where it is not asked for
}

// collectMatches finds all matches over a table through an index and sorts them. It gives up where there
// are more than most, which its number of matches then shows; 0 for no bound.
func collectMatches(q identity.UserQuery, where *userConditions, t userTable, most int64) idQuery {
	order := userOrders[q.Sort]
	with := "WITH matches AS MATERIALIZED (SELECT id, " + order.on(t) + " AS sorted" +
		where.over(t, perRow) + where.searchOrder()
	if most > 0 {
		with += " LIMIT " + strconv.FormatInt(most+1, 10)
	}
	ids := "SELECT id FROM matches ORDER BY " + order.by("sorted", q.Descending)
	query := idQuery{with: with + ") ", matches: "(SELECT count(*) FROM matches)"}
	query.ids, query.args = limited(ids, where.args, int64(q.Limit)+1, q.Offset)
	return query
}

// walkOrder reads the index of the order. total is how many users match, so that it can begin at the
// end that is nearer to the page; 0 where that is not known.
func walkOrder(q identity.UserQuery, where *userConditions, m members, total int64) idQuery {
	order := userOrders[q.Sort]
	t := order.table.home()
	if order.table == anyTable && where.group > 0 {
		t = membersTable
	}
	limit, offset, descending := int64(q.Limit)+1, q.Offset, q.Descending
	if q.After != nil {
		offset = 0
	} else if rest := total - offset; 0 < rest && rest < offset {
		limit = min(limit, rest)
		offset, descending = rest-limit, !descending
	}
	ids := "SELECT id" + where.over(t, m) + " ORDER BY " + order.by(order.column, descending)
	query := idQuery{matches: "0"}
	query.ids, query.args = limited(ids, where.args, limit, offset)
	return query
}

func limited(query string, args []any, limit, offset int64) (string, []any) {
	n := len(args)
	return fmt.Sprintf("%s LIMIT $%d OFFSET $%d", query, n+1, n+2), append(slices.Clip(args), limit, offset)
}

// pageQuery returns the query for the users with the ids, in the order of the page.
func (e *engine) pageQuery(q identity.UserQuery, ids idQuery) string {
	order, groups := userOrders[q.Sort], e.selectGroups
	if q.Brief {
		groups = selectAdministrators
	}
	return ids.with + "SELECT " + selectColumns(listedColumns(q)) + ", " + groups + ", " + ids.matches + " AS matches" +
		" FROM users WHERE id " + fmt.Sprintf(e.first, ids.ids) + " ORDER BY " + order.by(order.column, q.Descending)
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

// userRows reads a page and reports whether more rows follow.
func (r reader) userRows(ctx context.Context, q identity.UserQuery, ids idQuery,
) (rows []*userRow, more bool, err error) {
	columns := append(slices.Clone(listedColumns(q)), groupsColumn, matchesColumn)
	var scanned userRow // every row writes every column of it
	targets := scanned.targets(columns)
	scan := func(found *sqlx.Rows) (*userRow, int, error) {
		err := found.Scan(targets...)
		row := scanned
		return &row, row.textBytes(), err
	}
	rows, more, err = pageBy(ctx, r, q.Limit, scan, r.pool.engine.pageQuery(q, ids), ids.args...)
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
	if q.NoTotal || q.After != nil {
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
