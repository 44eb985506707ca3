package api

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
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

// FuzzDecode checks that Decode never panics, reads what encoding/json reads and
// ignores nothing.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"name":"x"}`, `{"name":"x","ids":[1,2],"tags":["a",{"id":1}],"until":"2030-01-01T00:00:00Z"}`,
		`{"name":"\ud83d\ude00"}`,
		`{"name":"a\u0000b"}`, `{"name":"x","tags":["a","\u0000",{"name":"\\u0000"}]}`, `{"ids":[1,2,3,4]}`,
		` { "name" : "x" , "ids" : [ 1 , 2 ] } `,
		`{"name":"x","ids":null,"until":null}`, `{"name":"\\u0000"}`, `{"a":{"b":[{"c":1,"c":2}]}}`,
		"\xff", `[]`, `{"name":"x"}{}`,
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
		if containsNUL(plain) {
			t.Errorf("accepted a NUL in %q", body)
		}
		if ids, _ := plain["ids"].([]any); len(ids) > 3 {
			t.Errorf("accepted a list that is too long: %q", body)
		}
		for key := range plain {
			if key != "name" && key != "ids" && key != "tags" && key != "until" {
				t.Errorf("accepted %q in %q", key, body)
			}
		}
		var same sample
		if err := json.Unmarshal(body, &same); err != nil || *same.Name != *got.Name ||
			plain["ids"] != nil && !reflect.DeepEqual(same.IDs, got.IDs) {
			t.Errorf("%q: %+v and %+v, %v", body, got, same, err)
		}
	})
}

// containsNUL reports whether a string or a key in a decoded value has a NUL.
func containsNUL(value any) bool {
	switch v := value.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case []any:
		return slices.ContainsFunc(v, containsNUL)
	case map[string]any:
		for key, member := range v {
			if containsNUL(key) || containsNUL(member) {
				return true
			}
		}
	}
	return false
}

// FuzzParseObject checks that encoding/json accepts what ParseObject accepts and finds
// the same members and elements, and that no key is there twice.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` { "a" : 1 , "b":[ ] } `, `{"a":{"a":[{"b":-1.5e9},"}",true]},"b":null}`, `{"\u0061":1,"a":2}`,
		`{"a":"\\\"","b":"\\"}`, `{"a":"\ud800"}`,
		`{"a":["\\ud800",[[],{}],"]"]}`, `{"":{"":{"":0}}}`, `{"a":1}{}`, `[]`, `{"a":[1,2],"a":3}`, "{\"\u2028\":\"é\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := ParseObject(body)
		if err != nil {
			if identity.KindOf(err) != identity.Invalid {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil || !utf8.Valid(body) || hasKeyTwice(body) {
			t.Fatalf("accepted %q: %v", body, err)
		}
		got := map[string]json.RawMessage{}
		for key, value := range object.Members() {
			got[key] = value
			compare(t, value)
		}
		if len(got) != len(want) {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
		for key := range want {
			if !bytes.Equal(got[key], want[key]) {
				t.Errorf("%q: %q is %q, want %q", body, key, got[key], want[key])
			}
		}
		if hasNUL(body) != containsNUL(decoded(t, body)) {
			t.Errorf("%q: NUL: %v", body, hasNUL(body))
		}
	})
}

// compare compares the elements of a value, if it is an array, with encoding/json.
func compare(t *testing.T, array json.RawMessage) {
	t.Helper()
	var want []json.RawMessage
	if array[0] != '[' || json.Unmarshal(array, &want) != nil {
		return
	}
	got := slices.Collect(elements(array))
	if !slices.EqualFunc(got, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Errorf("%q: %q, want %q", array, got, want)
	}
}

func decoded(t *testing.T, body []byte) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // some are beyond float64
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return value
}

// hasKeyTwice reports whether an object in valid JSON has a key twice, by the tokens of
// encoding/json.
func hasKeyTwice(body []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value func() bool
	value = func() bool {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		keys, twice := map[json.Token]bool{}, false
		if token == json.Delim('{') || token == json.Delim('[') {
			for decoder.More() {
				if token == json.Delim('{') {
					key, _ := decoder.Token()
					twice = twice || keys[key]
					keys[key] = true
				}
				twice = value() || twice
			}
			_, _ = decoder.Token()
		}
		return twice
	}
	return value()
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"limit=5&filter[name]=x", "limit=%zz", "a=1&a=2", "limit=+1", "%00=%ff",
		strings.Repeat("a&", 300), "limit=99999999999999999999",
	} {
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
		if err != nil || len(values) > 2 || values.Get("filter[name]") != name || utf8.RuneCountInString(name) > 10 ||
			limit < 1 || limit > 100 {
			t.Errorf("%q: %q, %d, %v", raw, name, limit, err)
		}
	})
}

func TestDigits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "007": 7, "9223372036854775807": math.MaxInt64, "9223372036854775808": math.MaxInt64,
	} {
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
