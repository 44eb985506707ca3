package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Collect returns all of a list, or the error that ended it.
func Collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// Page is for the lists that have no filters.
type Page struct {
	Size int // how many are asked for at once, 1 to 1000; 0 for 50
}

func (p Page) query() url.Values {
	q := url.Values{}
	setInt(q, "limit", int64(p.Size))
	return q
}

// list returns the items of a list, page by page. An error comes last.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		r := newCall(http.MethodGet, path, nil)
		for r.query = query; ; {
			var page struct {
				Data []T `json:"data"`
			}
			header, err := c.do(ctx, r, &page)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range page.Data {
				if !yield(item, nil) {
					return
				}
			}
			next, ok := nextQuery(header.Values("Link"))
			if !ok {
				return
			}
			if next.Encode() == r.query.Encode() {
				yield(none, &formatError{errors.New("the next page is this page")})
				return
			}
			r.query = next
		}
	}
}

// nextQuery returns the query of the link to the next page (RFC 8288). Its scheme, host and path are not followed: the
// token goes to the address that the client was made for, also through a proxy that serves Roster below another path.
func nextQuery(links []string) (url.Values, bool) {
	for _, link := range strings.Split(strings.Join(links, ","), ",") {
		target, parameters, ok := strings.Cut(strings.TrimSpace(link), ">")
		if !ok || !strings.HasPrefix(target, "<") {
			continue
		}
		for parameter := range strings.SplitSeq(parameters, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			if !strings.EqualFold(name, "rel") || !strings.EqualFold(strings.Trim(value, `"`), "next") {
				continue
			}
			u, err := url.Parse(target[1:])
			if err != nil {
				return nil, false
			}
			query, err := url.ParseQuery(u.RawQuery)
			return query, err == nil
		}
	}
	return nil, false
}

func setText(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setInt(q url.Values, name string, value int64) {
	if value != 0 {
		q.Set(name, strconv.FormatInt(value, 10))
	}
}

func setTime(q url.Values, name string, value time.Time) {
	if !value.IsZero() {
		q.Set(name, value.UTC().Format(time.RFC3339))
	}
}
