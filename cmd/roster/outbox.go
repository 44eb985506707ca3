package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/cli"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type outboxCommands struct {
	List   outboxListCommand   `cmd:"" help:"List the undelivered mails and webhooks."`
	Retry  outboxRetryCommand  `cmd:"" help:"Retry dead messages."`
	Counts outboxCountsCommand `cmd:"" help:"Count the messages of a server, by kind, webhook and state."`
}

// isRemote reports whether a command is for a server, rather than for the database on this host. A database that is
// named goes before the current context; a server and a database that are both named are a mistake.
func isRemote(o cli.Outbox, sh *cli.Shell, line *kong.Context) (bool, error) {
	named := isGiven(line, "database-url")
	switch {
	case named && o.Context != "":
		return false, cli.Usage("--context names a server and DATABASE_URL a database: take one of them away")
	case named && sh.Server.URL != "":
		return false, cli.Usage("ROSTER_URL names a server and DATABASE_URL a database: take one of them away")
	case named:
		return false, nil
	}
	return o.IsRemote(sh)
}

type outboxListCommand struct {
	cli.Outbox

	State []delivery.State `default:"pending,dead" enum:"pending,dead" help:"States to list: pending, dead."`
	Kind  string           `default:"any" enum:"any,mail,webhook" help:"mail, webhook or any."`
	To    int64            `name:"webhook" placeholder:"ID" help:"What is for this webhook."`
	User  int64            `placeholder:"ID" help:"What is about this user."`
	Limit int              `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the messages of the server, or else of the database on this host.
func (o outboxListCommand) Run(
	ctx context.Context, sh *cli.Shell, line *kong.Context, roster *opener, c *config.Config, env environment,
) error {
	remote, err := isRemote(o.Outbox, sh, line)
	if err != nil {
		return err
	}
	if !remote && o.Output != "table" {
		return cli.Usage("--output is for a server: of the database on this host there is a table only")
	}
	if remote {
		which := cli.OutboxFilter{Kind: o.kind(), Webhook: o.To, User: o.User, Limit: o.Limit}
		if len(o.State) == 1 {
			which.State = string(o.State[0])
		}
		return o.Outbox.List(ctx, sh, which)
	}
	svc, err := roster.service(ctx, c)
	if err != nil {
		return err
	}
	return o.local(ctx, svc, env)
}

// kind returns the kind to list, "" for any.
func (o outboxListCommand) kind() string {
	if o.Kind == "any" {
		return ""
	}
	return o.Kind
}

// local prints a table, the latest message first.
func (o outboxListCommand) local(ctx context.Context, svc *service.Service, env environment) error {
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTO\tTOPIC\tUSER\tSTATE\tATTEMPTS\tCREATED\tDUE\tLAST ERROR")
	filter := delivery.Filter{States: o.State, Channel: delivery.Channel(o.kind()), UserID: o.User}
	if o.To != 0 {
		filter.To = delivery.ToWebhook(o.To)
	}
	for page := (identity.Page{Limit: identity.MaxPageSize}); ; {
		if o.Limit > 0 {
			page.Limit = min(page.Limit, o.Limit-int(page.Offset))
		}
		messages, _, err := svc.Messages(ctx, identity.CommandLine(), filter, page)
		if err != nil {
			return err
		}
		for _, m := range messages {
			user, due := "-", "-"
			if m.UserID != 0 {
				user = fmt.Sprint(m.UserID)
			}
			if m.State == delivery.Pending {
				due = timeOrDash(m.DueAt)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.ID, m.To, orDash(m.Topic), user,
				m.State, m.Attempts, timeOrDash(m.CreatedAt), due, orDash(m.LastError))
		}
		page.Offset += int64(len(messages)) // a page can end before its limit
		if len(messages) == 0 || page.Offset == int64(o.Limit) {
			return table.Flush()
		}
	}
}

type outboxRetryCommand struct {
	cli.Outbox

	ID []int64 `arg:"" help:"The ids of the messages, as list shows them."`
}

// Run queues the messages of the server again, or else those of the database on this host.
func (o outboxRetryCommand) Run(
	ctx context.Context, sh *cli.Shell, line *kong.Context, roster *opener, c *config.Config, env environment,
) error {
	remote, err := isRemote(o.Outbox, sh, line)
	if err != nil {
		return err
	}
	if remote {
		return o.Outbox.Retry(ctx, sh, o.ID)
	}
	svc, err := roster.service(ctx, c)
	if err != nil {
		return err
	}
	return o.local(ctx, svc, env)
}

// local queues the messages again; a running service sends them. It stops at the first
// message that it cannot queue.
func (o outboxRetryCommand) local(ctx context.Context, svc *service.Service, env environment) error {
	for _, id := range o.ID {
		if _, err := svc.RetryMessage(ctx, identity.CommandLine(), id); err != nil {
			return fmt.Errorf("message %d: %w", id, err)
		}
		fmt.Fprintf(env.stdout, "Message %d is queued again.\n", id)
	}
	return nil
}

type outboxCountsCommand struct{ cli.Outbox }

// Run shows how many messages the server has.
func (o outboxCountsCommand) Run(ctx context.Context, sh *cli.Shell) error {
	return o.Counts(ctx, sh)
}
