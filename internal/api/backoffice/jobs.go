package backoffice

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type jobBody struct {
	ID         int64              `json:"id"`
	Action     identity.JobAction `json:"action"`
	GroupID    *int64             `json:"groupId"`
	State      identity.JobState  `json:"state"`
	Code       *string            `json:"code"`
	Message    *string            `json:"message"`
	Total      int64              `json:"total"`
	Done       int64              `json:"done"`
	Unchanged  int64              `json:"unchanged"`
	Skipped    int64              `json:"skipped"`
	Failed     int64              `json:"failed"`
	CreateTime wireTime           `json:"createTime"`
	StartTime  wireTime           `json:"startTime"`
	FinishTime wireTime           `json:"finishTime"`
}

func jobFrom(j identity.Job) jobBody {
	return jobBody{
		ID: j.ID, Action: j.Action, GroupID: orNull(j.GroupID), State: j.State, Code: orNull(j.Code),
		Message: orNull(j.Message), Total: j.Total, Done: j.Done, Unchanged: j.Unchanged, Skipped: j.Skipped,
		Failed: j.Failed, CreateTime: onWire(j.CreatedAt), StartTime: onWire(j.StartedAt),
		FinishTime: onWire(j.FinishedAt),
	}
}

type jobItemBody struct {
	Row     *int64                `json:"row"`
	Outcome *identity.RowOutcome  `json:"outcome"`
	UserID  *int64                `json:"userId"`
	Email   *string               `json:"email"`
	State   identity.JobItemState `json:"state"`
	Code    *string               `json:"code"`
	Field   *string               `json:"field"`
	Message *string               `json:"message"`
}

func jobItemFrom(i identity.JobItem) jobItemBody {
	return jobItemBody{
		Row: orNull(i.Row), Outcome: orNull(i.Outcome), UserID: orNull(i.UserID), Email: orNull(i.Email), State: i.State,
		Code: orNull(i.Code), Field: orNull(i.Field), Message: orNull(i.Message),
	}
}

type planJobRequest struct {
	Action  *identity.JobAction `json:"action"  validate:"required"`
	GroupID *int64              `json:"groupId" validate:"omitempty,min=1"`
	UserIDs *[]jobUserID        `json:"userIds" validate:"omitempty,max=10000"`
	Filter  *jobFilter          `json:"filter"`
}

// jobUserID is the id of a user in a list.
type jobUserID int64

// UnmarshalJSON takes an integer of at least 1; the error is a *identity.ValueError.
func (id *jobUserID) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 1 {
		return &identity.ValueError{Code: "invalid_id", Message: "must be an integer of at least 1"}
	}
	*id = jobUserID(n)
	return nil
}

// jobFilter has the filters of the list of users as its query parameters.
type jobFilter struct{ parameters url.Values }

// UnmarshalJSON takes an object whose values are texts, numbers, true or false, or lists of
// texts; the error is a *identity.ValueError.
func (f *jobFilter) UnmarshalJSON(text []byte) error {
	object, err := api.ParseObject(text)
	if err != nil {
		return &identity.ValueError{Code: "invalid_type", Message: "must be an object"}
	}
	f.parameters = url.Values{}
	for name, raw := range object.Members() {
		values, err := parameterOf(raw)
		if err != nil {
			return &identity.ValueError{
				Code: "invalid_type", Message: "must have texts, numbers, true, false or lists of texts as its values",
			}
		}
		f.parameters["filter["+name+"]"] = values
	}
	return nil
}

// parameterOf returns a JSON value as the values of a query parameter.
func parameterOf(raw json.RawMessage) ([]string, error) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, err
	}
	switch value := value.(type) {
	case string:
		return []string{value}, nil
	case float64, bool:
		return []string{string(raw)}, nil
	case []any:
		texts := make([]string, len(value))
		for i, item := range value {
			text, isText := item.(string)
			if !isText {
				return nil, errors.New("not a text")
			}
			texts[i] = text
		}
		return texts, nil
	}
	return nil, errors.New("an object or null")
}

func (r planJobRequest) plan() (service.JobPlan, error) {
	plan := service.JobPlan{Action: *r.Action, GroupID: orZero(r.GroupID)}
	if r.UserIDs != nil {
		plan.UserIDs = make([]int64, len(*r.UserIDs))
		for i, id := range *r.UserIDs {
			plan.UserIDs[i] = int64(id)
		}
	}
	if r.Filter == nil {
		return plan, nil
	}
	q := api.QueryOf(r.Filter.parameters)
	plan.Filter = new(userFilter(q))
	return plan, q.Err()
}

func (h *handlers) planJob(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[planJobRequest](c)
	if err != nil {
		return err
	}
	plan, err := request.plan()
	if err != nil {
		return err
	}
	job, err := h.service.PlanJob(c.Request().Context(), actor, plan)
	if err != nil {
		return err
	}
	return created(c, h.link(c, Prefix+"/jobs/"+strconv.FormatInt(job.ID, 10)), jobFrom(job))
}

func (h *handlers) listJobs(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageOf(q)
	if err := q.Err(); err != nil {
		return err
	}
	jobs, total, err := h.service.Jobs(c.Request().Context(), actor, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, jobs, total, jobFrom)
}

func (h *handlers) getJob(c echo.Context, actor identity.Actor) error {
	return answerJob(c, actor, http.StatusOK, h.service.Job)
}

func (h *handlers) startJob(c echo.Context, actor identity.Actor) error {
	return answerJob(c, actor, http.StatusAccepted, h.service.StartJob)
}

func (h *handlers) cancelJob(c echo.Context, actor identity.Actor) error {
	return answerJob(c, actor, http.StatusOK, h.service.CancelJob)
}

// answerJob answers with the job of the path as a call returns it.
func answerJob(c echo.Context, actor identity.Actor, status int,
	call func(context.Context, identity.Actor, int64) (identity.Job, error),
) error {
	id, err := api.PathID(c, "jobId")
	if err != nil {
		return err
	}
	job, err := call(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(status, jobFrom(job))
}

func (h *handlers) listJobItems(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "jobId")
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	page, states := pageOf(q), identity.JobItemStates
	if q.Has("filter[state]") {
		states = []identity.JobItemState{oneOf(q, "filter[state]", states...)}
	}
	if err := q.Err(); err != nil {
		return err
	}
	items, total, err := h.service.JobItems(c.Request().Context(), actor, id, states, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, items, total, jobItemFrom)
}
