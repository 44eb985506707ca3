package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type outboxCommands struct {
	List  outboxListCommand  `cmd:"" help:"List the undelivered mails and webhooks."`
	Retry outboxRetryCommand `cmd:"" help:"Retry dead messages."`
}

type outboxListCommand struct {
	State []delivery.State `default:"pending,dead" enum:"pending,dead" help:"States to list: pending, dead."`
}

// Run prints a table, the latest message first.
func (o outboxListCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTO\tTOPIC\tUSER\tSTATE\tATTEMPTS\tCREATED\tDUE\tLAST ERROR")
	filter := delivery.Filter{States: o.State}
	for page := (identity.Page{Limit: identity.MaxPageSize}); ; {
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
		if len(messages) == 0 {
			return table.Flush()
		}
		page.Offset += int64(len(messages)) // a page can end before its limit
	}
}

type outboxRetryCommand struct {
	ID []int64 `arg:"" help:"The ids of the messages, as list shows them."`
}

// Run queues the messages again; a running service sends them. It stops at the first
// message that it cannot queue.
func (o outboxRetryCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	for _, id := range o.ID {
		if _, err := svc.RetryMessage(ctx, identity.CommandLine(), id); err != nil {
			return fmt.Errorf("message %d: %w", id, err)
		}
		fmt.Fprintf(env.stdout, "Message %d is queued again.\n", id)
	}
	return nil
}
