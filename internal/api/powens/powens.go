// Package powens is the users part of the Powens API at /2.0, for its existing
// clients: list, get and delete users, and report that one was synchronised.
package powens

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// Prefix starts every path of the dialect.
const Prefix = "/2.0"

// maxSyncBody is the maximum size of the report of a synchronisation, in bytes: the
// outbox keeps one copy for each subscriber.
const maxSyncBody = 256 << 10

// maxPage is the most users that a page of the list has, and how many are read at once
// for a list without pages. listTimeout ends such a list: a million users take seconds.
const (
	maxPage     = 1000
	listTimeout = 2 * time.Minute
)

//go:embed openapi.yaml
var contract []byte

type handlers struct{ service *service.Service }

// New returns the dialect over a service.
func New(s *service.Service) api.Dialect {
	h := &handlers{s}
	scheme := api.Bearer
	scheme.Challenge = challenge
	return api.Dialect{
		Name:     "powens",
		Prefix:   Prefix,
		Contract: contract,
		Routes: []api.Route{
			{Method: http.MethodGet, Path: "/users", Handler: h.listUsers, Timeout: listTimeout},
			{Method: http.MethodGet, Path: "/users/:userId", Handler: h.getUser},
			{Method: http.MethodDelete, Path: "/users/:userId", Handler: h.deleteUser},
			{Method: http.MethodPost, Path: "/users/:userId/synced", Handler: h.syncUser, MaxBody: maxSyncBody},
		},
		Scheme:     scheme,
		WriteError: writeError,
		Webhook:    renderWebhook, WebhookFormat: identity.WebhookFormatPowens,
	}
}

type userBody struct {
	ID     int64    `json:"id"`
	Signin wireTime `json:"signin"`
}

func userFrom(u identity.User) userBody { return userBody{u.ID, wireTime(u.CreatedAt)} }

// wireTime is a time on the wire: UTC, without an offset.
type wireTime time.Time

// MarshalJSON writes the time to the second.
func (t wireTime) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02 15:04:05"`)), nil
}

// listUsers answers with a page where there is a limit, and else with all users: the
// API of Powens has no pages.
func (h *handlers) listUsers(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	query := identity.UserQuery{
		Sort: identity.SortByID, Brief: true,
		Limit: int(q.Int("limit", 1, maxPage, maxPage)), Offset: q.Int("offset", 0, math.MaxInt64, 0),
	}
	isPage := q.Has("limit")
	if err := q.ErrOfKnown(); err != nil {
		return err
	}
	list := userList{c: c}
	if !isPage {
		err := h.service.WalkUsers(c.Request().Context(), actor, query, list.write)
		if err != nil {
			return err
		}
		return list.end()
	}
	page, err := h.service.Users(c.Request().Context(), actor, query)
	if err != nil {
		return err
	}
	if err := list.write(page); err != nil {
		return err
	}
	return list.end()
}

// userList writes a list of users while it is read, so that its length costs no memory.
type userList struct {
	c       echo.Context
	started bool
	total   int64
}

// write writes the users of a page. The first page has the total.
func (l *userList) write(page identity.UserPage) error {
	var text []byte
	if !l.started {
		l.total = page.Total
		l.c.Response().Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		text = append(text, `{"users":[`...)
	}
	for i, user := range page.Users {
		if l.started || i > 0 {
			text = append(text, ',')
		}
		encoded, err := json.Marshal(userFrom(user))
		if err != nil {
			return err
		}
		text = append(text, encoded...)
	}
	l.started = true
	_, err := l.c.Response().Write(text)
	return err
}

// end completes the list after the last page.
func (l *userList) end() error {
	_, err := fmt.Fprintf(l.c.Response(), "],\"total\":%d}\n", l.total)
	return err
}

func (h *handlers) getUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, userFrom(user))
}

func (h *handlers) deleteUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.DeleteAsSelf(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type syncRequest struct {
	Connections *[]connection `json:"connections" validate:"required"`
}

func (h *handlers) syncUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	request, err := api.Bind[syncRequest](c)
	if err != nil {
		return err
	}
	connections, err := json.Marshal(*request.Connections)
	if err != nil {
		return err
	}
	if err := h.service.SyncUser(c.Request().Context(), actor, id, connections); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// userID reads the id of a user from the path; "me" is the caller's own. It returns
// NotFound for the id of another user where the caller acts for a user who may not see
// others.
func userID(c echo.Context, actor identity.Actor) (int64, error) {
	id := actor.UserID
	if c.Param("userId") != "me" {
		var err error
		if id, err = api.PathID(c, "userId"); err != nil {
			return 0, err
		}
	}
	onlyOneself := actor.UserID != 0 && !actor.Permissions.Has(identity.UsersView)
	if id == 0 || onlyOneself && id != actor.UserID {
		return 0, identity.Errorf(identity.NotFound, "not_found", "There is no such user.")
	}
	return id, nil
}

// connection is the report of one connection, kept unchanged. Only its shape is
// checked.
type connection json.RawMessage

// UnmarshalJSON checks the shape; the error is an *identity.ValueError.
func (c *connection) UnmarshalJSON(raw []byte) error {
	var object map[string]json.RawMessage
	var connector map[string]json.RawMessage
	var sources []json.RawMessage
	var accounts []map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || !read(object["connector"], &connector) ||
		!read(object["sources"], &sources) || !read(object["accounts"], &accounts) {
		return &identity.ValueError{
			Code:    "invalid_connection",
			Message: "must be an object with connector (an object), sources and accounts (arrays)",
		}
	}
	for _, account := range accounts {
		var transactions []json.RawMessage
		if !read(account["transactions"], &transactions) {
			return &identity.ValueError{
				Code:    "invalid_account",
				Message: "must have accounts that are objects with transactions (an array)",
			}
		}
	}
	*c = append((*c)[:0], raw...)
	return nil
}

// read reports whether raw is present and of the type of into.
func read(raw json.RawMessage, into any) bool {
	return raw != nil && string(raw) != "null" && json.Unmarshal(raw, into) == nil
}

// MarshalJSON returns the original text.
func (c connection) MarshalJSON() ([]byte, error) { return c, nil }

// renderWebhook returns the body of a message in the webhook format powens: a user or the
// report of a synchronisation, and the id of the message.
func renderWebhook(m delivery.WebhookMessage) ([]byte, error) {
	id := struct {
		ID int64 `json:"id_webhook_data"`
	}{m.ID}
	switch m.Type { //nolint:exhaustive // all others are about a user
	case identity.WebhookPing:
		return json.Marshal(id)
	case identity.UserSynced:
		return json.Marshal(struct {
			User        userBody        `json:"user"`
			Connections json.RawMessage `json:"connections"`
			WebhookData int64           `json:"id_webhook_data"`
		}{userFrom(m.User), m.Connections, m.ID})
	}
	return json.Marshal(struct {
		userBody
		WebhookData int64 `json:"id_webhook_data"`
	}{userFrom(m.User), m.ID})
}
