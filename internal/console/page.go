package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

//go:embed templates
var templateFiles embed.FS

// page is what every page has. A page's own data is in View.
type page struct {
	Title string // before " · Roster" in the title of the window; never holds masked data
	Nav   string // the item of the navigation that is current: users, groups, …
	View  any
	API   *apiCall // how a program does the same; nil for none

	// The fields below are set by render.

	Me      *me    // nil before the sign-in
	Nonce   string // of the scripts of this answer, and of the elements that htmx may use
	Note    string // one sentence on what was just done
	Address string // of the page: path and query
	Display display
	Source  string // the address from which we see the caller; "" if it is unknown
}

// me is the operator who has signed in, as the navigation shows it.
type me struct {
	ID       int64
	Name     string
	Initials string
	Place    string // "administrator", or how many groups
}

// render writes a page with a status. The first part of name is its template file.
func (h *handlers) render(c echo.Context, actor identity.Actor, status int, name string, p page) error {
	p.Nonce = newNonce()
	p.Address = c.Request().URL.RequestURI()
	p.Display = displayFrom(c.Request())
	p.Note = h.takeNote(c)
	if actor.Source.IsValid() {
		p.Source = actor.Source.String()
	}
	if p.Me == nil && actor.UserID != 0 && !actor.MustEnrol {
		p.Me = h.me(c.Request().Context(), actor)
	}
	set, err := templateNamed(name)
	if err != nil {
		return err
	}
	buffer, _ := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	if err := set.ExecuteTemplate(buffer, "layout.html", p); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	setHeaders(c.Response().Header(), p.Nonce)
	return c.HTMLBlob(status, buffer.Bytes())
}

// buffers holds what pages are written to before they are sent.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// me returns the operator for the navigation. A page must not fail for it: without the
// user it shows the session's name.
func (h *handlers) me(ctx context.Context, actor identity.Actor) *me {
	m := &me{ID: actor.UserID, Name: actor.Name}
	user, err := h.service.User(ctx, actor, actor.UserID)
	if err != nil {
		return m
	}
	m.Name, m.Initials = string(user.Name), initials(string(user.Name))
	switch {
	case user.IsAdministrator():
		m.Place = "Administrator"
	case len(user.Groups) == 1:
		m.Place = "1 group"
	default:
		m.Place = fmt.Sprintf("%d groups", len(user.Groups))
	}
	return m
}

// setHeaders restricts what a page can do and who can keep it. Only htmx may write to the
// page, by the nonce of this answer (Content Security Policy 3, Trusted Types).
func setHeaders(header http.Header, nonce string) {
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'nonce-"+nonce+"'; style-src 'self'; "+
		"img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"require-trusted-types-for 'script'; trusted-types htmx")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Referrer-Policy", "same-origin")
	header.Set(echo.HeaderCacheControl, "no-store")
}

// newNonce returns a nonce without characters that HTML escapes: hx-csp compares the text of
// the attribute.
func newNonce() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // crashes the program instead of returning an error
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// templates holds the parsed templates by page. They are parsed with the first page that
// is asked for, so that a start costs nothing.
var templates = sync.OnceValues(parseTemplates)

func parseTemplates() (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(functions).
		ParseFS(templateFiles, "templates/layout.html", "templates/parts/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "templates/"), ".html")
		if name == "layout" {
			continue
		}
		set, err := base.Clone()
		if err == nil {
			set, err = set.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		pages[name] = set
	}
	return pages, nil
}

func templateNamed(name string) (*template.Template, error) {
	pages, err := templates()
	if err != nil {
		return nil, err
	}
	set, ok := pages[name]
	if !ok {
		return nil, fmt.Errorf("there is no page %s", name)
	}
	return set, nil
}

// functions are what templates can call. They format, and decide nothing.
var functions = template.FuncMap{
	"label":      labelOf,
	"number":     number,
	"anchor":     anchor,
	"args":       args,
	"navigation": navigation,
	"files":      files,
}

// anchor returns the id of the element that edits a field, also for a part of it such as
// ipWhitelist[1].
func anchor(field string) string {
	name, _, _ := strings.Cut(field, "[")
	return "f-" + name
}

// args returns its arguments, names and values in turn, as the data of a part.
func args(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("args: %d values", len(pairs))
	}
	data := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("args: %v is no name", pairs[i])
		}
		data[name] = pairs[i+1]
	}
	return data, nil
}

// display holds how a browser wants its pages.
type display struct {
	Scheme string // light or dark; "" for that of the system
	NoKeys bool   // no keyboard shortcuts of single letters (WCAG 2.1.4)
}

const displayCookie = "roster-display"

// displayFrom reads the cookie, such as "dark-nokeys". It ignores what it does not know.
func displayFrom(r *http.Request) display {
	var d display
	cookie, err := r.Cookie(displayCookie)
	if err != nil {
		return d
	}
	for word := range strings.SplitSeq(cookie.Value, "-") {
		switch word {
		case "light", "dark":
			d.Scheme = word
		case "nokeys":
			d.NoKeys = true
		}
	}
	return d
}

const (
	noteCookie = "roster-note"
	notePeriod = time.Minute // longer than a redirect takes
)

// setNote keeps a sentence for the next page. The cookie holds its key in notes, so that a
// forged cookie cannot make a page say anything else.
func (h *handlers) setNote(c echo.Context, key string) {
	h.setCookie(c, noteCookie, key, notePeriod)
}

func (h *handlers) takeNote(c echo.Context) string {
	cookie, err := c.Request().Cookie(noteCookie)
	if err != nil {
		return ""
	}
	h.setCookie(c, noteCookie, "", -1)
	return notes[cookie.Value]
}

// setCookie sets a cookie that scripts cannot read. It lasts as long as the browser runs
// where period is 0, and is deleted where it is negative.
func (h *handlers) setCookie(c echo.Context, name, value string, period time.Duration) {
	cookie := &http.Cookie{ //nolint:gosec // G124: Secure where the public URL is https
		Name: name, Value: value, Path: "/", HttpOnly: true, Secure: h.site.Secure(), SameSite: http.SameSiteLaxMode,
		MaxAge: int(period.Seconds()),
	}
	if period < 0 {
		cookie.MaxAge = -1
	}
	c.SetCookie(cookie)
}

// notes holds the sentences that follow an action.
var notes = map[string]string{ //nolint:gosec // G101: sentences, no credentials
	"signed_out":       "You are signed out.",
	"group_created":    "The group is created.",
	"group_changed":    "The group is changed.",
	"group_deleted":    "The group is deleted.",
	"members_added":    "The members are added.",
	"member_removed":   "The member is taken out.",
	"token_revoked":    "The token is revoked. It stopped working at once.",
	"webhook_changed":  "The webhook is changed.",
	"webhook_deleted":  "The webhook is deleted, with its deliveries.",
	"webhook_same":     "Nothing was different, so nothing is changed.",
	"webhook_tested":   "A test is on its way. It stands at the top of the deliveries.",
	"message_retried":  "The message is on its way again.",
	"dead_retried":     "What was given up and could be sent again is on its way.",
	"nothing_retried":  "There was nothing to send again.",
	"forgotten":        "If there is a user with this address, a mail with a link is on its way. It works for one hour.",
	"unchanged":        "Nothing had to be changed.",
	"profile_saved":    "Your profile is saved.",
	"password_changed": "Your password is changed. All your other sessions have ended.",
	"session_ended":    "The session has ended.",
	"sessions_ended":   "All your other sessions have ended.",
	"display_saved":    "Saved for this browser.",
	"factor_reset":     "The authenticator no longer counts. Codes come by mail from now on.",
	"saved":            "The changes are saved.",
	"created":          "The user is created.",
	"invited_new":      "The user is created, and an invitation is on its way.",
	"invited":          "An invitation is on its way. It works for 7 days, and earlier ones no longer do.",
	"reset_sent":       "A link to choose another password is on its way, unless too many were asked for of late.",
	"activated":        "The user is active.",
	"deactivated":      "The user is inactive, and signed out everywhere.",
	"deleted":          "The user is deleted.",

	"added_to":            "The user is in the group.",
	"taken_out":           "The user is out of the group.",
	"network_saved":       "The allowed addresses are saved. They count at once.",
	"user_session_ended":  "The session is ended.",
	"user_sessions_ended": "The sessions are ended.",
	"user_factor_reset":   "The authenticator is gone, with its recovery codes.",
	"job_ended":           "The job has ended already. Nothing is done twice.",
}
