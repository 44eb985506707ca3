package app_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/secret"
)

// TestRun checks that Run serves requests and, when it returns, has stopped all that
// it started and restored GOMAXPROCS.
func TestRun(t *testing.T) { //nolint:paralleltest // GOMAXPROCS belongs to the process
	processors := runtime.GOMAXPROCS(0)
	mails := make(chan delivery.Mail, 1)
	a, err := app.New(t.Context(), app.Options{
		Config: &config.Config{
			DatabaseURL: "sqlite:" + filepath.Join(t.TempDir(), "roster.db"), Migrate: true,
			PreparedStatements: true, BcryptCost: secret.MinCost, MetricsAddr: "127.0.0.1:0",
		},
		Logger: slog.New(slog.DiscardHandler),
		Deliver: func(_ context.Context, m delivery.Mail) error {
			mails <- m
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.Start(t.Context(), "127.0.0.1:0")
	if err != nil || token == "" {
		t.Fatalf("%q %v", token, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	url := "http://" + a.Addr().String() + "/api/v2/users"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(
		`{"name":"Mary","email":"mary@example.com","password":"MySecret123","active":true,"tfa":false,"groups":[1],"sendNotify":true}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("status %d: %s", response.StatusCode, body)
	}
	if mail, want := <-mails, "http://"+a.Addr().String(); mail.Link != want || a.URL() != want {
		t.Errorf("the mail leads to %s, the app says %s, want %s with the real port", mail.Link, a.URL(), want)
	}
	if got := runtime.GOMAXPROCS(0); got != 2*processors {
		t.Errorf("GOMAXPROCS %d while it serves, want %d", got, 2*processors)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := runtime.GOMAXPROCS(0); got != processors {
		t.Errorf("GOMAXPROCS %d after Run, want %d", got, processors)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
