package firefly

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

func (h *handlers) listUsers(c echo.Context, actor identity.Actor) error {
	p := pageFrom(c.QueryParams())
	found, err := h.service.Users(c.Request().Context(), actor, p.query())
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, mimeJSONAPI, listFrom(h.base(c), p, found))
}

func (h *handlers) getUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return h.writeUser(c, actor, user)
}

// createUser creates a user with a random password, which the user must reset. The
// name of the user is the address.
func (h *handlers) createUser(c echo.Context, actor identity.Actor) error {
	fields, err := bindUser(c, true)
	if err != nil {
		return err
	}
	user, _, err := h.service.CreateUser(c.Request().Context(), actor, service.NewUser{
		User: fields.Apply(identity.User{Name: identity.Name(*fields.Email)}),
	}, service.Idempotency{})
	if err != nil {
		return err
	}
	return h.writeUser(c, actor, user)
}

func (h *handlers) updateUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	change, err := bindUser(c, false)
	if err != nil {
		return err
	}
	user, err := h.service.UpdateUser(c.Request().Context(), actor, id, service.UserUpdate{Change: change})
	if err != nil {
		return err
	}
	return h.writeUser(c, actor, user)
}

func (h *handlers) deleteUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	if err := h.service.DeleteUser(c.Request().Context(), actor, id, identity.VersionMatch{}); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// writeUser answers with a user and the records that the request includes.
func (h *handlers) writeUser(c echo.Context, actor identity.Actor, user identity.User) error {
	types := includes(c.QueryParams())
	records, err := h.service.Records(c.Request().Context(), actor, user.ID, types)
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, mimeJSONAPI, userWith(h.base(c), user, types, records))
}

func (h *handlers) getRelated(c echo.Context, actor identity.Actor) error {
	_, _, records, err := h.related(c, actor)
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, mimeJSONAPI, document{Data: objectsFrom(records)})
}

func (h *handlers) getRelationship(c echo.Context, actor identity.Actor) error {
	id, recordType, records, err := h.related(c, actor)
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, mimeJSONAPI, relationshipFrom(h.base(c), id, recordType, records))
}

// related returns the records that a path names, with the user and their type. It
// returns NotFound where there is no such user.
func (h *handlers) related(c echo.Context, actor identity.Actor) (
	id int64, recordType identity.RecordType, records []identity.Record, err error,
) {
	if id, recordType, err = relatedKey(c); err != nil {
		return 0, "", nil, err
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err != nil {
		return 0, "", nil, err
	}
	records, err = h.service.Records(c.Request().Context(), actor, user.ID, []identity.RecordType{recordType})
	return id, recordType, records, err
}
