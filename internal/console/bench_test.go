package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// BenchmarkUsers compares a page of 50 users with the same list as JSON, without network.
func BenchmarkUsers(b *testing.B) {
	for _, engine := range storetest.Engines {
		s := apitest.New(b, storetest.URL(b, engine))
		for i := range 60 {
			_, _, err := s.Service.CreateUser(b.Context(), identity.CommandLine(), service.NewUser{User: identity.User{
				Name: identity.Name(fmt.Sprintf("Mary Ann Evans %d", i)), Active: true, CanViewMaskedData: true,
				Email: identity.Email(fmt.Sprintf("mary%d@example.com", i)), Groups: []int64{identity.AdministratorsID},
			}, Password: password}, service.Idempotency{})
			if err != nil {
				b.Fatal(err)
			}
		}
		result, err := s.Service.SignIn(b.Context(), identity.Actor{}, "mary0@example.com", password)
		if err != nil {
			b.Fatal(err)
		}
		for name, path := range map[string]string{"json": "/api/v2/users?limit=50&sort_by=name", "page": "/console/users"} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				start := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op") }()
				for b.Loop() {
					request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody)
					request.RemoteAddr = "127.0.0.1:4321"
					request.Header.Set("Authorization", "Bearer "+result.Pair.Access.Token)
					request.AddCookie(&http.Cookie{Name: "roster", Value: result.Pair.Access.Token})
					recorder := httptest.NewRecorder()
					s.HTTP.Config.Handler.ServeHTTP(recorder, request)
					if recorder.Code != http.StatusOK {
						b.Fatal(recorder.Code, recorder.Body)
					}
				}
			})
		}
	}
}

// cpuTime returns the time that the process has had on processors: what the clock says
// depends on what else runs on the machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
