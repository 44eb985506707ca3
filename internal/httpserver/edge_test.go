package httpserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// TestCallersKnowTheirRequest checks that a caller carries the ids of the request, with a
// token and without.
func TestCallersKnowTheirRequest(t *testing.T) {
	t.Parallel()
	proxy, err := identity.ParseAddressRange("10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	var caller identity.Actor
	record := func(c echo.Context, actor identity.Actor) error {
		caller = actor
		return c.NoContent(http.StatusNoContent)
	}
	s := New(Options{
		Dialects: []api.Dialect{{
			Prefix: "/api",
			Routes: []api.Route{
				{Method: http.MethodPost, Path: "/private", Handler: record},
				{Method: http.MethodPost, Path: "/public", Handler: record, Public: true},
			},
			Scheme:     api.Bearer,
			WriteError: func(c echo.Context, f api.Failure) error { return c.String(f.Status, f.Message) },
		}},
		Authenticate: func(_ context.Context, _ string, origin identity.Origin) (identity.Actor, error) {
			return identity.Actor{TokenID: 7}.From(origin), nil
		},
		TrustedProxies: []identity.AddressRange{proxy},
		Logger:         slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
	for _, path := range []string{"/api/private", "/api/public"} {
		for peer, isTrusted := range map[string]bool{"10.0.0.1": true, "10.0.0.2": false, "::ffff:10.0.0.1": true} {
			for _, given := range []string{"abc-123", ""} {
				request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
				request.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(peer), 1234).String()
				request.Header.Set("Authorization", "Bearer x")
				request.Header.Set("Content-Type", "application/json")
				if given != "" {
					request.Header.Set("X-Request-Id", given)
				}
				recorder := httptest.NewRecorder()
				s.ServeHTTP(recorder, request)
				answered, wantClients := recorder.Header().Get("X-Request-Id"), given
				if isTrusted {
					wantClients = ""
				}
				if recorder.Code != http.StatusNoContent || caller.RequestID != answered || caller.ClientRequestID != wantClients ||
					(answered == given) != (isTrusted && given != "") ||
					caller.Source.String() != netip.MustParseAddr(peer).Unmap().String() {
					t.Errorf("%s from %s with %q: %d, %q, %+v", path, peer, given, recorder.Code, answered, caller)
				}
			}
		}
	}
}
