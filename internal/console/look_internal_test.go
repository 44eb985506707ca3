package console

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTemplatesHaveNoCode checks that no template has what the Content Security Policy
// forbids, or what htmx drops without a word under it.
func TestTemplatesHaveNoCode(t *testing.T) {
	t.Parallel()
	forbidden := map[string]*regexp.Regexp{
		"an inline style":                     regexp.MustCompile(`(?i)\sstyle=|<style`),
		"an inline handler":                   regexp.MustCompile(`(?i)\son[a-z]+=`),
		"hx-on":                               regexp.MustCompile(`hx-on`),
		"a filter of a trigger":               regexp.MustCompile(`hx-trigger="[^"]*\[`),
		"JavaScript in an attribute of htmx":  regexp.MustCompile(`(?i)"js:|javascript:`),
		"a script without a nonce":            regexp.MustCompile(`<script(?: (?:defer|src="[^"]*"))*>`),
		"something from another host":         regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//`),
		"an element of htmx without a nonce":  regexp.MustCompile(`<[a-z]+(?: [^>]*)? hx-(?:get|post)=`),
		"text that escapes html/template":     regexp.MustCompile(`\| *(?:safe|html|js)`),
		"a target that opens another window":  regexp.MustCompile(`target="_blank"`),
		"a form whose address is not of ours": regexp.MustCompile(`action="/(?:[^c]|c[^o])`),
	}
	withNonce := regexp.MustCompile(`hx-nonce="`)
	err := fs.WalkDir(templateFiles, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(templateFiles, path)
		if err != nil {
			return err
		}
		for what, pattern := range forbidden {
			for _, found := range pattern.FindAllString(string(text), -1) {
				if what == "an element of htmx without a nonce" && withNonce.MatchString(found) {
					continue
				}
				t.Errorf("%s has %s: %s", path, what, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFirstPageIsSmall checks that a browser loads at most 100 kB before it shows a page.
func TestFirstPageIsSmall(t *testing.T) {
	t.Parallel()
	const most, page = 100_000, 12_000 // bytes; a page of fifty users
	total := page
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".txt") {
			continue
		}
		content, err := fs.ReadFile(staticFiles, "static/"+entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		total += compressed.Len()
	}
	t.Logf("%d bytes", total)
	if total > most {
		t.Errorf("the first page has %d bytes, want at most %d", total, most)
	}
}

// colour is a linear sRGB colour.
type colour struct{ r, g, b float64 }

var (
	tokenPattern = regexp.MustCompile(`--([a-z-]+): light-dark\(([^;]*)\);`)
	oklchPattern = regexp.MustCompile(`oklch\(([\d.]+)% ([\d.]+) ([\d.]+)\)|#(fff)`)
)

// coloursOf returns the colours of the style sheet in a scheme, by the name of their token.
func coloursOf(t *testing.T, scheme int) map[string]colour {
	t.Helper()
	css, err := fs.ReadFile(staticFiles, "static/console.css")
	if err != nil {
		t.Fatal(err)
	}
	colours := map[string]colour{"on-accent": {1, 1, 1}}
	for _, token := range tokenPattern.FindAllStringSubmatch(string(css), -1) {
		values := oklchPattern.FindAllStringSubmatch(token[2], -1)
		if len(values) != 2 {
			t.Fatalf("%s: %q", token[1], token[2])
		}
		colours[token[1]] = colourFrom(t, values[scheme])
	}
	return colours
}

// colourFrom converts a colour of CSS (CSS Color 4 §9, Ottosson's OKLab).
func colourFrom(t *testing.T, value []string) colour {
	t.Helper()
	if value[4] != "" {
		return colour{1, 1, 1}
	}
	var n [3]float64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseFloat(value[i+1], 64); err != nil {
			t.Fatal(err)
		}
	}
	lightness, a := n[0]/100, n[1]*math.Cos(n[2]*math.Pi/180)
	b := n[1] * math.Sin(n[2]*math.Pi/180)
	cube := func(x float64) float64 { return x * x * x }
	l := cube(lightness + 0.3963377774*a + 0.2158037573*b)
	m := cube(lightness - 0.1055613458*a - 0.0638541728*b)
	s := cube(lightness - 0.0894841775*a - 1.2914855480*b)
	limit := func(x float64) float64 { return min(max(x, 0), 1) }
	return colour{
		limit(4.0767416621*l - 3.3077115913*m + 0.2309699292*s),
		limit(-1.2684380046*l + 2.6097574011*m - 0.3413193965*s),
		limit(-0.0041960863*l - 0.7034186147*m + 1.7076147010*s),
	}
}

// contrast returns the contrast of two colours (WCAG 2.2, contrast ratio).
func contrast(a, b colour) float64 {
	luminance := func(c colour) float64 { return 0.2126*c.r + 0.7152*c.g + 0.0722*c.b }
	light, dark := max(luminance(a), luminance(b)), min(luminance(a), luminance(b))
	return (light + 0.05) / (dark + 0.05)
}

// TestContrast computes the contrast of every pair of text and ground, and of the edges of
// controls: axe does not see all of them.
func TestContrast(t *testing.T) {
	t.Parallel()
	const text, edge = 4.5, 3.0 // WCAG 2.2, 1.4.3 and 1.4.11
	grounds := []string{"ground", "surface", "raised", "hover", "tint"}
	for scheme, name := range []string{"light", "dark"} {
		colours := coloursOf(t, scheme)
		check := func(front, back string, least float64) {
			if got := contrast(colours[front], colours[back]); got < least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, front, back, got, least)
			}
		}
		for _, ground := range grounds {
			for _, front := range []string{"text", "quiet", "accent"} {
				check(front, ground, text)
			}
		}
		for _, front := range []string{"good", "warn", "bad"} {
			check(front, "surface", text)
			check(front, "hover", text)
		}
		check("bad", "bad-ground", text)
		check("text", "bad-ground", text)
		check("on-accent", "accent-ground", text)
		for _, ground := range []string{"ground", "surface"} {
			check("line-strong", ground, edge)
		}
	}
}
