package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/pkg/webhooksig"
)

// maxWebhooks bounds the webhooks: each one adds a row to the transaction of each change
// that it subscribes to.
const maxWebhooks = 100

// oldSecretPeriod is how long a replaced secret still signs. maxOldSecrets bounds how many
// of them sign at a time: each adds a signature to a header.
const (
	oldSecretPeriod = 24 * time.Hour
	maxOldSecrets   = 8
)

// Webhook returns a webhook, or NotFound.
func (s *Service) Webhook(ctx context.Context, actor identity.Actor, id int64) (identity.Webhook, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return identity.Webhook{}, err
	}
	return s.store.Webhook(ctx, id)
}

// Webhooks returns a page of the webhooks that match, by id, and how many there are.
func (s *Service) Webhooks(ctx context.Context, actor identity.Actor, filter identity.WebhookFilter,
	page identity.Page,
) ([]identity.Webhook, int64, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return nil, 0, err
	}
	return s.store.Webhooks(ctx, filter, page)
}

// CreateWebhook applies a change to a webhook with default values, stores it, and returns
// it with its secret, which cannot be read again. The caller needs the rights to all that
// the webhook reads; a session has to be fresh. The errors are Forbidden, Invalid and, if
// there are too many webhooks, Conflict.
func (s *Service) CreateWebhook(ctx context.Context, actor identity.Actor, in identity.WebhookChange,
) (identity.Webhook, string, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return identity.Webhook{}, "", err
	}
	now := s.now()
	webhook := in.Apply(identity.Webhook{
		Format: identity.WebhookFormatPowens, Auth: identity.WebhookAuthStandard, Active: true, CreatedAt: now, Version: 1,
		CreatedBy: creatorOf(actor),
	})
	if err := s.mayStore(actor, webhook, in); err != nil {
		return identity.Webhook{}, "", err
	}
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.Webhook{}, "", err
	}
	key := webhooksig.NewSecretFrom(s.random(noMessage))
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		_, total, err := tx.Webhooks(ctx, identity.WebhookFilter{}, identity.Page{Limit: 1})
		if err != nil {
			return err
		}
		if total >= maxWebhooks {
			return identity.Errorf(identity.Conflict, "too_many_webhooks",
				"There are %d webhooks already. Delete one first.", total)
		}
		actor, err := s.current(ctx, tx, actor)
		if err != nil {
			return err
		}
		if err := mayTouchWebhook(actor, webhook); err != nil {
			return err
		}
		if webhook.ID, err = tx.InsertWebhook(ctx, webhook); err != nil {
			return err
		}
		if err := storeSecrets(ctx, tx, sealer, webhook.ID, key, in.Token); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookCreated, Time: now, Actor: actor, SubjectID: webhook.ID,
			Changes: webhookChanges(identity.Webhook{}, webhook, in),
		})
	})
	return webhook, key, err
}

// UpdateWebhook changes a webhook and returns the new state. The caller needs the rights to
// all that the webhook reads, before and after. A change to another origin deletes the
// token and replaces the secret: the new one is returned and cannot be read again; else
// the returned secret is "". The errors are Forbidden, NotFound, Invalid and Precondition.
func (s *Service) UpdateWebhook(ctx context.Context, actor identity.Actor, id int64, in identity.WebhookChange,
	match identity.VersionMatch,
) (identity.Webhook, string, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return identity.Webhook{}, "", err
	}
	now := s.now()
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.Webhook{}, "", err
	}
	var after identity.Webhook
	var key string
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		before, actor, err := s.mayChangeWebhook(ctx, tx, actor, id, match)
		if err != nil {
			return err
		}
		after, key = in.Apply(before), ""
		if err := s.mayStore(actor, after, in); err != nil {
			return err
		}
		changes := webhookChanges(before, after, in)
		if len(changes) == 0 {
			return nil
		}
		after.UpdatedAt, after.Version = now, before.Version+1
		if err := tx.UpdateWebhook(ctx, after); err != nil {
			return err
		}
		if in.Moves(before) {
			key = webhooksig.NewSecretFrom(s.random(noMessage))
		}
		if err := storeSecrets(ctx, tx, sealer, id, key, in.Token); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookUpdated, Time: now, Actor: actor, SubjectID: id, Changes: changes,
		})
	})
	return after, key, err
}

// RotateWebhook gives a webhook a new secret and returns it. The old one also signs for a
// day. The errors are Forbidden, NotFound, Precondition and, if too many old secrets sign,
// Conflict.
func (s *Service) RotateWebhook(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch,
) (identity.Webhook, string, error) {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return identity.Webhook{}, "", err
	}
	now := s.now()
	sealer, err := s.sealing(ctx)
	if err != nil {
		return identity.Webhook{}, "", err
	}
	key := webhooksig.NewSecretFrom(s.random(noMessage))
	var webhook identity.Webhook
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		before, actor, err := s.mayChangeWebhook(ctx, tx, actor, id, match)
		if err != nil {
			return err
		}
		webhook = before
		_, secrets, err := tx.WebhookWithSecrets(ctx, id, now)
		if err != nil {
			return err
		}
		if len(secrets.Old) >= maxOldSecrets {
			return identity.Errorf(identity.Conflict, "too_many_rotations",
				"%d replaced secrets still sign, each for a day. Wait until one of them is over.", len(secrets.Old))
		}
		sealed := sealer.Seal(key, webhookPurpose(id, "secret"))
		if err := tx.RotateWebhookSecret(ctx, id, sealed, now, now.Add(oldSecretPeriod)); err != nil {
			return err
		}
		webhook.UpdatedAt, webhook.Version = now, webhook.Version+1
		if err := tx.UpdateWebhook(ctx, webhook); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookSecretRotated, Time: now, Actor: actor, SubjectID: id,
		})
	})
	return webhook, key, err
}

// DeleteWebhook deletes a webhook with all its messages. The errors are
// Forbidden, NotFound and Precondition.
func (s *Service) DeleteWebhook(ctx context.Context, actor identity.Actor, id int64, match identity.VersionMatch,
) error {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return err
	}
	now := s.now()
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		webhook, actor, err := s.mayChangeWebhook(ctx, tx, actor, id, match)
		if err != nil {
			return err
		}
		if err := tx.DeleteWebhook(ctx, id); err != nil {
			return err
		}
		return emit(ctx, tx, identity.Event{
			Type: identity.WebhookDeleted, Time: now, Actor: actor, SubjectID: id,
			Changes: webhook.Diff(identity.Webhook{}),
		})
	})
}

// mayChangeWebhook locks a webhook and checks that the caller, as current returns it, may
// change the webhook.
func (s *Service) mayChangeWebhook(ctx context.Context, tx *store.Tx, actor identity.Actor, id int64,
	match identity.VersionMatch,
) (identity.Webhook, identity.Actor, error) {
	webhook, err := tx.WebhookForUpdate(ctx, id)
	if err != nil {
		return webhook, actor, err
	}
	if actor, err = s.current(ctx, tx, actor); err != nil {
		return webhook, actor, err
	}
	if err := match.Check(webhook.Version); err != nil {
		return webhook, actor, err
	}
	return webhook, actor, mayTouchWebhook(actor, webhook)
}

// mayTouchWebhook returns Forbidden for a webhook that reads more than the caller may read,
// and for a session that is not fresh.
func mayTouchWebhook(actor identity.Actor, webhook identity.Webhook) error {
	if err := actor.Require(identity.WebhooksManage); err != nil {
		return err
	}
	if err := actor.RequireCover(webhook.Reads()); err != nil {
		return err
	}
	return actor.RequireFresh()
}

// mayStore checks a webhook after a change.
func (s *Service) mayStore(actor identity.Actor, webhook identity.Webhook, in identity.WebhookChange) error {
	if err := mayTouchWebhook(actor, webhook); err != nil {
		return err
	}
	if in.URL != nil && s.options.CheckWebhookURL != nil {
		var refused *identity.ValueError
		if err := s.options.CheckWebhookURL(webhook.URL); errors.As(err, &refused) {
			return identity.InvalidField(identity.FieldURL, refused.Code, refused.Message)
		}
	}
	return webhook.Check()
}

func webhookChanges(before, after identity.Webhook, in identity.WebhookChange) identity.Changes {
	changes := before.Diff(after)
	if in.Token != nil || before.HasToken != after.HasToken {
		changes[identity.FieldToken] = identity.HiddenChange
	}
	if before.ID != 0 && in.Moves(before) {
		changes[identity.FieldSecret] = identity.HiddenChange
	}
	return changes
}

// webhookPurpose returns the purpose of a sealed secret or token of a webhook.
func webhookPurpose(id int64, what string) string { return fmt.Sprintf("webhook %d %s", id, what) }

// storeSecrets seals and stores the secrets of a webhook. A key replaces all keys; "" leaves
// them. A nil token leaves the token, the empty one deletes it.
func storeSecrets(ctx context.Context, tx *store.Tx, sealer *secret.Sealer, id int64, key string,
	token *identity.WebhookToken,
) error {
	if key != "" {
		if err := tx.ResetWebhookSecrets(ctx, id, sealer.Seal(key, webhookPurpose(id, "secret"))); err != nil {
			return err
		}
	}
	if token == nil {
		return nil
	}
	sealed := ""
	if *token != "" {
		sealed = sealer.Seal(string(*token), webhookPurpose(id, "token"))
	}
	return tx.SetWebhookToken(ctx, id, sealed)
}
