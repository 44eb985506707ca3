package store

import (
	"context"
	"fmt"
	"reflect"
	"strconv"

	"github.com/rosterhq/roster/internal/identity"
)

// blockBits is the size of a block of user_counts as a power of two. The triggers of
// the schema use the same size.
const blockBits = 10

// countedByBlocks reports whether user_counts, which sums about a thousand users per
// row, alone can tell how many match.
func countedByBlocks(f identity.UserFilter) bool {
	return isFilter(f, identity.UserFilter{Active: f.Active, TFA: f.TFA, Group: f.Group, SearchNames: f.SearchNames})
}

// isFilter reports whether f has the fields of parts alone. Give parts the SearchNames of f, which
// selects nobody by itself.
func isFilter(f, parts identity.UserFilter) bool { return reflect.DeepEqual(f, parts) }

// blockCount returns the expression for the users of a row of user_counts that match status and
// second factor.
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

// sumOfBlocks returns the expression for the sum of a count over the blocks of a group.
func sumOfBlocks(count, group string) string {
	return "(SELECT coalesce(sum(" + count + "), 0) FROM user_counts WHERE group_id = " + group + ")"
}

// CountUsers returns how many users match, exactly.
func (r reader) CountUsers(ctx context.Context, f identity.UserFilter) (int64, error) {
	return r.countUsers(ctx, f, true)
}

// countUsers is CountUsers, through an index or, of texts that many users have, without.
func (r reader) countUsers(ctx context.Context, f identity.UserFilter, indexed bool) (total int64, err error) {
	switch {
	case f.None:
	case countedByBlocks(f):
		err = r.get(ctx, &total, "SELECT "+sumOfBlocks(blockCount(f), "$1"), f.Group)
	default:
		where := r.userConditions(f, indexed)
		err = r.get(ctx, &total, "SELECT count(*)"+where.over(where.search.home(), forAll), where.args...)
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
	return "SELECT count(*) FROM (SELECT 1" + where.over(where.search.home(), perRow) + where.searchOrder() +
		" LIMIT " + strconv.FormatInt(most+1, 10) + ") AS counted", where.args
}

// blockTotals are sums of user_counts for a filter.
type blockTotals struct {
	Everyone int64 `db:"everyone"`
	Flagged  int64 `db:"flagged"` // of everyone, those with the status and second factor
	Members  int64 `db:"members"` // of the group; everyone without one
	Matches  int64 `db:"matches"` // of the members, those with the status and second factor
}

// blockTotals returns the sums for a filter of which countedByBlocks is true.
func (r reader) blockTotals(ctx context.Context, f identity.UserFilter) (n blockTotals, err error) {
	count := blockCount(f)
	sum := func(count, group string) string {
		return "coalesce(sum(" + count + ") FILTER (WHERE group_id = " + group + "), 0)"
	}
	err = r.get(ctx, &n, "SELECT "+sum("users", "0")+" AS everyone, "+sum(count, "0")+" AS flagged, "+
		sum("users", "$1")+" AS members, "+sum(count, "$1")+" AS matches FROM user_counts WHERE group_id IN (0, $1)", f.Group)
	if err != nil {
		return n, fmt.Errorf("count users: %w", err)
	}
	return n, nil
}

// cheapest returns the table over which to collect the matches, or anyTable to walk the order, and
// how to find members on the walk. It compares how many entries of an index are read, if those with
// the status, the factor and the group are spread evenly over the order.
func (n blockTotals) cheapest(q identity.UserQuery) (collect userTable, m members) {
	// In the time of a look-up in another table about 25 entries of an index are read. A hash of members takes
	// that of 5 entries for each member, and 3 for each time that it is asked. All were measured on PostgreSQL 15.
	const lookUp, hashed, hash = 25, 5, 3
	near := int64(q.Limit)
	if q.After == nil && q.Sort != identity.SortByID {
		near += min(q.Offset, n.Matches-q.Offset)
	}
	hasFlags, hasGroup := q.Filter.Active != nil || q.Filter.TFA != nil, q.Filter.Group != 0
	walking := near * n.Everyone / n.Matches
	switch {
	case hasGroup && q.Sort == identity.SortByID:
		walking = near * lookUp * n.Members / n.Matches
	case hasGroup:
		asked := near * n.Flagged / n.Matches
		perRows, forAlls := lookUp*asked, hashed*n.Members+hash*asked
		m = forAlls < perRows
		walking += min(perRows, forAlls)
	}
	collecting := n.Flagged + lookUp*n.Matches
	if hasGroup {
		collecting = n.Flagged + lookUp*(n.Flagged+n.Matches)
	}
	switch byGroup := lookUp * n.Members; {
	case hasGroup && byGroup < walking && byGroup < collecting:
		return membersTable, m
	case hasFlags && collecting < walking:
		return flags, m
	}
	return anyTable, m
}

// seekBlock adds the condition to start at the block in which the offset falls and
// returns the rest of the offset, inside the block.
func (r reader) seekBlock(ctx context.Context, where *userConditions, q identity.UserQuery) (int64, error) {
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
		where.addOn(anyTable, "id < $%d", (start.Block+1)<<blockBits)
	} else {
		where.addOn(anyTable, "id >= $%d", start.Block<<blockBits)
	}
	return q.Offset - start.Before, nil
}
