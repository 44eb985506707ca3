package cli

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

type eventsCommands struct {
	List eventsListCommand `cmd:"" help:"List what has happened, the latest first."`
	Tail eventsTailCommand `cmd:"" help:"Show what happens, as it happens, until it is interrupted."`
}

// eventColumns are those of a table.
var eventColumns = []string{"id", "time", "type", "userId", "actor", "source", "reason"}

// eventFilter has the filters of the list of events.
type eventFilter struct {
	User   string `help:"The user it happened to: an id, an e-mail address or me."`
	Actor  string `help:"Who did it: the id of a user, or token: and the id of a token."`
	Type   string `help:"The type, such as USER_CREATED."`
	Reason string `help:"Why it was refused or has failed, such as ip_not_allowed."`
}

func (f eventFilter) list(ctx context.Context, roster *client.Client) (client.EventList, error) {
	which := client.EventList{Actor: f.Actor, Type: f.Type, Reason: f.Reason, Size: maxPage}
	if f.User == "" {
		return which, nil
	}
	id, err := realUserID(ctx, roster, f.User)
	which.User = id
	return which, err
}

type eventsListCommand struct {
	remoteOutput
	eventFilter

	Since moment `placeholder:"TIME" help:"Not before this time: 2026-01-31, RFC 3339, or 90d for days ago."`
	Until moment `placeholder:"TIME" help:"Before this time."`
	Limit int    `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the events.
func (e eventsListCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := e.connect(ctx, sh)
	if err != nil {
		return err
	}
	which, err := e.list(ctx, roster)
	if err != nil {
		return err
	}
	which.Since, which.Until, which.Size = e.Since.Time, e.Until.Time, pageSize(e.Limit)
	return printList(sh, e.Output, first(e.Limit, roster.Events.List(ctx, which)), eventColumns...)
}

type eventsTailCommand struct {
	remote
	eventFilter

	Output string        `short:"o" default:"table" enum:"table,ndjson,csv,name" help:"table, ndjson, csv or name (ids)."`
	Last   int           `default:"10" help:"How many of the events before to show first."`
	Every  time.Duration `default:"2s" help:"How often to ask the server."`
}

// Run follows the events. It survives a server that is away for a while, and ends when it is interrupted or refused.
func (e eventsTailCommand) Run(ctx context.Context, sh *Shell) error {
	const leastEvery = 100 * time.Millisecond
	if e.Every < leastEvery || e.Last < 0 || e.Last > maxPage {
		return Usage("--every must be at least 100ms, and --last from 0 to 1000")
	}
	roster, err := e.connect(ctx, sh)
	if err != nil {
		return err
	}
	which, err := e.list(ctx, roster)
	if err != nil {
		return err
	}
	follow := follower{seen: map[int64]time.Time{}}
	p := newPrinter[client.Event](sh, e.Output, eventColumns...)
	away := false
	for {
		isFirst := !follow.started
		events, err := follow.next(e.Last, roster.Events.List(ctx, which))
		switch {
		case ExitCode(err) == ExitUnavailable && follow.started:
			if !away {
				sh.say("%s\nTrying again.", Describe(err))
			}
		case err != nil:
			return err
		case isFirst:
			events = events[max(len(events)-e.Last, 0):]
		}
		away = err != nil
		for _, event := range events {
			if err := p.add(event); err != nil {
				return err
			}
		}
		if err := p.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(e.Every):
		}
	}
}

// follower finds the events that are new. Their ids are given before they are stored, so one can appear after
// another of a higher id: it looks back for a while.
type follower struct {
	started bool
	latest  time.Time           // of the events that it has seen
	seen    map[int64]time.Time // by id
}

// lookBack bounds how late an event appears.
const lookBack = 10 * time.Second

// next reads a list of events, the latest first, as far back as there can be a new one, the first time at least so
// many. It returns the new ones, the latest last.
func (f *follower) next(least int, list iter.Seq2[client.Event, error]) ([]client.Event, error) {
	if f.started {
		least = 0
	}
	var events []client.Event
	since := f.latest.Add(-lookBack)
	for event, err := range list {
		if err != nil {
			return nil, err
		}
		if !f.started && len(events) == 0 {
			since = event.Time.Add(-lookBack)
		}
		if event.Time.Before(since) && len(events) >= least {
			break
		}
		if _, known := f.seen[event.ID]; !known {
			events = append(events, event)
		}
	}
	for _, event := range events {
		f.seen[event.ID] = event.Time
		if event.Time.After(f.latest) {
			f.latest = event.Time
		}
	}
	for id, at := range f.seen {
		if at.Before(f.latest.Add(-2 * lookBack)) {
			delete(f.seen, id)
		}
	}
	f.started = true
	slices.Reverse(events)
	return events, nil
}
