package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
)

type serveCommand struct {
	// A double is switched on by the flag alone: no variable and no file can do it by accident.
	Ephemeral bool      `help:"Be a double for tests: in memory, on loopback, until the parent process ends."`
	Seed      string    `help:"With --ephemeral: YAML of what exists from the start." placeholder:"FILE"`
	Clock     time.Time `help:"With --ephemeral: a time, at which the clock stands still until it is moved."`
	Throttle  bool      `help:"With --ephemeral: keep the limits of attempts."`
}

// Run serves until ctx ends, by SIGINT or SIGTERM, or serving fails.
func (s serveCommand) Run(ctx context.Context, c *config.Config, line *kong.Context, env environment) (err error) {
	if s.Ephemeral {
		return s.double(ctx, c, line, env)
	}
	if s.Seed != "" || !s.Clock.IsZero() || s.Throttle {
		return errors.New("--seed, --clock and --throttle are for --ephemeral")
	}
	logs := newLogWriter(env.stderr)
	defer logs.close()
	logger := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: c.LogLevel}))
	slog.SetDefault(logger)
	roster, err := app.New(ctx, app.Options{Config: c, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, roster.Close()) }()
	newToken, err := roster.Start(ctx, c.ListenAddr(isGiven(line, "addr")))
	if err != nil {
		return err
	}
	setupLink, err := roster.SetupLink(ctx)
	if err != nil {
		return err
	}
	lost := false
	if newToken == "" {
		if lost, err = roster.Service.OnlyFirstToken(ctx); err != nil {
			return err
		}
	}
	greet(env.stdout, greeting{roster.URL(), setupLink, newToken, lost})
	return roster.Run(ctx)
}

// greeting is what serve prints when it is ready.
type greeting struct {
	url       string
	setupLink string // to the page that creates the first administrator; "" if there is a user
	newToken  string // of the first start; "" at later ones
	lost      bool   // the token of the first start is all there is, and may be lost
}

// greet prints the URL of the service and, while there is no user, how to begin.
func greet(w io.Writer, g greeting) {
	text := fmt.Sprintf("Roster is ready at %s, with its documentation at %s/docs\n", g.url, g.url)
	if g.setupLink != "" {
		text += fmt.Sprintf(firstPage, g.setupLink)
	}
	switch {
	case g.newToken != "":
		text += fmt.Sprintf(firstStart, g.newToken, g.newToken, g.url)
	case g.lost:
		text += unusedToken
	}
	fmt.Fprint(w, text)
}

const firstPage = `
Open this page to create the first administrator. The link works once, and for a day:

  %s

`

const unusedToken = `
The administrator token of the first start has not been used yet. If you have lost it,
run "roster token create --admin --name NAME" on this host for another one.

`

const firstStart = `
This is the first start. Here is your administrator token. It is shown only once and is valid for 30 days:

  %s

Try it:

  curl -g -H 'Authorization: Bearer %s' '%s/api/v2/users?limit=10'

If you lose it, run "roster token create --admin --name NAME" on this host.

`
