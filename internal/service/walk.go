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
	return s.walk(ctx, actor, func(actor identity.Actor) (bool, error) {
		page, err := s.Users(ctx, actor, q)
		if err != nil {
			return false, err
		}
		q.Offset, q.After = 0, page.Next
		return page.Next != nil, fn(page)
	})
}

// WalkEvents calls fn with one page after another of the events that match, as Events returns
// them. Otherwise it is like WalkUsers.
func (s *Service) WalkEvents(ctx context.Context, actor identity.Actor, q identity.EventQuery,
	fn func(identity.EventPage) error,
) error {
	return s.walk(ctx, actor, func(actor identity.Actor) (bool, error) {
		page, err := s.Events(ctx, actor, q)
		if err != nil {
			return false, err
		}
		q.Offset, q.After = 0, page.Next
		return page.Next != nil, fn(page)
	})
}

// walk calls page until it reports that it was the last one. Each call after the first gets
// the rights that the caller has by then.
func (s *Service) walk(ctx context.Context, actor identity.Actor,
	page func(identity.Actor) (hasNext bool, err error),
) error {
	for {
		hasNext, err := page(actor)
		if err != nil || !hasNext {
			return err
		}
		if actor, err = s.reread(ctx, actor); err != nil {
			return err
		}
	}
}

// reread is current outside a transaction.
func (s *Service) reread(ctx context.Context, actor identity.Actor) (identity.Actor, error) {
	err := s.store.Peek(func(tx *store.Tx) (err error) {
		actor, err = s.current(ctx, tx, actor)
		return err
	})
	return actor, err
}
