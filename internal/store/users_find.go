package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

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
	ids := make([]string, len(keys.IDs))
	for i, id := range keys.IDs {
		ids[i] = strconv.FormatInt(id, 10)
	}
	engine := r.pool.engine
	for _, named := range []struct {
		condition string
		texts     []string
	}{
		{"id " + engine.amongIDs, ids},
		{"email_folded " + engine.among, keys.Emails},
		{"phone <> '' AND phone " + engine.among, keys.Phones}, // the condition of the index
	} {
		if len(named.texts) == 0 {
			continue
		}
		found, more, err := r.usersNamed(ctx, usersNamed(named.condition), named.texts, limit)
		if err != nil || more || len(users)+len(found) > limit {
			return nil, false, err
		}
		users = append(users, found...)
	}
	return users, true, nil
}

func (r reader) usersNamed(ctx context.Context, query string, texts []string, limit int,
) (users []identity.User, more bool, err error) {
	list, err := json.Marshal(texts)
	if err != nil {
		return nil, false, err
	}
	columns := append(slices.Clip(userColumns), groupsColumn)
	scan := func(found *sqlx.Rows) (identity.User, int, error) {
		var row userRow
		err := found.Scan(row.targets(columns)...)
		return row.User, row.textBytes(), err
	}
	users, more, err = pageBy(ctx, r, limit, scan, query, string(list), limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("find users: %w", err)
	}
	return users, more, nil
}

// usersNamed returns the query for the users that a condition selects, which takes
// the number of its placeholder. The second argument is the limit.
func usersNamed(condition string) string {
	return "SELECT " + columnNames(userColumns) + ", " + selectGroups + " FROM users WHERE " +
		fmt.Sprintf(condition, 1) + " LIMIT $2"
}
