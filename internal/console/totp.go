package console

import (
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// factorView is the second factor as pages show it.
type factorView struct {
	Provider identity.Provider // "" for none
	Since    moment
	Codes    int64 // recovery codes that are left
}

// totpView is a step of enrolling an authenticator.
type totpView struct {
	Factor    factorView
	MustEnrol bool
	// Confirm asks for a first code. The picture and the secret are shown once.
	Confirm  bool
	QR       template.URL
	Secret   string // in groups of four
	Link     template.URL
	Problems problems
	// The recovery codes, once.
	Codes    string
	Download template.URL
	Go       string
}

func (h *handlers) totpRoutes() []api.Route {
	return []api.Route{
		{Method: http.MethodGet, Path: "/me/totp", Handler: h.showTOTP},
		{Method: http.MethodPost, Path: "/me/totp", Handler: h.enrol},
		{Method: http.MethodGet, Path: "/me/totp/reset", Handler: h.askResetTOTP},
		{Method: http.MethodPost, Path: "/me/totp/reset", Handler: h.resetTOTP},
	}
}

func factorViewFrom(factor identity.SecondFactor, now time.Time) factorView {
	return factorView{Provider: factor.Provider, Since: momentOf(factor.Since, now), Codes: factor.RecoveryCodes}
}

func (h *handlers) renderTOTP(c echo.Context, actor identity.Actor, status int, view totpView) error {
	view.MustEnrol = actor.MustEnrol
	return h.render(c, actor, status, "totp", page{Title: "Second factor", Nav: "me", View: view})
}

func (h *handlers) showTOTP(c echo.Context, actor identity.Actor) error {
	factor, err := h.service.SecondFactor(c.Request().Context(), actor, actor.UserID)
	if err != nil {
		return err
	}
	return h.renderTOTP(c, actor, http.StatusOK, totpView{Factor: factorViewFrom(factor, h.now())})
}

// enrol makes a secret, or switches its authenticator on with a first code.
func (h *handlers) enrol(c echo.Context, actor identity.Actor) error {
	values, err := form(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if values.Get("step") != "confirm" {
		enrolment, err := h.service.EnrolTOTP(ctx, actor, actor.UserID)
		if err != nil {
			return err
		}
		return h.renderTOTP(c, actor, http.StatusOK, totpView{
			Confirm: true, QR: dataURL("image/png", enrolment.QR), Secret: inFours(enrolment.Secret),
			Link: template.URL(enrolment.URI), //nolint:gosec // G203: ours, an otpauth URI
		})
	}
	codes, err := h.service.ConfirmTOTP(ctx, actor, actor.UserID, strings.TrimSpace(values.Get("code")))
	if identity.KindOf(err) == identity.Invalid {
		view := totpView{Confirm: true}
		view.Problems, _ = problemsOf(err)
		return h.renderTOTP(c, actor, http.StatusBadRequest, view)
	}
	if err != nil {
		return err
	}
	if err := h.renewCookie(c, actor); err != nil {
		return err
	}
	return h.renderTOTP(c, actor, http.StatusOK, codesView(actor, codes))
}

// codesView shows recovery codes, once.
func codesView(actor identity.Actor, codes []string) totpView {
	text := strings.Join(codes, "\n")
	view := totpView{Codes: text, Download: dataURL("text/plain", []byte(text+"\n")), Go: mePath}
	if actor.MustEnrol {
		view.Go = Prefix
	}
	return view
}

func (h *handlers) askResetTOTP(c echo.Context, actor identity.Actor) error {
	factor, err := h.service.SecondFactor(c.Request().Context(), actor, actor.UserID)
	if err != nil {
		return err
	}
	return h.render(c, actor, http.StatusOK, "totpreset", page{
		Title: "Take the authenticator away", Nav: "me", View: factorViewFrom(factor, h.now()),
		API: h.apiCall(c, http.MethodDelete, "/api/v2/users/me/totp", nil, ""),
	})
}

func (h *handlers) resetTOTP(c echo.Context, actor identity.Actor) error {
	if err := h.service.ResetTOTP(c.Request().Context(), actor, actor.UserID); err != nil {
		return err
	}
	return h.seeOther(c, mePath, "factor_reset")
}

// dataURL returns content as an address that needs no request. It is safe in a page for the
// types that it is called with: a picture, and text to download.
func dataURL(mediaType string, content []byte) template.URL {
	return template.URL("data:" + mediaType + ";base64," + //nolint:gosec // G203: base64 has nothing to escape
		url.PathEscape(base64.StdEncoding.EncodeToString(content)))
}

// inFours returns a text in groups of four, for typing.
func inFours(text string) string {
	const group = 4
	var b strings.Builder
	for i, r := range text {
		if i > 0 && i%group == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
