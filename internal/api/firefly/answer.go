package firefly

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// document is an answer (JSON:API). Data is an object or a list of objects.
type document struct {
	Data     any        `json:"data"`
	Included []object   `json:"included,omitempty"`
	Meta     *meta      `json:"meta,omitempty"`
	Links    *pageLinks `json:"links,omitempty"`
}

type object struct {
	Type          string                               `json:"type"`
	ID            string                               `json:"id"`
	Attributes    any                                  `json:"attributes"`
	Links         *objectLinks                         `json:"links,omitempty"`
	Relationships map[identity.RecordType]relationship `json:"relationships,omitempty"`
}

// objectLinks has the key "0" beside "self", as Firefly has it.
type objectLinks struct {
	First struct {
		Rel string `json:"rel"`
		URI string `json:"uri"`
	} `json:"0"`
	Self string `json:"self"`
}

type userAttributes struct {
	UpdatedAt   wireTime              `json:"updated_at"`
	CreatedAt   wireTime              `json:"created_at"`
	Email       identity.Email        `json:"email"`
	Blocked     bool                  `json:"blocked"`
	BlockedCode *identity.BlockedCode `json:"blocked_code"`
	Role        *string               `json:"role"`
}

type relationship struct {
	Links struct {
		Self    string `json:"self"`
		Related string `json:"related"`
	} `json:"links"`
	Data []reference `json:"data"`
}

type reference struct {
	Type identity.RecordType `json:"type"`
	ID   identity.RecordID   `json:"id"`
}

type meta struct {
	Pagination struct {
		Total       int64 `json:"total"`
		Count       int   `json:"count"`
		PerPage     int   `json:"per_page"`
		CurrentPage int   `json:"current_page"`
		TotalPages  int   `json:"total_pages"`
	} `json:"pagination"`
}

type pageLinks struct {
	Self  string `json:"self"`
	First string `json:"first"`
	Prev  string `json:"prev,omitempty"`
	Next  string `json:"next,omitempty"`
	Last  string `json:"last"`
}

// wireTime is a time in UTC with a numeric offset and without a fraction.
type wireTime time.Time

func (t wireTime) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05-07:00"`)), nil
}

// userFrom returns a user in Firefly's form, with links that start with base. The update time of an unchanged user is
// its creation time, and an administrator has the role owner.
func userFrom(base string, u identity.User) object {
	path := "/users/" + strconv.FormatInt(u.ID, 10)
	links := &objectLinks{Self: base + path}
	links.First.Rel, links.First.URI = "self", path
	attributes := userAttributes{
		CreatedAt: wireTime(u.CreatedAt), UpdatedAt: wireTime(u.UpdatedAt), Email: u.Email, Blocked: !u.Active,
	}
	if u.UpdatedAt.IsZero() {
		attributes.UpdatedAt = attributes.CreatedAt
	}
	if u.BlockedCode != identity.NoBlockedCode {
		attributes.BlockedCode = &u.BlockedCode
	}
	if slices.Contains(u.Groups, identity.AdministratorsID) {
		owner := "owner"
		attributes.Role = &owner
	}
	return object{Type: "users", ID: strconv.FormatInt(u.ID, 10), Attributes: attributes, Links: links}
}

// userWith returns a user with the included records.
func userWith(base string, u identity.User, types []identity.RecordType, records []identity.Record) document {
	user := userFrom(base, u)
	if len(types) > 0 {
		user.Relationships = map[identity.RecordType]relationship{}
	}
	for _, t := range types {
		user.Relationships[t] = relationshipFrom(base, u.ID, t, records)
	}
	return document{Data: user, Included: objectsFrom(records)}
}

// relationshipFrom refers to the records of the type.
func relationshipFrom(base string, userID int64, t identity.RecordType, records []identity.Record) relationship {
	r := relationship{Data: []reference{}}
	path := "/users/" + strconv.FormatInt(userID, 10)
	r.Links.Self = base + path + "/relationships/" + string(t)
	r.Links.Related = base + path + "/" + string(t)
	for _, record := range records {
		if record.Type == t {
			r.Data = append(r.Data, reference{record.Type, record.ID})
		}
	}
	return r
}

func objectsFrom(records []identity.Record) []object {
	objects := make([]object, len(records))
	for i, r := range records {
		objects[i] = object{Type: string(r.Type), ID: string(r.ID), Attributes: r.Attributes}
	}
	return objects
}

// listFrom returns a page of users. It limits the number of pages to maxNumber: a link
// beyond that would lead back to page maxNumber, and a client that follows the links
// would never stop.
func listFrom(base string, p page, found identity.UserPage) document {
	users := make([]object, len(found.Users))
	for i, u := range found.Users {
		users[i] = userFrom(base, u)
	}
	pages := int(min(max((found.Total+int64(p.size)-1)/int64(p.size), 1), maxNumber))
	m := &meta{}
	m.Pagination.Total, m.Pagination.Count, m.Pagination.PerPage = found.Total, len(users), p.size
	m.Pagination.CurrentPage, m.Pagination.TotalPages = p.number, pages
	links := &pageLinks{Self: pageLink(base, p, p.number), First: pageLink(base, p, 1), Last: pageLink(base, p, pages)}
	if p.number > 1 {
		links.Prev = pageLink(base, p, p.number-1)
	}
	if p.number < pages {
		links.Next = pageLink(base, p, p.number+1)
	}
	return document{Data: users, Meta: m, Links: links}
}

func pageLink(base string, p page, number int) string {
	parameters := url.Values{"page": {strconv.Itoa(number)}}
	if p.sized {
		parameters.Set("limit", strconv.Itoa(p.size))
	}
	return base + "/users?" + parameters.Encode()
}
