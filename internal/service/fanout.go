package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
)

// webhookOrder is what the outbox has of a webhook's message: the moment as it
// was, in nobody's wire format. A dialect puts it into words when it is sent.
type webhookOrder struct {
	Type        identity.EventType
	Time        time.Time
	User        *userSnapshot
	Connections json.RawMessage
}

// userSnapshot is a user in plain values, so that it can be read back whatever
// the rules have become meanwhile.
type userSnapshot struct {
	ID                                 int64
	Name, Email, Phone, BlockedCode    string
	Active, TFA                        bool
	Groups                             []int64
	AllowList, ClientTags              string
	CanViewMaskedData                  bool
	CreatedAt, UpdatedAt, LastSigninAt time.Time
	Version                            int64
}

func snapshotOf(u identity.User) (*userSnapshot, error) {
	tags, err := identity.ClientTagsText(u.ClientTags)
	return &userSnapshot{
		ID: u.ID, Name: string(u.Name), Email: string(u.Email), Phone: string(u.Phone), BlockedCode: string(u.BlockedCode), Active: u.Active, TFA: u.TFA, Groups: u.Groups,
		AllowList: u.AllowList.String(), ClientTags: tags, CanViewMaskedData: u.CanViewMaskedData,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, LastSigninAt: u.LastSigninAt, Version: u.Version,
	}, err
}

func (s userSnapshot) user() (identity.User, error) {
	allowList, err := identity.AllowListFrom(s.AllowList)
	if err != nil {
		return identity.User{}, err
	}
	tags, err := identity.ClientTagsFrom(s.ClientTags)
	return identity.User{
		ID: s.ID, Name: identity.Name(s.Name), Email: identity.Email(s.Email), Phone: identity.Phone(s.Phone), Active: s.Active, TFA: s.TFA,
		BlockedCode: identity.BlockedCode(s.BlockedCode), Groups: s.Groups, AllowList: allowList, ClientTags: tags, CanViewMaskedData: s.CanViewMaskedData,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, LastSigninAt: s.LastSigninAt, Version: s.Version,
	}, err
}

// fanOut puts an event into the outbox, once for each active webhook that has
// subscribed to it. Nothing else does, so that no operation can forget to: the
// user is read back as the transaction has left it.
func fanOut(ctx context.Context, tx *store.Tx, event identity.Event, connections json.RawMessage) error {
	if !slices.Contains(identity.WebhookEvents, event.Type) {
		return nil
	}
	webhooks, err := tx.ActiveWebhooks(ctx)
	if err != nil {
		return err
	}
	webhooks = slices.DeleteFunc(webhooks, func(w identity.Webhook) bool { return !w.Subscribes(event.Type) })
	if len(webhooks) == 0 {
		return nil
	}
	user, err := tx.User(ctx, event.SubjectID)
	if err != nil {
		return err
	}
	snapshot, err := snapshotOf(user)
	if err != nil {
		return err
	}
	order := webhookOrder{Type: event.Type, Time: event.Time, User: snapshot, Connections: connections}
	for _, webhook := range webhooks {
		if _, err := enqueueWebhook(ctx, tx, webhook, order); err != nil {
			return err
		}
	}
	return nil
}

func enqueueWebhook(ctx context.Context, tx *store.Tx, webhook identity.Webhook, order webhookOrder) (id int64, err error) {
	payload, err := json.Marshal(order)
	if err != nil {
		return 0, fmt.Errorf("webhook order: %w", err)
	}
	message := delivery.Message{To: delivery.ToWebhook(webhook.ID), Topic: string(order.Type), Payload: string(payload), CreatedAt: order.Time}
	if order.User != nil {
		message.UserID = order.User.ID
	}
	return tx.Enqueue(ctx, message)
}

// Renderers put a webhook's message into the words of a format.
type Renderers map[identity.WebhookFormat]func(delivery.WebhookMessage) ([]byte, error)

// WebhookSender returns what sends the messages of the webhooks' lanes. post makes
// one attempt and returns the status of the answer. A webhook whose receiver says
// that it is gone is made inactive.
func (s *Service) WebhookSender(post func(context.Context, delivery.WebhookPost) (int, error), renderers Renderers,
) func(context.Context, delivery.Message) (int, error) {
	return func(ctx context.Context, m delivery.Message) (int, error) {
		now := s.now()
		webhook, secrets, err := s.store.WebhookWithSecrets(ctx, m.To.WebhookID, now)
		if identity.KindOf(err) == identity.NotFound { // the event and the deletion came at once
			return 0, &delivery.Permanent{Cause: delivery.Error("the webhook has been deleted")}
		}
		if err != nil {
			return 0, err
		}
		// What the webhook reads now is what its owner may see; what it read before may be more.
		if event := identity.EventType(m.Topic); event != identity.WebhookPing && !webhook.Subscribes(event) {
			return 0, &delivery.Permanent{Cause: delivery.Error("the webhook is not told of such events any more")}
		}
		body, err := renderers.render(webhook.Format, m)
		if err != nil {
			return 0, &delivery.Permanent{Cause: err}
		}
		attempt := delivery.WebhookPost{URL: webhook.URL, Body: body, Auth: webhook.Auth, ID: strconv.FormatInt(m.ID, 10), At: now}
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

func (r Renderers) render(format identity.WebhookFormat, m delivery.Message) ([]byte, error) {
	var order webhookOrder
	if err := json.Unmarshal([]byte(m.Payload), &order); err != nil {
		return nil, fmt.Errorf("webhook order: %w", err)
	}
	render := r[format]
	if render == nil {
		return nil, fmt.Errorf("this release has no format %s", format)
	}
	message := delivery.WebhookMessage{ID: m.ID, Type: order.Type, Time: order.Time}
	if order.Type == identity.UserSynced {
		message.Connections = order.Connections
	}
	if order.User != nil {
		user, err := order.User.user()
		if err != nil {
			return nil, fmt.Errorf("webhook order: %w", err)
		}
		message.User = user
	}
	return render(message)
}

// addSecrets opens the secrets of a webhook for a post.
func (s *Service) addSecrets(ctx context.Context, post *delivery.WebhookPost, webhookID int64, sealed store.WebhookSecrets) error {
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

// deactivateGone makes a webhook inactive, unless it leads elsewhere by now.
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
		return record(ctx, tx, identity.Event{
			Type: identity.WebhookUpdated, Time: now, Actor: identity.Actor{Name: "webhook sender"}, SubjectID: posted.ID,
			Changes: before.Diff(after), Reason: "receiver_gone",
		}, nil)
	})
}
