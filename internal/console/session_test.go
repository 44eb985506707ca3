package console_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

// cookie returns the cookie of the session; "" for none.
func (b *browser) cookie() string {
	for _, cookie := range b.client.Jar.Cookies(b.home()) {
		if cookie.Name == "roster" {
			return cookie.Value
		}
	}
	return ""
}

// copied returns a browser with the same cookies, as a thief has them.
func (b *browser) copied() *browser {
	b.t.Helper()
	thief := newBrowser(b.t, b.server)
	thief.client.Jar.SetCookies(b.home(), b.client.Jar.Cookies(b.home()))
	return thief
}

// TestFixation plants a cookie before the sign-in.
func TestFixation(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		attacker := signedIn(t, s)
		planted := attacker.cookie()
		b, _ := support(t, s)
		for _, value := range []string{planted, "chosen-by-an-attacker"} {
			b.client.Jar.SetCookies(b.home(), []*http.Cookie{{Name: "roster", Value: value, Path: "/"}})
			b.signIn("mary@example.com", password)
			if b.cookie() == value || b.cookie() == "" {
				t.Errorf("the cookie stays %q", value)
			}
			b.get("/console/me").want(t, http.StatusOK, "mary@example.com")
		}
		attacker.get("/console/me").want(t, http.StatusOK, email)
		first := b.cookie()
		b.signIn("mary@example.com", password)
		if b.cookie() == first {
			t.Error("two sessions have one cookie")
		}
	})
}

// TestStolenCookie uses a copy of a cookie after what ends its session.
func TestStolenCookie(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *apitest.Server, b *browser, user int64){
		"sign-out": func(_ *apitest.Server, b *browser, _ int64) { b.post("/console/signout", nil) },
		"deactivation": func(s *apitest.Server, _ *browser, user int64) {
			s.Do(http.MethodPatch, apitest.UserPath(user), map[string]any{"active": false}).Want(http.StatusOK)
		},
		"deletion": func(s *apitest.Server, _ *browser, user int64) {
			s.Do(http.MethodDelete, apitest.UserPath(user), nil).Want(http.StatusNoContent)
		},
		"password": func(s *apitest.Server, _ *browser, user int64) {
			s.Do(http.MethodPatch, apitest.UserPath(user), map[string]any{"password": "left horse battery"}).Want(http.StatusOK)
		},
		"address": func(s *apitest.Server, _ *browser, user int64) {
			s.Do(http.MethodPatch, apitest.UserPath(user), map[string]any{"email": "other@example.com"}).Want(http.StatusOK)
		},
		"link": func(s *apitest.Server, _ *browser, _ int64) {
			s.Reset(s.ResetToken("mary@example.com"), "left horse battery").Want(http.StatusNoContent)
		},
		"end of sessions": func(s *apitest.Server, _ *browser, user int64) {
			s.Do(http.MethodDelete, apitest.UserPath(user)+"/sessions", nil).Want(http.StatusNoContent)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				b, user := support(t, s)
				b.signIn("mary@example.com", password)
				thief := b.copied()
				thief.get("/console/me").want(t, http.StatusOK)
				end(s, b, user.ID)
				for _, b := range []*browser{b, thief} {
					b.get("/console/me").want(t, http.StatusUnauthorized, `autocomplete="current-password"`)
				}
				thief.post("/console/me/password", url.Values{
					"currentPassword": {password}, "password": {"my own battery"}, "again": {"my own battery"},
				}).want(t, http.StatusUnauthorized)
			})
		})
	}
}

// TestCookieFromElsewhere uses a cookie at an address that the allow-list does not have.
func TestCookieFromElsewhere(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		list, err := identity.AllowListFrom("192.0.2.0/24")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := support(t, s, func(u *identity.User) { u.AllowList = list })
		b.header.Set("X-Forwarded-For", "192.0.2.7")
		b.signIn("mary@example.com", password)
		s.Clock.Advance(11 * time.Hour)
		b.header.Set("X-Forwarded-For", "198.51.100.7")
		for _, path := range []string{"/console", "/console/me", "/console/users"} {
			a := b.get(path).want(t, http.StatusForbidden, "Requests from this address are not allowed", "Sign in as somebody else")
			if a.url.Path != path || strings.Contains(a.body, "mary@example.com") {
				t.Errorf("%s\n%s", a.url, a.body)
			}
		}
		b.post("/console/me/display", url.Values{"scheme": {"dark"}}).want(t, http.StatusForbidden)
		b.get("/console/signin").want(t, http.StatusOK, "198.51.100.7")
		// The right password from there does not let in either.
		b.post("/console/signin", url.Values{"email": {"mary@example.com"}, "password": {password}}).
			want(t, http.StatusForbidden, "Requests from this address are not allowed")
		// Such a use does not keep the session alive.
		s.Clock.Advance(time.Hour)
		b.header.Set("X-Forwarded-For", "192.0.2.7")
		b.get("/console/me").want(t, http.StatusUnauthorized)
	})
}

// TestIdle ends a session that is not used, and no later than 30 days after the sign-in.
func TestIdle(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		b.signIn("mary@example.com", password)
		start := s.Clock.Now()
		const month = 30 * 24 * time.Hour
		for s.Clock.Now().Sub(start) < month-11*time.Hour {
			s.Clock.Advance(11 * time.Hour)
			b.get("/console/me").want(t, http.StatusOK)
		}
		s.Clock.Advance(start.Add(month - time.Second).Sub(s.Clock.Now()))
		b.get("/console/me").want(t, http.StatusOK)
		s.Clock.Advance(time.Second)
		b.get("/console/me").want(t, http.StatusUnauthorized)

		b.signIn("mary@example.com", password)
		s.Clock.Advance(12*time.Hour - time.Second)
		b.get("/console/me").want(t, http.StatusOK)
		s.Clock.Advance(12 * time.Hour)
		b.get("/console/me").want(t, http.StatusUnauthorized)
	})
}

// TestTwoCookies sends two cookies of one name: which one counts is not for us to guess.
func TestTwoCookies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		token := b.cookie()
		bare := newBrowser(t, s)
		for header, status := range map[string]int{
			"roster=" + token:                      http.StatusOK,
			"other=1; roster=" + token:             http.StatusOK,
			"roster=" + token + "; roster=x":       http.StatusUnauthorized,
			"roster=x; roster=" + token:            http.StatusUnauthorized,
			"roster=":                              http.StatusUnauthorized,
			"Roster=" + token:                      http.StatusUnauthorized,
			"__Host-roster=" + token:               http.StatusUnauthorized, // it is http here
			"roster=" + strings.Repeat("x", 4<<10): http.StatusUnauthorized,
		} {
			bare.header.Set("Cookie", header)
			if a := bare.get("/console/me"); a.status != status {
				t.Errorf("%.60s: %d", header, a.status)
			}
		}
		// A token in a header is none of the console's.
		bare.header.Del("Cookie")
		bare.header.Set("Authorization", "Bearer "+token)
		bare.get("/console/me").want(t, http.StatusUnauthorized)
	})
}

// TestCookieOutsideTheConsole sends the cookie to the APIs, which do not take it: a page of
// another site could make a browser send it.
func TestCookieOutsideTheConsole(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		token := signedIn(t, s).cookie()
		cookie := []apitest.Option{apitest.As(""), apitest.Header("Cookie", "roster="+token)}
		s.Do(http.MethodGet, "/api/v2/auth?permission=users.view", nil, cookie...).Want(http.StatusNoContent)
		s.Do(http.MethodGet, apitest.UsersPath, nil, cookie...).Want(http.StatusUnauthorized)
		s.Do(http.MethodGet, apitest.MePath, nil, cookie...).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("x@example.com"), cookie...).Want(http.StatusUnauthorized)
		s.Do(http.MethodDelete, apitest.UserPath(1), nil, cookie...).Want(http.StatusUnauthorized)
		s.Do(http.MethodPost, apitest.SignOutPath, nil, cookie...).Want(http.StatusUnauthorized)
		for _, path := range []string{"/api/v1/users", "/2.0/users/me"} {
			s.Do(http.MethodGet, path, nil, cookie...).Want(http.StatusUnauthorized)
		}
	})
}

// TestHeaders checks what each kind of answer tells browsers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		in, out := signedIn(t, s), newBrowser(t, s)
		for _, b := range []*browser{in, out} { // answers themselves, no redirects
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
		wrong := url.Values{"email": {email}, "password": {"wrong horse"}}
		for name, a := range map[string]answer{
			"page": in.get("/console/users"), "sign-in": out.get("/console/users"), "form": out.get("/console/signin"),
			"failed": out.post("/console/signin", wrong), "not found": in.get("/console/users/99"),
			"no route": in.get("/console/nothing/here"), "no method": in.post("/console/users", nil),
			"redirect": in.post("/console/me/display", url.Values{"scheme": {"dark"}}), "forgotten": out.get("/console/forgotten"),
			"cross-site": out.from("https://evil.example").post("/console/signin", wrong),
		} {
			for header, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
				"Cross-Origin-Opener-Policy": "same-origin",
			} {
				if got := a.header.Get(header); got != want {
					t.Errorf("%s: %s: %q, want %q", name, header, got, want)
				}
			}
			policy := a.header.Get("Content-Security-Policy")
			for _, part := range []string{
				"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "style-src 'self';",
				"require-trusted-types-for 'script'",
			} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: without %s: %s", name, part, policy)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("%s: %s", name, policy)
			}
		}
	})
}

// from returns the browser as a page of another origin makes it send forms.
func (b *browser) from(origin string) *browser {
	other := *b
	other.header = http.Header{"Origin": {origin}, "Sec-Fetch-Site": {"cross-site"}}
	return &other
}

// TestCrossSite sends forms from pages of other origins.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		for range 10 { // nor does it count as a try, which could lock a user out
			b.from("https://evil.example").post("/console/signin", url.Values{
				"email": {"mary@example.com"}, "password": {"wrong horse"},
			}).want(t, http.StatusForbidden, "page of another site")
		}
		b.signIn("mary@example.com", password)
		for _, origin := range []string{"https://evil.example", "null", s.URL + ".evil.example", "https" + s.URL[4:]} {
			for _, path := range []string{
				"/console/signout", "/console/me/profile", "/console/me/password", "/console/me/totp", "/console/me/sessions/end",
				"/console/signin", "/console/signin/code", "/console/forgotten", "/console/prove", "/console/me/display",
			} {
				b.from(origin).post(path, url.Values{"email": {email}}).want(t, http.StatusForbidden)
			}
		}
		b.get("/console/me").want(t, http.StatusOK)
		if len(s.Mails()) != 0 {
			t.Error("a mail was sent")
		}
	})
}

// TestNext signs in with all kinds of pages to go to.
func TestNext(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support(t, s)
		for next, want := range map[string]string{
			"/console/users?filter[q]=x": "/console/users?filter[q]=x", "/console/users/1": "/console/users/1",
			"/console": "/console", "": "/console", "/": "/console", "users": "/console", "/api/v2/users": "/console",
			"//evil.example": "/console", `/\evil.example`: "/console", `\\evil.example`: "/console",
			"https://evil.example/console": "/console", "https:/console/users": "/console", "javascript:alert(1)": "/console",
			"/console/..//evil.example": "/console", "/console/../docs": "/console", "/console//evil.example": "/console",
			"/console/%2f%2fevil.example": "/console", "/console/%2e%2e/%2e%2e": "/console", "%2f%2fevil.example": "/console",
			`/console/\evil.example`: "/console", `/console/%5cevil.example`: "/console", "/console@evil.example": "/console",
			"/consoles": "/console", "/console.evil.example": "/console", "\t//evil.example": "/console",
			"/console/\r\nSet-Cookie: a=b": "/console", "/console/users\x00": "/console", "/console/%0d%0aX: y": "/console",
			"/console/" + strings.Repeat("x", 5000): "/console", "http:///console": "/console",
			"/console/signin": "/console", "/console/signin/code": "/console",
		} {
			b := newBrowser(t, s)
			b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			a := b.post("/console/signin", url.Values{
				"email": {"mary@example.com"}, "password": {password}, "next": {next},
			}).want(t, http.StatusSeeOther)
			if got := a.header.Get("Location"); got != want {
				t.Errorf("%.60q: %q", next, got)
			}
		}
	})
}

// TestBack looks at the links of error pages, which come from the Referer.
func TestBack(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		for referer, want := range map[string]string{
			s.URL + "/console/users?offset=50": "/console/users?offset=50", "https://evil.example/console/users": "/console",
			s.URL + "//evil.example": "/console", s.URL + "/docs": "/console", "javascript:alert(1)": "/console", "": "/console",
			s.URL + "@evil.example/console/users": "/console",
		} {
			b.header.Set("Referer", referer)
			b.get("/console/users/99").want(t, http.StatusNotFound, `href="`+want+`">Go back`)
		}
	})
}

// TestHeldForm loses a session while a form is open. The fields of the form have the names
// that the form to sign in uses itself.
func TestHeldForm(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		sent := url.Values{
			"name": {`"><img src=x onerror=alert(1)>`}, "email": {"other@example.com"}, "next": {"//evil.example"},
			"held-action": {"//evil.example"}, "held.name": {"x"}, "step": {"review"}, "many": {"1", "2"},
			"password": {"typed secret 1"}, "currentPassword": {"typed secret 2"}, "again": {"typed secret 3"},
			"code": {"typed secret 4"}, "token": {"typed secret 5"}, "secret": {"typed secret 6"},
		}
		b.header.Set("Referer", s.URL+"/console/me")
		page := b.post("/console/me/profile", sent).want(t, http.StatusUnauthorized, "What you typed is kept",
			`name="held-action" value="/console/me/profile"`, `name="next" value="/console/me"`)
		if strings.Contains(page.body, "<img") || strings.Contains(page.body, "typed secret") {
			t.Error(page.body)
		}
		again := page.hidden()
		again.Set("email", "mary@example.com")
		again.Set("password", "wrong horse")
		page = b.post("/console/signin", again).want(t, http.StatusUnauthorized, "What you typed is kept")
		if strings.Contains(page.body, "wrong horse") {
			t.Error("the password is in the page")
		}
		again = page.hidden()
		again.Set("email", "mary@example.com")
		again.Set("password", password)
		page = b.post("/console/signin", again).want(t, http.StatusOK, `method="post" action="/console/me/profile"`,
			`<a href="/console/me">`)
		for _, secret := range []string{"password", "currentPassword", "again", "code", "token", "secret"} {
			sent.Del(secret)
		}
		got := page.hidden()
		for name, values := range sent {
			if !slices.Equal(got[name], values) {
				t.Errorf("%s: %q, want %q", name, got[name], values)
			}
		}
		if len(got) != len(sent) {
			t.Errorf("%v", got)
		}
		// A form that is held for another site is dropped.
		other := newBrowser(t, s)
		page = other.post("/console/signin", url.Values{
			"email": {"mary@example.com"}, "password": {password}, "held-action": {"https://evil.example/"}, "held.a": {"b"},
		}).want(t, http.StatusOK, `aria-label="Main"`)
		if strings.Contains(page.body, "evil.example") {
			t.Error(page.body)
		}
	})
}

// TestProofWithoutSession loses the session on the page that asks for the password again: the
// form that it was for goes on, not the proof.
func TestProofWithoutSession(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		page := b.post("/console/prove", url.Values{
			"password": {password}, "held-action": {"/console/me/totp"}, "held.step": {"begin"}, "next": {"/console/me"},
		}).want(t, http.StatusUnauthorized, `name="held-action" value="/console/me/totp"`, `name="held.step" value="begin"`)
		if strings.Contains(page.body, password) || strings.Contains(page.body, "/console/prove") {
			t.Error(page.body)
		}
	})
}

// TestThrottledSignIn shows how long to wait, and no password.
func TestThrottledSignIn(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		try := func(password string) answer {
			return b.post("/console/signin", url.Values{"email": {"mary@example.com"}, "password": {password}})
		}
		for range 5 {
			a := try("wrong horse").want(t, http.StatusUnauthorized, "The e-mail address or the password is wrong.",
				`value="mary@example.com"`)
			if strings.Contains(a.body, "wrong horse") || len(a.header.Values("Set-Cookie")) != 0 {
				t.Errorf("%v\n%s", a.header, a.body)
			}
		}
		for _, password := range []string{"wrong horse", password} {
			a := try(password).want(t, http.StatusTooManyRequests, "You can try again in 10 minutes.")
			if a.header.Get("Retry-After") != "600" || strings.Contains(a.body, password) {
				t.Errorf("%v\n%s", a.header, a.body)
			}
		}
		s.Clock.Advance(9*time.Minute + 30*time.Second)
		try(password).want(t, http.StatusTooManyRequests, "You can try again in 30 seconds.")
		s.Clock.Advance(time.Minute)
		try(password).want(t, http.StatusOK, `aria-label="Main"`)
	})
}

// TestCodePage tries to get in by the page of the code, without the password.
func TestCodePage(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s, func(u *identity.User) { u.TFA = true })
		other := signedIn(t, s)
		page := b.post("/console/signin", url.Values{"email": {"mary@example.com"}, "password": {password}}).
			want(t, http.StatusOK, "Code from the mail", `autocomplete="one-time-code"`)
		if b.cookie() != "" || strings.Contains(page.body, password) {
			t.Error("the password alone lets in, or is in the page")
		}
		b.get("/console/me").want(t, http.StatusUnauthorized)
		code := s.Mail().Code
		challenge := page.hidden().Get("token")
		b.client.Jar.SetCookies(b.home(), []*http.Cookie{{Name: "roster", Value: challenge, Path: "/"}})
		b.get("/console/me").want(t, http.StatusUnauthorized) // a challenge is no session
		link := s.ResetToken("mary@example.com")
		for _, token := range []string{"", "x", other.cookie(), link, apitest.AdminToken} {
			a := b.post("/console/signin/code", url.Values{"token": {token}, "code": {code}, "provider": {"email"}})
			a.want(t, http.StatusUnauthorized, `name="password"`)
			if token != "" && len(token) > 1 && strings.Contains(a.body, token) {
				t.Error("the page has the token")
			}
		}
		wrong := func() answer {
			return b.post("/console/signin/code", url.Values{"token": {challenge}, "code": {"wrong1"}, "provider": {"email"}})
		}
		if a := wrong().want(t, http.StatusUnauthorized, "The code is wrong", challenge); strings.Contains(a.body, "wrong1") {
			t.Error("the page has the code")
		}
		b.post("/console/signin/code", url.Values{"token": {challenge}, "code": {" " + code + " "}, "next": {"/console/me"}}).
			want(t, http.StatusOK, `aria-label="Main"`)
		wrong().want(t, http.StatusUnauthorized, "The code is over") // it works once
	})
}

// TestCodeTooLate answers a challenge that is over.
func TestCodeTooLate(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s, func(u *identity.User) { u.TFA = true })
		page := b.post("/console/signin", url.Values{
			"email": {"mary@example.com"}, "password": {password}, "next": {"/console/me"},
		}).want(t, http.StatusOK)
		values := page.hidden()
		values.Set("code", s.Mail().Code)
		s.Clock.Advance(10 * time.Minute)
		b.post("/console/signin/code", values).want(t, http.StatusUnauthorized, "The code is over",
			`value="mary@example.com"`, `name="next" value="/console/me"`, `name="password"`)
	})
}

// TestSignInPage opens the form to sign in, also where somebody is signed in.
func TestSignInPage(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b, _ := support(t, s)
		for _, path := range []string{"/console/signin", "/console/signin/code"} {
			b.get(path).want(t, http.StatusOK, `autocomplete="username"`, `name="next" value="/console"`)
		}
		b.signIn("mary@example.com", password)
		b.get("/console/signin").want(t, http.StatusOK, `autocomplete="username"`)
		b.get("/console/me").want(t, http.StatusOK, "mary@example.com") // which ends nothing
		signedIn(t, s)
		b.signIn(email, password)
		b.get("/console/me").want(t, http.StatusOK, email)
		b.get("/console/signout").want(t, http.StatusMethodNotAllowed)
		b.get("/console/me").want(t, http.StatusOK)
	})
}

// TestSecureCookies checks the attributes of cookies where browsers come by HTTPS.
func TestSecureCookies(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support(t, s)
		secure := s.At("https://roster.example.com")
		b := newBrowser(t, secure)
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		b.header.Set("Origin", secure.URL)
		in := url.Values{"email": {"mary@example.com"}, "password": {password}}
		a := b.post("/console/signin", in).want(t, http.StatusSeeOther)
		cookie := onlyCookie(t, a)
		if !strings.HasPrefix(cookie, "__Host-roster=rst_") {
			t.Fatal(cookie)
		}
		token, attributes, _ := strings.Cut(cookie, "; ")
		if attributes != "Path=/; HttpOnly; Secure; SameSite=Lax" {
			t.Error(attributes)
		}
		b.client.Jar, _ = cookiejar.New(nil)
		b.header.Set("Cookie", token)
		b.get("/console/me").want(t, http.StatusOK)
		a = b.post("/console/me/display", url.Values{"scheme": {"dark"}}).want(t, http.StatusSeeOther)
		for _, cookie := range a.header.Values("Set-Cookie") {
			if !strings.Contains(cookie, "; HttpOnly; Secure; SameSite=Lax") || strings.Contains(cookie, "Domain") {
				t.Error(cookie)
			}
		}
		b.header.Set("Cookie", "roster="+strings.TrimPrefix(token, "__Host-roster="))
		b.get("/console/me").want(t, http.StatusUnauthorized) // another host of the domain can set it
		// Without HTTPS browsers would not take such a cookie.
		plain := newBrowser(t, s)
		plain.client.CheckRedirect = b.client.CheckRedirect
		if cookie := onlyCookie(t, plain.post("/console/signin", in)); !strings.HasPrefix(cookie, "roster=rst_") ||
			!strings.HasSuffix(cookie, "; Path=/; HttpOnly; SameSite=Lax") {
			t.Error(cookie)
		}
	})
}

func onlyCookie(t *testing.T, a answer) string {
	t.Helper()
	cookies := a.header.Values("Set-Cookie")
	if len(cookies) != 1 {
		t.Fatalf("%v", cookies)
	}
	return cookies[0]
}

// TestSignInWithoutDatabase keeps the form while the database does not answer.
func TestSignInWithoutDatabase(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		support(t, s)
		b := newBrowser(t, s.Another(func(o *app.Options) { o.RequestTimeout = time.Nanosecond }))
		a := b.post("/console/signin", url.Values{
			"email": {"mary@example.com"}, "password": {password}, "next": {"/console/me"},
		})
		if a.status < http.StatusInternalServerError || !strings.Contains(a.body, `value="mary@example.com"`) ||
			!strings.Contains(a.body, `name="next" value="/console/me"`) || strings.Contains(a.body, password) {
			t.Errorf("%d\n%s", a.status, a.body)
		}
	})
}
