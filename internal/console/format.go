package console

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// moment is a time as pages show it: short text, the exact time on demand.
type moment struct {
	Text  string // "4 minutes ago"; "never" for the zero time
	Exact string // "12 March 2026, 10:02:07 UTC"; "" for the zero time
	ISO   string // RFC 3339; "" for the zero time
}

// momentOf returns a time as it is shown at now: relative within a week, else the date.
func momentOf(t, now time.Time) moment {
	if t.IsZero() {
		return moment{Text: "never"}
	}
	t = t.UTC()
	return moment{
		Text: relative(t, now.UTC()), Exact: t.Format("2 January 2006, 15:04:05 UTC"), ISO: t.Format(time.RFC3339),
	}
}

const day = 24 * time.Hour

func relative(t, now time.Time) string {
	distance := now.Sub(t)
	ahead := distance < 0
	if ahead {
		distance = -distance
	}
	var text string
	switch {
	case distance < time.Minute && !ahead:
		return "just now"
	case distance < time.Minute:
		return "in less than a minute"
	case distance < time.Hour:
		text = count(int64(distance/time.Minute), "minute")
	case distance < day:
		text = count(int64(distance/time.Hour), "hour")
	case distance < 7*day:
		text = count(int64(distance/day), "day")
	case t.Year() == now.Year():
		return t.Format("2 January")
	default:
		return t.Format("2 January 2006")
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}

// count returns a number with its noun, such as "1 user" or "1,204 users".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number returns a number with its thousands apart, such as 12,480.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// initials returns letters of a name for its picture: two in scripts that have capitals,
// one in others, "" for a name without letters.
func initials(name string) string {
	var letters []rune
	for word := range strings.FieldsSeq(name) {
		for _, r := range word {
			if unicode.IsLetter(r) {
				letters = append(letters, unicode.ToUpper(r))
				break
			}
		}
	}
	switch {
	case len(letters) == 0:
		return ""
	case len(letters) == 1, !unicode.IsUpper(letters[0]):
		return string(letters[:1])
	}
	return string([]rune{letters[0], letters[len(letters)-1]})
}

// shellQuoted returns text as one word of a POSIX shell.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// apiCall is the call of the Back Office API that does the same as a page.
type apiCall struct {
	Method string
	Path   string // with the query, below the base URL
	Body   string // JSON; "" for none
	Base   string // the URL of the service
}

// Curl returns the call as a command line. The token stands in a variable, never in the
// text.
func (a apiCall) Curl() string {
	text := `curl -g -H "Authorization: Bearer $ROSTER_TOKEN"`
	if a.Method != "" && a.Method != http.MethodGet {
		text += " -X " + a.Method
	}
	if a.Body != "" {
		text += fmt.Sprintf(" -H 'Content-Type: application/json' -d %s", shellQuoted(a.Body))
	}
	return text + " " + shellQuoted(a.Base+a.Path)
}
