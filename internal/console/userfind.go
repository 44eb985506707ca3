package console

import (
	"net/http"
	"net/mail"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/identity"
)

const (
	findPath  = usersPath + "/find"
	fieldFind = "find"
)

// listed returns the addresses, ids and phone numbers of a search that names several people,
// such as a list that was pasted; nil for the search for a text.
func listed(search string) []string {
	if !strings.ContainsAny(search, ",;\n") && !strings.Contains(search, "@") {
		return nil
	}
	texts := pasted(search)
	for _, text := range texts {
		_, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, 64)
		if _, mailErr := mail.ParseAddress(text); err != nil && mailErr != nil {
			return nil
		}
	}
	if len(texts) < 2 {
		return nil
	}
	return texts
}

// askFind shows the form for a list of people.
func (h *handlers) askFind(c echo.Context, actor identity.Actor) error {
	if err := actor.Require(identity.UsersView); err != nil {
		return err
	}
	list, err := userListIn(nil, h.now())
	if err != nil {
		return err
	}
	return h.showFound(c, actor, list, nil, nil, foundView{Form: true})
}

// findUsers shows the people whom a pasted list names. The list comes by POST: it can be
// longer than an address, and does not belong into logs.
func (h *handlers) findUsers(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	list, err := userListIn(nil, h.now())
	if err != nil {
		return err
	}
	names := h.groupNames(c.Request().Context(), actor)
	found := foundView{Text: values.Get(fieldFind)}
	texts := pasted(found.Text)
	if len(texts) == 0 {
		found.Form, found.Problem = true, "Type at least one address or id."
	}
	return h.showFound(c, actor, list, names, texts, found)
}

// showFound shows people in the order of the texts that name them, and who was not found.
func (h *handlers) showFound(c echo.Context, actor identity.Actor, list userList, names map[int64]string,
	texts []string, found foundView,
) error {
	status := http.StatusOK
	people, err := h.service.FindUsers(c.Request().Context(), actor, texts)
	if problems, ok := problemsOf(err); err != nil && ok && statusOf(err) == http.StatusBadRequest {
		found.Form, found.Problem = true, problems.Message
		for _, field := range problems.Fields {
			found.Problem = "The list " + field.Message + "."
		}
	} else if err != nil {
		return err
	}
	if found.Problem != "" {
		status = http.StatusBadRequest
	}
	view := listViewFrom(actor, people.Users, list, names, h.now())
	found.Count, found.NotFound = len(people.Users), people.NotFound
	view.Found, view.Bulk.All = &found, false
	view.Total = number(int64(found.Count))
	view.Spoken = count(int64(found.Count), "user") + " found, " + number(int64(len(found.NotFound))) + " not found."
	for i := range view.Columns { // the order is that of the list that was pasted
		view.Columns[i].Href, view.Columns[i].Sort = "", ""
	}
	if list.Query.NoTotal {
		c.Response().Header().Set("HX-Replace-Url", view.Here)
	}
	body := jsonText(map[string]any{"texts": nonNil(texts)})
	return h.render(c, actor, status, "users", page{
		Title: "Users", Nav: "users", View: view, API: h.apiCall(c, http.MethodPost, "/api/v2/users/find", nil, body),
	})
}

func nonNil(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
