package backoffice_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// BenchmarkReads measures the calls that are made most, from the handler to the database and
// back, without the network in front of it. The cpu-ns/op are those of this process alone.
func BenchmarkReads(b *testing.B) {
	for _, engine := range storetest.Engines {
		s := apitest.New(b, storetest.URL(b, engine))
		var id int64
		for i := range 60 {
			id = s.CreateUser(fmt.Sprintf("mary%d@example.com", i), map[string]any{"groups": []int{1}})
		}
		for name, path := range map[string]string{
			"user": apitest.UserPath(id), "page": apitest.UsersPath + "?limit=50",
			"firefly": "/api/v1/users?limit=50",
		} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				begin := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op") }()
				for b.Loop() {
					request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, http.NoBody)
					request.RemoteAddr = "127.0.0.1:4321"
					request.Header.Set("Authorization", "Bearer "+apitest.AdminToken)
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

// cpuTime returns the time that this process has had on processors: what the clock says
// depends on what else runs on the machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
