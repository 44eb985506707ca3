// Package console has the tests of the console in a real browser, Chromium, against the
// whole service on each engine. The browser is found on the PATH, or is the program that
// ROSTER_TEST_BROWSER names.
package console

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// patience is how long a test waits for what a page is to show. It only ends a test that
// fails.
const patience = 20 * time.Second

// The administrator of the tests.
const (
	Email    = "jane@example.com"
	Password = "right horse battery"
)

// axeScript is axe-core 4.14.1, which finds what breaks WCAG.
//
//go:embed testdata/axe-core-4.14.1.min.js.gz
var axeScript []byte

// chromium is the browser that all tests share; each test has a context of its own in it.
var chromium = sync.OnceValues(func() (context.Context, error) { return startBrowser(context.Background()) })

// startBrowser starts a browser with a new profile, which ends with the context.
func startBrowser(ctx context.Context) (context.Context, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.DisableGPU,
		chromedp.Flag("disable-software-rasterizer", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("font-render-hinting", "none"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, _ = chromedp.NewExecAllocator(ctx, options...)
	ctx, _ = chromedp.NewContext(ctx)
	return ctx, chromedp.Do(ctx)
}

// findBrowser returns the path of a Chromium.
func findBrowser() (string, error) {
	if path := os.Getenv(browserVariable); path != "" && path != onlyQuick {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium is installed")
}

// Tab is a window of the browser, with cookies of its own, on a server.
type Tab struct {
	t      *testing.T
	Server *apitest.Server
	ctx    context.Context //nolint:containedctx // a window is a context in chromedp
}

// browserVariable names the browser, or has onlyQuick.
const (
	browserVariable = "ROSTER_TEST_BROWSER"
	onlyQuick       = "quick"
)

// complaintTypes are the kinds of messages that fail a test.
var complaintTypes = []chromedp.ConsoleType{
	chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException,
}

// quick are the tests that run without being asked for: the others take minutes.
var quick = []string{"TestSearchAsYouType/sqlite", "TestSignInByKeys/sqlite", "TestEditByKeys/sqlite"}

// NewTab opens a window, 1280 by 900, light. The test fails for an error on its console,
// such as a violation of the Content Security Policy. It runs in CI and where
// ROSTER_TEST_BROWSER is set, as in make browser; otherwise, and where that is "quick", it is
// skipped unless it is one of the quick ones. In CI it fails where there is no browser.
func NewTab(t *testing.T, s *apitest.Server) *Tab {
	t.Helper()
	skipUnlessAsked(t)
	parent, err := chromium()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return newTab(parent, t, s)
}

// skipUnlessAsked skips a test that is not one of the quick ones where NewTab says so.
func skipUnlessAsked(t *testing.T) {
	t.Helper()
	asked := os.Getenv("CI") != "" || os.Getenv(browserVariable) != "" || os.Getenv("ROSTER_SCREENSHOTS") != ""
	if (!asked || os.Getenv(browserVariable) == onlyQuick) && !slices.Contains(quick, t.Name()) {
		t.Skip("not one of the quick tests: make browser runs all")
	}
}

// newTab opens a window of a browser.
func newTab(browser context.Context, t *testing.T, s *apitest.Server) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	messages := chromedp.Console(ctx)
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var complaints []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			// A form that is answered with 4xx is not an error of the page.
			if slices.Contains(complaintTypes, m.Type) &&
				!strings.Contains(m.Text, "Failed to load resource") && !strings.Contains(m.Text, "htmx:response:error") {
				mu.Lock()
				complaints = append(complaints, m.Text)
				mu.Unlock()
			}
		}
	}()
	tab := &Tab{t: t, Server: s, ctx: ctx}
	tab.Scheme("light")
	t.Cleanup(func() {
		if t.Failed() {
			tab.dump()
		}
		cancel()
		<-done
		for _, complaint := range complaints {
			t.Error("the browser complains:", complaint)
		}
	})
	return tab
}

// dump logs what the window shows when a test has failed.
func (tab *Tab) dump() {
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	tab.t.Log("the window shows:\n" + text)
}

func (tab *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatalf("%s: %v", what, err)
	}
}

// Go opens a path of the server.
func (tab *Tab) Go(path string) {
	tab.t.Helper()
	tab.do("opening "+path, chromedp.Navigate(tab.Server.URL+path))
}

// Click clicks the first visible element that a CSS selector finds, as a mouse does. It
// clicks again if the page has moved meanwhile, so that the mouse has hit something else.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	const tries = 5
	for range tries {
		tab.do("finding "+selector, chromedp.WaitVisible(chromedp.CSS(selector)),
			chromedp.ScrollIntoView(chromedp.CSS(selector)))
		tab.Eval(`window.missed = true; addEventListener("click", event => {
			window.missed = !event.target.closest(` + quoted(selector) + `) && event.detail > 0;
		}, {capture: true, once: true});`)
		tab.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
		// A new page has no such variable, and a page that goes away is an error.
		if missed, err := chromedp.Run(tab.ctx, chromedp.Evaluate[bool]("window.missed === true")); err != nil || !missed {
			return
		}
	}
	tab.t.Fatalf("the mouse does not hit %s", selector)
}

// ClickText clicks the visible link, button, label or summary with this text.
func (tab *Tab) ClickText(text string) {
	tab.t.Helper()
	tab.Wait(fmt.Sprintf(`(() => { const wanted = %s;
		const found = [...document.querySelectorAll("a, button, label, summary")].find(
			e => e.checkVisibility() && e.innerText.trim() === wanted);
		if (!found) return false;
		document.querySelector("[data-test-target]")?.removeAttribute("data-test-target");
		found.setAttribute("data-test-target", ""); return true; })()`, quoted(text)))
	tab.Click("[data-test-target]")
}

// Type types text into a field, after what is there.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.do("typing into "+selector, chromedp.WaitVisible(chromedp.CSS(selector)),
		chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Fill replaces the text of a field by typing.
func (tab *Tab) Fill(selector, text string) {
	tab.t.Helper()
	tab.do("emptying "+selector, chromedp.WaitVisible(chromedp.CSS(selector)),
		chromedp.Focus(chromedp.CSS(selector)))
	tab.Eval(`document.querySelector(` + quoted(selector) + `).select()`)
	if text == "" {
		tab.Keys(kb.Backspace)
		return
	}
	tab.Type(selector, text)
}

// Keys presses keys, wherever the focus is, on a page that is loaded: a form that is still
// being read would send a part of its fields. Special keys are those of chromedp/kb.
func (tab *Tab) Keys(keys string) {
	tab.t.Helper()
	tab.Wait(`document.readyState === "complete"`)
	tab.do(fmt.Sprintf("pressing %q", keys), chromedp.KeyEvent(keys))
}

// Wait waits until a JavaScript expression is true.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			tab.t.Fatalf("this does not become true: %s (%v)", expression, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// See waits until the window shows a text. It looks at text as it is shown, with spaces
// and breaks as one space.
func (tab *Tab) See(text string) {
	tab.t.Helper()
	tab.Wait(`document.body?.innerText.replace(/\s+/g, " ").includes(` + quoted(text) + `)`)
}

// At waits until the window is at a path and query.
func (tab *Tab) At(path string) {
	tab.t.Helper()
	tab.Wait(`decodeURIComponent(location.pathname + location.search) === ` + quoted(path))
}

// Eval runs JavaScript for its effect.
func (tab *Tab) Eval(script string) {
	tab.t.Helper()
	Value[json.RawMessage](tab, "(() => { "+script+"; return null })()")
}

// Value returns the value of a JavaScript expression.
func Value[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.t.Fatalf("%.200s: %v", expression, err)
	}
	return value
}

// Text returns what the first element of a CSS selector shows.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	tab.Wait(`document.querySelector(` + quoted(selector) + `)`)
	return Value[string](tab, `document.querySelector(`+quoted(selector)+`).innerText`)
}

// Back goes back in the history.
func (tab *Tab) Back() {
	tab.t.Helper()
	tab.Eval("setTimeout(() => history.back())") // which ends what runs in the page
}

// Size sets the size of the window, in CSS pixels.
func (tab *Tab) Size(width, height int64) {
	tab.t.Helper()
	tab.do("resizing", chromedp.EmulateViewport(width, height))
}

// Scheme makes the system prefer light or dark. Motion is reduced.
func (tab *Tab) Scheme(scheme string) {
	tab.t.Helper()
	features := []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}
	tab.do("setting the scheme", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return chromedp.Void{}, err
	})
}

// ClearCookies forgets all cookies, as if the session had ended.
func (tab *Tab) ClearCookies() {
	tab.t.Helper()
	tab.do("clearing cookies", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, struct{}{})
		return chromedp.Void{}, err
	})
}

// Axe fails the test for everything that axe finds on the page, in either scheme. It looks
// once, on SQLite: a page does not know its database.
func (tab *Tab) Axe() {
	tab.t.Helper()
	if !strings.HasSuffix(tab.t.Name(), "/"+storetest.Engines[0]) {
		return
	}
	if !Value[bool](tab, "window.axe !== undefined") {
		Value[int](tab, axe()+"; 0")
	}
	// The schemes differ in colours alone.
	for _, run := range []struct{ scheme, options string }{{"dark", `{runOnly: ["color-contrast"]}`}, {"light", "{}"}} {
		tab.Scheme(run.scheme)
		found := Value[[]string](tab, `axe.run(document, `+run.options+`).then(r => r.violations.map(
			v => v.id + ": " + v.help + ": " + v.nodes.map(n => n.target + " " + n.failureSummary).join("; ")))`)
		for _, violation := range found {
			tab.t.Errorf("%s, %s: %s", Value[string](tab, "location.pathname"), run.scheme, violation)
		}
	}
}

// NoOverflow fails the test if the page is wider than the window.
func (tab *Tab) NoOverflow() {
	tab.t.Helper()
	if over := Value[int](tab, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
		tab.t.Errorf("%s: the page is %d pixels wider than the window", Value[string](tab, "location.pathname"), over)
	}
}

// Shot writes a picture of the page to a file below docs/console, if ROSTER_SCREENSHOTS
// is set to the folder of the repository.
func (tab *Tab) Shot(name string) {
	tab.t.Helper()
	folder := os.Getenv("ROSTER_SCREENSHOTS")
	if folder == "" || !strings.HasSuffix(tab.t.Name(), "/"+storetest.Engines[0]) {
		return
	}
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		file := filepath.Join(folder, name+".png")
		err = os.WriteFile(file, picture, 0o600) //nolint:gosec // G703: the folder is the developer's
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}

// look checks a page with axe, in a narrow window too, and takes pictures of it.
func (tab *Tab) look(name string) {
	tab.t.Helper()
	tab.Axe()
	tab.Shot(name)
	tab.Size(320, 700)
	tab.NoOverflow()
	tab.Shot(name + "-phone")
	tab.Size(1280, 900)
}

// focused waits until an element has the focus.
func (tab *Tab) focused(selector string) {
	tab.t.Helper()
	tab.Wait(`document.activeElement?.matches(` + quoted(selector) + `)`)
}

// press presses a key until the focus is on an element that shows a text, and then a last
// key.
func (tab *Tab) press(text, last string) {
	tab.t.Helper()
	tab.tabTo(`(document.activeElement.innerText || "").trim().startsWith(` + quoted(text) + `)`)
	tab.Keys(last)
}

// tabTo presses the tab key until an expression is true of the element with the focus.
func (tab *Tab) tabTo(expression string) {
	tab.t.Helper()
	const most = 80
	for range most {
		tab.Keys(kb.Tab)
		if Value[bool](tab, expression) {
			return
		}
	}
	tab.t.Fatalf("no Tab makes this true: %s", expression)
}

// SignIn creates the administrator, if there is none yet, and signs in.
func (tab *Tab) SignIn() {
	tab.t.Helper()
	Administrator(tab.t, tab.Server)
	tab.SignInAs(Email)
}

// SignInAs gives the window the cookie of a user of the tests, and opens the home page.
// TestSignInByClicks and TestSignInByKeys type.
func (tab *Tab) SignInAs(email string) {
	tab.t.Helper()
	tab.hold(email)
	tab.Go("/console")
}

// hold gives the window the cookie of a user of the tests.
func (tab *Tab) hold(email string) {
	tab.t.Helper()
	source := identity.Actor{Source: netip.MustParseAddr("127.0.0.1"), Client: "Chromium"}
	signIn, err := tab.Server.Service.SignIn(tab.t.Context(), source, email, Password)
	if err == nil {
		err = tab.Server.Service.HoldSession(tab.t.Context(), signIn.Pair.Access.Token)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
	tab.do("setting the cookie", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.SetCookie, network.SetCookieParams{
			Name: api.CookieName(false), Value: signIn.Pair.Access.Token, URL: tab.Server.URL, HTTPOnly: new(true),
		})
		return chromedp.Void{}, err
	})
}

// Administrator returns the administrator of the tests.
func Administrator(t *testing.T, s *apitest.Server) identity.User {
	t.Helper()
	exists, err := s.Service.HasAccount(t.Context(), Email)
	if err != nil || exists {
		return identity.User{}
	}
	return CreateUser(t, s, identity.User{
		Name: "Jane Doe", Email: Email, Active: true, Groups: []int64{identity.AdministratorsID}, CanViewMaskedData: true,
	})
}

// CreateUser creates a user with the password of the tests.
func CreateUser(t *testing.T, s *apitest.Server, user identity.User) identity.User {
	t.Helper()
	created, _, err := s.Service.CreateUser(t.Context(), identity.CommandLine(),
		service.NewUser{User: user, Password: Password}, service.Idempotency{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can be encoded
	}
	return string(encoded)
}

// axe returns the text of axeScript.
var axe = sync.OnceValue(func() string {
	reader, err := gzip.NewReader(bytes.NewReader(axeScript))
	if err != nil {
		panic(err) // it is embedded
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		panic(err)
	}
	return string(plain)
})
