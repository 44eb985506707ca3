// Package backoffice is the main dialect, the Back Office API at /api/v2: its
// wire names, statuses, envelopes and errors over the service's operations.
package backoffice

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster"
	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// Prefix starts every path of the dialect.
const Prefix = "/api/v2"

type handlers struct {
	service *service.Service
	site    api.Site
}

// New returns the dialect over a service at a site.
func New(s *service.Service, site api.Site) api.Dialect {
	h := &handlers{service: s, site: site}
	routes := slices.Concat(
		h.userRoutes(), h.recordRoutes(), h.groupRoutes(), h.tokenRoutes(), h.webhookRoutes(), h.outboxRoutes(),
		h.jobRoutes(), h.signInRoutes(), h.sessionRoutes(), h.totpRoutes(),
		[]api.Route{{Method: http.MethodGet, Path: "/events", Handler: h.listEvents}},
	)
	for i := range routes {
		routes[i].Handler = requireJSONAccepted(routes[i].Handler)
	}
	// A proxy asks with the Accept header of the browser.
	browser := api.BearerOrCookie(site.Secure())
	const exportTimeout = 30 * time.Minute // a million users take a minute, a slow client more
	routes = append(routes,
		api.Route{Method: http.MethodGet, Path: "/auth", Handler: h.forwardAuth, Scheme: &browser},
		api.Route{Method: http.MethodGet, Path: "/users/export", Handler: h.exportUsers, Timeout: exportTimeout},
	)
	return api.Dialect{
		Name: "backoffice", Prefix: Prefix, Contract: roster.OpenAPI, Routes: routes, Scheme: api.Bearer,
		WriteError: writeError, Webhook: renderWebhook, WebhookFormat: identity.WebhookFormatV2,
	}
}

func (h *handlers) userRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users", Handler: h.listUsers},
		{Method: http.MethodPost, Path: "/users", Handler: h.createUser},
		{Method: http.MethodGet, Path: "/users/count", Handler: h.countUsers},
		{Method: http.MethodPost, Path: "/users/find", Handler: h.findUsers},
		{Method: http.MethodGet, Path: "/users/:userId/sources", Handler: h.listSources},
		{Method: http.MethodGet, Path: "/users/:userId/signin-state", Handler: h.getSigninState},
		{Method: http.MethodGet, Path: "/users/:userId/access", Handler: h.getAccess},
		{Method: http.MethodGet, Path: "/users/:userId/holdings", Handler: h.getHoldings},
		{Method: http.MethodGet, Path: "/users/:userId", Handler: h.getUser},
		{Method: http.MethodPut, Path: "/users/:userId", Handler: h.updateUser},
		{Method: http.MethodPatch, Path: "/users/:userId", Handler: h.updateUser},
		{Method: http.MethodDelete, Path: "/users/:userId", Handler: h.deleteUser},
		{Method: http.MethodPost, Path: "/users/:userId/invite", Handler: h.inviteUser},
	}
}

func (h *handlers) recordRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/records", Handler: h.listRecords},
		{Method: http.MethodGet, Path: "/users/:userId/records/:recordType/:recordId", Handler: h.getRecord},
		{Method: http.MethodPut, Path: "/users/:userId/records/:recordType/:recordId", Handler: h.putRecord},
		{Method: http.MethodDelete, Path: "/users/:userId/records/:recordType/:recordId", Handler: h.deleteRecord},
	}
}

func (h *handlers) groupRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/groups", Handler: h.listGroups},
		{Method: http.MethodPost, Path: "/groups", Handler: h.createGroup},
		{Method: http.MethodGet, Path: "/groups/:groupId", Handler: h.getGroup},
		{Method: http.MethodPut, Path: "/groups/:groupId", Handler: h.updateGroup},
		{Method: http.MethodPatch, Path: "/groups/:groupId", Handler: h.updateGroup},
		{Method: http.MethodDelete, Path: "/groups/:groupId", Handler: h.deleteGroup},
	}
}

// tokenRoutes holds the calls on service tokens, and those with which a service
// checks a token or an address.
func (h *handlers) tokenRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/tokens", Handler: h.listTokens},
		{Method: http.MethodPost, Path: "/tokens", Handler: h.createToken},
		{Method: http.MethodGet, Path: "/tokens/:tokenId", Handler: h.getToken},
		{Method: http.MethodDelete, Path: "/tokens/:tokenId", Handler: h.revokeToken},
		{Method: http.MethodPost, Path: "/introspect", Handler: h.introspect, Scheme: &api.BearerOrBasic},
		{Method: http.MethodPost, Path: "/network/explain", Handler: h.explainNetwork},
	}
}

func (h *handlers) webhookRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/webhooks", Handler: h.listWebhooks},
		{Method: http.MethodPost, Path: "/webhooks", Handler: h.createWebhook},
		{Method: http.MethodGet, Path: "/webhooks/:webhookId", Handler: h.getWebhook},
		{Method: http.MethodPut, Path: "/webhooks/:webhookId", Handler: h.updateWebhook},
		{Method: http.MethodPatch, Path: "/webhooks/:webhookId", Handler: h.updateWebhook},
		{Method: http.MethodDelete, Path: "/webhooks/:webhookId", Handler: h.deleteWebhook},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/rotate", Handler: h.rotateWebhook},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/test", Handler: h.testWebhook},
	}
}

func (h *handlers) outboxRoutes() []api.Route {
	const bulkTimeout = time.Minute // it works in parts
	return []api.Route{
		{Method: http.MethodGet, Path: "/webhooks/:webhookId/deliveries", Handler: h.listDeliveries},
		{Method: http.MethodPost, Path: "/webhooks/:webhookId/deliveries/:deliveryId/redeliver", Handler: h.redeliver},
		{Method: http.MethodGet, Path: "/outbox", Handler: h.listOutbox},
		{Method: http.MethodGet, Path: "/outbox/counts", Handler: h.countOutbox},
		{Method: http.MethodPost, Path: "/outbox/retry", Handler: h.retryDead, Timeout: bulkTimeout},
		{Method: http.MethodPost, Path: "/outbox/:messageId/retry", Handler: h.retryMessage},
	}
}

func (h *handlers) jobRoutes() []api.Route {
	const rowsTimeout = 20 * time.Second // a thousand rows, while others write
	return []api.Route{
		{Method: http.MethodGet, Path: "/jobs", Handler: h.listJobs},
		{Method: http.MethodPost, Path: "/jobs", Handler: h.planJob},
		{Method: http.MethodGet, Path: "/jobs/:jobId", Handler: h.getJob},
		{Method: http.MethodPost, Path: "/jobs/:jobId/rows", Handler: h.addImportRows, Timeout: rowsTimeout},
		{Method: http.MethodPost, Path: "/jobs/:jobId/start", Handler: h.startJob},
		{Method: http.MethodPost, Path: "/jobs/:jobId/cancel", Handler: h.cancelJob},
		{Method: http.MethodGet, Path: "/jobs/:jobId/items", Handler: h.listJobItems},
	}
}

func (h *handlers) signInRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodPost, Path: "/signin", Handler: h.signIn, Public: true},
		{Method: http.MethodPost, Path: "/2fa/confirm", Handler: h.confirmSignIn, Public: true},
		{Method: http.MethodPost, Path: "/refresh", Handler: h.refresh, Public: true},
		{Method: http.MethodPost, Path: "/signout", Handler: h.signOut},
		{Method: http.MethodPost, Path: "/password/forgot", Handler: h.forgotPassword, Public: true},
		{Method: http.MethodPost, Path: "/password/reset", Handler: h.resetPassword, Public: true},
	}
}

func (h *handlers) sessionRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodPost, Path: "/reauthenticate", Handler: h.reauthenticate},
		{Method: http.MethodGet, Path: "/users/:userId/sessions", Handler: h.listSessions},
		{Method: http.MethodDelete, Path: "/users/:userId/sessions", Handler: h.endSessions},
		{Method: http.MethodDelete, Path: "/users/:userId/sessions/:sessionId", Handler: h.endSession},
	}
}

func (h *handlers) totpRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/users/:userId/totp", Handler: h.secondFactor},
		{Method: http.MethodPost, Path: "/users/:userId/totp", Handler: h.enrolTOTP},
		{Method: http.MethodPost, Path: "/users/:userId/totp/confirm", Handler: h.confirmTOTP},
		{Method: http.MethodDelete, Path: "/users/:userId/totp", Handler: h.resetTOTP},
	}
}

// requireJSONAccepted returns 406 before it calls the handler, unless the client
// accepts JSON: no change is made whose answer the client rejects.
func requireJSONAccepted(next api.Handler) api.Handler {
	return func(c echo.Context, actor identity.Actor) error {
		if !api.Accepts(c.Request().Header.Get(echo.HeaderAccept), echo.MIMEApplicationJSON) {
			return echo.NewHTTPError(http.StatusNotAcceptable, "This API answers in application/json.")
		}
		return next(c, actor)
	}
}

// link returns the address of a path for the client of a request.
func (h *handlers) link(c echo.Context, path string) string { return h.site.Base(c.Request()) + path }
