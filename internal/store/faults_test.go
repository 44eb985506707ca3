package store_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// link is a TCP link to PostgreSQL that can fail.
type link struct {
	listener net.Listener
	network  string
	address  string

	mu          sync.Mutex
	down        bool
	cutAt       string // the next message that holds this is passed on, and the link cut before its answer
	connections map[net.Conn]bool
}

// newLink returns a link and the URL of the database over it.
func newLink(t *testing.T, databaseURL string) (*link, string) {
	t.Helper()
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	query := parsed.Query()
	l := &link{network: "tcp", address: parsed.Host, connections: map[net.Conn]bool{}}
	if folder := query.Get("host"); folder != "" {
		l.network, l.address = "unix", folder+"/.s.PGSQL."+query.Get("port")
	}
	var config net.ListenConfig
	if l.listener, err = config.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.listener.Close(); l.set(true) })
	go l.serve()
	query.Del("host")
	query.Del("port")
	parsed.Host, parsed.RawQuery = l.listener.Addr().String(), query.Encode()
	return l, parsed.String()
}

// set takes the link down, with all its connections, or up again.
func (l *link) set(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for connection := range l.connections {
		_ = connection.Close()
		delete(l.connections, connection)
	}
}

func (l *link) cutAtNext(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutAt = text
}

func (l *link) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.pass(client)
	}
}

func (l *link) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).Dial(l.network, l.address)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	l.mu.Lock()
	if l.down {
		l.mu.Unlock()
		return
	}
	l.connections[client], l.connections[server] = true, true
	l.mu.Unlock()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		cut := l.cutAt != "" && bytes.Contains(buffer[:n], []byte(l.cutAt))
		if cut {
			l.cutAt = ""
			_ = client.Close() // before the answer can come
		}
		l.mu.Unlock()
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
		if cut {
			return // the server works on what it has got, and notices only then
		}
	}
}

func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	l, databaseURL := newLink(t, storetest.URL(t, "postgres"))
	s := apitest.New(t, databaseURL)
	id := s.CreateUser("a@example.com")
	all := apitest.Calls(id, s.CreateGroup("Support"), 1)
	for range 3 {
		l.set(true)
		for _, call := range all {
			answer := s.Do(call.Method, call.Path, call.Body).
				WantProblem(http.StatusServiceUnavailable, "database_unavailable")
			if after, err := strconv.Atoi(answer.Header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("Retry-After %q", answer.Header.Get("Retry-After"))
			}
			if strings.Contains(string(answer.Body), "127.0.0.1") {
				t.Errorf("the answer tells of the inside: %s", answer.Body)
			}
		}
		s.Do(http.MethodGet, "/readyz", nil).Want(http.StatusServiceUnavailable)
		s.Do(http.MethodGet, "/healthz", nil).Want(http.StatusOK)
		s.Do(http.MethodGet, apitest.UsersPath, nil, apitest.As("")).Want(http.StatusUnauthorized)
		l.set(false)
		s.Do(http.MethodGet, apitest.UserPath(id), nil).Want(http.StatusOK)
		s.Do(http.MethodGet, "/readyz", nil).Want(http.StatusOK)
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"phone": nil}).Want(http.StatusOK)
	}
	// Connections that break while idle fail no request.
	for i := range 3 {
		l.set(false)
		s.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK)
		l.set(false)
		s.CreateUser(fmt.Sprintf("b%d@example.com", i))
	}
}

// TestLostAnswers cuts the link after a statement is sent and before its answer, where lib/pq sends a
// single statement again.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	l, databaseURL := newLink(t, storetest.URL(t, "postgres"))
	s := apitest.New(t, databaseURL)
	warm := s.CreateUser("warm@example.com")
	s.Do(http.MethodPatch, apitest.UserPath(warm), changes{"name": "Warm"}).Want(http.StatusOK)
	for i, statement := range []string{
		"INSERT INTO users", "INSERT INTO events", "INSERT INTO idempotency_keys",
		"COMMIT", "SELECT",
	} {
		// Sent as text only once per process: afterwards they are prepared.
		fresh := apitest.New(t, databaseURL)
		body := apitest.NewUser(fmt.Sprintf("u%d@example.com", i))
		key := apitest.Header("Idempotency-Key", fmt.Sprintf("key-%d", i))
		fresh.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK)
		l.cutAtNext(statement)
		first := fresh.Do(http.MethodPost, apitest.UsersPath, body, key)
		if first.Status != http.StatusServiceUnavailable && first.Status != http.StatusCreated {
			t.Errorf("%s: %d %s", statement, first.Status, first.Body)
		}
		l.cutAtNext("")
		// Whether it was stored is not known; the repetition settles it.
		fresh.Do(http.MethodPost, apitest.UsersPath, body, key).Want(http.StatusCreated)
		if total := fresh.Do(http.MethodGet, apitest.UsersPath, nil).Object()["total"]; total != float64(i+2) {
			t.Errorf("%s: %v users, want %d", statement, total, i+2)
		}
	}
}

// TestReadOnlyDatabase checks that reads go on and that writes fail with Retry-After.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.URL(t, "postgres")
	s := apitest.New(t, databaseURL)
	id := s.CreateUser("a@example.com")
	readOnly := apitest.NewOn(t, storetest.Open(t, databaseURL+"&default_transaction_read_only=on"), s.Clock)
	readOnly.Do(http.MethodGet, apitest.UserPath(id), nil).Want(http.StatusOK)
	readOnly.Do(http.MethodGet, apitest.UsersPath, nil).Want(http.StatusOK)
	readOnly.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "X"}).
		WantProblem(http.StatusServiceUnavailable, "database_unavailable")
	readOnly.Do(http.MethodPost, apitest.UsersPath, apitest.NewUser("b@example.com")).
		WantProblem(http.StatusServiceUnavailable, "database_unavailable")
	readOnly.Do(http.MethodGet, "/readyz", nil).Want(http.StatusServiceUnavailable)
}

// TestWithoutPreparedStatements checks the setting for transaction poolers, which sends every query as
// text.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			databaseURL := storetest.URL(t, engine)
			clock := apitest.New(t, databaseURL).Clock
			db, err := store.Open(databaseURL, store.Options{Prepare: false})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s := apitest.NewOn(t, db, clock)
			group := s.CreateGroup("Support")
			for i := range 3 {
				id := s.CreateUser(fmt.Sprintf("u%d@example.com", i), changes{"groups": []int64{group}})
				s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Änne", "groups": []int{1}}).
					Want(http.StatusOK)
			}
			s.Do(http.MethodDelete, apitest.UserPath(1), nil).Want(http.StatusNoContent)
			for _, query := range []string{
				"", "?filter[name]=änn", "?filter[q]=example", "?offset=1",
				"?filter[group]=1&sort_by=name",
			} {
				if total := s.Do(http.MethodGet, apitest.UsersPath+query,
					nil).Want(http.StatusOK).Object()["total"]; total != 2.0 {
					t.Errorf("%s: %v", query, total)
				}
			}
		})
	}
}
