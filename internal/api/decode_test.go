package api

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

type sample struct {
	Name  *identity.Name        `json:"name"  validate:"required"`
	IDs   *[]int64              `json:"ids"   validate:"omitnil,max=3" null:"empty"`
	Tags  *[]identity.ClientTag `json:"tags"`
	Until *time.Time            `json:"until" null:"absent"`
}

// FuzzDecode: whatever comes, there is no panic, and what is accepted means what
// encoding/json reads in it, with nothing ignored.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"x"}`, `{"name":"x","ids":[1,2],"tags":["a",{"id":1}],"until":"2030-01-01T00:00:00Z"}`, `{"name":"\ud83d\ude00"}`,
		`{"name":"x","ids":null,"until":null}`, `{"name":"\\u0000"}`, `{"a":{"b":[{"c":1,"c":2}]}}`, "\xff", `[]`, `{"name":"x"}{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := Decode[sample](body)
		if err != nil {
			if identity.KindOf(err) != identity.Invalid {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(body, &plain); err != nil || !utf8.Valid(body) {
			t.Fatalf("accepted %q: %v", body, err)
		}
		for key := range plain {
			if key != "name" && key != "ids" && key != "tags" && key != "until" {
				t.Errorf("accepted %q in %q", key, body)
			}
		}
		var same sample
		if err := json.Unmarshal(body, &same); err != nil || *same.Name != *got.Name || plain["ids"] != nil && !reflect.DeepEqual(same.IDs, got.IDs) {
			t.Errorf("%q: %+v and %+v, %v", body, got, same, err)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"limit=5&filter[name]=x", "limit=%zz", "a=1&a=2", "limit=+1", "%00=%ff", "limit=99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		request.URL.RawQuery = raw
		q := NewQuery(echo.New().NewContext(request, httptest.NewRecorder()))
		name, limit := q.Text("filter[name]", 10), q.Int("limit", 1, 100, 50)
		if err := q.Err(); err != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil || len(values) > 2 || values.Get("filter[name]") != name || limit < 1 || limit > 100 || utf8.RuneCountInString(name) > 10 {
			t.Errorf("%q: %q, %d, %v", raw, name, limit, err)
		}
	})
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "007": 7, "9223372036854775807": math.MaxInt64, "9223372036854775808": math.MaxInt64} {
		if got, ok := digits(text); got != want || !ok {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "١", "１"} {
		if _, ok := digits(text); ok {
			t.Errorf("%q is taken for a number", text)
		}
	}
}
