package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one call of the API.
type call struct {
	method string
	path   string // below /api/v2
	query  url.Values
	header http.Header
	body   any // a url.Values is sent as a form, anything else as JSON; nil for none
	// safe says that a POST does no harm when it is repeated.
	safe bool
}

func newCall(method, path string, body any, options ...CallOption) *call {
	c := &call{method: method, path: path, body: body, query: url.Values{}, header: http.Header{}}
	for _, option := range options {
		option(c)
	}
	return c
}

func (c *call) set(header, value string) { c.header.Set(header, value) }

// repeatable reports whether the call does no harm when it is repeated although it may have been done. With a version
// the second try would be refused for what the first has done; without one, an update sets the same values again.
func (c *call) repeatable() bool {
	switch c.method {
	case http.MethodPost:
		return c.safe || c.header.Get("Idempotency-Key") != ""
	case http.MethodPatch:
		return c.header.Get("If-Match") == ""
	}
	return true
}

// encoded returns the body and its content type.
func (c *call) encoded() ([]byte, string, error) {
	switch body := c.body.(type) {
	case nil:
		return nil, "", nil
	case url.Values:
		return []byte(body.Encode()), "application/x-www-form-urlencoded", nil
	}
	body, err := json.Marshal(c.body)
	return body, "application/json", err
}

// Bounds of the waits between two tries. A longer Retry-After is left to the caller.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 30 * time.Second
)

// do sends a call, repeats it where that may help, and reads the answer into what into points at, if it is not nil. It
// returns the headers of the answer.
func (c *Client) do(ctx context.Context, r *call, into any) (http.Header, error) {
	body, contentType, err := r.encoded()
	if err != nil {
		return nil, err
	}
	lost := false // an earlier try may have been done, and its answer was lost
	for try := 0; ; try++ {
		header, err := c.once(ctx, r, body, contentType, into)
		if err == nil || lost && r.method == http.MethodDelete && statusOf(err) == http.StatusNotFound {
			return header, nil
		}
		lost = lost || statusOf(err) != http.StatusTooManyRequests
		wait, again := r.waitAfter(err, try)
		if !again || try >= c.retries || !sleep(ctx, wait) {
			return header, err
		}
	}
}

// waitAfter returns how long to wait before a call is repeated, if it is to be.
func (c *call) waitAfter(err error, try int) (time.Duration, bool) {
	wait := min(firstWait<<min(try, 10), longestWait/2)
	wait = wait/2 + rand.N(wait) //nolint:gosec // G404: it only keeps clients from coming back at the same moment
	if _, unreadable := errors.AsType[*formatError](err); unreadable {
		return 0, false
	}
	refused, answered := errors.AsType[*Error](err)
	if !answered {
		return wait, c.repeatable()
	}
	again := false
	switch refused.Status {
	case http.StatusTooManyRequests: // it was not done
		again = true
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = c.repeatable()
	}
	return max(wait, refused.RetryAfter), again && refused.RetryAfter <= longestWait
}

// statusOf returns the status that an error was answered with; 0 for none.
func statusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// sleep waits, and reports whether there is time left to go on.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// formatError is for an answer that is not Roster's.
type formatError struct{ err error }

func (e *formatError) Error() string { return "the answer is not one of Roster: " + e.err.Error() }
func (e *formatError) Unwrap() error { return e.err }

// maxAnswer bounds an answer, in bytes. A page of a list ends at 8 MiB.
const maxAnswer = 64 << 20

// request returns the request of one try.
func (c *Client) request(ctx context.Context, r *call, body []byte, contentType string) (*http.Request, error) {
	address := c.base + "/api/v2" + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, &formatError{err}
	}
	for name, values := range r.header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "roster-client-go")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return request, nil
}

// stream sends a call once and returns the body of the answer, which may take any time.
func (c *Client) stream(ctx context.Context, r *call) (io.ReadCloser, error) {
	request, err := c.request(ctx, r, nil, "")
	if err != nil {
		return nil, err
	}
	patient := *c.http
	patient.Timeout = 0
	response, err := patient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer func() { _ = response.Body.Close() }()
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return nil, errorFrom(response, answer)
	}
	return response.Body, nil
}

func (c *Client) once(ctx context.Context, r *call, body []byte, contentType string, into any) (http.Header, error) {
	request, err := c.request(ctx, r, body, contentType)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case response.StatusCode >= http.StatusMultipleChoices:
		return response.Header, errorFrom(response, answer)
	case err != nil:
		return response.Header, fmt.Errorf("reading the answer: %w", err)
	case into == nil:
		return response.Header, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return response.Header, &formatError{err}
	}
	return response.Header, nil
}

// one sends a call whose answer is one T.
func one[T any](ctx context.Context, c *Client, r *call) (T, error) {
	var answer T
	_, err := c.do(ctx, r, &answer)
	if err != nil {
		var none T
		return none, err
	}
	return answer, nil
}

// remove sends a DELETE.
func (c *Client) remove(ctx context.Context, path string, options ...CallOption) error {
	_, err := c.do(ctx, newCall(http.MethodDelete, path, nil, options...), nil)
	return err
}

// Me stands for the user who has signed in, where the id of a user is asked for.
const Me int64 = -1

// path returns parts, escaped, joined by slashes. The parts . and .. stay what they are.
func path(parts ...any) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteByte('/')
		switch p := part.(type) {
		case int64:
			if p == Me && b.String() == "/users/" {
				b.WriteString("me")
			} else {
				b.WriteString(strconv.FormatInt(p, 10))
			}
		case string:
			b.WriteString(url.PathEscape(p))
		}
	}
	return b.String()
}
