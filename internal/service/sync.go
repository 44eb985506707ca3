package service

import (
	"context"
	"encoding/json"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// SyncUser sends the webhooks that another service has synchronised a user's connections,
// a JSON array. The connections are stored only in the messages. It takes users.update.
// The errors are Forbidden and NotFound.
func (s *Service) SyncUser(ctx context.Context, actor identity.Actor, id int64, connections json.RawMessage) error {
	if err := actor.Require(identity.UsersUpdate); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		// The lock keeps the event from following a deletion of the user.
		if _, err := tx.UserForUpdate(ctx, id); err != nil {
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
