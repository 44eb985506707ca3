package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
)

// userTable is a table that has users by id, or where a condition finds the columns that it
// reads. A query on users goes over one of them, as u.
type userTable string

const (
	anyTable     userTable = ""      // all have the id
	flags        userTable = "flags" // active and tfa, which users and signins have, and an index alone of users
	usersTable   userTable = "users"
	signinsTable userTable = "signins"
	membersTable userTable = "memberships" // those of one group
)

// has reports whether a query over t reads these columns without another table.
func (t userTable) has(columns userTable) bool {
	return columns == anyTable || columns == t || columns == flags && t != membersTable
}

// home is the table of columns that more than one table has.
func (t userTable) home() userTable {
	if t == anyTable || t == flags {
		return usersTable
	}
	return t
}

// lookUp returns the expression for the row of u in a table. No planner makes a join of it.
func (t userTable) lookUp(expression string) string {
	return "(SELECT " + expression + " FROM " + string(t) + " WHERE " + string(t) + ".id = u.id)"
}

// userOrder is an order of users: a column, which an index of its table has with the id and with
// what the filters of status and second factor read.
type userOrder struct {
	column string
	table  userTable
	unique bool // no two users have the same value, so that the id orders nothing
}

var userOrders = map[identity.UserSort]userOrder{
	identity.SortByID:         {"id", anyTable, true},
	identity.SortByName:       {"name_folded", usersTable, false},
	identity.SortByEmail:      {"email_folded", usersTable, true},
	identity.SortByCreation:   {"created_at", usersTable, false},
	identity.SortByLastSignin: {"last_signin_at", signinsTable, false},
}

// by returns the text after ORDER BY, for the column as it is called in the query.
func (o userOrder) by(column string, descending bool) string {
	direction := ""
	if descending {
		direction = " DESC"
	}
	if o.unique {
		return column + direction
	}
	return column + direction + ", id" + direction
}

// on returns the column in a query over t.
func (o userOrder) on(t userTable) string {
	if t.has(o.table) {
		return o.column
	}
	return o.table.lookUp(o.column)
}

// userConditions is a filter of users, which a query can have over any userTable.
type userConditions struct {
	conditions
	reads []userTable // the columns that each of the texts reads
	group int         // number of the placeholder of the group whose members match; 0 for any user

	listed bool // see id

	// search is the table whose index finds the rows of a text, a period, an address, ids or
	// locked users; anyTable where there is nothing to search by. order is the order in which it
	// finds them, if that is of one column.
	search userTable
	order  *userOrder
}

// addOn is add for a condition that reads the columns of a table.
func (c *userConditions) addOn(t userTable, format string, arg any) {
	c.add(format, arg)
	c.reads = append(c.reads, t)
}

// members says how the members of a group are found: in one look-up per row, or in the way that
// costs least for all rows, which can be a hash of the group.
type members bool

const (
	perRow members = false
	forAll members = true
)

// id returns how to name the id where a list has to have it. Only the first list may be looked up in an
// index: SQLite would look up each id of one list with each of another.
func (c *userConditions) id() string {
	if c.listed {
		return "+id"
	}
	c.listed = true
	return "id"
}

// over returns FROM and WHERE over a table. What that does not have is looked up row by row, after
// all that it has.
func (c *userConditions) over(t userTable, m members) string {
	from := string(t.home()) + " AS u"
	if t == membersTable {
		from = fmt.Sprintf("(SELECT user_id AS id FROM memberships WHERE group_id = $%d) AS u", c.group)
	}
	var texts []string
	elsewhere := map[userTable][]string{}
	for i, text := range c.texts {
		if t.has(c.reads[i]) {
			texts = append(texts, text)
		} else {
			home := c.reads[i].home()
			elsewhere[home] = append(elsewhere[home], text)
		}
	}
	if c.group > 0 && t != membersTable {
		member := " FROM memberships WHERE user_id = u.id AND group_id = $" + strconv.Itoa(c.group) + ")"
		if m == forAll {
			// IS TRUE keeps PostgreSQL from a join, which would not keep the order.
			texts = append(texts, "EXISTS (SELECT 1"+member+" IS TRUE")
		} else {
			texts = append(texts, "(SELECT true"+member)
		}
	}
	for _, home := range []userTable{usersTable, signinsTable} {
		if len(elsewhere[home]) > 0 {
			texts = append(texts, home.lookUp(strings.Join(elsewhere[home], " AND ")))
		}
	}
	where := conditions{texts: texts}
	return " FROM " + from + where.String()
}

// searchOrder returns the ORDER BY of a search. It changes no result, but leaves the database only
// the index of that order.
func (c *userConditions) searchOrder() string {
	if c.order == nil {
		return ""
	}
	return " ORDER BY " + c.order.by(c.order.column, false)
}

// userConditions translates a filter. indexed says to search through an index: for texts
// the trigram index, which works from three characters on.
func (r reader) userConditions(f identity.UserFilter, indexed bool) *userConditions {
	c := &userConditions{}
	e := r.pool.engine
	if f.Name != "" {
		c.addContains(e, identity.Fold(f.Name), indexed, c.id(), "name_folded")
	}
	if f.Search != "" {
		columns, id := []string{"name_folded", "email_folded", "phone"}, c.id()
		if f.SearchNames {
			columns = columns[:1]
		}
		c.addContains(e, identity.Fold(f.Search), indexed, id, columns...)
		if key := identity.EmailKey(f.Search); !f.SearchNames && key != identity.FoldASCII(f.Search) {
			// Part of an address: email_folded has the domain in ASCII.
			c.addContains(e, key, indexed, id, "email_folded")
			c.either()
			c.reads = c.reads[:len(c.texts)]
		}
	}
	if f.Email != "" {
		c.addOn(usersTable, "email_folded = $%d", identity.EmailKey(f.Email))
		c.searchUsers(indexed)
	}
	if f.IDs != nil {
		c.addOn(anyTable, e.among(c.id(), e.numbers), jsonArray(f.IDs))
		c.searchUsers(indexed)
	}
	if f.Active != nil {
		c.addOn(flags, "active = $%d", *f.Active)
	}
	if f.TFA != nil {
		c.addOn(flags, "tfa = $%d", *f.TFA)
		if indexed && f.Active == nil { // which comes first in the index
			c.texts, c.reads = append(c.texts, "active IN (true, false)"), append(c.reads, flags)
		}
	}
	if f.Group != 0 {
		c.group = c.placeholder(f.Group)
	}
	if f.Locked != nil {
		const locked = "SELECT user_id FROM throttles WHERE user_id <> 0 AND blocked_until > $%d ORDER BY blocked_until"
		if *f.Locked {
			c.addOn(anyTable, e.among(c.id(), locked), timestamp{f.LockedAt})
			c.searchUsers(indexed)
		} else {
			c.addOn(anyTable, "id NOT IN ("+locked+")", timestamp{f.LockedAt})
		}
	}
	c.addPeriod(identity.SortByCreation, f.CreatedAfter, f.CreatedBefore, indexed)
	c.addPeriod(identity.SortByLastSignin, f.SigninAfter, f.SigninBefore, indexed)
	return c
}

// searchUsers makes users the table to search, unless there is one already.
func (c *userConditions) searchUsers(indexed bool) {
	if indexed && c.search == anyTable {
		c.search = usersTable
	}
}

// addPeriod adds the condition that a time is not before from and before to; the zero time
// is no bound. It leads the search, unless there is another one, which finds fewer.
func (c *userConditions) addPeriod(sort identity.UserSort, from, to time.Time, indexed bool) {
	order := userOrders[sort]
	if !from.IsZero() {
		c.addOn(order.table, order.column+" >= $%d", timestamp{from})
	}
	if !to.IsZero() {
		c.addOn(order.table, order.column+" < $%d", timestamp{to})
	}
	if indexed && c.search == anyTable && !(from.IsZero() && to.IsZero()) {
		c.search, c.order = order.table, &order
	}
}

func (c *userConditions) addContains(e *engine, text string, indexed bool, id string, columns ...string) {
	const trigram = 3
	indexed = indexed && utf8.RuneCountInString(text) >= trigram
	condition, args := e.contains(id, columns, len(c.args)+1, text, indexed)
	c.args = append(c.args, args...)
	c.texts = append(c.texts, condition)
	c.reads = append(c.reads, usersTable)
	c.searchUsers(indexed)
}

// addAfter adds the condition to start after a cursor.
func (c *userConditions) addAfter(after identity.Cursor) error {
	comparison := ">"
	if after.Descending {
		comparison = "<"
	}
	if after.Sort == identity.SortByID {
		c.addOn(anyTable, "id "+comparison+" $%d", after.ID)
		return nil
	}
	key, err := sortValue(after)
	if err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	order := userOrders[after.Sort]
	c.texts = append(c.texts, fmt.Sprintf("(%s, id) %s ($%d, $%d)",
		order.column, comparison, c.placeholder(key), c.placeholder(after.ID)))
	c.reads = append(c.reads, order.table)
	return nil
}
