package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"
)

// Record is something that a service holds for a user. Its Attributes are as that service has written them, with all
// digits of their numbers.
type Record struct {
	Type       string          `json:"type"` // such as accounts
	ID         string          `json:"id"`   // as the service has chosen it
	Attributes json.RawMessage `json:"attributes"`
	CreateTime time.Time       `json:"createTime"`
	UpdateTime time.Time       `json:"updateTime"` // zero before the first change
}

// RecordList says which records of a user are listed. Its zero value lists all.
type RecordList struct {
	Type string // such as accounts
	Size int    // how many are asked for at once, 1 to 1000; 0 for 50
}

// Records is the part of the API about records.
type Records struct{ c *Client }

// List returns the records of a user that match, by type and id.
func (s *Records) List(ctx context.Context, userID int64, which RecordList) iter.Seq2[Record, error] {
	q := Page{which.Size}.query()
	setText(q, "filter[type]", which.Type)
	return list[Record](ctx, s.c, path("users", userID, "records"), q)
}

// Get returns a record of a user.
func (s *Records) Get(ctx context.Context, userID int64, kind, id string) (Record, error) {
	where, err := recordPath(userID, kind, id)
	if err != nil {
		return Record{}, err
	}
	return one[Record](ctx, s.c, newCall(http.MethodGet, where, nil))
}

// Put creates or replaces a record of a user. The attributes are what encoding/json writes as an object of at most
// 64 KiB: a struct, a map or a json.RawMessage.
func (s *Records) Put(ctx context.Context, userID int64, kind, id string, attributes any) (Record, error) {
	where, err := recordPath(userID, kind, id)
	if err != nil {
		return Record{}, err
	}
	body := map[string]any{"attributes": attributes}
	return one[Record](ctx, s.c, newCall(http.MethodPut, where, body))
}

// Delete deletes a record of a user.
func (s *Records) Delete(ctx context.Context, userID int64, kind, id string) error {
	where, err := recordPath(userID, kind, id)
	if err != nil {
		return err
	}
	return s.c.remove(ctx, where)
}

var errRecordPath = errors.New("the type and the id of a record must not be empty, . or .., and have no slash")

// recordPath refuses what a proxy would take for another path: without it, to delete the record .. of the type .. is to
// delete the user.
func recordPath(userID int64, kind, id string) (string, error) {
	for _, part := range []string{kind, id} {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "/") {
			return "", errRecordPath
		}
	}
	return path("users", userID, "records", kind, id), nil
}
