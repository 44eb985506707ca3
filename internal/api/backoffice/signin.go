package backoffice

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

type issuedTokenBody struct {
	Token     string   `json:"token"`
	CreatedAt wireTime `json:"createdAt"`
	ExpiresAt wireTime `json:"expiresAt"`
}

type tokenPairBody struct {
	AccessToken  issuedTokenBody `json:"accessToken"`
	RefreshToken issuedTokenBody `json:"refreshToken"`
}

func issuedTokenFrom(t identity.IssuedToken) issuedTokenBody {
	return issuedTokenBody{Token: t.Token, CreatedAt: onWire(t.CreatedAt), ExpiresAt: onWire(t.ExpiresAt)}
}

func tokenPairFrom(p identity.TokenPair) tokenPairBody {
	return tokenPairBody{AccessToken: issuedTokenFrom(p.Access), RefreshToken: issuedTokenFrom(p.Refresh)}
}

// signedInBody answers a sign-in that needs no second factor, challengeBody one that
// does.
type signedInBody struct {
	TwoFactorRequired bool `json:"2faRequired"`
	// EnrolmentRequired limits the pair to enrolling a second factor.
	EnrolmentRequired bool `json:"2faEnrolmentRequired,omitempty"`
	tokenPairBody
}

type challengeBody struct {
	TwoFactorRequired bool             `json:"2faRequired"`
	TwoFactorDetails  challengeDetails `json:"2faDetails"`
}

type challengeDetails struct {
	Token     string            `json:"token"`
	Provider  identity.Provider `json:"provider"`
	ExpiresAt wireTime          `json:"expiresAt"`
}

// signInRequest takes any text: an address or a password that breaks the rules is
// answered like a wrong one.
type signInRequest struct {
	Email    *string `json:"email"    validate:"required"`
	Password *string `json:"password" validate:"required"`
}

func (h *handlers) signIn(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[signInRequest](c)
	if err != nil {
		return err
	}
	result, err := h.service.SignIn(c.Request().Context(), actor, *request.Email, identity.Password(*request.Password))
	if err != nil {
		return err
	}
	if result.ChallengeToken == "" {
		return c.JSON(http.StatusOK, signedInBody{
			EnrolmentRequired: result.MustEnrol, tokenPairBody: tokenPairFrom(result.Pair),
		})
	}
	return c.JSON(http.StatusOK, challengeBody{TwoFactorRequired: true, TwoFactorDetails: challengeDetails{
		Token: result.ChallengeToken, Provider: result.Challenge.Provider, ExpiresAt: onWire(result.Challenge.ExpiresAt),
	}})
}

type confirmSignInRequest struct {
	Token *string `json:"token" validate:"required"`
	Code  *string `json:"code"  validate:"required"`
}

func (h *handlers) confirmSignIn(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[confirmSignInRequest](c)
	if err != nil {
		return err
	}
	pair, err := h.service.ConfirmSignIn(c.Request().Context(), actor, *request.Token, *request.Code)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tokenPairFrom(pair))
}

type refreshRequest struct {
	RefreshToken *string `json:"refreshToken" validate:"required"`
}

func (h *handlers) refresh(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[refreshRequest](c)
	if err != nil {
		return err
	}
	pair, err := h.service.Refresh(c.Request().Context(), actor, *request.RefreshToken)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tokenPairFrom(pair))
}

func (h *handlers) signOut(c echo.Context, actor identity.Actor) error {
	if err := h.service.SignOut(c.Request().Context(), actor); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

type forgotPasswordRequest struct {
	Email *identity.Email `json:"email" validate:"required"`
}

func (h *handlers) forgotPassword(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[forgotPasswordRequest](c)
	if err != nil {
		return err
	}
	if err := h.service.ForgotPassword(c.Request().Context(), actor, *request.Email); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

type resetPasswordRequest struct {
	Token    *string            `json:"token"    validate:"required"`
	Password *identity.Password `json:"password" validate:"required"`
}

func (h *handlers) resetPassword(c echo.Context, actor identity.Actor) error {
	request, err := api.Bind[resetPasswordRequest](c)
	if err != nil {
		return err
	}
	if err := h.service.ResetPassword(c.Request().Context(), actor, *request.Token, *request.Password); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
