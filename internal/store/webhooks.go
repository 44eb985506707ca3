package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

const webhookColumns = "id, url, events, format, auth, active, token <> '' AS has_token, " +
	"created_at, updated_at, created_by_user, created_by_token, version"

type webhookRow struct {
	ID        int64     `db:"id"`
	URL       string    `db:"url"`
	Events    string    `db:"events"`
	Format    string    `db:"format"`
	Auth      string    `db:"auth"`
	Active    bool      `db:"active"`
	HasToken  bool      `db:"has_token"`
	CreatedAt timestamp `db:"created_at"`
	UpdatedAt timestamp `db:"updated_at"`
	Version   int64     `db:"version"`

	CreatedByUser  int64 `db:"created_by_user"`
	CreatedByToken int64 `db:"created_by_token"`
}

func (r webhookRow) webhook() identity.Webhook {
	w := identity.Webhook{
		ID: r.ID, URL: identity.WebhookURL(r.URL), Format: identity.WebhookFormat(r.Format),
		Auth: identity.WebhookAuth(r.Auth), Active: r.Active, HasToken: r.HasToken,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time, Version: r.Version,
		CreatedBy: identity.Creator{UserID: r.CreatedByUser, TokenID: r.CreatedByToken},
	}
	for event := range strings.FieldsSeq(r.Events) {
		w.Events = append(w.Events, identity.EventType(event))
	}
	return w
}

func eventsText(events []identity.EventType) string {
	names := make([]string, len(events))
	for i, event := range events {
		names[i] = string(event)
	}
	return strings.Join(names, " ")
}

// Webhook returns the webhook with this id, or NotFound.
func (r reader) Webhook(ctx context.Context, id int64) (identity.Webhook, error) {
	return r.webhook(ctx, "SELECT "+webhookColumns+" FROM webhooks WHERE id = $1", id)
}

// WebhookForUpdate is Webhook, and locks the webhook until the transaction ends.
func (t *Tx) WebhookForUpdate(ctx context.Context, id int64) (identity.Webhook, error) {
	return t.webhook(ctx, "SELECT "+webhookColumns+" FROM webhooks WHERE id = $1"+t.pool.engine.forUpdate, id)
}

func (r reader) webhook(ctx context.Context, query string, id int64) (identity.Webhook, error) {
	var row webhookRow
	if err := r.get(ctx, &row, query, id); err != nil {
		return identity.Webhook{}, one(err, "webhook", id)
	}
	return row.webhook(), nil
}

// Webhooks returns one page of the webhooks that match, by id, and how many there are.
func (r reader) Webhooks(ctx context.Context, f identity.WebhookFilter, page identity.Page,
) ([]identity.Webhook, int64, error) {
	where := &conditions{}
	where.addCreator(f.CreatedBy)
	var total int64
	if err := r.get(ctx, &total, "SELECT count(*) FROM webhooks"+where.String(), where.args...); err != nil {
		return nil, 0, fmt.Errorf("count webhooks: %w", err)
	}
	n := len(where.args)
	query := "SELECT " + webhookColumns + " FROM webhooks" + where.String() +
		" ORDER BY id LIMIT $" + strconv.Itoa(n+1) + " OFFSET $" + strconv.Itoa(n+2)
	rows, _, err := pageOf[webhookRow](ctx, r, page.Limit, query, append(where.args, page.Limit, page.Offset)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list webhooks: %w", err)
	}
	return webhooksFrom(rows), total, nil
}

const selectActiveWebhooks = "SELECT " + webhookColumns + " FROM webhooks WHERE active ORDER BY id"

func (r reader) activeWebhooks(ctx context.Context) ([]identity.Webhook, error) {
	var rows []webhookRow
	if err := r.all(ctx, &rows, selectActiveWebhooks); err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	return webhooksFrom(rows), nil
}

func webhooksFrom(rows []webhookRow) []identity.Webhook {
	webhooks := make([]identity.Webhook, len(rows))
	for i, row := range rows {
		webhooks[i] = row.webhook()
	}
	return webhooks
}

// InsertWebhook stores a new webhook, without secrets, and returns its id.
func (t *Tx) InsertWebhook(ctx context.Context, w identity.Webhook) (int64, error) {
	var id int64
	err := t.get(ctx, &id, `INSERT INTO webhooks (url, events, format, auth, active, created_at,
			created_by_user, created_by_token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
		string(w.URL), eventsText(w.Events), string(w.Format), string(w.Auth), w.Active, timestamp{w.CreatedAt},
		w.CreatedBy.UserID, w.CreatedBy.TokenID)
	return id, err
}

// UpdateWebhook stores the webhook's fields, version included, without its secrets. An
// active webhook makes the messages due that waited for it.
func (t *Tx) UpdateWebhook(ctx context.Context, w identity.Webhook) error {
	_, err := t.exec(ctx, `UPDATE webhooks
		SET url = $2, events = $3, format = $4, auth = $5, active = $6, updated_at = $7, version = $8 WHERE id = $1`,
		w.ID, string(w.URL), eventsText(w.Events), string(w.Format), string(w.Auth), w.Active,
		timestamp{w.UpdatedAt}, w.Version)
	t.effects.enqueued = true
	return err
}

// DeleteWebhook deletes a webhook with all its messages.
func (t *Tx) DeleteWebhook(ctx context.Context, id int64) error {
	if _, err := t.exec(ctx, "DELETE FROM webhooks WHERE id = $1", id); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM outbox WHERE channel = 'webhook' AND webhook_id = $1", id)
	return err
}

// WebhookSecrets holds a webhook's secrets, sealed; "" for none.
type WebhookSecrets struct {
	Secret string
	Old    []string // replaced secrets that still sign, the latest first
	Token  string
}

// WebhookWithSecrets returns a webhook with its secrets, or NotFound. It reads both at
// one moment, so that no secret is sent to another URL. No other method returns secrets.
func (r reader) WebhookWithSecrets(ctx context.Context, id int64, now time.Time,
) (identity.Webhook, WebhookSecrets, error) {
	var row struct {
		webhookRow

		Secret string `db:"secret"`
		Old    string `db:"old_secrets"`
		Token  string `db:"token"`
	}
	err := r.get(ctx, &row, "SELECT "+webhookColumns+`, secret, token,
			(SELECT coalesce(string_agg(secret, ' ' ORDER BY until DESC, secret), '') FROM (
				SELECT secret, until FROM webhook_old_secrets WHERE webhook_id = $1 AND until > $2
				UNION SELECT old_secret, old_secret_until FROM webhooks
				WHERE id = $1 AND old_secret <> '' AND old_secret_until > $2
			) AS old) AS old_secrets
		FROM webhooks WHERE id = $1`, id, timestamp{now})
	if err != nil {
		return identity.Webhook{}, WebhookSecrets{}, one(err, "webhook", id)
	}
	return row.webhook(), WebhookSecrets{Secret: row.Secret, Old: strings.Fields(row.Old), Token: row.Token}, nil
}

// ResetWebhookSecrets sets a webhook's secret and deletes its other secrets and its token.
func (t *Tx) ResetWebhookSecrets(ctx context.Context, id int64, secret string) error {
	_, err := t.exec(ctx, "UPDATE webhooks SET secret = $2, old_secret = '', token = '' WHERE id = $1", id, secret)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "DELETE FROM webhook_old_secrets WHERE webhook_id = $1", id)
	return err
}

// RotateWebhookSecret sets a webhook's secret. The one that it replaces still signs until
// a time. An earlier release, which may still be running, keeps a replaced secret in the
// webhook's own row: this reads it from there and writes it there, too.
func (t *Tx) RotateWebhookSecret(ctx context.Context, id int64, secret string, now, until time.Time) error {
	const keep = `INSERT INTO webhook_old_secrets (webhook_id, secret, until)
		SELECT id, old_secret, old_secret_until FROM webhooks
		WHERE id = $1 AND old_secret <> '' AND old_secret_until > $2 ON CONFLICT DO NOTHING`
	if _, err := t.exec(ctx, keep, id, timestamp{now}); err != nil {
		return err
	}
	_, err := t.exec(ctx, "UPDATE webhooks SET old_secret = secret, old_secret_until = $3, secret = $2 WHERE id = $1",
		id, secret, timestamp{until})
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, keep, id, timestamp{now})
	return err
}

// SetWebhookToken stores a webhook's token; "" for none.
func (t *Tx) SetWebhookToken(ctx context.Context, id int64, token string) error {
	_, err := t.exec(ctx, "UPDATE webhooks SET token = $2 WHERE id = $1", id, token)
	return err
}
