package apitest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// MaxPage is the maximum size of a page. It ends at 8 MiB of texts; names, quotes and the last row
// come on top.
const MaxPage = 8<<20 + 64<<10

// NextPath returns the path and query that a Link header leads to, "" for none.
func NextPath(tb testing.TB, link string) string {
	tb.Helper()
	if link == "" {
		return ""
	}
	target, ok := strings.CutSuffix(link, `>; rel="next"`)
	target, isLink := strings.CutPrefix(target, "<")
	if !ok || !isLink {
		tb.Fatalf("Link: %s", link)
	}
	return pathOf(tb, target)
}

// CheckWalk follows the links from a page on. It checks that all rows of the list are shown
// once, by their key, on the given number of pages, and that the first page has the total.
func (s *Server) CheckWalk(path, key string, rows, minPages, maxPages int) {
	s.tb.Helper()
	shown, pages, total := s.walk(path, key)
	if len(shown) != rows || total != rows || pages < minPages || pages > maxPages {
		s.tb.Errorf("%s: %d rows on %d pages, total %d", path, len(shown), pages, total)
	}
	for row, times := range shown {
		if times != 1 {
			s.tb.Errorf("%s: %s is shown %d times", path, row, times)
		}
	}
}

// walk returns how often each row is shown, the number of pages, and the total of the first page.
func (s *Server) walk(path, key string) (shown map[string]int, pages, total int) {
	s.tb.Helper()
	shown = map[string]int{}
	for {
		var answer *Answer
		if pages < 2 {
			answer = s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
		} else { // checking megabytes against the contract takes long
			answer = s.GetPage(path)
		}
		if len(answer.Body) > MaxPage {
			s.tb.Fatalf("%s: %d bytes", path, len(answer.Body))
		}
		var list struct {
			Total *int
			Data  []map[string]json.RawMessage
		}
		answer.Decode(&list)
		if pages++; pages == 1 {
			total = *list.Total
		}
		for _, row := range list.Data {
			shown[string(row[key])]++
		}
		link := answer.Header.Get("Link")
		if link == "" {
			return shown, pages, total
		}
		if len(list.Data) == 0 {
			s.tb.Fatalf("%s: an empty page leads on", path)
		}
		path = NextPath(s.tb, link)
	}
}

// GetPage is Do for a page, as the administrator, without the check of the contract.
func (s *Server) GetPage(path string) *Answer {
	s.tb.Helper()
	response, err := s.HTTP.Client().Do(s.request(http.MethodGet, path, nil))
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	answer := &Answer{Status: response.StatusCode, Header: response.Header, Body: body, tb: s.tb, call: "GET " + path}
	return answer.Want(http.StatusOK)
}
