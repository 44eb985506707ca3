package rights

import (
	"fmt"
	"net/http"
)

const hooksPath = "/api/v2/webhooks"

func (k *walk) aHook(c *call) *hook {
	h := one(k, sorted(k.w.hooks, func(h *hook) bool { return !h.gone || k.chance(3) }))
	if h != nil {
		c.hook = h.id
		c.path = fmt.Sprintf("%s/%d", hooksPath, h.id)
	}
	return h
}

func (k *walk) webhooksRead(c *call) *call {
	if c.kind == "webhooks.list" {
		return c.sends(http.MethodGet, hooksPath, nil)
	}
	h := k.aHook(c)
	if h == nil {
		return nil
	}
	switch c.kind {
	case "webhooks.get":
		c.sends(http.MethodGet, c.path, nil)
	case "webhooks.deliveries":
		c.sends(http.MethodGet, c.path+"/deliveries", nil)
	case "webhooks.rotate":
		c.sends(http.MethodPost, c.path+"/rotate", nil)
	case "webhooks.test":
		c.sends(http.MethodPost, c.path+"/test", nil)
	case "webhooks.delete":
		c.sends(http.MethodDelete, c.path, nil)
		c.done = func() string {
			h.gone = true
			return ""
		}
	}
	return c
}

func (k *walk) webhooksWrite(c *call) *call {
	h := &hook{}
	if c.kind == "webhooks.patch" {
		if h = k.aHook(c); h == nil {
			return nil
		}
	} else if len(sorted(k.w.hooks, func(h *hook) bool { return !h.gone })) > 20 {
		return nil
	}
	next := &hook{id: h.id, gone: h.gone, v2: k.chance(40), synced: k.chance(40)}
	c.wanted = next
	body := object{
		"url": fmt.Sprintf("https://hooks.example.com/%d", k.next()), "events": []string{"USER_CREATED"},
		"format": "powens",
	}
	if next.synced {
		body["events"] = []string{"USER_SYNCED"}
	}
	if next.v2 {
		body["format"] = "v2"
	}
	if c.kind == "webhooks.patch" {
		c.sends(http.MethodPatch, c.path, body)
		c.done = func() string {
			*h = *next
			return ""
		}
		return c
	}
	c.sends(http.MethodPost, hooksPath, body)
	c.done = func() string {
		next.id = c.answer.id()
		k.w.hooks[next.id] = next
		return ""
	}
	return c
}

func (k *walk) outboxList(c *call) *call { return c.sends(http.MethodGet, "/api/v2/outbox", nil) }

func (k *walk) eventsList(c *call) *call {
	query := ""
	if u := one(k, sorted(k.w.users, func(*user) bool { return true })); u != nil && k.chance(50) {
		query = fmt.Sprintf("?filter[%s]=%d", one(k, []string{"user", "actor"}), u.id)
	}
	return c.sends(http.MethodGet, "/api/v2/events"+query, nil)
}
