package service

import (
	"context"
	"encoding/json"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// SyncUser tells the subscribers that another service has synchronised a user's
// connections, a JSON array, and keeps nothing of them but on their way. It needs
// users.update. The errors are Forbidden and NotFound.
func (s *Service) SyncUser(ctx context.Context, actor identity.Actor, id int64, connections json.RawMessage) error {
	if err := actor.Require(identity.UsersUpdate); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.UserForUpdate(ctx, id); err != nil { // so that it comes before a deletion, or not at all
			return err
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := actor.Require(identity.UsersUpdate); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.UserSynced, Time: now, Actor: actor, SubjectID: id, Connections: connections,
		})
	})
}
