package ephemeral

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// prefix starts the paths that only a double has.
const prefix = "/_test"

// maxWait bounds the waiting of a request.
const maxWait = time.Minute

// sameSite refuses what a page of another site sends (RFC 6454; Sec-Fetch-Site).
var sameSite = http.NewCrossOriginProtection()

// ServeHTTP answers a request to the service, or one below /_test. It refuses hosts that are
// no name of loopback: a page could have let its own name lead here (DNS rebinding), and the
// tokens of a double are known.
func (d *Double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	if !isLoopback(host) {
		fail(w, http.StatusMisdirectedRequest, errors.New("a double answers to localhost and addresses of loopback only"))
		return
	}
	if r.URL.Path == prefix || strings.HasPrefix(r.URL.Path, prefix+"/") {
		if err := sameSite.Check(r); err != nil {
			fail(w, http.StatusForbidden, errors.New("pages of other sites cannot control a double"))
			return
		}
		d.control.ServeHTTP(w, r)
		return
	}
	world, done := d.current()
	defer done()
	world.serve(w, r)
}

// routes returns the handler of the paths below /_test.
func (d *Double) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+prefix+"/mails", func(w http.ResponseWriter, r *http.Request) {
		q, err := readQuery(r.URL.RawQuery, "to")
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := q.context(r.Context())
		defer cancel()
		answer(w, d.Mails(ctx, q.only, q.after))
	})
	mux.HandleFunc("GET "+prefix+"/webhooks", func(w http.ResponseWriter, r *http.Request) {
		q, err := readQuery(r.URL.RawQuery, "url")
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		ctx, cancel := q.context(r.Context())
		defer cancel()
		answer(w, d.Webhooks(ctx, q.only, q.after))
	})
	mux.HandleFunc("GET "+prefix+"/clock", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, timeNow{d.Now()})
	})
	mux.HandleFunc("POST "+prefix+"/clock", d.postClock)
	mux.HandleFunc("GET "+prefix+"/faults", func(w http.ResponseWriter, _ *http.Request) {
		world, done := d.current()
		defer done()
		answer(w, world.faults.get())
	})
	mux.HandleFunc("POST "+prefix+"/faults", d.postFaults)
	mux.HandleFunc("POST "+prefix+"/reset", func(w http.ResponseWriter, r *http.Request) {
		if err := d.Reset(r.Context()); err != nil {
			d.options.Logger.ErrorContext(r.Context(), "resetting the double", "error", err)
			fail(w, http.StatusInternalServerError, errors.New("the double cannot be reset; its log tells why"))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc(prefix+"/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, errors.New("there are GET mails, webhooks, clock and faults, "+
			"and POST clock, faults and reset below "+prefix))
	})
	return mux
}

type timeNow struct {
	Now time.Time `json:"now"`
}

// postClock moves the clock.
func (d *Double) postClock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Advance *string    `json:"advance"`
		Now     *time.Time `json:"now"`
	}
	if status, err := decode(r, &body); err != nil {
		fail(w, status, err)
		return
	}
	world, done := d.current()
	defer done()
	err := world.move(r.Context(), func(c *clock) error {
		switch {
		case (body.Advance == nil) == (body.Now == nil):
			return errors.New(`give either "advance", such as "1h30m", or "now"`)
		case body.Now != nil:
			return c.set(*body.Now)
		}
		by, err := time.ParseDuration(*body.Advance)
		if err != nil {
			return errors.New(`advance must be a duration such as "1h30m" or "90s"`)
		}
		return c.advance(by)
	})
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	answer(w, timeNow{world.clock.now()})
}

// postFaults changes the faults that the body has, and answers with all.
func (d *Double) postFaults(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SMTP     *string `json:"smtp"`
		Webhooks *string `json:"webhooks"`
		Database *int    `json:"database"`
	}
	if status, err := decode(r, &body); err != nil {
		fail(w, status, err)
		return
	}
	world, done := d.current()
	defer done()
	faults, err := world.faults.change(func(f *Faults) {
		set(&f.SMTP, body.SMTP)
		set(&f.Webhooks, body.Webhooks)
		set(&f.Database, body.Database)
	})
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	answer(w, faults)
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// query has the parameters of a list.
type query struct {
	only  string
	after int
	wait  time.Duration
}

// readQuery reads the parameters after, wait and the one that is named. The error names the
// parameter that is wrong.
func readQuery(raw, only string) (q query, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, errors.New("the query cannot be read")
	}
	for name, given := range values {
		switch {
		case !slices.Contains([]string{only, "after", "wait"}, name):
			return q, fmt.Errorf("there is no parameter %q, but %s, after and wait", name, only)
		case len(given) != 1:
			return q, fmt.Errorf("%s must be given once", name)
		}
	}
	q.only = values.Get(only)
	if text := values.Get("after"); text != "" {
		if q.after, err = strconv.Atoi(text); err != nil || q.after < 0 {
			return q, errors.New("after must be the n of one of the list, or 0")
		}
	}
	if text := values.Get("wait"); text != "" {
		if q.wait, err = time.ParseDuration(text); err != nil || q.wait < 0 || q.wait > maxWait {
			return q, errors.New("wait must be a duration from 0s to 60s, such as 5s")
		}
	}
	return q, nil
}

// context returns a context that is done when the wait is over.
func (q query) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, q.wait)
}

// decode reads a JSON object. It returns the status of its error.
func decode(r *http.Request, into any) (status int, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("the body must be JSON, with the Content-Type application/json")
	}
	const maxBody = 64 << 10
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return http.StatusBadRequest, explain(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return http.StatusBadRequest, errors.New("the body must be one JSON object")
	}
	return http.StatusOK, nil
}

// explain returns the reason why a body cannot be used.
func explain(err error) error {
	var kind *json.UnmarshalTypeError
	var moment *time.ParseError
	unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s must not be a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &moment):
		return errors.New("now must be a time such as 2026-01-01T00:00:00Z")
	case isUnknown:
		return fmt.Errorf("there is no field %s here", unknown)
	}
	return errors.New("the body must be a JSON object")
}

func answer(w http.ResponseWriter, value any) { write(w, http.StatusOK, value) }

func fail(w http.ResponseWriter, status int, err error) {
	write(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
}

func write(w http.ResponseWriter, status int, value any) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // the client has gone
}
