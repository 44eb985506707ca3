package apitest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/identity"
)

func TestRoutesAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, dialect := range app.Dialects(nil, api.Site{}) {
		var routes []string
		for _, route := range dialect.Routes {
			routes = append(routes, route.Method+" "+dialect.Prefix+parameter.ReplaceAllString(route.Path, "{$1}"))
		}
		slices.Sort(routes)
		contract, err := apitest.ContractCalls(dialect.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(routes, contract) {
			t.Errorf("served: %v\ncontract: %v", routes, contract)
		}
	}
}

// answerOf returns the answer of a dialect to an error.
func answerOf(t *testing.T, dialect api.Dialect, err error) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, dialect.Prefix+"/users", http.NoBody)
	if err := dialect.Answer(echo.New().NewContext(request, recorder), err); err != nil {
		t.Errorf("%s: %v", dialect.Prefix, err)
	}
	return recorder
}

// TestEveryKindHasItsAnswer checks that each dialect answers every error with a fitting
// status and header, and never reveals the cause.
func TestEveryKindHasItsAnswer(t *testing.T) {
	t.Parallel()
	for _, dialect := range app.Dialects(nil, api.Site{}) {
		for _, kind := range identity.Kinds {
			e := identity.Errorf(kind, "some_code", "Some message.").WithCause(errors.New("secret plan"))
			e.RetryAfter = 90 * time.Second
			got := answerOf(t, dialect, fmt.Errorf("wrapped: %w", e))
			isServerError := kind == identity.Internal || kind == identity.Unavailable
			if got.Code < 400 || (got.Code >= 500) != isServerError {
				t.Errorf("%s: kind %d: status %d", dialect.Prefix, kind, got.Code)
			}
			if body := got.Body.String(); strings.Contains(body, "secret plan") || !strings.HasPrefix(body, "{") {
				t.Errorf("%s: kind %d: %s", dialect.Prefix, kind, body)
			}
			needsChallenge := got.Code == http.StatusUnauthorized || got.Code == http.StatusForbidden
			if challenge := got.Header().Get("WWW-Authenticate"); needsChallenge != (challenge != "") {
				t.Errorf("%s: kind %d: challenge %q", dialect.Prefix, kind, challenge)
			}
			waits := kind == identity.TooManyRequests || kind == identity.Unavailable
			if after := got.Header().Get("Retry-After"); waits != (after == "90") {
				t.Errorf("%s: kind %d: Retry-After %q", dialect.Prefix, kind, after)
			}
		}
		for _, err := range []error{errors.New("secret plan"), echo.NewHTTPError(http.StatusBadGateway, "secret plan")} {
			got := answerOf(t, dialect, err)
			if got.Code != http.StatusInternalServerError || strings.Contains(got.Body.String(), "secret plan") {
				t.Errorf("%s: %d %s", dialect.Prefix, got.Code, got.Body)
			}
		}
		for _, status := range []int{400, 404, 405, 406, 413, 415} {
			if got := answerOf(t, dialect, echo.NewHTTPError(status, "Some message.")); got.Code != status {
				t.Errorf("%s: %d became %d", dialect.Prefix, status, got.Code)
			}
		}
	}
}
