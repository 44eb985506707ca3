package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
)

type serveCommand struct{}

// Run serves until ctx ends, by SIGINT or SIGTERM, or serving fails.
func (serveCommand) Run(ctx context.Context, c *config.Config, line *kong.Context, env environment) (err error) {
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
	lost := false
	if newToken == "" {
		if lost, err = roster.Service.OnlyFirstToken(ctx); err != nil {
			return err
		}
	}
	greet(env.stdout, roster.URL(), newToken, lost)
	return roster.Run(ctx)
}

// greet prints the URL of the service, on the first start how to use it, and later, where
// the token of the first start may be lost, how to get another.
func greet(w io.Writer, url, newToken string, lost bool) {
	greeting := fmt.Sprintf("Roster is ready at %s, with its documentation at %s/docs\n", url, url)
	switch {
	case newToken != "":
		greeting += fmt.Sprintf(firstStart, newToken, newToken, url)
	case lost:
		greeting += unusedToken
	}
	fmt.Fprint(w, greeting)
}

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
