package store_test

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// expected is the list of users in plain Go: the ids that match, in order.
func expected(model []identity.User, q identity.UserQuery) []int64 {
	matching := slices.DeleteFunc(slices.Clone(model), func(u identity.User) bool { return !matches(u, q.Filter) })
	slices.SortFunc(matching, func(a, b identity.User) int {
		order := cmp.Or(compareBy(q.Sort, a, b), cmp.Compare(a.ID, b.ID))
		if q.Descending {
			order = -order
		}
		return order
	})
	return userIDs(matching)
}

func matches(u identity.User, f identity.UserFilter) bool {
	name := identity.Fold(string(u.Name))
	search := identity.Fold(f.Search)
	switch {
	case !strings.Contains(name, identity.Fold(f.Name)):
	case !strings.Contains(name, search) && !strings.Contains(u.Email.Key(), search) &&
		!strings.Contains(string(u.Phone), search):
	case f.Email != "" && !strings.EqualFold(string(u.Email), f.Email):
	case f.None:
	case f.Active != nil && u.Active != *f.Active:
	case f.TFA != nil && u.TFA != *f.TFA:
	case !f.CreatedAfter.IsZero() && u.CreatedAt.Before(f.CreatedAfter):
	case !f.CreatedBefore.IsZero() && !u.CreatedAt.Before(f.CreatedBefore):
	case !f.SigninAfter.IsZero() && u.LastSigninAt.Before(f.SigninAfter):
	case !f.SigninBefore.IsZero() && !u.LastSigninAt.Before(f.SigninBefore):
	case f.Locked != nil && *f.Locked != (u.ID%50 == 3): // see TestUsersAgainstModel
	case f.IDs != nil && !slices.Contains(f.IDs, u.ID):
	case f.Group != 0 && !slices.Contains(u.Groups, f.Group):
	default:
		return true
	}
	return false
}

func compareBy(sort identity.UserSort, a, b identity.User) int {
	switch sort {
	case identity.SortByName:
		return strings.Compare(identity.Fold(string(a.Name)), identity.Fold(string(b.Name)))
	case identity.SortByEmail:
		return strings.Compare(a.Email.Key(), b.Email.Key())
	case identity.SortByCreation:
		return a.CreatedAt.Compare(b.CreatedAt)
	case identity.SortByLastSignin:
		return a.LastSigninAt.Compare(b.LastSigninAt)
	case identity.SortByID:
	}
	return 0
}
