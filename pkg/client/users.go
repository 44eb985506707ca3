package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// User is a user of the back office. To a caller without canViewMaskedData the Email, Phone and IPWhitelist of others
// are masked.
type User struct {
	ID                int64     `json:"id"`
	Name              string    `json:"name"`
	Email             string    `json:"email"`
	Phone             string    `json:"phone"` // "" for none
	Active            bool      `json:"active"`
	TFA               bool      `json:"tfa"`
	Groups            []int64   `json:"groups"`      // their ids
	IPWhitelist       []string  `json:"ipWhitelist"` // addresses and CIDR prefixes; empty for any address
	ClientTags        []Tag     `json:"clientTags"`
	CanViewMaskedData bool      `json:"canViewMaskedData"`
	CreateTime        time.Time `json:"createTime"`
	UpdateTime        time.Time `json:"updateTime"`     // zero before the first change
	LastSigninTime    time.Time `json:"lastSigninTime"` // zero before the first sign-in
	Version           int64     `json:"version"`        // for IfVersion
}

// UserCreate is a new user. Name and Email must be given, and either Password or Invite. A user who is not Active
// cannot sign in.
type UserCreate struct {
	Name              string   `json:"name"`
	Email             string   `json:"email"`
	Password          string   `json:"password,omitempty"`
	Active            bool     `json:"active"`
	TFA               bool     `json:"tfa"`
	Groups            []int64  `json:"groups"`
	Phone             string   `json:"phone,omitempty"`
	IPWhitelist       []string `json:"ipWhitelist,omitempty"`
	ClientTags        []Tag    `json:"clientTags,omitempty"`
	CanViewMaskedData bool     `json:"canViewMaskedData,omitempty"`
	SendNotify        bool     `json:"sendNotify,omitempty"` // by mail
	Invite            bool     `json:"invite,omitempty"`     // mails a link to choose the password
}

// UserUpdate is a change of a user. What is nil stays as it is.
type UserUpdate struct {
	Name              *string   `json:"name,omitempty"`
	Email             *string   `json:"email,omitempty"`
	Password          *string   `json:"password,omitempty"`
	CurrentPassword   *string   `json:"currentPassword,omitempty"` // for one's own new password
	Active            *bool     `json:"active,omitempty"`
	TFA               *bool     `json:"tfa,omitempty"`
	Groups            *[]int64  `json:"groups,omitempty"`
	Phone             *string   `json:"phone,omitempty"` // new("") takes it away
	IPWhitelist       *[]string `json:"ipWhitelist,omitempty"`
	ClientTags        *[]Tag    `json:"clientTags,omitempty"`
	CanViewMaskedData *bool     `json:"canViewMaskedData,omitempty"`
	SendNotify        bool      `json:"sendNotify,omitempty"` // by mail, of the changes that matter for signing in
}

// MarshalJSON returns the change as the API wants it, with null for an empty phone number.
func (u UserUpdate) MarshalJSON() ([]byte, error) {
	type fields UserUpdate
	return json.Marshal(struct {
		fields

		Phone *emptyIsNull `json:"phone,omitempty"`
	}{fields(u), (*emptyIsNull)(u.Phone)})
}

// emptyIsNull is a text that is null where it is empty.
type emptyIsNull string

// MarshalJSON returns the text or null.
func (s emptyIsNull) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// Tag marks a user with a client. It is a Text, or else an object that has an ID, a Name or both.
type Tag struct {
	Text string
	ID   *int64 // nil for none
	Name string // "" for none
}

type tagObject struct {
	ID   *int64 `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// MarshalJSON returns a string or an object.
func (t Tag) MarshalJSON() ([]byte, error) {
	if t.ID == nil && t.Name == "" {
		return json.Marshal(t.Text)
	}
	return json.Marshal(tagObject{t.ID, t.Name})
}

// UnmarshalJSON reads a string or an object.
func (t *Tag) UnmarshalJSON(raw []byte) error {
	*t = Tag{}
	if bytes.HasPrefix(raw, []byte(`"`)) {
		return json.Unmarshal(raw, &t.Text)
	}
	var object tagObject
	err := json.Unmarshal(raw, &object)
	t.ID, t.Name = object.ID, object.Name
	return err
}

// UserList says which users are listed, and how. Its zero value lists all, by id.
type UserList struct {
	Name   string // part of the name
	Email  string // the whole address
	Search string // part of the name, the address or the phone number
	Status string // active or inactive; "" for any
	Group  int64  // the id of a group; 0 for any
	TFA    *bool
	Locked *bool // whether too many wrong passwords or codes keep them out

	LastSigninAfter  time.Time // at this time or later; zero for any
	LastSigninBefore time.Time // who never signed in is before any time; zero for any
	CreatedAfter     time.Time // at this time or later; zero for any
	CreatedBefore    time.Time // zero for any

	SortBy string // id, name, email, createTime or lastSigninTime
	Desc   bool
	Size   int // how many are asked for at once, 1 to 1000; 0 for 50
}

func (l UserList) query() url.Values {
	q := l.filters()
	setInt(q, "limit", int64(l.Size))
	setText(q, "sort_by", l.SortBy)
	if l.Desc {
		q.Set("sort_order", "desc")
	}
	return q
}

func (l UserList) filters() url.Values {
	q := url.Values{}
	setText(q, "filter[name]", l.Name)
	setText(q, "filter[email]", l.Email)
	setText(q, "filter[q]", l.Search)
	setText(q, "filter[status]", l.Status)
	setInt(q, "filter[group]", l.Group)
	if l.TFA != nil {
		q.Set("filter[tfa]", strconv.FormatBool(*l.TFA))
	}
	if l.Locked != nil {
		q.Set("filter[locked]", strconv.FormatBool(*l.Locked))
	}
	setTime(q, "filter[lastSigninAfter]", l.LastSigninAfter)
	setTime(q, "filter[lastSigninBefore]", l.LastSigninBefore)
	setTime(q, "filter[createdAfter]", l.CreatedAfter)
	setTime(q, "filter[createdBefore]", l.CreatedBefore)
	return q
}

// Users is the part of the API about users.
type Users struct{ c *Client }

// List returns the users that match.
func (s *Users) List(ctx context.Context, which UserList) iter.Seq2[User, error] {
	return list[User](ctx, s.c, "/users", which.query())
}

// UserCount is how many users match.
type UserCount struct {
	Total             int64 `json:"total"`
	TotalIsLowerBound bool  `json:"totalIsLowerBound"` // there are more, too many to count
}

// Count returns how many users match, up to 10,000. It takes the filters of a list.
func (s *Users) Count(ctx context.Context, which UserList) (UserCount, error) {
	r := newCall(http.MethodGet, "/users/count", nil)
	r.query = which.filters()
	return one[UserCount](ctx, s.c, r)
}

// FoundUsers are the users that texts name, each once, and the texts that name nobody.
type FoundUsers struct {
	Users    []User   `json:"data"`
	NotFound []string `json:"notFound"`
}

// Find returns the users that texts name: whole e-mail addresses, ids, phone numbers; at most 1000.
func (s *Users) Find(ctx context.Context, texts []string) (FoundUsers, error) {
	if texts == nil {
		texts = []string{}
	}
	r := newCall(http.MethodPost, "/users/find", map[string][]string{"texts": texts})
	r.safe = true
	return one[FoundUsers](ctx, s.c, r)
}

// Export returns all users that match, by id, as a file to read and to close: csv, or ndjson with one object per line.
// SortBy, Desc and Size do not count. Reading fails if the file is cut off. The time that the
// HTTPClient gives a call does not bound it: the context does.
func (s *Users) Export(ctx context.Context, which UserList, format string) (io.ReadCloser, error) {
	r := newCall(http.MethodGet, "/users/export", nil)
	r.query = which.filters()
	setText(r.query, "format", format)
	return s.c.stream(ctx, r)
}

// Get returns a user. Me is the caller.
func (s *Users) Get(ctx context.Context, id int64) (User, error) {
	return one[User](ctx, s.c, newCall(http.MethodGet, path("users", id), nil))
}

// Create creates a user once, also if the call has to be repeated. It takes IdempotencyKey.
func (s *Users) Create(ctx context.Context, user UserCreate, options ...CallOption) (User, error) {
	if user.Groups == nil {
		user.Groups = []int64{}
	}
	options = append([]CallOption{IdempotencyKey(rand.Text())}, options...)
	return one[User](ctx, s.c, newCall(http.MethodPost, "/users", user, options...))
}

// Update changes a user and returns the new version. It takes IfVersion and Force.
func (s *Users) Update(ctx context.Context, id int64, change UserUpdate, options ...CallOption) (User, error) {
	return one[User](ctx, s.c, newCall(http.MethodPatch, path("users", id), change, options...))
}

// Invite mails a user who has never signed in a link to choose the password. It works once, for seven days. Earlier
// links are void.
func (s *Users) Invite(ctx context.Context, id int64) error {
	_, err := s.c.do(ctx, newCall(http.MethodPost, path("users", id, "invite"), nil), nil)
	return err
}

// Delete deletes a user, with all that belongs to it. It takes IfVersion.
func (s *Users) Delete(ctx context.Context, id int64, options ...CallOption) error {
	return s.c.remove(ctx, path("users", id), options...)
}

// NetworkExplanation says whether a user may come from an address.
type NetworkExplanation struct {
	Allowed bool   `json:"allowed"`
	Match   string `json:"match"` // the entry of the IPWhitelist that holds the address; "" for none
}

// ExplainNetwork returns whether a user may come from an address. Me does not stand for the caller here.
func (s *Users) ExplainNetwork(ctx context.Context, userID int64, ip string) (NetworkExplanation, error) {
	r := newCall(http.MethodPost, "/network/explain", map[string]any{"userId": userID, "ip": ip})
	r.safe = true
	return one[NetworkExplanation](ctx, s.c, r)
}
