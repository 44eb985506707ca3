package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rosterhq/roster/internal/identity"
)

// Emit records an event in the transaction of the change that it tells of.
func (t *Tx) Emit(ctx context.Context, e identity.Event) error {
	changes := make(map[string]map[string]any, len(e.Changes))
	for field, change := range e.Changes {
		changes[field] = map[string]any{"old": change.Old, "new": change.New}
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Type, err)
	}
	source := ""
	if e.Actor.Source.IsValid() {
		source = e.Actor.Source.String()
	}
	_, err = t.exec(ctx, `INSERT INTO events (type, happened_at, actor_name, actor_token_id, actor_user_id, source, request_id,
			subject_type, subject_id, changes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.Type, timestamp{e.Time}, e.Actor.Name, e.Actor.TokenID, e.Actor.UserID, source, e.Actor.RequestID,
		e.Type.Subject(), e.SubjectID, string(text))
	return err
}
