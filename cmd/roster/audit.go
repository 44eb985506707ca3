package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rosterhq/roster/internal/service"
)

type auditCommands struct {
	Prune auditPruneCommand `cmd:"" help:"Delete old events."`
}

type auditPruneCommand struct {
	OlderThan period `required:"" help:"Minimum age of the events to delete, in days or as a duration: 400d, 720h."`
	Yes       bool   `help:"Delete also events that are less than a day old."`
}

// Run deletes events and prints their number. It fails for an age of less than a day, which
// deletes nearly everything, unless --yes says that this is meant.
func (a auditPruneCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	if time.Duration(a.OlderThan) < day && !a.Yes {
		return errors.New("--older-than is less than a day: this deletes (nearly) all events; add --yes to do it")
	}
	deleted, err := svc.PruneEvents(ctx, time.Duration(a.OlderThan))
	fmt.Fprintf(env.stdout, "%d events are deleted.\n", deleted)
	return err
}
