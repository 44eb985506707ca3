package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type outboxCommands struct {
	List  outboxListCommand  `cmd:"" help:"List the mails and webhooks that have not arrived."`
	Retry outboxRetryCommand `cmd:"" help:"Try dead messages again."`
}

type outboxListCommand struct {
	State []identity.MessageState `default:"pending,dead" enum:"pending,dead" help:"Which ones: pending, dead or both."`
}

// Run prints a table, the latest message first.
func (o outboxListCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tTO\tTOPIC\tUSER\tSTATE\tATTEMPTS\tCREATED\tDUE\tLAST ERROR")
	filter := identity.MessageFilter{States: o.State}
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
			if m.State == identity.MessagePending {
				due = timeOrDash(m.DueAt)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", m.ID, m.Lane, orDash(m.Topic), user, m.State, m.Attempts,
				timeOrDash(m.CreatedAt), due, orDash(m.LastError))
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

// Run puts the messages into the queue again; a running service sends them.
func (o outboxRetryCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	for _, id := range o.ID {
		if _, err := svc.RetryMessage(ctx, identity.CommandLine(), id); err != nil {
			return fmt.Errorf("message %d: %w", id, err)
		}
		fmt.Fprintf(env.stdout, "Message %d is on its way again.\n", id)
	}
	return nil
}
