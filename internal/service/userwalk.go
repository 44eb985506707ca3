package service

import (
	"context"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// WalkUsers calls fn with one page after another of all users that match, as Users
// returns them. The pages after the first have no total. Before each page the rights of
// the caller are read again, so that a revocation ends the walk. The errors are those of
// Authenticate, of Users and of fn.
func (s *Service) WalkUsers(ctx context.Context, actor identity.Actor, q identity.UserQuery,
	fn func(identity.UserPage) error,
) error {
	for {
		page, err := s.Users(ctx, actor, q)
		if err != nil {
			return err
		}
		if err := fn(page); err != nil || page.Next == nil {
			return err
		}
		q.Offset, q.After = 0, page.Next
		err = s.store.Peek(func(tx *store.Tx) (err error) {
			actor, err = s.current(ctx, tx, actor)
			return err
		})
		if err != nil {
			return err
		}
	}
}
