package rostertest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/rostertest"
)

// TestNewcomer is a test of a program that signs its users in with Roster: the mail to a new
// user, a sign-in with a code, what a webhook tells, and a session that is over.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	r := rostertest.Start(t)
	hook := r.Webhook(t, "USER_CREATED")
	mary := r.CreateUser(t, "mary@example.com", func(u *client.UserCreate) { u.SendNotify, u.TFA = true, true })
	if mail := r.Mail(t, "mary@example.com"); !strings.Contains(mail.Text, "A profile has been made for you") {
		t.Error(mail.Text)
	}
	if post := hook.Next(t); post.Event != "USER_CREATED" || !strings.Contains(post.Body, "mary@example.com") {
		t.Errorf("%+v", post)
	}
	session := r.SignIn(t, "mary@example.com", rostertest.Password)
	if me, err := session.Users.Get(t.Context(), client.Me); err != nil || me.ID != mary.ID {
		t.Errorf("%+v, %v", me, err)
	}
	r.Advance(61 * time.Minute)
	if _, err := session.Users.Get(t.Context(), client.Me); err == nil {
		t.Error("the access token is good for more than an hour")
	}
}
