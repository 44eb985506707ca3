// Package shop is a program of another module that tests itself with Roster.
package shop

import (
	"errors"
	"testing"
	"time"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/rostertest"
)

// TestNewUser checks that a new user is told of the profile, and that a token of the shop ends.
func TestNewUser(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t, rostertest.Clock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)))
	token, err := r.Client.Tokens.Create(t.Context(), client.TokenCreate{
		Name: "shop", Permissions: []string{"users.view"}, ExpiresAt: r.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	mary := r.CreateUser(t, "mary@example.com", func(u *client.UserCreate) { u.SendNotify = true })
	if mail := r.Mail(t, "mary@example.com"); mail.Subject != "Your profile in Roster" {
		t.Errorf("%+v", mail)
	}
	shop := r.As(token.Secret)
	if user, err := shop.Users.Get(t.Context(), mary.ID); err != nil || user.ID != mary.ID {
		t.Errorf("%+v, %v", user, err)
	}
	r.Advance(time.Hour)
	var refused *client.Error
	if _, err := shop.Users.Get(t.Context(), mary.ID); !errors.As(err, &refused) || refused.Code != "invalid_token" {
		t.Errorf("the token has expired: %v", err)
	}
}
