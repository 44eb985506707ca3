package store

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// Holdings returns what a user holds.
func (r reader) Holdings(ctx context.Context, userID int64, now time.Time) (identity.Holdings, error) {
	var held identity.Holdings
	err := r.get(ctx, &held.Sessions, "SELECT count(*) FROM sessions WHERE user_id = $1 AND expires_at > $2",
		userID, timestamp{now})
	if err != nil {
		return held, fmt.Errorf("count sessions: %w", err)
	}
	first := identity.Page{Limit: identity.MaxHeld}
	by := identity.Creator{UserID: userID}
	for _, of := range []struct {
		filter identity.TokenFilter
		tokens *identity.Held[identity.Token]
	}{
		{identity.TokenFilter{UserID: userID}, &held.TokensActingFor},
		{identity.TokenFilter{CreatedBy: by}, &held.TokensCreated},
	} {
		if of.tokens.First, of.tokens.Total, err = r.Tokens(ctx, of.filter, first); err != nil {
			return held, err
		}
	}
	webhooks := &held.WebhooksCreated
	webhooks.First, webhooks.Total, err = r.Webhooks(ctx, identity.WebhookFilter{CreatedBy: by}, first)
	return held, err
}
