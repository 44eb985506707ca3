package client

import (
	"context"
	"iter"
	"net/http"
	"time"
)

// Group is a set of permissions that its members have.
type Group struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"`
	RequireTFA  bool      `json:"requireTfa"`
	CreateTime  time.Time `json:"createTime"`
	UpdateTime  time.Time `json:"updateTime"` // zero before the first change
	Version     int64     `json:"version"`    // for IfVersion
}

// GroupCreate is a new group. Name must be given.
type GroupCreate struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	RequireTFA  bool     `json:"requireTfa,omitempty"`
}

// GroupUpdate is a change of a group. What is nil stays as it is.
type GroupUpdate struct {
	Name        *string   `json:"name,omitempty"`
	Permissions *[]string `json:"permissions,omitempty"`
	RequireTFA  *bool     `json:"requireTfa,omitempty"`
}

// Groups is the part of the API about groups.
type Groups struct{ c *Client }

// List returns all groups.
func (s *Groups) List(ctx context.Context, page Page) iter.Seq2[Group, error] {
	return list[Group](ctx, s.c, "/groups", page.query())
}

// Get returns a group.
func (s *Groups) Get(ctx context.Context, id int64) (Group, error) {
	return one[Group](ctx, s.c, newCall(http.MethodGet, path("groups", id), nil))
}

// Create creates a group.
func (s *Groups) Create(ctx context.Context, group GroupCreate) (Group, error) {
	if group.Permissions == nil {
		group.Permissions = []string{}
	}
	return one[Group](ctx, s.c, newCall(http.MethodPost, "/groups", group))
}

// Update changes a group and returns the new version. It takes IfVersion.
func (s *Groups) Update(ctx context.Context, id int64, change GroupUpdate, options ...CallOption) (Group, error) {
	return one[Group](ctx, s.c, newCall(http.MethodPatch, path("groups", id), change, options...))
}

// Delete deletes a group without members. It takes IfVersion.
func (s *Groups) Delete(ctx context.Context, id int64, options ...CallOption) error {
	return s.c.remove(ctx, path("groups", id), options...)
}
