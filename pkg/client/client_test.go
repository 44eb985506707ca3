package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/rosterhq/roster/pkg/client"
)

const mary = `{"id":1,"name":"Mary","email":"email@website.com","phone":null,"active":true,"tfa":false,"groups":[1],` +
	`"ipWhitelist":[],"clientTags":["my_tag",{"id":7}],"canViewMaskedData":false,"createTime":"2022-01-01T00:00:00+00:00",` +
	`"updateTime":null,"lastSigninTime":null,"version":1}`

// roster answers the requests that the example makes, and no others.
func roster(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	answer := func(status int, contentType, body string) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	switch key := r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Authorization"); {
	case key == "POST /api/v2/users Bearer rst_secret" && r.Header.Get("Idempotency-Key") == "order-17":
		answer(http.StatusCreated, "application/json", mary)
	case key == "GET /api/v2/users?filter%5Bemail%5D=email%40website.com Bearer rst_secret":
		answer(http.StatusOK, "application/json", `{"total":1,"data":[`+mary+`]}`)
	case key == "PATCH /api/v2/users/1 Bearer rst_secret" && r.Header.Get("If-Match") == `"1"` && string(body) == `{"phone":null}`:
		answer(http.StatusPreconditionFailed, "application/problem+json", `{"type":"about:blank","title":"Precondition Failed",`+
			`"status":412,"detail":"This has been changed since: it is at version 2 now.","instance":"/api/v2/users/1","code":"stale_version","errors":[],"requestId":"r1"}`)
	default:
		answer(http.StatusTeapot, "text/plain", key+" "+string(body))
	}
}

// What is left out of an update must not appear in it: null and "" mean something else.
func TestUserUpdateSendsOnlyWhatIsSet(t *testing.T) {
	for want, update := range map[string]client.UserUpdate{
		`{}`:                    {},
		`{"phone":null}`:        {Phone: client.Null[string]()},
		`{"phone":"+15550100"}`: {Phone: client.Value("+15550100")},
		`{"active":false}`:      {Active: new(false)},
		`{"ipWhitelist":[]}`:    {IPWhitelist: new([]string{})},
		`{"groups":[]}`:         {Groups: new([]int64{})},
		`{"clientTags":["a"]}`:  {ClientTags: new([]client.ClientTag{text(t, "a")})},
	} {
		got, err := json.Marshal(update)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestClientTagsKeepTheirForm(t *testing.T) {
	var user client.User
	if err := json.Unmarshal([]byte(mary), &user); err != nil {
		t.Fatal(err)
	}
	if tag, err := user.ClientTags[0].AsClientTagText(); err != nil || tag != "my_tag" {
		t.Errorf("first tag: %q, %v", tag, err)
	}
	if tag, err := user.ClientTags[1].AsClientTagObject(); err != nil || tag.ID == nil || *tag.ID != 7 {
		t.Errorf("second tag: %+v, %v", tag, err)
	}
	if got, err := json.Marshal(user.ClientTags); err != nil || string(got) != `["my_tag",{"id":7}]` {
		t.Errorf("got %s, %v", got, err)
	}
}

func text(t *testing.T, s string) (tag client.ClientTag) {
	t.Helper()
	if err := tag.FromClientTagText(s); err != nil {
		t.Fatal(err)
	}
	return tag
}
