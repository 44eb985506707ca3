package service_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/secret"
)

// TestFloodOfOneCaller checks that a caller who changes passwords in ninety loops does not block
// others. It runs alone, as it needs the processors. TestWhatCannotSucceedIsNotHashed and
// secret.TestFloodIsBounded check the rules behind it without load.
func TestFloodOfOneCaller(t *testing.T) {
	if apitest.RaceDetector {
		t.Skip("under the race detector ninety loops leave no processor for anybody; .ci/run runs this test without it")
	}
	apitest.EachAlone(t, func(t *testing.T, s *apitest.Server, _, _ string) {
		for _, flooder := range []struct {
			name   string
			groups []int
			body   string
		}{
			{"nobody", nil, `{"password":"NewSecret123"}`}, // who cannot succeed
			{"right", nil, `{"password":"MySecret123","currentPassword":"MySecret123"}`},
			{"admin", []int{1}, `{"password":"NewSecret123"}`}, // of someone else
		} {
			const loops, cost = 90, 6
			slow := s.WithPasswords(secret.NewPasswords(cost, 1))
			email := flooder.name + "@example.com"
			id := s.CreateUser(email, changes{"groups": append([]int{}, flooder.groups...), "canViewMaskedData": true})
			s.CreateUser("owner-" + email)
			if flooder.groups != nil {
				id = s.CreateUser("other-" + email)
			}
			token := s.SignInWith(email, apitest.Password).AccessToken.Token
			statuses := flood(t, slow, loops, apitest.UserPath(id), flooder.body, token, func() {
				for range 5 {
					answer := slow.TrySignIn("owner-"+email, apitest.Password, apitest.NoToken("192.0.2.1"))
					if answer.Status != http.StatusOK {
						t.Errorf("%s: someone else got %d %s", flooder.name, answer.Status, answer.Body)
					}
				}
			})
			if flooder.name != "nobody" && statuses[http.StatusTooManyRequests] == 0 {
				t.Errorf("%s: %v", flooder.name, statuses)
			}
		}
	})
}

// flood sends PATCH in many loops while fn runs, and returns the number of answers by status. It does
// nothing else, to leave the processors to the server.
func flood(t *testing.T, s *apitest.Server, loops int, path, body, token string, fn func()) map[int]int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loops}}
	defer client.CloseIdleConnections()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	statuses := map[int]int{}
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for range loops {
		running.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPatch, s.URL+path,
					strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", "Bearer "+token)
				request.Header.Set("X-Forwarded-For", "198.51.100.7")
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				mu.Lock()
				statuses[response.StatusCode]++
				mu.Unlock()
			}
		})
	}
	fn()
	stop()
	running.Wait()
	return statuses
}
