package console

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// errorView is a page on something that did not work.
type errorView struct {
	Heading string
	Message string
	Missing string // what the caller lacks and who can give it; "" if that is not the reason
	Wait    string // how long to wait; "" for no wait
	// Way leads on from here; nil for "go back" alone.
	Way *link
	// Form is what was sent, so that "try again" sends it once more and nothing is lost.
	Form heldForm
	Back string
}

// writeError answers a failed request with a page. A caller without a session gets the
// form to sign in, which brings the request on its way after it.
func (h *handlers) writeError(c echo.Context, f api.Failure) error {
	if view, ok := c.Get(signInKey).(signInView); ok {
		return h.signInFailed(c, view, f)
	}
	next, held := interrupted(c)
	if f.Kind == identity.Unauthenticated {
		return h.renderSignIn(c, f.Status, signInView{Next: next, Held: held})
	}
	actor := api.ActorOf(c)
	if f.Code == codeReauthenticate {
		return h.renderProof(c, actor, f.Status, proofView{Next: next, Held: held})
	}
	view := errorView{
		Heading: headings[f.Kind], Message: f.Message, Missing: missing(f), Back: back(c.Request()), Way: wayOn(f),
	}
	if f.Code == "timeout" {
		view.Heading = "This takes too long"
	}
	if actor.MustEnrol {
		view.Heading, view.Back = "You need a second factor", ""
	}
	for _, field := range f.Fields {
		view.Message += " " + field.Field + ": " + field.Message + "."
	}
	if f.RetryAfter > 0 {
		view.Wait = waiting(f.RetryAfter)
	}
	if f.Kind == identity.Unavailable || f.Kind == identity.Internal || f.Kind == identity.TooManyRequests {
		view.Form = held
	}
	p := page{Title: view.Heading, View: view}
	if f.Kind == identity.Unavailable || f.Kind == identity.Internal {
		p.Me = &me{ID: actor.UserID, Name: actor.Name} // asking for more would fail again
	}
	return h.render(c, actor, f.Status, "error", p)
}

var headings = map[identity.Kind]string{
	identity.Internal:        "Something went wrong",
	identity.Invalid:         "This address is not quite right",
	identity.Forbidden:       "You may not do this",
	identity.NotFound:        "There is nothing here",
	identity.Conflict:        "This cannot be done now",
	identity.Precondition:    "Somebody else was faster",
	identity.TooManyRequests: "Too many tries",
	identity.Unavailable:     "The database does not answer",
}

// missing returns what a denied caller lacks and who can give it; "" for no such reason.
func missing(f api.Failure) string {
	if f.Kind != identity.Forbidden {
		return ""
	}
	switch f.Code {
	case "permission_denied", "escalation_denied", "masked_data":
		return "A member of the group Administrators can give you what is missing, by a group of yours."
	}
	return ""
}

// link leads to a page.
type link struct{ Href, Text string }

// wayOn returns where a caller who was refused can put that right; nil for nowhere.
func wayOn(f api.Failure) *link {
	switch f.Code {
	case "second_factor_required":
		return &link{Prefix + "/me/totp", "Set up the second factor"}
	case "ip_not_allowed":
		return &link{Prefix + "/signin", "Sign in as somebody else"}
	}
	return nil
}

// waiting returns a time to wait in words, rounded up.
func waiting(d time.Duration) string {
	if d <= time.Minute {
		return count(int64(math.Ceil(d.Seconds())), "second")
	}
	return count(int64(math.Ceil(d.Minutes())), "minute")
}

// heldForm is a form that was sent and had no effect yet. Action is its path.
type heldForm struct {
	Action string
	Fields []field
}

type field struct{ Name, Value string }

// interrupted returns what goes on after a request that was stopped: the page and, of a POST,
// the form. A form that was on its way already, with a proof, is that form.
func interrupted(c echo.Context) (next string, held heldForm) {
	request := c.Request()
	if request.Method == http.MethodPost && request.URL.Path == provePath {
		if values, err := form(c); err == nil {
			return nextIn(values), heldIn(values)
		}
	}
	return nextFrom(request), heldFrom(c)
}

// heldFrom returns the form of a request, without what must not be kept in a page:
// passwords and codes.
func heldFrom(c echo.Context) heldForm {
	request := c.Request()
	if request.Method != http.MethodPost {
		return heldForm{}
	}
	values, err := form(c)
	if err != nil || len(values) == 0 {
		return heldForm{}
	}
	return heldForm{Action: request.URL.RequestURI(), Fields: fieldsOf(values)}
}

// fieldsOf returns the fields of a form in order, without secrets.
func fieldsOf(values url.Values) []field {
	var fields []field
	for _, name := range sortedKeys(values) {
		if isSecretField(name) {
			continue
		}
		for _, value := range values[name] {
			fields = append(fields, field{name, value})
		}
	}
	return fields
}

// fieldAgain is the field for a password that is typed once more.
const fieldAgain = "again"

func isSecretField(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "password") || slices.Contains([]string{fieldAgain, "code", "token", "secret"}, name)
}

// nextFrom returns where to go after a sign-in: the page that was asked for or, for a form,
// the page that it was on.
func nextFrom(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return ownPath(r.URL.RequestURI())
	}
	return back(r)
}

// back returns the page that a request came from, by its Referer; the home page where that
// is not ours.
func back(r *http.Request) string {
	referer, err := url.Parse(r.Referer())
	if err != nil || referer.Host != r.Host {
		return Prefix
	}
	return ownPath(referer.RequestURI())
}

// ownPath returns a path of the console as it is, and the home page for anything else.
// Browsers read a backslash as a slash, and //host as another site; neither may be there in
// an encoded form either.
func ownPath(path string) string {
	const maxLength = 4096
	parsed, err := url.ParseRequestURI(path)
	isOurs := err == nil && len(path) <= maxLength && parsed.Host == "" && parsed.Scheme == "" &&
		(parsed.Path == Prefix || strings.HasPrefix(parsed.Path, Prefix+"/")) &&
		!strings.ContainsFunc(path+parsed.Path, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7F }) &&
		!strings.Contains(parsed.Path, "//") && !strings.Contains(parsed.Path, "..")
	if !isOurs {
		return Prefix
	}
	return path
}

func errNoPage(format string, args ...any) error {
	return identity.Errorf(identity.NotFound, "not_found", "%s", fmt.Sprintf(format, args...))
}
