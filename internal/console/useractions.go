package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// userAct is something that is done to a user after a page has asked.
type userAct struct {
	name    string // the last part of its path
	title   string
	button  string
	danger  bool
	note    string
	texts   []string // what it does
	method  string   // of the API
	body    string
	may     func(identity.Actor, int64) error
	execute execution
}

// execution is an operation of the service on a user.
type execution = func(*service.Service, context.Context, identity.Actor, int64, identity.VersionMatch) error

var (
	activate = userAct{
		name: "activate", title: "Activate", button: "Activate", note: "activated",
		texts:  []string{"The user can sign in again. Tokens that act for the user work again."},
		method: http.MethodPatch, body: `{"active":true}`, may: requireUpdate, execute: setActive(true),
	}
	deactivate = userAct{
		name: "deactivate", title: "Deactivate", button: "Deactivate", danger: true, note: "deactivated",
		texts: []string{
			"The user is signed out everywhere and cannot sign in. Tokens that act for the user do not work while the " +
				"user is inactive. Invitations and reset links are void. Nothing is deleted.",
		},
		method: http.MethodPatch, body: `{"active":false}`, may: requireUpdate, execute: setActive(false),
	}
	remove = userAct{
		name: "delete", title: "Delete", button: "Delete for good", danger: true, note: "deleted",
		texts: []string{
			"The profile goes, with its sessions, its second factor, its client tags, the tokens that act for the user, " +
				"and the data that services keep for the user. Entries in the activity stay, without personal data.",
			"This cannot be undone. To shut the user out and keep the data, deactivate the user instead.",
		},
		method: http.MethodDelete,
		may: func(actor identity.Actor, id int64) error {
			if actor.Is(id) {
				return nil
			}
			return actor.Require(identity.UsersDelete)
		},
		execute: (*service.Service).DeleteUser,
	}
)

func requireUpdate(actor identity.Actor, _ int64) error { return actor.Require(identity.UsersUpdate) }

func setActive(active bool) execution {
	return func(s *service.Service, ctx context.Context, actor identity.Actor, id int64,
		match identity.VersionMatch,
	) error {
		_, err := s.UpdateUser(ctx, actor, id, service.UserUpdate{
			Change: identity.UserChange{Active: &active}, Match: match,
		})
		return err
	}
}

// userActView is the page that asks.
type userActView struct {
	Head     userHead
	Title    string
	Button   string
	Danger   bool
	Texts    []string
	Self     bool
	Holdings []holding
	Action   string
	Problems problems
}

// holding is something that a user still holds.
type holding struct {
	Text   string
	Links  []link
	More   string // "and 4 more"
	Denied string // why there is no more to see
}

func (h *handlers) showAct(act userAct) api.Handler {
	return func(c echo.Context, actor identity.Actor) error {
		user, err := h.userOf(c, actor)
		if err != nil {
			return err
		}
		if err := act.may(actor, user.ID); err != nil {
			return err
		}
		return h.renderAct(c, actor, act, user, http.StatusOK, problems{})
	}
}

// doAct does it, or shows the page again with the reason why not.
func (h *handlers) doAct(act userAct) api.Handler {
	return func(c echo.Context, actor identity.Actor) error {
		user, err := h.userOf(c, actor)
		if err != nil {
			return err
		}
		values, err := form(c)
		if err != nil {
			return err
		}
		err = act.execute(h.service, c.Request().Context(), actor, user.ID, versionIn(values))
		switch p, isProblem := problemsOf(err); {
		case err == nil && (act.method == http.MethodDelete && actor.Is(user.ID)):
			return h.seeOther(c, Prefix, "deleted")
		case err == nil && act.method == http.MethodDelete:
			return h.seeOther(c, Prefix+"/users", act.note)
		case err == nil:
			return h.seeOther(c, userPath(user.ID), act.note)
		case identity.KindOf(err) == identity.Precondition:
			p = problems{Message: "Somebody else has changed this user meanwhile. Look again, then go on."}
			return h.renderAct(c, actor, act, user, http.StatusPreconditionFailed, p)
		case isProblem:
			return h.renderAct(c, actor, act, user, api.FailureFrom(err).Status, p)
		}
		return err
	}
}

func (h *handlers) renderAct(c echo.Context, actor identity.Actor, act userAct, user identity.User, status int,
	p problems,
) error {
	ctx := c.Request().Context()
	view := userActView{
		Head:  userHeadFrom(actor, user, "", h.groupNames(ctx, actor), h.now()),
		Title: act.title, Button: act.button, Danger: act.danger, Texts: act.texts,
		Self: actor.Is(user.ID), Action: userPath(user.ID) + "/" + act.name, Problems: p,
	}
	if act.danger {
		var err error
		if view.Holdings, err = h.holdings(ctx, actor, user.ID); err != nil {
			return err
		}
	}
	return h.render(c, actor, status, "useract", page{
		Title: act.title + " a user", Nav: "users", View: view,
		API: h.apiCall(c, act.method, apiUserPath(user.ID), nil, act.body),
	})
}

// holdings returns what a user still holds, as far as the caller may know.
func (h *handlers) holdings(ctx context.Context, actor identity.Actor, id int64) ([]holding, error) {
	held, err := h.service.Holdings(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	return []holding{
		{Text: heldSessionsText(held.Sessions)},
		holdingFrom(actor, held.TokensActingFor, "token", "that acts for the user, and does no longer",
			"that act for the user, and do no longer", identity.TokensManage, tokenLink),
		holdingFrom(actor, held.TokensCreated, "token", "that the user has made, which goes on working",
			"that the user has made, which go on working", identity.TokensManage, tokenLink),
		holdingFrom(actor, held.WebhooksCreated, "webhook", "that the user has made, which goes on",
			"that the user has made, which go on", identity.WebhooksManage, webhookLink),
	}, nil
}

// holdingFrom says how many things of a kind a user holds, in words for one and for several,
// and names the first.
func holdingFrom[T any](actor identity.Actor, held identity.Held[T], noun, one, several string,
	needed identity.Permission, linkOf func(T) link,
) holding {
	words := several
	if held.Total == 1 {
		words = one
	}
	text := holding{Text: count(held.Total, noun) + " " + words + "."}
	if held.Total == 0 {
		words, _, _ = strings.Cut(one, ",")
		return holding{Text: "No " + noun + " " + words + "."}
	}
	if !held.Shown {
		text.Denied = lacks(actor, needed)
		return text
	}
	for _, thing := range held.First {
		text.Links = append(text.Links, linkOf(thing))
	}
	if more := held.Total - int64(len(held.First)); more > 0 {
		text.More = "and " + number(more) + " more"
	}
	return text
}

func tokenLink(t identity.Token) link {
	return link{tokenPath(t.ID), string(t.Name)}
}

func webhookLink(w identity.Webhook) link {
	return link{placeOf("webhooks", w.ID), fmt.Sprintf("Webhook %d", w.ID)}
}

func heldSessionsText(n int64) string {
	if n == 0 {
		return "No session."
	}
	text := count(n, "session") + ", which end"
	if n == 1 {
		text += "s"
	}
	return text + "."
}

// sendResetLink mails a user a link to choose another password.
func (h *handlers) sendResetLink(c echo.Context, actor identity.Actor) error {
	user, err := h.userOf(c, actor)
	if err != nil {
		return err
	}
	if reason := mayMailLink(actor, user); reason != "" {
		return identity.Errorf(identity.Conflict, "no_link", "%s", reason)
	}
	if err := h.service.ForgotPassword(c.Request().Context(), actor, user.Email); err != nil {
		return err
	}
	return h.seeOther(c, userPath(user.ID), "reset_sent")
}

// sendInvitation mails a user who has never signed in a link to choose the password.
func (h *handlers) sendInvitation(c echo.Context, actor identity.Actor) error {
	id, err := idOf(c, "userId", "user")
	if err != nil {
		return err
	}
	if err := h.service.Invite(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return h.seeOther(c, userPath(id), "invited")
}
