package cli

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/pkg/client"
)

type webhooksCommands struct {
	List       webhooksListCommand       `cmd:"" help:"List the webhooks."`
	Get        webhooksGetCommand        `cmd:"" help:"Show a webhook."`
	Create     webhooksCreateCommand     `cmd:"" help:"Create a webhook. Its secret is shown only once."`
	Edit       webhooksEditCommand       `cmd:"" help:"Change a webhook, by flags or in your editor."`
	Delete     webhooksDeleteCommand     `cmd:"" help:"Delete a webhook."`
	Test       webhooksTestCommand       `cmd:"" help:"Send a ping."`
	Rotate     webhooksRotateCommand     `cmd:"" help:"Give a webhook a new secret; for a day the old one signs, too."`
	Deliveries webhooksDeliveriesCommand `cmd:"" help:"List what was and is to be sent to a webhook."`
	Redeliver  webhooksRedeliverCommand  `cmd:"" help:"Send a delivery once more."`
}

// oneWebhook is the argument of the commands for one webhook.
type oneWebhook struct {
	ID int64 `arg:"" help:"The id of the webhook."`
}

// deliveryColumns are those of a table.
var deliveryColumns = []string{"id", "topic", "state", "attempts", "statusCode", "createTime", "dueTime", "lastError"}

type webhooksListCommand struct {
	remoteOutput

	CreatedBy creator `placeholder:"ID" help:"Who made them: the id of a user, or token: and the id of a token."`
	Limit     int     `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the webhooks.
func (w webhooksListCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	which := client.WebhookList{CreatedBy: client.Creator(w.CreatedBy), Size: pageSize(w.Limit)}
	return printList(sh, w.Output, first(w.Limit, roster.Webhooks.List(ctx, which)),
		"id", "url", "active", "format", "auth", "events")
}

type webhooksGetCommand struct {
	remoteOutput
	oneWebhook
}

// Run shows a webhook.
func (w webhooksGetCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	webhook, err := roster.Webhooks.Get(ctx, w.ID)
	if err != nil {
		return err
	}
	return printOne(sh, w.Output, webhook)
}

type webhooksCreateCommand struct {
	remoteOutput

	URL      string   `arg:"" help:"The address that events are posted to."`
	Event    []string `required:"" help:"Types of events, separated by commas, such as USER_CREATED."`
	Format   string   `default:"v2" enum:"v2,powens" help:"v2 or powens."`
	Auth     string   `default:"standard" enum:"standard,bi_signature,bearer,none" help:"${enum}."`
	Inactive bool     `help:"Send nothing yet."`
	DryRun   bool     `help:"Show what would be created, and create nothing."`
}

// Run creates a webhook and shows it with its secret. With --auth bearer the token of the receiver is asked for.
func (w webhooksCreateCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	webhook := client.WebhookCreate{URL: w.URL, Events: w.Event, Format: w.Format, Auth: w.Auth, Active: new(!w.Inactive)}
	if w.DryRun {
		return sh.showNew("a new webhook", webhook)
	}
	if w.Auth == "bearer" {
		if webhook.Token, err = sh.ask(ctx, "Token of the receiver", true); err != nil {
			return err
		}
	}
	created, err := roster.Webhooks.Create(ctx, webhook)
	if err != nil {
		return err
	}
	return printOne(sh, w.Output, created)
}

type webhooksEditCommand struct {
	remoteOutput
	oneWebhook
	changeFlags

	URL    *string   `name:"url" help:"Another address."`
	Event  *[]string `help:"All types of events, separated by commas."`
	Format *string   `help:"v2 or powens."`
	Auth   *string   `help:"standard, bi_signature, bearer or none."`
	Active *bool     `negatable:"" help:"Send, or send nothing."`
}

// Run changes a webhook, by the flags or, without any, in the editor, and shows it.
func (w webhooksEditCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	webhook, err := roster.Webhooks.Get(ctx, w.ID)
	if err != nil {
		return err
	}
	wanted := values{}
	wanted.set("url", w.URL)
	wanted.set("events", w.Event)
	wanted.set("format", w.Format)
	wanted.set("auth", w.Auth)
	wanted.set("active", w.Active)
	c := changeable[client.Webhook, client.WebhookUpdate]{
		what:    webhookWhat(webhook),
		present: webhook,
		again:   func(ctx context.Context) (client.Webhook, error) { return roster.Webhooks.Get(ctx, w.ID) },
		update: func(ctx context.Context, u client.WebhookUpdate, options ...client.CallOption) (client.Webhook, error) {
			return roster.Webhooks.Update(ctx, w.ID, u, options...)
		},
	}
	return changeAndShow(ctx, sh, c, wanted, w.changeFlags, w.Output)
}

func webhookWhat(webhook client.Webhook) string {
	return fmt.Sprintf("webhook %d (%s)", webhook.ID, webhook.URL)
}

type webhooksDeleteCommand struct {
	remote
	oneWebhook
	changeFlags
}

// Run deletes a webhook.
func (w webhooksDeleteCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	webhook, err := roster.Webhooks.Get(ctx, w.ID)
	if err != nil {
		return err
	}
	return sh.remove(ctx, w.changeFlags, webhookWhat(webhook), func() error {
		return roster.Webhooks.Delete(ctx, webhook.ID, client.IfVersion(webhook.Version))
	})
}

type webhooksTestCommand struct {
	remoteOutput
	oneWebhook
}

// Run queues a ping and shows its delivery.
func (w webhooksTestCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	delivery, err := roster.Webhooks.Test(ctx, w.ID)
	if err != nil {
		return err
	}
	return printOne(sh, w.Output, delivery)
}

type webhooksRotateCommand struct {
	remoteOutput
	oneWebhook

	Yes bool `help:"Do not ask."`
}

// Run makes a new secret and shows the webhook with it.
func (w webhooksRotateCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	webhook, err := roster.Webhooks.Get(ctx, w.ID)
	if err != nil {
		return err
	}
	if err := sh.confirm(ctx, w.Yes, "Give %s a new secret?", webhookWhat(webhook)); err != nil {
		return err
	}
	webhook, err = roster.Webhooks.Rotate(ctx, w.ID, client.IfVersion(webhook.Version))
	if err != nil {
		return err
	}
	return printOne(sh, w.Output, webhook)
}

type webhooksDeliveriesCommand struct {
	remoteOutput
	oneWebhook

	State string `default:"any" enum:"any,pending,done,dead" help:"pending, done, dead or any."`
	Limit int    `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the deliveries, the latest first.
func (w webhooksDeliveriesCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	which := client.DeliveryList{Size: pageSize(w.Limit)}
	if w.State != "any" {
		which.State = w.State
	}
	return printList(sh, w.Output, first(w.Limit, roster.Webhooks.Deliveries(ctx, w.ID, which)), deliveryColumns...)
}

type webhooksRedeliverCommand struct {
	remoteOutput
	oneWebhook

	Delivery int64 `arg:"" help:"The id of the delivery, as deliveries lists it."`
}

// Run queues a delivery again and shows it.
func (w webhooksRedeliverCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	delivery, err := roster.Webhooks.Redeliver(ctx, w.ID, w.Delivery)
	if err != nil {
		return err
	}
	return printOne(sh, w.Output, delivery)
}
