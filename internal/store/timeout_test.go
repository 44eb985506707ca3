package store_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// hold keeps a user locked, so that a change of it waits, until it is released.
func hold(t *testing.T, db *store.Store, userID int64) (release func()) {
	t.Helper()
	held, done, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.InTx(context.Background(), func(tx *store.Tx) error {
			_, err := tx.UserForUpdate(context.Background(), userID)
			close(held)
			<-done
			return err
		})
	}()
	<-held
	return func() {
		close(done)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestTimeLimit checks what a request is told that runs into its time limit: in the middle of its
// work, and before the first query in the words of each API.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("a@example.com")
		short := s.Another(func(o *app.Options) { o.RequestTimeout = 50 * time.Millisecond })
		release := hold(t, s.Store, id)
		answer := short.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Late"}).
			WantProblem(http.StatusServiceUnavailable, "timeout")
		release()
		if answer.Header.Get("Retry-After") == "" || !strings.Contains(string(answer.Body), "after=") {
			t.Errorf("%v %s", answer.Header, answer.Body)
		}
		s.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Mary Ann"}).Want(http.StatusOK)

		const core = "This took longer than a request may take"
		none := s.Another(func(o *app.Options) { o.RequestTimeout = time.Nanosecond })
		for path, want := range map[string][]string{
			apitest.UsersPath + "?offset=1": {`"code":"timeout"`, core, "after="},
			"/api/v1/users?page=2":          {`"exception":"ServiceUnavailableHttpException"`, core},
			"/2.0/users/1":                  {`"code":"bug"`, core},
			"/console/users":                {"This takes too long", core},
		} {
			answer := none.Do(http.MethodGet, path, nil, apitest.Header("Cookie", "roster="+apitest.AdminToken))
			answer.Want(http.StatusServiceUnavailable)
			for _, text := range append(want, "") {
				if !strings.Contains(string(answer.Body), text) {
					t.Errorf("%s: no %q in %s", path, text, answer.Body)
				}
			}
			if strings.Contains(string(answer.Body), "deadline") {
				t.Errorf("%s tells of the inside: %s", path, answer.Body)
			}
		}
	})
}

// TestStatementTimeout checks that the limit of PostgreSQL itself is told as that of the request,
// and that a lock which is not given in time is none.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.URL(t, "postgres")
	s := apitest.New(t, databaseURL)
	id := s.CreateUser("a@example.com")
	release := hold(t, s.Store, id)
	defer release()
	for parameter, code := range map[string]string{
		"statement_timeout": "timeout", "lock_timeout": "database_unavailable",
	} {
		limited := apitest.NewOn(t, storetest.Open(t, databaseURL+"&"+parameter+"=50"), s.Clock)
		limited.Do(http.MethodPatch, apitest.UserPath(id), changes{"name": "Late"}).
			WantProblem(http.StatusServiceUnavailable, code)
	}
}

// TestClientLeaves checks that a change whose client leaves is given up, and logged as no error.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		id := s.CreateUser("a@example.com")
		ctx, leave := context.WithCancel(t.Context())
		other := s.Another(func(o *app.Options) {
			o.Authenticate = func(ctx context.Context, credential string, origin identity.Origin) (identity.Actor, error) {
				actor, err := s.Service.Authenticate(ctx, credential, origin)
				leave()
				return actor, err
			}
		})
		release := hold(t, s.Store, id)
		request, err := http.NewRequestWithContext(ctx, http.MethodPatch, other.URL+apitest.UserPath(id),
			strings.NewReader(`{"name":"Nobody waits"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+apitest.AdminToken)
		request.Header.Set("Content-Type", "application/json")
		if response, err := other.HTTP.Client().Do(request); err == nil {
			_ = response.Body.Close()
			t.Fatalf("status %d although the client has left", response.StatusCode)
		}
		other.HTTP.Close() // waits for the request
		release()
		if name := s.Do(http.MethodGet, apitest.UserPath(id), nil).Object()["name"]; name != "Mary" {
			t.Errorf("the name is %v", name)
		}
		log := s.Log.String()
		if !strings.Contains(log, `"status":499`) || strings.Contains(log, "ERROR") {
			t.Errorf("log: %s", log)
		}
	})
}
