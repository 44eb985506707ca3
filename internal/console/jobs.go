package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

const jobsPath = Prefix + "/jobs"

func jobPath(id int64) string { return jobsPath + "/" + strconv.FormatInt(id, 10) }

// jobsView is a page of the caller's jobs.
type jobsView struct {
	Rows  []jobRow
	Range string
	Prev  string
	Next  string
}

// jobRow is a job in words.
type jobRow struct {
	ID        int64
	Href      string
	Text      string // what it does, such as "Deactivate 1,204 users"; the group comes after it
	Group     string // the group of the action; "" for none
	GroupHref string
	Effect    string // what it means for each user
	Action    identity.JobAction
	State     identity.JobState
	StateText string
	Reason    string // why it was stopped
	Settled   int64
	Total     int64
	Percent   int64
	Counts    []tally
	Created   moment
	Started   moment
	Finished  moment
	Is        map[string]bool
}

// tally is how many users of a job are in a state, with the address that shows them.
type tally struct {
	Text  string
	Count string
	Href  string
	On    bool
}

func (h *handlers) listJobs(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	page := pageIn(q)
	if err := q.Err(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	jobs, total, err := h.service.Jobs(ctx, actor, page)
	if err != nil {
		return err
	}
	names := h.groupNames(ctx, actor)
	view := jobsView{}
	for _, job := range jobs {
		view.Rows = append(view.Rows, jobRowFrom(job, names, h.now()))
	}
	view.Range, view.Prev, view.Next = pagerOf(c.QueryParams(), jobsPath, page.Offset, page.Limit, len(jobs), total)
	return h.render(c, actor, http.StatusOK, "jobs", jobPage("Jobs", view,
		h.apiCall(c, http.MethodGet, "/api/v2/jobs", c.QueryParams(), "")))
}

// jobPage is a page below Users.
func jobPage(title string, view any, call *apiCall) page {
	return page{Title: title, Nav: "users", View: view, API: call}
}

var jobStates = map[identity.JobState]string{
	identity.JobPlanned: "Not started", identity.JobRunning: "Running", identity.JobFinished: "Finished",
	identity.JobStopped: "Stopped", identity.JobCancelled: "Cancelled",
}

// jobTexts holds what an action does: to how many, and to each.
var jobTexts = map[identity.JobAction]struct{ text, effect string }{
	identity.JobActivate:        {"Activate %s", "can sign in again."},
	identity.JobDeactivate:      {"Deactivate %s", "is signed out everywhere and cannot sign in. Nothing is deleted."},
	identity.JobAddToGroup:      {"Add %s to", "gets everything that the group gives."},
	identity.JobRemoveFromGroup: {"Take %s out of", "loses what the group gives, unless another group gives it too."},
	identity.JobEndSessions: {
		"End the sessions of %s", "has to sign in again on every device. Your own session of now stays.",
	},
	identity.JobDelete: {"Delete %s", "is deleted with all data. This cannot be undone."},
	identity.JobImport: {"Import %s", "creates a user or changes one, as the list below says."},
}

func jobRowFrom(job identity.Job, names map[int64]string, now time.Time) jobRow {
	settled := job.Done + job.Unchanged + job.Skipped + job.Failed
	text, what := jobTexts[job.Action], "user"
	if job.Action == identity.JobImport {
		what = "row"
	}
	row := jobRow{
		ID: job.ID, Href: jobPath(job.ID), Text: fmt.Sprintf(text.text, count(job.Total, what)), Effect: text.effect,
		Action: job.Action, State: job.State, StateText: jobStates[job.State], Reason: job.Message,
		Settled: settled, Total: job.Total, Percent: 100, Created: momentOf(job.CreatedAt, now),
		Started: momentOf(job.StartedAt, now), Finished: momentOf(job.FinishedAt, now),
		Is: map[string]bool{string(job.State): true},
	}
	if job.Total > 0 {
		row.Percent = 100 * settled / job.Total
	}
	if job.GroupID != 0 {
		row.Group, row.GroupHref = groupName(names, job.GroupID), groupPath(job.GroupID)
	}
	return row
}

// jobView is the page of one job: what it will do, how far it is, what it has done.
type jobView struct {
	Row      jobRow
	Items    []itemRow
	Denied   string // why the caller cannot start it
	Deletes  bool
	Spoken   string // what a screen reader hears while it runs
	Failures bool   // there is a file of what failed
	Range    string
	Prev     string
	Next     string
}

// itemRow is one user of a job.
type itemRow struct {
	ID     int64
	Href   string // "" for a user who is gone
	Name   string
	Email  string
	Masked bool
	State  string
	Failed bool
	Reason string
}

// previewRows is how many people a plan shows.
const previewRows = 10

func (h *handlers) showJob(c echo.Context, actor identity.Actor) error {
	q := api.NewQuery(c)
	at := pageIn(q)
	names := []string{""}
	for _, state := range identity.JobItemStates {
		names = append(names, string(state))
	}
	state := q.OneOf("state", names...)
	if err := q.Err(); err != nil {
		return err
	}
	id, err := idOf(c, "jobId", "job")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	job, err := h.service.Job(ctx, actor, id)
	if err != nil {
		return err
	}
	states := identity.JobItemStates
	if state != "" {
		states = []identity.JobItemState{identity.JobItemState(state)}
	}
	if job.State == identity.JobPlanned {
		at, states = identity.Page{Limit: previewRows}, identity.JobItemStates
	}
	items, total, err := h.service.JobItems(ctx, actor, id, states, at)
	if err != nil {
		return err
	}
	view := jobViewFrom(actor, job, h.groupNames(ctx, actor), h.now())
	view.Items = itemRows(actor, job, items, h.people(ctx, actor, items))
	for i := range view.Row.Counts {
		view.Row.Counts[i].On = view.Row.Counts[i].Href == addressWith(nil, jobPath(id), "state", state)
	}
	view.Range, view.Prev, view.Next = pagerOf(c.QueryParams(), jobPath(id), at.Offset, at.Limit, len(items), total)
	call := h.apiCall(c, http.MethodGet, fmt.Sprintf("/api/v2/jobs/%d", id), nil, "")
	if job.State == identity.JobPlanned {
		call = h.apiCall(c, http.MethodPost, fmt.Sprintf("/api/v2/jobs/%d/start", id), nil, "")
	}
	return h.render(c, actor, http.StatusOK, "job", jobPage("Job "+strconv.FormatInt(id, 10), view, call))
}

func jobViewFrom(actor identity.Actor, job identity.Job, names map[int64]string, now time.Time) jobView {
	view := jobView{
		Row: jobRowFrom(job, names, now), Denied: lacks(actor, identity.UsersView, job.Action.Needs()),
		Deletes: job.Action == identity.JobDelete, Failures: job.Failed+job.Skipped > 0,
	}
	for _, n := range []struct {
		text  string
		state identity.JobItemState
		count int64
	}{
		{"All", "", job.Total},
		{"Done", identity.ItemDone, job.Done},
		{"Unchanged", identity.ItemUnchanged, job.Unchanged},
		{"Skipped", identity.ItemSkipped, job.Skipped},
		{"Failed", identity.ItemFailed, job.Failed},
		{"Waiting", identity.ItemPending, job.Total - view.Row.Settled},
	} {
		view.Row.Counts = append(view.Row.Counts, tally{
			Text: n.text, Count: number(n.count), Href: addressWith(nil, jobPath(job.ID), "state", string(n.state)),
		})
	}
	const step = 10 // percent: a screen reader does not hear every second
	switch job.State {
	case identity.JobRunning:
		view.Spoken = fmt.Sprintf("%d %% done.", view.Row.Percent/step*step)
	case identity.JobFinished, identity.JobStopped, identity.JobCancelled:
		view.Spoken = fmt.Sprintf("%s. %s done, %s failed.", view.Row.StateText, number(job.Done), number(job.Failed))
	case identity.JobPlanned:
	}
	return view
}

// people returns the users of items, as the caller sees them, by id. A page must not fail for
// them: a caller who may no longer see users gets the ids alone.
func (h *handlers) people(ctx context.Context, actor identity.Actor, items []identity.JobItem,
) map[int64]identity.User {
	var texts []string
	for _, item := range items {
		if item.UserID != 0 { // else it is the row of an import
			texts = append(texts, strconv.FormatInt(item.UserID, 10))
		}
	}
	found, err := h.service.FindUsers(ctx, actor, texts)
	if err != nil {
		return nil
	}
	people := make(map[int64]identity.User, len(found.Users))
	for _, user := range found.Users {
		people[user.ID] = user
	}
	return people
}

var itemStates = map[identity.JobItemState]string{
	identity.ItemPending: "Waiting", identity.ItemDone: "Done", identity.ItemUnchanged: "Unchanged",
	identity.ItemSkipped: "Skipped", identity.ItemFailed: "Failed",
}

func itemRows(actor identity.Actor, job identity.Job, items []identity.JobItem, people map[int64]identity.User,
) []itemRow {
	rows := make([]itemRow, len(items))
	for i, item := range items {
		row := itemRow{
			ID: item.UserID, Name: fmt.Sprintf("User %d", item.UserID), State: itemStates[item.State],
			Failed: item.State == identity.ItemFailed, Reason: sentence(item.Message),
		}
		if job.Action == identity.JobImport {
			row.Name = strings.TrimSpace(fmt.Sprintf("Row %d %s", item.Row, item.Email))
			if item.Field != "" {
				row.Reason = item.Field + ": " + item.Message
			}
		}
		user, known := people[item.UserID]
		if known {
			row.Href, row.Name, row.Email = userPath(user.ID), string(user.Name), string(user.Email)
			row.Masked = !actor.SeesUnmasked(user.ID)
		}
		if item.State == identity.ItemUnchanged {
			row.Reason = "There was nothing to change."
		}
		switch {
		case item.State != identity.ItemPending:
		case job.Action == identity.JobImport:
			row.Reason = rowForecasts[item.Outcome]
		default:
			row.Reason = forecast(actor, job, user, known || people == nil)
		}
		rows[i] = row
	}
	return rows
}

// rowForecasts tells what a pending row of an import does.
var rowForecasts = map[identity.RowOutcome]string{
	identity.RowCreate: "A new user.", identity.RowUpdate: "The user is changed.",
}

// forecast tells what is known of a user before the turn of that user: the end can differ.
func forecast(actor identity.Actor, job identity.Job, user identity.User, known bool) string {
	isMember := slices.Contains(user.Groups, job.GroupID)
	switch {
	case !known:
		return "There is no such user: skipped."
	case user.ID == 0:
		return ""
	case actor.Is(user.ID) && (job.Action == identity.JobDeactivate || job.Action == identity.JobDelete):
		return "This is you. You are signed out, and the job ends with you."
	case job.Action == identity.JobActivate && user.Active, job.Action == identity.JobDeactivate && !user.Active,
		job.Action == identity.JobAddToGroup && isMember, job.Action == identity.JobRemoveFromGroup && !isMember:
		return "Nothing to change."
	}
	return ""
}

// sentence returns a message with a capital and a full stop.
func sentence(message string) string {
	if message == "" {
		return ""
	}
	first, rest := message[:1], message[1:]
	if 'a' <= first[0] && first[0] <= 'z' {
		first = string(first[0] - 'a' + 'A')
	}
	if last := message[len(message)-1]; last != '.' && last != '!' && last != '?' {
		rest += "."
	}
	return first + rest
}

// startJob starts a plan, or goes on with a job that was stopped. A form that is sent twice
// starts it once.
func (h *handlers) startJob(c echo.Context, actor identity.Actor) error {
	return h.changeJob(c, actor, h.service.StartJob)
}

func (h *handlers) cancelJob(c echo.Context, actor identity.Actor) error {
	return h.changeJob(c, actor, h.service.CancelJob)
}

func (h *handlers) changeJob(c echo.Context, actor identity.Actor,
	change func(context.Context, identity.Actor, int64) (identity.Job, error),
) error {
	id, err := idOf(c, "jobId", "job")
	if err != nil {
		return err
	}
	_, err = change(c.Request().Context(), actor, id)
	switch {
	case identity.KindOf(err) == identity.Conflict:
		return h.seeOther(c, jobPath(id), "job_ended")
	case err != nil:
		return err
	}
	return h.seeOther(c, jobPath(id), "")
}

// downloadFailed answers with the users of a job that have failed or were skipped, and why.
func (h *handlers) downloadFailed(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "jobId", "job")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	states := []identity.JobItemState{identity.ItemFailed, identity.ItemSkipped}
	at := identity.Page{Limit: identity.MaxPageSize}
	items, total, err := h.service.JobItems(ctx, actor, id, states, at)
	if err != nil {
		return err
	}
	file, err := api.StartCSV(c, fmt.Sprintf("job-%d-failed.csv", id), "row", "id", "name", "email", "state",
		"field", "code", "message")
	if err != nil {
		return err
	}
	for {
		people := h.people(ctx, actor, items)
		for _, item := range items {
			user := people[item.UserID]
			err := file.Write(numberOrNone(item.Row), numberOrNone(item.UserID), string(user.Name),
				cmp.Or(string(user.Email), item.Email), string(item.State), item.Field, item.Code, item.Message)
			if err != nil {
				return err
			}
		}
		if at.Offset += int64(len(items)); len(items) == 0 || at.Offset >= total {
			return file.Flush()
		}
		if items, _, err = h.service.JobItems(ctx, actor, id, states, at); err != nil {
			return err
		}
	}
}

// numberOrNone returns a number as text; "" for 0.
func numberOrNone(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
