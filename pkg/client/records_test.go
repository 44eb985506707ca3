package client_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/pkg/client"
)

func TestRecords(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("mary@example.com")
		c, ctx := of(t, s.URL, apitest.AdminToken), t.Context()
		const strange, digits = "ü:%2F?#.~;a=b", `{"balance":12345678901234567890.10}`
		created, err := c.Records.Put(ctx, id, "accounts", strange, json.RawMessage(digits))
		if err != nil || created.ID != strange || created.Type != "accounts" || string(created.Attributes) != digits ||
			created.CreateTime.IsZero() || !created.UpdateTime.IsZero() {
			t.Fatalf("%v %+v", err, created)
		}
		type bill struct {
			Name string `json:"name"`
		}
		for _, name := range []string{"Rent", "Power"} {
			if _, err := c.Records.Put(ctx, id, "bills", "17", bill{name}); err != nil {
				t.Fatal(err)
			}
		}
		found, err := c.Records.Get(ctx, id, "bills", "17")
		var got bill
		if err != nil || json.Unmarshal(found.Attributes, &got) != nil || got.Name != "Power" || found.UpdateTime.IsZero() {
			t.Errorf("%v %+v %+v", err, found, got)
		}
		for which, want := range map[client.RecordList]string{
			{}: "accounts bills", {Size: 1}: "accounts bills", {Type: "bills"}: "bills", {Type: "tags"}: "",
		} {
			all, err := client.Collect(c.Records.List(ctx, id, which))
			names := ""
			for i, record := range all {
				if i > 0 {
					names += " "
				}
				names += record.Type
			}
			if err != nil || names != want {
				t.Errorf("%+v: %v, got %q, want %q", which, err, names, want)
			}
		}
		_, err = c.Records.Put(ctx, id, "accounts", "18", nil)
		wantCode(t, err, http.StatusBadRequest, "validation_failed")
		_, err = client.Collect(c.Records.List(ctx, id, client.RecordList{Type: "nonsense"}))
		wantStatus(t, err, http.StatusBadRequest)
		if err := c.Records.Delete(ctx, id, "accounts", strange); err != nil {
			t.Error(err)
		}
		_, err = c.Records.Get(ctx, id, "accounts", strange)
		wantCode(t, err, http.StatusNotFound, "not_found")
	})
}

// TestRecordsStayBelowTheirUser checks that no type and no id makes a call another one: a proxy that resolves dots
// would make the deletion of a record that of the user.
func TestRecordsStayBelowTheirUser(t *testing.T) {
	t.Parallel()
	a := &answering{answer: func(int, *http.Request) (*http.Response, error) { return reply(http.StatusOK, "{}") }}
	c, ctx := a.client(t), t.Context()
	for _, bad := range [][2]string{
		{"..", ".."},
		{"accounts", ".."},
		{"accounts", "."},
		{"accounts", ""},
		{"", "17"},
		{"accounts", "../.."},
		{"../..", "17"},
	} {
		_, getErr := c.Records.Get(ctx, 1, bad[0], bad[1])
		_, putErr := c.Records.Put(ctx, 1, bad[0], bad[1], struct{}{})
		if deleteErr := c.Records.Delete(ctx, 1, bad[0], bad[1]); getErr == nil || putErr == nil || deleteErr == nil {
			t.Errorf("%q: %v, %v, %v", bad, getErr, putErr, deleteErr)
		}
	}
	if len(a.requests) != 0 {
		t.Fatalf("%d calls", len(a.requests))
	}
	if err := c.Records.Delete(ctx, 1, "accounts?", "..?force=true#"); err != nil {
		t.Fatal(err)
	}
	const want = "/below/api/v2/users/1/records/accounts%3F/..%3Fforce=true%23"
	if got := a.requests[0].URL; got.EscapedPath() != want || got.RawQuery != "" {
		t.Errorf("%s", got)
	}
}
