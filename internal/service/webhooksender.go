package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/notify"
	"github.com/rosterhq/roster/internal/store"
)

// WebhookSender returns the sender of webhooks for the outbox. post makes one attempt and
// returns the status of the answer; renderers write the bodies, one per format. If the
// receiver answers that it is gone, the webhook becomes inactive.
func (s *Service) WebhookSender(post func(context.Context, delivery.WebhookPost) (int, error),
	renderers map[identity.WebhookFormat]delivery.WebhookRenderer,
) func(context.Context, delivery.Message) (int, error) {
	return func(ctx context.Context, m delivery.Message) (int, error) {
		now := s.now()
		webhook, secrets, err := s.store.WebhookWithSecrets(ctx, m.To.WebhookID, now)
		if identity.KindOf(err) == identity.NotFound { // deleted at the same time as the event was recorded
			return 0, &delivery.Permanent{Cause: delivery.Error("the webhook has been deleted")}
		}
		if err != nil {
			return 0, err
		}
		// The rights of the owner were checked for what the webhook reads now. Before, it may
		// have read more.
		if event := identity.EventType(m.Topic); event != identity.WebhookPing && !webhook.Subscribes(event) {
			return 0, &delivery.Permanent{Cause: delivery.Error("the webhook is not told of such events any more")}
		}
		body, err := render(renderers, webhook.Format, m)
		if err != nil {
			return 0, &delivery.Permanent{Cause: err}
		}
		attempt := delivery.WebhookPost{
			URL: webhook.URL, Body: body, ID: strconv.FormatInt(m.ID, 10), Type: identity.EventType(m.Topic),
			Auth: webhook.Auth, At: now,
		}
		if err := s.addSecrets(ctx, &attempt, webhook.ID, secrets); err != nil {
			return 0, err
		}
		status, err := post(ctx, attempt)
		if errors.Is(err, delivery.ErrWebhookGone) {
			if err := s.deactivateGone(ctx, webhook); err != nil {
				slog.WarnContext(ctx, "switching a webhook off", "webhook_id", webhook.ID, "error", err)
			}
		}
		return status, err
	}
}

// render returns the body of a webhook's message in a format.
func render(renderers map[identity.WebhookFormat]delivery.WebhookRenderer, format identity.WebhookFormat,
	m delivery.Message,
) ([]byte, error) {
	message, err := notify.WebhookMessage(m)
	if err != nil {
		return nil, err
	}
	renderer := renderers[format]
	if renderer == nil {
		return nil, fmt.Errorf("this release has no format %s", format)
	}
	return renderer(message)
}

// addSecrets opens the secrets of a webhook and adds them to a post.
func (s *Service) addSecrets(ctx context.Context, post *delivery.WebhookPost, webhookID int64,
	sealed store.WebhookSecrets,
) error {
	sealer, err := s.sealing(ctx)
	if err != nil {
		return err
	}
	open := func(text, what string) string {
		if text == "" || err != nil {
			return ""
		}
		var opened string
		opened, err = sealer.Open(text, webhookPurpose(webhookID, what))
		return opened
	}
	post.Token = open(sealed.Token, "token")
	for _, text := range append([]string{sealed.Secret}, sealed.Old...) {
		post.Secrets = append(post.Secrets, open(text, "secret"))
	}
	return err
}

// deactivateGone makes a webhook inactive, unless its URL has changed since the post.
func (s *Service) deactivateGone(ctx context.Context, posted identity.Webhook) error {
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		before, err := tx.WebhookForUpdate(ctx, posted.ID)
		if identity.KindOf(err) == identity.NotFound || err == nil && (!before.Active || before.URL != posted.URL) {
			return nil
		}
		if err != nil {
			return err
		}
		after := before
		after.Active, after.UpdatedAt, after.Version = false, now, before.Version+1
		if err := tx.UpdateWebhook(ctx, after); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookUpdated, Time: now, Actor: identity.Actor{Name: "webhook sender"}, SubjectID: posted.ID,
			Changes: before.Diff(after), Reason: "receiver_gone",
		})
	})
}
