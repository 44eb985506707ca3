package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/service"
)

type auditCommands struct {
	Prune auditPruneCommand `cmd:"" help:"Delete old events."`
}

type auditPruneCommand struct {
	OlderThan age `required:"" help:"Minimum age of the events to delete, in days or as a duration: 400d, 720h."`
}

// age is a duration that can be given in days.
type age time.Duration

// UnmarshalText reads days, such as 400d, or a duration of time.ParseDuration. It
// fails for any other text and for a negative age.
func (a *age) UnmarshalText(text []byte) error {
	const day, maxDays = 24 * time.Hour, 100 * 365
	if digits, inDays := strings.CutSuffix(string(text), "d"); inDays {
		days, err := strconv.Atoi(digits)
		if err != nil || days < 0 || days > maxDays {
			return fmt.Errorf("must be a number of days such as 400d, at most %dd", maxDays)
		}
		*a = age(time.Duration(days) * day)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return errors.New("must be a time such as 400d or 720h")
	}
	*a = age(d)
	return nil
}

// Run deletes events and prints their number.
func (a auditPruneCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	deleted, err := svc.PruneEvents(ctx, time.Duration(a.OlderThan))
	fmt.Fprintf(env.stdout, "%d events are deleted.\n", deleted)
	return err
}
