package store

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// userRow is a row of users, with the columns that a User does not have.
type userRow struct {
	identity.User

	nameKey, emailKey string // see identity.Name.Key and identity.Email.Key
	passwordHash      string
	matches           int64 // the number of rows that a search has found
}

// decoy returns a pointer to the decoy of the hash; see identity.DecoyOf.
func (r *userRow) decoy() any { return new(identity.DecoyOf(r.passwordHash)) }

func rowOf(u identity.User) *userRow {
	return &userRow{User: u, nameKey: u.Name.Key(), emailKey: u.Email.Key()}
}

// userColumn is a stored field of a user. All statements on users, and the users in the
// outbox, are made of the table userColumns.
type userColumn struct {
	name string
	// in returns a pointer to the field in a row. SELECT scans into it; the value is the
	// argument of INSERT and UPDATE.
	in        func(r *userRow) any
	writtenBy statements
}

// statements are the statements that write a column. A column without any is written by a
// statement of its own.
type statements int

const (
	insert statements = 1 << iota
	update
)

var userColumns = []userColumn{
	{"id", func(r *userRow) any { return &r.ID }, 0},
	{"name", func(r *userRow) any { return (*string)(&r.Name) }, insert | update},
	{"name_folded", func(r *userRow) any { return &r.nameKey }, insert | update},
	{"email", func(r *userRow) any { return (*string)(&r.Email) }, insert | update},
	{"email_folded", func(r *userRow) any { return &r.emailKey }, insert | update},
	{"phone", func(r *userRow) any { return (*string)(&r.Phone) }, insert | update},
	{"active", func(r *userRow) any { return &r.Active }, insert | update},
	{"blocked_code", func(r *userRow) any { return (*string)(&r.BlockedCode) }, insert | update},
	{"tfa", func(r *userRow) any { return &r.TFA }, insert | update},
	{"allow_list", func(r *userRow) any { return (*allowList)(&r.AllowList) }, insert | update},
	{"client_tags", func(r *userRow) any { return (*clientTags)(&r.ClientTags) }, insert | update},
	{"can_view_masked_data", func(r *userRow) any { return &r.CanViewMaskedData }, insert | update},
	{"created_at", func(r *userRow) any { return (*moment)(&r.CreatedAt) }, insert},
	{"updated_at", func(r *userRow) any { return (*moment)(&r.UpdatedAt) }, update},
	{"last_signin_at", func(r *userRow) any { return (*moment)(&r.LastSigninAt) }, 0},
	{"version", func(r *userRow) any { return &r.Version }, update},
}

// Columns from another table, or that only some statements read.
var (
	groupsColumn  = userColumn{"group_ids", func(r *userRow) any { return (*groupIDs)(&r.Groups) }, 0}
	hashColumn    = userColumn{"password_hash", func(r *userRow) any { return &r.passwordHash }, insert}
	decoyColumn   = userColumn{"password_decoy", (*userRow).decoy, insert}
	matchesColumn = userColumn{"matches", func(r *userRow) any { return &r.matches }, 0}
)

// briefColumns are the columns of a brief list.
var briefColumns = slices.DeleteFunc(slices.Clone(userColumns), func(c userColumn) bool {
	return !slices.Contains([]string{"id", "email", "active", "blocked_code", "created_at", "updated_at"}, c.name)
})

// The columns of other lists, by what they are ordered by.
var (
	columnsByName      = userColumnsBut("email_folded")
	columnsByEmail     = userColumnsBut("name_folded")
	columnsWithoutKeys = userColumnsBut("name_folded", "email_folded")
)

func userColumnsBut(names ...string) []userColumn {
	return slices.DeleteFunc(slices.Clone(userColumns), func(c userColumn) bool { return slices.Contains(names, c.name) })
}

// insertColumns and updateColumns are the columns that INSERT and UPDATE write.
var insertColumns, updateColumns = columnsWrittenBy(insert), columnsWrittenBy(update)

func columnsWrittenBy(s statements) []userColumn {
	columns := append(slices.Clone(userColumns), hashColumn, decoyColumn)
	return slices.DeleteFunc(columns, func(c userColumn) bool { return c.writtenBy&s == 0 })
}

// selectColumns returns the columns as SELECT from users names them: the last sign-in is in another table.
func selectColumns(columns []userColumn) string {
	const lastSignin = "last_signin_at"
	return strings.Replace(columnNames(columns), lastSignin,
		"(SELECT last_signin_at FROM signins WHERE id = users.id) AS "+lastSignin, 1)
}

// columnNames returns the columns as INSERT names them.
func columnNames(columns []userColumn) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// placeholders returns "$2, $3, …", each after its prefix.
func placeholders(columns []userColumn, first int, prefix func(c userColumn) string) string {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = prefix(c) + "$" + strconv.Itoa(first+i)
	}
	return strings.Join(texts, ", ")
}

// targets returns the pointers that the columns are scanned into.
func (r *userRow) targets(columns []userColumn) []any {
	targets := make([]any, len(columns))
	for i, c := range columns {
		targets[i] = c.in(r)
	}
	return targets
}

// arguments returns the values of the columns.
func (r *userRow) arguments(columns []userColumn) []any {
	arguments := make([]any, len(columns))
	for i, c := range columns {
		arguments[i] = valueOf(c.in(r))
	}
	return arguments
}

func valueOf(pointer any) any {
	switch p := pointer.(type) {
	case *string:
		return *p
	case *bool:
		return *p
	case *int64:
		return *p
	}
	return pointer // a driver.Valuer
}

// textBytes estimates the bytes of text of the row.
func (r *userRow) textBytes() int {
	const perRange, perTag = 20, 32
	size := len(r.Name) + len(r.Email) + len(r.Phone) + perRange*len(r.AllowList) + perTag*len(r.ClientTags)
	for _, tag := range r.ClientTags {
		if tag.Text != nil {
			size += len(*tag.Text)
		}
		if tag.Name != nil {
			size += len(*tag.Name)
		}
	}
	return size
}

// snapshotKey returns the name of a column in a snapshot. The release before this one writes
// the same names in another case, and reads them without regard to case.
func snapshotKey(column string) string { return strings.ReplaceAll(column, "_", "") }

// snapshotGroups is the name of the groups in a snapshot.
const snapshotGroups = "groups"

// MarshalUser returns a user as JSON of plain values. UnmarshalUser reads it also after the
// rules for values have changed.
func MarshalUser(u identity.User) (json.RawMessage, error) {
	row := rowOf(u)
	values := map[string]any{snapshotGroups: u.Groups}
	for _, column := range userColumns {
		value := valueOf(column.in(row))
		if valuer, ok := value.(driver.Valuer); ok {
			var err error
			if value, err = valuer.Value(); err != nil {
				return nil, fmt.Errorf("user %d: %s: %w", u.ID, column.name, err)
			}
		}
		values[snapshotKey(column.name)] = value
	}
	return json.Marshal(values)
}

// UnmarshalUser reads the JSON of MarshalUser. A missing column leaves its field at the zero
// value.
func UnmarshalUser(raw json.RawMessage) (identity.User, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return identity.User{}, fmt.Errorf("user: %w", err)
	}
	if given == nil { // null would be a user without a name and an id
		return identity.User{}, errors.New("user: there is none")
	}
	values := make(map[string]json.RawMessage, len(given))
	for key, value := range given {
		values[strings.ToLower(key)] = value
	}
	var row userRow
	if groups, found := values[snapshotGroups]; found {
		if err := json.Unmarshal(groups, &row.Groups); err != nil {
			return identity.User{}, fmt.Errorf("user: groups: %w", err)
		}
	}
	for _, column := range userColumns {
		if value, found := values[snapshotKey(column.name)]; found {
			if err := unmarshalColumn(value, column.in(&row)); err != nil {
				return identity.User{}, fmt.Errorf("user: %s: %w", column.name, err)
			}
		}
	}
	return row.User, nil
}

func unmarshalColumn(raw json.RawMessage, target any) error {
	switch target := target.(type) {
	case *moment:
		return json.Unmarshal(raw, (*time.Time)(target))
	case interface{ Scan(src any) error }: // stored as text
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		return target.Scan(text)
	}
	return json.Unmarshal(raw, target)
}

// moment is a time in a column; see timestamp.
type moment time.Time

// Value is timestamp.Value.
func (m moment) Value() (driver.Value, error) { return timestamp{time.Time(m)}.Value() }

// Scan is timestamp.Scan.
func (m *moment) Scan(src any) error {
	var t timestamp
	err := t.Scan(src)
	*m = moment(t.Time)
	return err
}

// allowList is an allow-list in a column.
type allowList identity.AllowList

// Value returns the entries, separated by spaces.
func (l allowList) Value() (driver.Value, error) { return identity.AllowList(l).String(), nil }

// Scan reads the text that Value returns.
func (l *allowList) Scan(src any) error {
	list, err := identity.AllowListFrom(textFrom(src))
	*l = allowList(list)
	return err
}

// clientTags are tags in a column.
type clientTags []identity.ClientTag

// Value returns the tags as JSON.
func (c clientTags) Value() (driver.Value, error) { return identity.ClientTagsText(c) }

// Scan reads the text that Value returns.
func (c *clientTags) Scan(src any) error {
	tags, err := identity.ClientTagsFrom(textFrom(src))
	*c = tags
	return err
}

// groupIDs are the groups of a user in a query: numbers separated by spaces.
type groupIDs []int64

// Scan reads the numbers.
func (g *groupIDs) Scan(src any) error {
	*g = groupIDs{}
	for field := range strings.FieldsSeq(textFrom(src)) {
		id, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return err
		}
		*g = append(*g, id)
	}
	return nil
}

// textFrom returns the text that a driver has for a column.
func textFrom(src any) string {
	switch v := src.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}
