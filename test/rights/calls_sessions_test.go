package rights

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

func (k *walk) sessionsList(c *call) *call {
	if k.about(c, usersPath) == nil {
		return nil
	}
	c.sends(http.MethodGet, c.path+"/sessions", nil)
	c.done = func() string {
		if c.as.session == nil || c.user != c.as.user() {
			return ""
		}
		var list struct {
			Data []struct {
				ID      json.RawMessage
				Current bool
			}
		}
		c.answer.decode(&list)
		for _, s := range list.Data { // sessionsEnd needs the id
			if s.Current {
				c.as.session.sid = strings.Trim(string(s.ID), `"`)
				return ""
			}
		}
		return "the caller's own session is not in the list"
	}
	return c
}

func (k *walk) sessionsEnd(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	var known, of []*session
	for _, s := range k.w.sessions {
		if s.sid != "" && !s.unknown && (!s.ended || k.chance(10)) {
			known = append(known, s)
			if s.user == u.id {
				of = append(of, s)
			}
		}
	}
	if len(of) == 0 && len(known) > 0 && k.chance(80) {
		of = known[:1]
		u = k.w.user(known[0].user)
		c.user, c.me, c.path = u.id, false, fmt.Sprintf("%s/%d", usersPath, u.id)
	}
	target := one(k, of)
	if c.sid = "100000"; target != nil {
		c.sid, c.known = target.sid, !target.ended
	}
	c.sends(http.MethodDelete, c.path+"/sessions/"+c.sid, nil)
	c.done = func() string {
		if target != nil {
			target.ended = true
		}
		return ""
	}
	return c
}

func (k *walk) sessionsEndAll(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path+"/sessions", nil)
	c.done = func() string {
		k.w.endSessions(u.id, c.as.session)
		return ""
	}
	return c
}

func (k *walk) totpEnrol(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	c.sends(http.MethodPost, c.path+"/totp", nil)
	c.done = func() string {
		u.totp, _ = c.answer.object()["secret"].(string)
		u.enrolled = false
		return ""
	}
	return c
}

// code returns a code of the user's authenticator, "" if no unused one is valid.
func (k *walk) code(u *user) string {
	if u.totp == "" || k.w.now.Unix()/30 <= u.lastStep+1 { // the code of the previous step is valid, too
		return ""
	}
	code, err := totp.GenerateCode(u.totp, k.w.now)
	if err != nil {
		return ""
	}
	return code
}

// used notes that the current code was used.
func (k *walk) used(u *user) { u.lastStep = k.w.now.Unix() / 30 }

func (k *walk) totpConfirm(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	code := k.code(u)
	if c.right = code != "" && !k.chance(10); !c.right {
		code = "000000"
	}
	c.sends(http.MethodPost, c.path+"/totp/confirm", object{"code": code})
	c.done = func() string {
		if u.tfa {
			k.w.forgetSessions(u.id, c.as.session) // the contract leaves open whether they end if tfa was on
		} else {
			k.w.endSessions(u.id, c.as.session)
		}
		u.enrolled, u.tfa = true, true
		k.used(u)
		return ""
	}
	return c
}

func (k *walk) totpReset(c *call) *call {
	u := k.about(c, usersPath)
	if u == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path+"/totp", nil)
	c.done = func() string {
		if u.enrolled {
			k.w.endSessions(u.id, c.as.session)
		} else {
			k.w.forgetSessions(u.id, c.as.session)
		}
		u.totp, u.enrolled = "", false
		return ""
	}
	return c
}

func (k *walk) reauthenticate(c *call) *call {
	u := k.w.user(c.as.user())
	if u.tfa && !u.enrolled {
		return nil // it may need a code by mail
	}
	body := object{"password": u.password}
	if c.right = !k.chance(15) && u.password != ""; !c.right {
		body["password"] = "WrongSecret1"
	}
	if u.tfa {
		code := k.code(u)
		if code == "" {
			return nil
		}
		body["code"] = code
		if k.chance(20) {
			c.right = false
			body["code"] = "000000"
		}
	}
	c.sends(http.MethodPost, "/api/v2/reauthenticate", body)
	c.done = func() string {
		if c.as.session == nil {
			return "a service token has no session to reauthenticate"
		}
		c.as.session.freshUntil = k.w.now.Add(15 * time.Minute)
		if u.tfa {
			k.used(u)
		}
		return ""
	}
	if u.tfa && c.right { // the code may count as used after any answer
		k.used(u)
	}
	return c
}

func (k *walk) signIn(c *call) *call {
	alive := 0
	for _, s := range k.w.sessions {
		if !s.ended && !s.unknown {
			alive++
		}
	}
	u := one(k, sorted(k.w.users, func(u *user) bool { return u.password != "" && (!u.gone || k.chance(3)) }))
	if alive > 10 || u == nil {
		return nil
	}
	code := k.code(u)
	if u.enrolled && u.tfa && code == "" {
		return nil
	}
	c.as = caller{}
	c.user, c.right = u.id, !k.chance(10)
	c.from = k.source(caller{session: &session{user: u.id}})
	body := object{"email": u.email, "password": u.password}
	if !c.right {
		body["password"] = "WrongSecret1"
	}
	c.sends(http.MethodPost, "/api/v2/signin", body)
	c.done = func() string { return k.signedIn(c, u, code) }
	return c
}

// pair is the answer to a sign-in.
type pair struct {
	AccessToken, RefreshToken struct {
		Token     string
		ExpiresAt time.Time
	}
}

// signedIn confirms a second factor if the user has one, and adds the session.
func (k *walk) signedIn(c *call, u *user, code string) string {
	var p struct {
		pair
		Required bool                             `json:"2faRequired"`
		Details  struct{ Token, Provider string } `json:"2faDetails"`
	}
	c.answer.decode(&p)
	if p.Required != u.tfa {
		return fmt.Sprintf("a second factor is asked for: %t", p.Required)
	}
	if u.tfa && !u.enrolled {
		return "" // the code comes by mail, which the walk does not read
	}
	if u.tfa {
		k.used(u)
		confirm := &call{kind: "2fa.confirm", from: c.from}
		confirm.sends(http.MethodPost, "/api/v2/2fa/confirm", object{"token": p.Details.Token, "code": code})
		answer := k.service.do(confirm)
		if answer.status != http.StatusOK {
			return fmt.Sprintf("the code was refused: %d %s", answer.status, answer.body)
		}
		answer.decode(&p.pair)
	}
	k.w.sessions = append(k.w.sessions, &session{
		number: k.next(), user: u.id, access: p.AccessToken.Token, refresh: p.RefreshToken.Token,
		accessEnd: p.AccessToken.ExpiresAt, freshUntil: k.w.now.Add(15 * time.Minute),
	})
	return ""
}

func (k *walk) refresh(c *call) *call {
	var of []*session
	for _, s := range k.w.sessions {
		if !s.unknown && (!s.ended || k.chance(5)) {
			of = append(of, s)
		}
	}
	s := one(k, of)
	if s == nil {
		return nil
	}
	c.as, c.user, c.right = caller{session: s}, s.user, true
	c.from = k.source(c.as)
	c.sends(http.MethodPost, "/api/v2/refresh", object{"refreshToken": s.refresh})
	c.done = func() string {
		var p pair
		c.answer.decode(&p)
		s.access, s.refresh, s.accessEnd = p.AccessToken.Token, p.RefreshToken.Token, p.AccessToken.ExpiresAt
		return ""
	}
	return c
}

func (k *walk) signOut(c *call) *call {
	c.sends(http.MethodPost, "/api/v2/signout", nil)
	c.done = func() string {
		if c.as.session != nil {
			c.as.session.ended = true
		}
		return ""
	}
	return c
}
