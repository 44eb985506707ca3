package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// webhookFormView is the form of a webhook.
type webhookFormView struct {
	ID       int64 // 0 for a new one
	Action   string
	Cancel   string
	URL      string
	Events   []eventChoice
	Formats  []option
	Auths    []option
	Active   bool
	HasToken bool // a token is stored
	Forget   bool // and is to be deleted
	Problems problems
	Hidden   []field // what the form began with
}

// eventChoice is an event that a webhook can be told of.
type eventChoice struct {
	Type identity.EventType
	Text string
	On   bool
}

var eventWords = map[identity.EventType]string{
	identity.UserCreated: "A user is created",
	identity.UserUpdated: "A user is changed",
	identity.UserDeleted: "A user is deleted",
	identity.UserSynced:  "The accounts of a user are synchronised, with these accounts",
}

// webhookMergeFields are the fields of the form that two people can change at once.
var webhookMergeFields = []mergeField{
	{Name: identity.FieldURL, Label: "URL"},
	{Name: identity.FieldEvents, Label: "Events"},
	{Name: identity.FieldFormat, Label: "Format"},
	{Name: identity.FieldAuth, Label: "Authentication"},
	{Name: identity.FieldActive, Label: "Active", Text: textYesNo},
}

// The other fields of the form.
const (
	forgetToken = "forget" // deletes the stored token
	tokenTyped  = "typed"  // says that a token was typed: pages do not keep it over a sign-in
	knownField  = "known"  // the newest webhook with this URL at the review
)

// webhookValues returns a webhook as the form has it.
func webhookValues(w identity.Webhook) url.Values {
	values := url.Values{
		identity.FieldURL: {string(w.URL)}, identity.FieldFormat: {string(w.Format)}, identity.FieldAuth: {string(w.Auth)},
	}
	for _, e := range w.Events {
		values.Add(identity.FieldEvents, string(e))
	}
	if w.Active {
		values.Set(identity.FieldActive, ticked)
	}
	return values
}

// webhookChange reads the form. The error is Invalid, for all fields at once.
func webhookChange(values url.Values) (identity.WebhookChange, error) {
	var problems identity.Problems
	read := func(name string, into interface{ UnmarshalText([]byte) error }) {
		addProblem(&problems, name, into.UnmarshalText([]byte(values.Get(name))))
	}
	change := identity.WebhookChange{
		URL: new(identity.WebhookURL), Format: new(identity.WebhookFormat), Auth: new(identity.WebhookAuth),
		Events: new(knownEvents(values[identity.FieldEvents])), Active: new(values.Get(identity.FieldActive) == ticked),
	}
	read(identity.FieldURL, change.URL)
	read(identity.FieldFormat, change.Format)
	read(identity.FieldAuth, change.Auth)
	switch {
	case values.Get(identity.FieldToken) != "":
		change.Token = new(identity.WebhookToken)
		read(identity.FieldToken, change.Token)
	case values.Get(tokenTyped) != "":
		problems.Add(identity.FieldToken, "required", "has to be typed again")
	case values.Get(forgetToken) == ticked:
		change.Token = new(identity.WebhookToken(""))
	}
	return change, problems.Err()
}

// webhookFormFrom returns the form with values, for a webhook that is zero for a new one.
func webhookFormFrom(webhook identity.Webhook, values url.Values) webhookFormView {
	view := webhookFormView{
		ID: webhook.ID, Action: webhooksPath + "/new", Cancel: webhooksPath, URL: values.Get(identity.FieldURL),
		Active: values.Get(identity.FieldActive) == ticked, HasToken: webhook.HasToken,
		Forget: values.Get(forgetToken) == ticked,
	}
	if webhook.ID != 0 {
		view.Cancel = placeOf("webhooks", webhook.ID)
		view.Action = view.Cancel + "/edit"
	}
	chosen := identity.Webhook{Events: knownEvents(values[identity.FieldEvents])}
	for _, e := range identity.WebhookEvents {
		view.Events = append(view.Events, eventChoice{e, eventWords[e], chosen.Subscribes(e)})
	}
	for _, f := range []identity.WebhookFormat{identity.WebhookFormatPowens, identity.WebhookFormatV2} {
		view.Formats = append(view.Formats, option{
			Value: string(f), Text: formatWords[f], On: values.Get(identity.FieldFormat) == string(f),
		})
	}
	for _, a := range identity.WebhookAuths {
		view.Auths = append(view.Auths, option{
			Value: string(a), Text: authWords[a], On: values.Get(identity.FieldAuth) == string(a),
		})
	}
	return view
}

// withBefore adds what the form began with: the version, and the values of that time.
func (v webhookFormView) withBefore(version string, before url.Values) webhookFormView {
	v.Hidden = append([]field{{"version", version}}, beforeFields(webhookMergeFields, before)...)
	return v
}

func (h *handlers) newWebhook(c echo.Context, actor identity.Actor) error {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return err
	}
	return h.renderWebhookForm(c, actor, http.StatusOK, webhookFormFrom(identity.Webhook{}, webhookValues(identity.Webhook{
		Format: identity.WebhookFormatPowens, Auth: identity.WebhookAuthStandard, Active: true,
		Events: []identity.EventType{identity.UserCreated, identity.UserUpdated, identity.UserDeleted},
	})))
}

func (h *handlers) renderWebhookForm(c echo.Context, actor identity.Actor, status int, view webhookFormView) error {
	title := "New webhook"
	if view.ID != 0 {
		title = "Change webhook " + strconv.FormatInt(view.ID, 10)
	}
	return h.render(c, actor, status, "webhook_form", page{Title: title, Nav: "webhooks", View: view})
}

// webhookFormFailed shows the form again with what is wrong, or returns the error for another
// page.
func (h *handlers) webhookFormFailed(c echo.Context, actor identity.Actor, view webhookFormView, err error) error {
	wrong, ok := problemsOf(err)
	if !ok {
		return err
	}
	view.Problems = wrong
	return h.renderWebhookForm(c, actor, api.FailureFrom(err).Status, view)
}

// reviewWebhook shows what will be saved. It asks for a fresh session first: the last step needs one.
func (h *handlers) reviewWebhook(c echo.Context, actor identity.Actor, view webhookFormView, before identity.Webhook,
	in identity.WebhookChange, values url.Values,
) error {
	if err := actor.RequireFresh(); err != nil {
		return err
	}
	after := in.Apply(before)
	if err := after.Check(); err != nil {
		return h.webhookFormFailed(c, actor, view, err)
	}
	newest, err := h.newestWith(c, actor, after.URL)
	if err != nil {
		return err
	}
	review := reviewView{
		Heading: "Review the new webhook", Changes: changesFrom(before.Diff(after), nil), Action: view.Action,
		Save: "Create", Cancel: view.Cancel,
	}
	switch {
	case before.ID == 0 && newest != 0:
		review.Warnings = []string{"There is a webhook with this URL already. Its receiver will get each event twice."}
	case before.ID != 0:
		review.Heading, review.Save = "Review the change", "Save"
		review.Up = link{view.Cancel, webhookHost(before.URL)}
	}
	if before.ID != 0 && in.Moves(before) {
		review.Danger = true
		review.Warnings = []string{
			"The URL has another origin. The webhook gets a new secret, which is shown once, and a stored token is deleted.",
		}
	}
	switch {
	case in.Token != nil && *in.Token == "":
		review.Changes = append(review.Changes, change{identity.FieldToken, "Token", "stored", "deleted"})
	case in.Token != nil:
		review.Changes = append(review.Changes, change{identity.FieldToken, "Token", noValue, "as you typed it"})
	}
	values.Set(knownField, strconv.FormatInt(newest, 10))
	values.Del(tokenTyped)
	review.Fields = keptFields(values)
	if token := values.Get(identity.FieldToken); token != "" {
		review.Fields = append(review.Fields, field{identity.FieldToken, token}, field{tokenTyped, ticked})
	}
	return h.render(c, actor, http.StatusOK, "review", page{
		Title: review.Heading, Nav: "webhooks", View: review, API: h.webhookCall(c, before, in),
	})
}

// webhookCall returns the call that does the same. It has no token.
func (h *handlers) webhookCall(c echo.Context, before identity.Webhook, in identity.WebhookChange) *apiCall {
	body := map[string]any{
		identity.FieldURL: in.URL, identity.FieldEvents: in.Events, identity.FieldFormat: in.Format,
		identity.FieldAuth: in.Auth, identity.FieldActive: in.Active,
	}
	if in.Token != nil {
		body[identity.FieldToken] = nil
		if *in.Token != "" {
			body[identity.FieldToken] = "TOKEN"
		}
	}
	if before.ID == 0 {
		return h.apiCall(c, http.MethodPost, "/api/v2/webhooks", nil, jsonText(body))
	}
	return h.apiCall(c, http.MethodPatch, webhookAPI(before.ID), nil, jsonText(body))
}

func (h *handlers) createWebhook(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return err
	}
	view := webhookFormFrom(identity.Webhook{}, values)
	if values.Get("step") == stepEdit {
		return h.renderWebhookForm(c, actor, http.StatusOK, view)
	}
	in, err := webhookChange(values)
	if err != nil {
		return h.webhookFormFailed(c, actor, view, err)
	}
	if values.Get("step") != stepSave {
		return h.reviewWebhook(c, actor, view, identity.Webhook{}, in, values)
	}
	newest, err := h.newestWith(c, actor, *in.URL)
	if err != nil {
		return err
	}
	if strconv.FormatInt(newest, 10) != values.Get(knownField) && newest != 0 {
		return errSameWebhook(newest)
	}
	webhook, secret, err := h.service.CreateWebhook(c.Request().Context(), actor, in)
	if err != nil {
		return h.webhookFormFailed(c, actor, view, err)
	}
	return h.renderSecret(c, actor, webhook, secretView{
		Heading: "The webhook is created", Secret: secret,
		Text: "Give this secret to the receiver: it checks the signatures with it.",
	})
}

func (h *handlers) editWebhook(c echo.Context, actor identity.Actor) error {
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	if lack := lacksForWebhook(actor, webhook); lack != "" {
		return identity.ErrEscalation(lack)
	}
	values := webhookValues(webhook)
	view := webhookFormFrom(webhook, values).withBefore(strconv.FormatInt(webhook.Version, 10), values)
	return h.renderWebhookForm(c, actor, http.StatusOK, view)
}

// updateWebhook reviews or saves a change. If somebody else was faster, it shows what both
// have changed.
func (h *handlers) updateWebhook(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	takeMerge(values)
	webhook, err := h.webhookOf(c, actor)
	if err != nil {
		return err
	}
	path := placeOf("webhooks", webhook.ID)
	match := versionIn(values)
	if match.Check(webhook.Version) != nil {
		return h.mergeWebhook(c, actor, webhook, values)
	}
	view := webhookFormFrom(webhook, values).withBefore(values.Get("version"), beforeIn(values))
	if values.Get("step") == stepEdit {
		return h.renderWebhookForm(c, actor, http.StatusOK, view)
	}
	in, err := webhookChange(values)
	if err != nil {
		return h.webhookFormFailed(c, actor, view, err)
	}
	if len(webhook.Diff(in.Apply(webhook))) == 0 && in.Token == nil {
		return h.seeOther(c, path, "webhook_same")
	}
	if values.Get("step") != stepSave {
		return h.reviewWebhook(c, actor, view, webhook, in, values)
	}
	changed, secret, err := h.service.UpdateWebhook(c.Request().Context(), actor, webhook.ID, in, match)
	switch {
	case identity.KindOf(err) == identity.Precondition:
		if webhook, err = h.webhookOf(c, actor); err != nil {
			return err
		}
		return h.mergeWebhook(c, actor, webhook, values)
	case err != nil:
		return h.webhookFormFailed(c, actor, view, err)
	case secret != "":
		return h.renderSecret(c, actor, changed, secretView{
			Heading: "The webhook is changed", Secret: secret,
			Text: "The URL has another origin, so the webhook has a new secret. The old one signs no more.",
		})
	}
	return h.seeOther(c, path, "webhook_changed")
}

func (h *handlers) mergeWebhook(c echo.Context, actor identity.Actor, webhook identity.Webhook, values url.Values,
) error {
	path := placeOf("webhooks", webhook.ID)
	view := mergeFrom(webhookMergeFields, beforeIn(values), webhookValues(webhook), values, webhook.Version)
	return h.renderMerge(c, actor, "webhooks", path+"/edit", path, view)
}
