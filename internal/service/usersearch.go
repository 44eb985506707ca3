package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// FindUsers returns the users that texts name, in the order of the texts, and the texts that
// name nobody. A text is a whole e-mail address, an id or a phone number, which several users
// can have. A caller without CanViewMaskedData finds nobody by phone: that would tell what the
// mask hides. An address finds its user, as it does in Users. The errors are Forbidden and
// Invalid: there are more than MaxUserTexts texts or users, or the users fill more than a page.
func (s *Service) FindUsers(ctx context.Context, actor identity.Actor, texts []string) (identity.UserMatches, error) {
	if err := actor.Require(identity.UsersView); err != nil {
		return identity.UserMatches{}, err
	}
	if len(texts) > identity.MaxUserTexts {
		return identity.UserMatches{}, identity.InvalidField(identity.FieldTexts, "too_many",
			fmt.Sprintf("must have at most %d items", identity.MaxUserTexts))
	}
	names := make([]userName, len(texts))
	var keys store.UserKeys
	for i, text := range texts {
		names[i] = userNameOf(text, actor)
		switch name := names[i]; {
		case name.id != 0:
			keys.IDs = append(keys.IDs, name.id)
		case name.email != "":
			keys.Emails = append(keys.Emails, name.email)
		case name.phone != "":
			keys.Phones = append(keys.Phones, string(name.phone))
		}
	}
	users, complete, err := s.store.UsersByKeys(ctx, keys, identity.MaxUserTexts)
	if err == nil && !complete {
		err = identity.InvalidField(identity.FieldTexts, "too_many_matches",
			"name more users than one answer can have: send fewer")
	}
	if err != nil {
		return identity.UserMatches{}, err
	}
	return matchNames(actor, texts, names, users), nil
}

// userName is what a text names: one field is set, or none where it can name nobody.
type userName struct {
	id    int64
	email string // its key
	phone identity.Phone
}

// userNameOf reads a text. Digits alone are an id, because a phone number has a plus sign.
func userNameOf(text string, actor identity.Actor) userName {
	text = strings.TrimSpace(text)
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 && text[0] != '+' {
		return userName{id: id}
	}
	if strings.Contains(text, "@") && len(text) <= identity.MaxEmailBytes {
		return userName{email: identity.EmailKey(text)}
	}
	if phone, err := identity.ParsePhone(text); err == nil && actor.CanViewMaskedData {
		return userName{phone: phone}
	}
	return userName{}
}

// matchNames puts users into the order of the texts that name them.
func matchNames(actor identity.Actor, texts []string, names []userName, users []identity.User) identity.UserMatches {
	named := make(map[userName][]identity.User, len(users))
	add := func(name userName, u identity.User) { named[name] = append(named[name], u) }
	slices.SortFunc(users, func(a, b identity.User) int { return cmp.Compare(a.ID, b.ID) })
	for _, u := range users {
		add(userName{id: u.ID}, u)
		add(userName{email: u.Email.Key()}, u)
		if u.Phone != "" {
			add(userName{phone: u.Phone}, u)
		}
	}
	matches := identity.UserMatches{Users: []identity.User{}, NotFound: []string{}}
	shown := make(map[int64]bool, len(users))
	for i, name := range names {
		found := named[name]
		if len(found) == 0 {
			matches.NotFound = append(matches.NotFound, texts[i])
		}
		for _, u := range found {
			if !shown[u.ID] {
				shown[u.ID] = true
				matches.Users = append(matches.Users, actor.Sees(u))
			}
		}
	}
	return matches
}
