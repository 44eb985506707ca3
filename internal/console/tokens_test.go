package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
)

var secretPattern = regexp.MustCompile(`rst_[A-Za-z0-9_-]{20,}`)

// createToken creates a token from the command line.
func createToken(t *testing.T, s *apitest.Server, token identity.Token, end *time.Time) identity.Token {
	t.Helper()
	created, _, err := s.Service.CreateToken(t.Context(), identity.CommandLine(), token, end)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// TestTokenSecret shows the secret of a new token once, and nowhere else.
func TestTokenSecret(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		typed := with(b.get("/console/tokens/new").want(t, http.StatusOK, `value="2027-02-20"`).fields(),
			"name", hostile, "permissions", "users.view", "ipWhitelist", "127.0.0.0/8\r\n", "step", "review")
		review := b.post("/console/tokens/new", typed).want(t, http.StatusOK, "Create this token?", "127.0.0.0/8",
			"20 February 2027, 23:59:59 UTC", "See users and search", "expiresAt").without(t, "<img", "rst_")
		a := b.post("/console/tokens/new", with(review.fields(), "step", "save")).
			want(t, http.StatusCreated, "Copy the secret now.").
			without(t, "<img")
		secret := secretPattern.FindString(a.body)
		if secret == "" || a.url.RawQuery != "" || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s %s %v", a.url, secret, a.header)
		}
		s.Do(http.MethodGet, "/api/v2/users", nil, apitest.As(secret)).Want(http.StatusOK)

		// Sent twice, as by "reload": no second token, and no secret.
		b.post("/console/tokens/new", with(review.fields(), "step", "save")).
			want(t, http.StatusConflict, "created already").without(t, "rst_")
		list := b.get("/console/tokens").
			want(t, http.StatusOK, "users.view", "Jane Doe", "127.0.0.0/8").without(t, "rst_", "<img")
		path := regexp.MustCompile(`/console/tokens/\d+`).FindString(list.body[strings.Index(list.body, "onerror")-200:])
		b.get(path).want(t, http.StatusOK, "See users and search").without(t, "rst_", "<img")
		a = b.get(path+"/revoke").want(t, http.StatusOK, "1 token stops working at once.").without(t, "rst_", "<img")
		s.Do(http.MethodGet, "/api/v2/users", nil, apitest.As(secret)).Want(http.StatusOK)
		b.post(path+"/revoke", a.fields()).want(t, http.StatusOK, "The token is revoked.")
		s.Do(http.MethodGet, "/api/v2/users", nil, apitest.As(secret)).Want(http.StatusUnauthorized)
		b.post(path+"/revoke", a.fields()).want(t, http.StatusOK, "The token is revoked.") // sent twice
		b.get(path).want(t, http.StatusNotFound)
		if strings.Contains(s.Log.String(), secret) {
			t.Error("the log has the secret")
		}
	})
}

// TestTokenForm says what is wrong beside the field, and keeps what was typed.
func TestTokenForm(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		b.post("/console/tokens/new", url.Values{
			"userId": {"x"}, "ipWhitelist": {"192.0.2.1\n10.0.0.1/8"}, "expiresAt": {"soon"}, "permissions": {"audit.view"},
		}).want(t, http.StatusBadRequest, "Line 2 must have no bits set", "must be the id of a user", "must be a date",
			`value="audit.view" checked`, "10.0.0.1/8", `href="#f-ipWhitelist"`)
		valid := url.Values{"name": {"importer"}, "permissions": {"users.view"}, "step": {"save"}}
		b.post("/console/tokens/new", with(valid, "userId", "999")).
			want(t, http.StatusBadRequest, "there is no user with the id 999")
		valid.Del("userId")
		b.post("/console/tokens/new", url.Values{"name": {"ever"}, "never": {"true"}}).
			want(t, http.StatusOK, "<ins><bdi>never</bdi></ins>", "those from which you may come", "&#34;expiresAt&#34;:null")
		b.post("/console/tokens/new", url.Values{"name": {"late"}}).want(t, http.StatusOK, "as late as you may choose")
		b.post("/console/tokens/new", with(valid, "expiresAt", "2026-11-21")).
			want(t, http.StatusBadRequest, "must be in the future")
		s.Clock.Advance(16 * time.Minute)
		a := b.post("/console/tokens/new", with(valid, "expiresAt", "2026-12-21")).
			want(t, http.StatusForbidden, "Prove that it is you")
		a = b.post("/console/prove", with(a.fields(), "password", password)).want(t, http.StatusOK, "Go on with the form")
		b.post("/console/tokens/new", a.fields()).want(t, http.StatusCreated, "rst_")
	})
}

// TestTokenRights refuses what the caller may not give.
func TestTokenRights(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		strong := createToken(t, s, identity.Token{
			Name: "strong", Permissions: identity.PermissionSet(identity.AuditView), AllowList: ranges(t, "192.0.2.0/24"),
		}, nil)
		b := operator(t, s, false, identity.TokensManage, identity.UsersView)
		b.get("/console/tokens/new").want(t, http.StatusOK, `value="*" disabled`, "so you cannot give it",
			"You do not see unmasked data yourself", "Only those who hold every permission")
		for _, forged := range []url.Values{
			{"permissions": {"audit.view"}}, {"permissions": {"*"}}, {"canViewMaskedData": {"true"}}, {"never": {"true"}},
		} {
			forged.Set("name", "more")
			forged.Set("step", "save")
			b.post("/console/tokens/new", forged).want(t, http.StatusForbidden, "New token", `value="more"`).without(t, "rst_")
		}
		path := fmt.Sprintf("/console/tokens/%d", strong.ID)
		b.get("/console/tokens").want(t, http.StatusOK, "strong", "hidden").without(t, "192.0.2.0")
		b.get(path).want(t, http.StatusOK, "what you may not: audit.view", "hidden").without(t, "192.0.2.0", "/revoke")
		b.get(path+"/revoke").want(t, http.StatusForbidden, "what you may not: audit.view")
		b.post(path+"/revoke", nil).want(t, http.StatusForbidden)
		if _, err := s.Service.Token(t.Context(), identity.CommandLine(), strong.ID); err != nil {
			t.Error(err)
		}
	})
}

func ranges(t *testing.T, text string) identity.AllowList {
	t.Helper()
	list, err := identity.AllowListFrom(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestTokenFilters filters the list by who made a token, whom it acts for and its end.
func TestTokenFilters(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s) // user 1
		ann := createUser(t, s, identity.User{Name: "Ann", Email: "ann@example.com", Active: true})
		now := s.Clock.Now()
		view := identity.PermissionSet(identity.UsersView)
		createToken(t, s, identity.Token{Name: "ever", Permissions: view}, nil)
		createToken(t, s, identity.Token{
			Name:        "soon",
			Permissions: view,
		}, new(now.Add(5*24*time.Hour)))
		createToken(t, s, identity.Token{
			Name:   "acting",
			UserID: ann.ID,
		}, new(now.Add(40*24*time.Hour)))
		b.post("/console/tokens/new", url.Values{"name": {"mine"}, "step": {"save"}}).want(t, http.StatusCreated)
		names := []string{"ever", "soon", "acting", "mine"}
		for query, want := range map[string]string{
			"":                                    "ever soon acting mine",
			"?filter[createdBy]=1":                "mine",
			"?filter[createdBy]=token:1":          "",
			"?filter[createdBy]=&filter[userId]=": "ever soon acting mine",
			fmt.Sprintf("?filter[userId]=%d", ann.ID):                                               "acting",
			"?filter[expiresAfter]=2026-11-22T00:00:00Z&filter[expiresBefore]=2026-12-06T00:00:00Z": "soon",
			"?filter[expiresBefore]=2026-11-22T00:00:00Z":                                           "",
		} {
			a := b.get("/console/tokens"+strings.ReplaceAll(query, " ", "")).want(t, http.StatusOK)
			_, table, _ := strings.Cut(a.body, "<tbody>")
			table, _, _ = strings.Cut(table, "</tbody>")
			got := []string{}
			for _, name := range names {
				if strings.Contains(table, "<bdi>"+name+"</bdi>") {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", query, got, want)
			}
		}
		for _, query := range []string{
			"?filter[createdBy]=x", "?filter[expiresBefore]=soon", "?filter[other]=1",
			"?limit=0",
		} {
			b.get("/console/tokens"+query).want(t, http.StatusBadRequest)
		}
		b.get("/console/tokens?filter[expiresBefore]=2026-11-22T00:00:00Z").
			want(t, http.StatusOK, `type="hidden" name="filter[expiresBefore]" value="2026-11-22T00:00:00Z"`)
		b.get("/console/tokens?filter[userId]="+fmt.Sprint(ann.ID)).want(t, http.StatusOK, "Ann", "All tokens")
	})
}
