package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

const newPath = "/console/users/new"

// TestNewUser invites a user, and creates one with a typed password.
func TestNewUser(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		fresh := func(changes ...string) url.Values {
			return with(b.get(newPath).want(t, http.StatusOK, "New user", "-X POST", "&#34;invite&#34;:true").fields(), changes...)
		}
		a := b.post(newPath, fresh("step", "create", "name", "Mary", "email", "mary@example.com", "groups", "1", "tfa", "true",
			"ipWhitelist", "192.0.2.0/24\r\n", "clientTags", "vip", "phone", "+18043257762"))
		a.want(t, http.StatusOK, "an invitation is on its way", "mary@example.com", "Send invitation", "1 address or range")
		if mail := s.Mail(); mail.Kind != delivery.MailInvitation || mail.Inviter != "Jane Doe" {
			t.Errorf("%+v", mail)
		}
		got := userAt(t, s, idOf(t, s, "mary@example.com"))
		if !got.Active || !got.TFA || !got.IsAdministrator() || len(got.AllowList) != 1 || len(got.ClientTags) != 1 {
			t.Errorf("%+v", got)
		}
		b.post(newPath, fresh("step", "create", "name", "Ann", "email", "ann@example.com", "how", "password",
			"password", "NewSecret123", "sendNotify", "true", "another", "true")).
			want(t, http.StatusOK, "The user is created.", "New user")
		if mail := s.Mail(); mail.Kind != delivery.MailProfileCreated {
			t.Errorf("%+v", mail)
		}
		s.SignInWith("ann@example.com", "NewSecret123")
		// The next form begins with the same groups, and with nothing else.
		a = b.post(newPath, fresh("step", "create", "name", "Kim", "email", "kim@example.com", "groups", "1", "another", "true"))
		next := a.fields()
		if a.url.Path != newPath || next.Get("groups") != "1" || next.Get("name") != "" || next.Get("another") != "true" {
			t.Errorf("%s %v", a.url, next)
		}
	})
}

// TestNewUserErrors shows what is wrong beside the fields, and keeps all but the password.
func TestNewUserErrors(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		values := with(b.get(newPath).fields(), "step", "create", "name", "", "email", "x"+hostile, "how", "password",
			"password", "short", "ipWhitelist", "192.0.2.1\n10.0.0.1/8", "groups", "1")
		a := b.post(newPath, values).want(t, http.StatusBadRequest, `href="#f-name"`, "Line 2", "at least 8 characters").
			without(t, hostile, "short\"")
		again := a.fields()
		if again.Get("groups") != "1" || again.Get("how") != "password" || again.Get("key") != values.Get("key") ||
			again.Get("password") != "" {
			t.Errorf("%v", again)
		}
		a = b.post(newPath, with(again, "step", "create", "name", "Mary", "email", email, "password", "NewSecret123",
			"ipWhitelist", "")).want(t, http.StatusConflict, `href="#f-email"`, `class="error">Another user has this e-mail address.<`).
			without(t, "NewSecret123")
		b.post(newPath, with(a.fields(), "step", "create", "name", "Mary", "email", "mary@example.com", "password", "")).
			want(t, http.StatusBadRequest, `href="#f-password"`)
		b.post(newPath, with(a.fields(), "step", "create", "email", "mary@example.com", "groups", "99", "how", "invite")).
			want(t, http.StatusBadRequest, `href="#f-groups`, "Group 99")
		b.post(newPath, nil).want(t, http.StatusBadRequest)
		b.get(newPath+"?groups=x&groups=99&how="+url.QueryEscape(hostile)).want(t, http.StatusOK).without(t, hostile)

		viewer, _ := signedInAs(t, s, "viewer@example.com", true, identity.UsersView)
		viewer.get("/console/users").want(t, http.StatusOK, "You cannot create users. This needs the permission users.create").
			without(t, newPath)
		b.get("/console/users").want(t, http.StatusOK, `href="`+newPath+`"`).without(t, "You cannot create users.")
		viewer.get(newPath).want(t, http.StatusOK, "This needs the permission users.create").without(t, "Create user")
		viewer.post(newPath, values).want(t, http.StatusBadRequest)
		ok := with(values, "name", "Mary", "email", "mary@example.com", "password", "NewSecret123", "ipWhitelist", "", "groups", "")
		ok.Del("groups")
		viewer.post(newPath, ok).want(t, http.StatusForbidden, "users.create")
		creator, _ := signedInAs(t, s, "creator@example.com", false, identity.UsersCreate, identity.GroupsView)
		creator.get(newPath).want(t, http.StatusOK, "permissions that you do not hold yourself")
		creator.post(newPath, with(ok, "groups", "1")).want(t, http.StatusForbidden, "you do not hold yourself")
		creator.post(newPath, with(ok, "groups", "")).want(t, http.StatusBadRequest)
		ok.Del("groups")
		creator.post(newPath, with(ok, "canViewMaskedData", "true")).want(t, http.StatusForbidden)
	})
}

// TestNewUserTwice creates one user of a form that is sent twice, also at once.
func TestNewUserTwice(t *testing.T) {
	t.Parallel()
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := signedIn(t, s)
		values := with(b.get(newPath).fields(), "step", "create", "name", "Mary", "email", "mary@example.com")
		first := b.post(newPath, values).want(t, http.StatusOK, "Mary")
		second := b.post(newPath, values).want(t, http.StatusOK, "Mary")
		if first.url.Path != second.url.Path || !strings.HasPrefix(first.url.Path, "/console/users/") {
			t.Errorf("%s, then %s", first.url, second.url)
		}
		if mails := s.Mails(); len(mails) != 1 {
			t.Errorf("%+v", mails)
		}
		// Back in the history, with another address: it says so, and then creates another one.
		a := b.post(newPath, with(values, "email", "ann@example.com")).
			want(t, http.StatusConflict, "has created a user already", "ann@example.com")
		again := with(a.fields(), "step", "create")
		if again.Get("key") == values.Get("key") {
			t.Errorf("the key stays")
		}
		b.post(newPath, again).want(t, http.StatusOK, "ann@example.com")
		// A key that no form has had is none, and another operator's is not one's own.
		for i, key := range []string{strings.Repeat("k", 300), "\x00", "é"} {
			b.post(newPath, with(values, "key", key, "email", string(rune('a'+i))+"@example.com")).want(t, http.StatusOK)
		}
		other, _ := signedInAs(t, s, "creator@example.com", true, identity.UsersCreate, identity.UsersView)
		other.post(newPath, with(again, "email", "kim@example.com")).want(t, http.StatusOK, "kim@example.com")
	})
}
