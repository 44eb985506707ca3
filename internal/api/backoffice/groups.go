package backoffice

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type groupBody struct {
	ID          int64          `json:"id"`
	Name        identity.Label `json:"name"`
	Permissions []string       `json:"permissions"`
	RequireTFA  bool           `json:"requireTfa"`
	CreateTime  wireTime       `json:"createTime"`
	UpdateTime  wireTime       `json:"updateTime"`
	Version     int64          `json:"version"`
}

func groupFrom(g identity.Group) groupBody {
	return groupBody{
		ID: g.ID, Name: g.Name, Permissions: g.Permissions.Names(), RequireTFA: g.RequireTFA,
		CreateTime: onWire(g.CreatedAt), UpdateTime: onWire(g.UpdatedAt), Version: g.Version,
	}
}

type createGroupRequest struct {
	Name        *identity.Label        `json:"name"        validate:"required"`
	Permissions *[]identity.Permission `json:"permissions" validate:"required"`
	RequireTFA  *bool                  `json:"requireTfa"`
}

type updateGroupRequest struct {
	Name        *identity.Label        `json:"name"`
	Permissions *[]identity.Permission `json:"permissions"`
	RequireTFA  *bool                  `json:"requireTfa"`
}

func (r updateGroupRequest) change() identity.GroupChange {
	change := identity.GroupChange{Name: r.Name, RequireTFA: r.RequireTFA}
	if r.Permissions != nil {
		permissions := identity.PermissionSet(*r.Permissions...)
		change.Permissions = &permissions
	}
	return change
}

func (h *handlers) listGroups(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	groups, total, err := h.service.Groups(c.Request().Context(), actor, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, groups, total, groupFrom)
}

func (h *handlers) getGroup(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "groupId")
	if err != nil {
		return err
	}
	group, err := h.service.Group(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	setVersion(c, group.Version)
	return c.JSON(http.StatusOK, groupFrom(group))
}

func (h *handlers) createGroup(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[createGroupRequest](c)
	if err != nil {
		return err
	}
	group, err := h.service.CreateGroup(c.Request().Context(), actor, identity.Group{
		Name: *request.Name, Permissions: identity.PermissionSet(*request.Permissions...),
		RequireTFA: orZero(request.RequireTFA),
	})
	if err != nil {
		return err
	}
	setVersion(c, group.Version)
	return created(c, h.link(c, Prefix+"/groups/"+strconv.FormatInt(group.ID, 10)), groupFrom(group))
}

func (h *handlers) updateGroup(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "groupId")
	if err != nil {
		return err
	}
	request, err := api.Bind[updateGroupRequest](c)
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	group, err := h.service.UpdateGroup(c.Request().Context(), actor, id, request.change(), match)
	if err != nil {
		return err
	}
	setVersion(c, group.Version)
	return c.JSON(http.StatusOK, groupFrom(group))
}

func (h *handlers) deleteGroup(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "groupId")
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	if err := h.service.DeleteGroup(c.Request().Context(), actor, id, match); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
