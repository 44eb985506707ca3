package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// actionExport is what can be done with selected users besides the actions of jobs.
const actionExport = "export"

// bulkUsers plans a job for the users that are ticked, or for all that match the filters of
// the address, and shows the plan. Nothing is changed yet. An export answers with the file.
func (h *handlers) bulkUsers(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	list, err := userListIn(c.QueryParams(), h.now())
	if err != nil {
		return err
	}
	selection, err := selectionIn(values, list.Query.Filter)
	if err != nil {
		return err
	}
	if values.Get("action") == actionExport {
		query := identity.UserQuery{Sort: identity.SortByName}
		if query.Filter.IDs = selection.UserIDs; selection.Filter != nil {
			query = list.Query
		}
		return h.exportUsers(c, actor, query)
	}
	if err := selection.Action.UnmarshalText([]byte(values.Get("action"))); err != nil {
		return identity.Errorf(identity.Invalid, "invalid_action", "The form asks for an action that does not exist.")
	}
	if selection.Action.NeedsGroup() {
		if selection.GroupID, err = strconv.ParseInt(values.Get("groupId"), 10, 64); err != nil || selection.GroupID < 1 {
			return identity.Errorf(identity.Invalid, "no_group", "Choose a group first.")
		}
	}
	job, err := h.service.PlanJob(c.Request().Context(), actor, selection)
	if err != nil {
		return err
	}
	return h.seeOther(c, jobPath(job.ID), "")
}

// selectionIn returns the users of a form: those that are ticked, or all of the filter.
func selectionIn(values url.Values, filter identity.UserFilter) (service.JobPlan, error) {
	if values.Get("all") == "true" {
		return service.JobPlan{Filter: &filter}, nil
	}
	ticked := values[identity.FieldUserID]
	if len(ticked) == 0 {
		return service.JobPlan{}, identity.Errorf(identity.Invalid, "nobody_selected",
			"Nobody is selected. Go back and tick users, or \"All that match\".")
	}
	ids := make([]int64, len(ticked))
	for i, text := range ticked {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return service.JobPlan{}, identity.Errorf(identity.Invalid, "invalid_id", "The form names a user that cannot be.")
		}
		ids[i] = id
	}
	return service.JobPlan{UserIDs: ids}, nil
}

func (h *handlers) jobRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/jobs", Handler: h.listJobs},
		{Method: http.MethodGet, Path: "/jobs/:jobId", Handler: h.showJob},
		{Method: http.MethodPost, Path: "/jobs/:jobId/start", Handler: h.startJob},
		{Method: http.MethodPost, Path: "/jobs/:jobId/cancel", Handler: h.cancelJob},
		{Method: http.MethodGet, Path: "/jobs/:jobId/failed.csv", Handler: h.downloadFailed, Timeout: csvTimeout},
	}
}
