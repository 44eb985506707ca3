package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/rosterhq/roster/internal/identity"
)

// UserKeys name users: by id, by the key of the address (identity.EmailKey), by phone.
type UserKeys struct {
	IDs    []int64
	Emails []string
	Phones []string
}

// UsersByKeys returns the users that the keys name, without order. complete is false if
// there are more than limit, or more than a page holds.
func (r reader) UsersByKeys(ctx context.Context, keys UserKeys, limit int,
) (users []identity.User, complete bool, err error) {
	for _, named := range []struct {
		query, keys string
		count       int
	}{
		{r.pool.engine.usersByID(), jsonArray(keys.IDs), len(keys.IDs)},
		{r.pool.engine.usersByEmail(), jsonArray(keys.Emails), len(keys.Emails)},
		{r.pool.engine.usersByPhone(), jsonArray(keys.Phones), len(keys.Phones)},
	} {
		if named.count == 0 {
			continue
		}
		found, more, err := r.usersNamed(ctx, named.query, named.keys, limit)
		if err != nil || more || len(users)+len(found) > limit {
			return nil, false, err
		}
		users = append(users, found...)
	}
	return users, true, nil
}

func (r reader) usersNamed(ctx context.Context, query, keys string, limit int,
) (users []identity.User, more bool, err error) {
	users, more, err = pageBy(ctx, r, limit, scanUser, query, keys, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("find users: %w", err)
	}
	return users, more, nil
}

// scanUser reads a row of usersWhere and says how many bytes of text it has.
func scanUser(found *sqlx.Rows) (identity.User, int, error) {
	var row userRow
	err := found.Scan(row.targets(append(slices.Clip(userColumns), groupsColumn))...)
	return row.User, row.textBytes(), err
}

// UsersNamed returns all users that ids and addresses name, without order. A user that both name
// is there twice.
func (r reader) UsersNamed(ctx context.Context, keys UserKeys) (users []identity.User, err error) {
	for _, named := range []struct {
		query, keys string
		count       int
	}{
		{r.pool.engine.usersByID(), jsonArray(keys.IDs), len(keys.IDs)},
		{r.pool.engine.usersByEmail(), jsonArray(keys.Emails), len(keys.Emails)},
	} {
		if named.count == 0 {
			continue
		}
		err := r.run(ctx, named.query, func(q queryer) error {
			found, err := q.QueryxContext(ctx, named.keys, named.count)
			if err != nil {
				return err
			}
			part, _, err := readPage(found, named.count, math.MaxInt, scanUser)
			users = append(users, part...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("find users: %w", err)
		}
	}
	return users, nil
}

// usersByID returns the query for the users with the ids of a JSON array. The second argument
// is the limit.
func (e *engine) usersByID() string { return usersWhere(e.among("id", e.numbers)) }

// usersByEmail is usersByID for the keys of addresses.
func (e *engine) usersByEmail() string { return usersWhere(e.among("email_folded", e.texts)) }

// usersByPhone is usersByID for phone numbers.
func (e *engine) usersByPhone() string {
	return usersWhere("phone <> '' AND " + e.among("phone", e.texts)) // the condition of the index
}

func usersWhere(condition string) string {
	return "SELECT " + selectColumns(userColumns) + ", " + selectGroups + " FROM users WHERE " +
		fmt.Sprintf(condition, 1) + " LIMIT $2"
}

// among returns the format of the condition that a column has one of the values of a JSON
// array. values is engine.texts or engine.numbers.
func (e *engine) among(column, values string) string {
	return column + " " + fmt.Sprintf(e.first, values)
}

// jsonArray returns the argument for engine.texts and engine.numbers.
func jsonArray[T int64 | string](values []T) string {
	text, _ := json.Marshal(values) // these never fail
	return string(text)
}
