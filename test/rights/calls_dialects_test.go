package rights

import (
	"fmt"
	"net/http"
)

const fireflyPath = "/api/v1/users"

func (k *walk) fireflyList(c *call) *call { return c.sends(http.MethodGet, fireflyPath, nil) }

func (k *walk) fireflyGet(c *call) *call {
	if k.fireflyUser(c) == nil {
		return nil
	}
	query := ""
	if k.chance(50) {
		query = "?include=accounts"
	}
	return c.sends(http.MethodGet, c.path+query, nil)
}

// fireflyUser picks a user as about does, but always with the id in the path.
func (k *walk) fireflyUser(c *call) *user {
	u := k.about(c, fireflyPath)
	if c.me {
		c.path = fmt.Sprintf("%s/%d", fireflyPath, c.user)
		c.me = false
	}
	if c.user == 0 {
		return nil
	}
	return u
}

func (k *walk) fireflyCreate(c *call) *call {
	if len(sorted(k.w.users, func(u *user) bool { return !u.gone })) > 14 {
		return nil
	}
	block := k.next()
	u := &user{block: block, email: k.email(block), active: k.chance(80), groups: []int64{}}
	u.name = u.email // "the name is the address"
	c.change = &change{}
	c.sends(http.MethodPost, fireflyPath, object{"email": u.email, "blocked": !u.active})
	c.done = func() string {
		var shown struct{ Data struct{ ID string } }
		c.answer.decode(&shown)
		var id int64
		if _, err := fmt.Sscan(shown.Data.ID, &id); err != nil {
			return "the answer has no id"
		}
		k.add(u, id)
		return ""
	}
	return c
}

func (k *walk) fireflyPut(c *call) *call {
	u := k.fireflyUser(c)
	if u == nil {
		return nil
	}
	a, _ := model{}.actor(k.w, c.as)
	next := *u
	body := object{}
	if k.chance(60) {
		c.change = &change{field: "email"}
		k.newEmail(c, a, &next)
		body["email"] = c.change.value
	} else {
		next.active = !u.active || k.chance(60)
		c.change = &change{field: "active", flag: next.active}
		body["blocked"] = !next.active
	}
	c.sends(http.MethodPut, c.path, body)
	c.done = func() string {
		k.changed(c, u, &next)
		return ""
	}
	return c
}

func (k *walk) fireflyDelete(c *call) *call {
	u := k.fireflyUser(c)
	if u == nil {
		return nil
	}
	c.sends(http.MethodDelete, c.path, nil)
	c.done = k.deletion(u)
	return c
}

func (k *walk) powensCall(c *call) *call {
	const path = "/2.0/users"
	if c.kind == "powens.list" {
		return c.sends(http.MethodGet, path, nil)
	}
	u := k.about(c, path)
	if u == nil {
		return nil
	}
	switch c.kind {
	case "powens.get":
		c.sends(http.MethodGet, c.path, nil)
	case "powens.synced":
		const connections = `{"connections":[{"connector":{"id":40},"sources":[],"accounts":[]}]}`
		c.sends(http.MethodPost, c.path+"/synced", connections)
	case "powens.delete":
		c.sends(http.MethodDelete, c.path, nil)
		c.done = k.deletion(u)
	}
	return c
}
