package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type enrolmentBody struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     []byte `json:"qrPng"` // base64
}

type secondFactorBody struct {
	Provider      *string  `json:"provider"`
	Since         wireTime `json:"since"` // null without an authenticator
	RecoveryCodes int64    `json:"recoveryCodes"`
}

func (h *handlers) secondFactor(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	factor, err := h.service.SecondFactor(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, secondFactorBody{
		Provider: orNull(string(factor.Provider)), Since: onWire(factor.Since), RecoveryCodes: factor.RecoveryCodes,
	})
}

func (h *handlers) enrolTOTP(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	enrolment, err := h.service.EnrolTOTP(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, enrolmentBody{Secret: enrolment.Secret, URI: enrolment.URI, QR: enrolment.QR})
}

type confirmTOTPRequest struct {
	Code *string `json:"code" validate:"required"`
}

type recoveryCodesBody struct {
	RecoveryCodes []string `json:"recoveryCodes"`
}

func (h *handlers) confirmTOTP(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	request, err := api.Bind[confirmTOTPRequest](c)
	if err != nil {
		return err
	}
	codes, err := h.service.ConfirmTOTP(c.Request().Context(), actor, id, *request.Code)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, recoveryCodesBody{RecoveryCodes: codes})
}

func (h *handlers) resetTOTP(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.ResetTOTP(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
