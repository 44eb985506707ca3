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

// home returns the URL of the console.
func (b *browser) home() *url.URL {
	b.t.Helper()
	home, err := url.Parse(b.server.URL + "/console")
	if err != nil {
		b.t.Fatal(err)
	}
	return home
}

// support returns a browser, and a user without any right for it.
func support(t *testing.T, s *apitest.Server, changes ...func(*identity.User)) (*browser, identity.User) {
	t.Helper()
	user := identity.User{Name: "Mary Ann", Email: "mary@example.com", Phone: "+33612345678", Active: true}
	for _, change := range changes {
		change(&user)
	}
	user = createUser(t, s, user)
	return newBrowser(t, s), user
}

func TestMyProfile(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, user := support(t, s)
		b.signIn("mary@example.com", password)
		me := b.get("/console/me").want(t, http.StatusOK, "Mary Ann", "+33612345678", "This session", "mary@example.com")
		values := me.hidden()
		values.Set("name", "Mary Evans")
		values.Set("phone", "+33612345678")
		values.Set("step", "review")
		review := b.post("/console/me/profile", values).want(t, http.StatusOK, "<del><bdi>Mary Ann</bdi></del>",
			"<ins><bdi>Mary Evans</bdi></ins>")
		if strings.Contains(review.body, `<th scope="row">Phone`) {
			t.Error("the review shows what stays")
		}
		if now, _ := s.Service.User(t.Context(), identity.CommandLine(), user.ID); now.Name != "Mary Ann" {
			t.Error("a review saves")
		}
		values = review.hidden()
		values.Set("step", "edit")
		b.post("/console/me/profile", values).want(t, http.StatusOK, `value="Mary Evans"`)
		values.Set("step", "save")
		b.post("/console/me/profile", values).want(t, http.StatusOK, "Your profile is saved.", "Mary Evans")
		// Sent twice, it is saved once: what both agree on is no conflict.
		b.post("/console/me/profile", values).want(t, http.StatusOK, "Your profile is saved.")
		if now, _ := s.Service.User(t.Context(), identity.CommandLine(), user.ID); now.Version != 2 {
			t.Errorf("version %d", now.Version)
		}

		for name, shown := range map[string]string{
			"": `name="name" type="text" value=""`, strings.Repeat("x", 256): strings.Repeat("x", 256), "<img src=x onerror=alert(1)>": "&lt;img",
		} {
			bad := b.get("/console/me").hidden()
			bad.Set("name", name)
			bad.Set("phone", "12")
			bad.Set("step", "save")
			b.post("/console/me/profile", bad).want(t, http.StatusBadRequest, shown, `value="12"`, `href="#f-phone"`)
		}
		same := b.get("/console/me").hidden()
		same.Set("name", "Mary Evans")
		same.Set("phone", "+33612345678")
		same.Set("step", "review")
		b.post("/console/me/profile", same).want(t, http.StatusOK, "Nothing had to be changed.")
		// Fields that one may not change oneself are no part of the form.
		same.Set("name", "Mary")
		same.Set("groups", "1")
		same.Set("canViewMaskedData", "true")
		same.Set("email", "root@example.com")
		same.Set("step", "save")
		b.post("/console/me/profile", same).want(t, http.StatusOK, "Your profile is saved.")
		now, err := s.Service.User(t.Context(), identity.CommandLine(), user.ID)
		if err != nil || now.Name != "Mary" || len(now.Groups) != 0 || now.CanViewMaskedData || now.Email != user.Email {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

// TestMyProfileOfTwo saves a form that began before somebody else's change.
func TestMyProfileOfTwo(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, user := support(t, s)
		b.signIn("mary@example.com", password)
		values := b.get("/console/me").hidden()
		s.Do(http.MethodPatch, apitest.UserPath(user.ID), map[string]any{"name": "Theirs", "phone": "+33600000000"}).
			Want(http.StatusOK)
		values.Set("name", "Yours")
		values.Set("phone", "+33612345678")
		values.Set("step", "save")
		merge := b.post("/console/me/profile", values).want(t, http.StatusPreconditionFailed, "Theirs", "Yours", "Mary Ann",
			"Only they have changed")
		values = merge.hidden()
		values.Set("merge.name", "yours")
		values.Set("step", "review")
		review := b.post("/console/me/profile", values).want(t, http.StatusOK, "<del><bdi>Theirs</bdi></del>")
		values = review.hidden()
		values.Set("step", "save")
		b.post("/console/me/profile", values).want(t, http.StatusOK, "Your profile is saved.")
		now, err := s.Service.User(t.Context(), identity.CommandLine(), user.ID)
		if err != nil || now.Name != "Yours" || now.Phone != "+33600000000" {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

func TestMyPassword(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const next = "left horse battery"
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		other := newBrowser(t, s)
		other.signIn("mary@example.com", password)
		stolen := newBrowser(t, s)
		stolen.client.Jar.SetCookies(b.home(), b.client.Jar.Cookies(b.home()))
		stolen.get("/console/me").want(t, http.StatusOK)
		fill := func(current, password, again string) url.Values {
			return url.Values{"currentPassword": {current}, "password": {password}, "again": {again}}
		}
		for _, test := range []struct {
			values url.Values
			want   string
		}{
			{fill("wrong horse battery", next, next), "is not the current password"},
			{fill(password, next, next+"x"), "differs from the password"},
			{fill(password, "short", "short"), "must have at least 8 characters"},
			{fill(password, "mary ann 1234", "mary ann 1234"), `id="d-password"`},
			{fill("", next, next), `id="d-currentPassword"`},
			{url.Values{"password": {next}, "again": {next}}, `id="d-currentPassword"`},
		} {
			a := b.post("/console/me/password", test.values).want(t, http.StatusBadRequest, test.want)
			for _, secret := range []string{password, next, "wrong horse battery", "mary ann 1234"} {
				if strings.Contains(a.body, secret) {
					t.Errorf("the page has the password %s", secret)
				}
			}
		}
		b.post("/console/me/password", fill(password, next, next)).want(t, http.StatusOK, "Your password is changed.")
		b.get("/console/me").want(t, http.StatusOK)
		// A copy of the cookie from before is worth nothing, and so are other sessions.
		stolen.get("/console/me").want(t, http.StatusUnauthorized)
		other.get("/console/me").want(t, http.StatusUnauthorized)
		newBrowser(t, s).signIn("mary@example.com", next)
		for range 4 { // and two from above
			b.post("/console/me/password", fill("wrong", password, password))
		}
		b.post("/console/me/password", fill("wrong", password, password)).
			want(t, http.StatusTooManyRequests, "You can try again in 10 minutes")
	})
}

func TestMySessions(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		var others []*browser
		for i := range 3 {
			other := newBrowser(t, s)
			other.header.Set("User-Agent", fmt.Sprintf("<b>client %d</b>", i))
			other.signIn("mary@example.com", password)
			others = append(others, other)
		}
		a := b.get("/console/me").want(t, http.StatusOK, "&lt;b&gt;client 0&lt;/b&gt;", "from <code>127.0.0.1</code>")
		ends := regexp.MustCompile(`action="(/console/me/sessions/\d+/end)"`).FindAllStringSubmatch(a.body, -1)
		if len(ends) != 3 || strings.Count(a.body, "This session") != 1 {
			t.Fatalf("%v\n%s", ends, a.body)
		}
		b.post(ends[0][1], nil).want(t, http.StatusOK, "The session has ended.") // the latest
		others[2].get("/console/me").want(t, http.StatusUnauthorized)
		others[1].get("/console/me").want(t, http.StatusOK)
		b.post(ends[0][1], nil).want(t, http.StatusNotFound) // it is over

		// A session of somebody else is not there.
		stranger := signedIn(t, s)
		stranger.post(ends[1][1], nil).want(t, http.StatusNotFound)
		others[1].get("/console/me").want(t, http.StatusOK)

		b.get("/console/me/sessions/end").want(t, http.StatusOK, "2 other sessions")
		others[0].get("/console/me").want(t, http.StatusOK)
		b.post("/console/me/sessions/end", nil).want(t, http.StatusOK, "All your other sessions have ended.")
		for _, other := range others {
			other.get("/console/me").want(t, http.StatusUnauthorized)
		}
		if a := b.get("/console/me").want(t, http.StatusOK); strings.Contains(a.body, "End all others") {
			t.Error("there is nothing to end")
		}
		for _, path := range []string{"0", "-1", "x", "9223372036854775808"} {
			b.post("/console/me/sessions/"+path+"/end", nil).want(t, http.StatusNotFound)
		}
	})
}

func TestMyDisplay(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		b.post("/console/me/display", url.Values{"scheme": {"dark"}}).
			want(t, http.StatusOK, `<html lang="en" data-scheme="dark" data-keys="off">`, `value="dark" checked`)
		b.post("/console/me/display", url.Values{"scheme": {"light"}, "keys": {"true"}}).
			want(t, http.StatusOK, `<html lang="en" data-scheme="light">`)
		b.post("/console/me/display", url.Values{"scheme": {`x"><script>`}, "keys": {"true"}}).
			want(t, http.StatusOK, `<html lang="en">`, `value="system" checked`)
		b.client.Jar.SetCookies(b.home(), []*http.Cookie{{Name: "roster-display", Value: "dark-<script>-nokeys", Path: "/"}})
		b.get("/console/me").want(t, http.StatusOK, `data-scheme="dark" data-keys="off">`)
	})
}

var recoveryCodes = regexp.MustCompile(`<code id="codes"[^>]*>([^<]+)</code>`)

// enrol sets up an authenticator, and returns the recovery codes.
func (b *browser) enrol() []string {
	b.t.Helper()
	a := b.post("/console/me/totp", url.Values{"step": {"begin"}}).want(b.t, http.StatusOK, `src="data:image/png;base64,`)
	secret := regexp.MustCompile(`<code id="secret">([^<]+)</code>`).FindStringSubmatch(a.body)
	app := apitest.Authenticator{Secret: strings.ReplaceAll(secret[1], " ", "")}
	a = b.post("/console/me/totp", url.Values{"step": {"confirm"}, "code": {app.Code(b.t, b.server.Clock.Now())}}).
		want(b.t, http.StatusOK, "Keep your recovery codes", `download="roster-recovery-codes.txt"`)
	codes := strings.Fields(recoveryCodes.FindStringSubmatch(a.body)[1])
	if len(codes) != 10 {
		b.t.Fatalf("%v", codes)
	}
	return codes
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		stolen := newBrowser(t, s)
		stolen.client.Jar.SetCookies(b.home(), b.client.Jar.Cookies(b.home()))
		b.get("/console/me").want(t, http.StatusOK, "Set up an authenticator")
		b.post("/console/me/totp", url.Values{"step": {"confirm"}, "code": {"123456"}}).want(t, http.StatusConflict)
		b.post("/console/me/totp", url.Values{"step": {"begin"}}).want(t, http.StatusOK)
		a := b.post("/console/me/totp", url.Values{"step": {"confirm"}, "code": {"000000"}}).
			want(t, http.StatusBadRequest, "Take the next one")
		if strings.Contains(a.body, "000000") || strings.Contains(a.body, `id="secret"`) {
			t.Error("a secret is in the page of a failure")
		}
		codes := b.enrol()
		stolen.get("/console/me").want(t, http.StatusUnauthorized)
		b.get("/console/me").want(t, http.StatusOK, "10 recovery codes are left")
		if a := b.get("/console/me/totp").want(t, http.StatusOK); strings.Contains(a.body, codes[0]) {
			t.Error("the codes are shown again")
		}
		b.post("/console/me/totp", url.Values{"step": {"begin"}}).want(t, http.StatusConflict)

		// A recovery code lets in once.
		other := newBrowser(t, s)
		for i, status := range []int{http.StatusOK, http.StatusUnauthorized} {
			page := other.post("/console/signin", url.Values{"email": {"mary@example.com"}, "password": {password}}).
				want(t, http.StatusOK, "recovery code")
			values := page.hidden()
			values.Set("code", codes[0])
			if a := other.post("/console/signin/code", values); a.status != status {
				t.Fatalf("try %d: %d\n%s", i, a.status, a.body)
			}
		}
		b.get("/console/me").want(t, http.StatusOK, "9 recovery codes are left")
		b.get("/console/me/totp/reset").want(t, http.StatusOK, "9 recovery codes")
		b.post("/console/me/totp/reset", nil).want(t, http.StatusOK, "Codes by mail")
		other.get("/console/me").want(t, http.StatusUnauthorized)
	})
}

// TestEnrolLater asks for the password again where the sign-in was long ago, and goes on.
func TestEnrolLater(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		s.Clock.Advance(16 * time.Minute)
		stolen := newBrowser(t, s)
		stolen.client.Jar.SetCookies(b.home(), b.client.Jar.Cookies(b.home()))
		prove := b.post("/console/me/totp", url.Values{"step": {"begin"}}).want(t, http.StatusForbidden, "Prove that it is you")
		values := prove.hidden()
		values.Set("password", "wrong horse")
		if a := b.post("/console/prove", values); a.status != http.StatusBadRequest || strings.Contains(a.body, "wrong horse") {
			t.Fatalf("%d\n%s", a.status, a.body)
		}
		values.Set("password", password)
		held := b.post("/console/prove", values).want(t, http.StatusOK, `action="/console/me/totp"`).hidden()
		b.post("/console/me/totp", held).want(t, http.StatusOK, `src="data:image/png;base64,`)
		// A copy of the cookie does not become fresh as well.
		stolen.get("/console/me").want(t, http.StatusUnauthorized)
	})
}

// TestMustEnrol confines a session to what it must do.
func TestMustEnrol(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		var group struct{ ID int64 }
		s.Do(http.MethodPost, apitest.GroupsPath, map[string]any{
			"name": "Careful", "permissions": []string{"users.view"}, "requireTfa": true,
		}).Want(http.StatusCreated).Decode(&group)
		b, user := support(t, s, func(u *identity.User) { u.Groups = []int64{group.ID} })
		a := b.post("/console/signin", url.Values{
			"email": {"mary@example.com"}, "password": {password}, "next": {"/console/users"},
		}).want(t, http.StatusOK, "You need a second factor", "Sign out")
		if a.url.Path != "/console/me/totp" || strings.Contains(a.body, `aria-label="Main"`) {
			t.Fatalf("%s\n%s", a.url, a.body)
		}
		for _, path := range []string{
			"/console", "/console/users", "/console/users/1", "/console/me", "/console/me/totp/reset", "/console/me/sessions/end",
		} {
			a := b.get(path).want(t, http.StatusForbidden, "You need a second factor", `href="/console/me/totp"`)
			if strings.Contains(a.body, "mary@example.com") {
				t.Errorf("%s shows something", path)
			}
		}
		for _, path := range []string{
			"/console/me/profile", "/console/me/password", "/console/me/totp/reset", "/console/me/sessions/end",
		} {
			b.post(path, url.Values{"name": {"X"}, "step": {"save"}, "version": {"1"}}).
				want(t, http.StatusForbidden, "You need a second factor")
		}
		b.enrol()
		b.get("/console").want(t, http.StatusOK, `aria-label="Main"`)
		b.get("/console/users").want(t, http.StatusOK)
		if now, err := s.Service.User(t.Context(), identity.CommandLine(), user.ID); err != nil || !now.TFA {
			t.Errorf("%+v, %v", now, err)
		}
	})
}

func TestForgotten(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support(t, s)
		b := newBrowser(t, s)
		b.get("/console/forgotten").want(t, http.StatusOK, `autocomplete="username"`)
		var bodies []string
		nonce := regexp.MustCompile(`nonce="[^"]*"`)
		for _, address := range []string{"nobody@example.com", "mary@example.com"} {
			a := b.post("/console/forgotten", url.Values{"email": {address}}).
				want(t, http.StatusOK, "If there is a user with this address")
			if strings.Contains(a.url.String(), "example.com") {
				t.Errorf("the address is in the URL: %s", a.url)
			}
			bodies = append(bodies, nonce.ReplaceAllString(a.body, ""))
		}
		if bodies[0] != bodies[1] {
			t.Error("the answer tells whether there is a user")
		}
		mail := s.Mail()
		if mail.To != "mary@example.com" || !strings.HasPrefix(mail.Link, apitest.BaseURL+"/password/reset#token=") {
			t.Errorf("%+v", mail)
		}
		a := b.post("/console/forgotten", url.Values{"email": {"<mary>"}}).want(t, http.StatusBadRequest, `value="&lt;mary&gt;"`)
		if !strings.Contains(a.body, `href="#f-email"`) {
			t.Error(a.body)
		}
		for range 8 { // too many are not told either
			b.post("/console/forgotten", url.Values{"email": {"mary@example.com"}}).
				want(t, http.StatusOK, "If there is a user with this address")
		}
	})
}
