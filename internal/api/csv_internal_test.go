package api

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

func TestCSVFile(t *testing.T) {
	t.Parallel()
	recorder, body := csvOf(t, []string{"a,b", "say \"hi\"", "=1", "two\nlines"})
	want := "Name,Quote,Sum,Text\r\n\"a,b\",\"say \"\"hi\"\"\",'=1,\"two\r\nlines\"\r\n"
	if body != want {
		t.Errorf("%q, want %q", body, want)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/csv; charset=utf-8; header=present",
		"Content-Disposition":    "attachment; filename=test.csv",
		"Cache-Control":          "no-store",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := recorder.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// csvOf writes a file of one row after its head.
func csvOf(t *testing.T, row []string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	recorder := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), recorder)
	file, err := StartCSV(c, "test.csv", []string{"Name", "Quote", "Sum", "Text"}[:len(row)]...)
	if err == nil {
		err = file.Write(row...)
	}
	if err == nil {
		err = file.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return recorder, recorder.Body.String()
}

// FuzzCSV checks that a row comes back as it was written, and that no cell is a formula.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{"", "=1", "a\r\nb", "\"", "a,b", "\ufeff=1", "\x00", "\xff", "'", "＠x", "\r", "\\."} {
		f.Add(text, "end")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		_, body := csvOf(t, []string{first, second})
		if !utf8.ValidString(body) || !strings.HasSuffix(body, "\r\n") {
			t.Fatalf("%q", body)
		}
		rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != 2 {
			t.Fatalf("%q: %v, %v", body, rows, err)
		}
		for i, text := range []string{first, second} {
			if cell := rows[1][i]; cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("%q is a formula", cell)
			}
			plain := func(s string) string { return strings.NewReplacer("\r", "", "\x00", "").Replace(s) }
			want := plain(strings.ToValidUTF8(text, "\uFFFD"))
			if got := plain(rows[1][i]); got != want && got != "'"+want {
				t.Errorf("%q came back as %q", want, got)
			}
		}
	})
}
