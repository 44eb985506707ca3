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
	return write(c, http.StatusOK, mimeJSONAPI, h.listFrom(p, found))
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

// createUser gives the user a password that nobody knows: the user has to reset
// it. Whoever has no name yet is called by the address.
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

// writeUser answers with a user and what the request wants to be included.
func (h *handlers) writeUser(c echo.Context, actor identity.Actor, user identity.User) error {
	types := includes(c.QueryParams())
	records, err := h.service.Records(c.Request().Context(), actor, user.ID, types)
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, mimeJSONAPI, h.userWith(user, types, records))
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
	return write(c, http.StatusOK, mimeJSONAPI, h.relationshipFrom(id, recordType, records))
}

// related returns the records that a path names, of a user that there is.
func (h *handlers) related(c echo.Context, actor identity.Actor) (int64, identity.RecordType, []identity.Record, error) {
	id, recordType, err := relatedKey(c)
	if err != nil {
		return 0, "", nil, err
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err != nil {
		return 0, "", nil, err
	}
	records, err := h.service.Records(c.Request().Context(), actor, user.ID, []identity.RecordType{recordType})
	return id, recordType, records, err
}
