package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

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
	greet(env.stdout, roster.Addr(), newToken)
	return roster.Run(ctx)
}

// greet prints the address of the service and, on the first start, how to use it.
func greet(w io.Writer, addr net.Addr, newToken string) {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	base := "http://" + net.JoinHostPort(host, port)
	greeting := fmt.Sprintf("Roster is ready at %s, with its documentation at %s/docs\n", base, base)
	if newToken != "" {
		greeting += fmt.Sprintf(firstStart, newToken, newToken, base)
	}
	fmt.Fprint(w, greeting)
}

const firstStart = `
This is the first start. Here is your administrator token. It is shown only once and is valid for 30 days:

  %s

Try it:

  curl -g -H 'Authorization: Bearer %s' '%s/api/v2/users?limit=10'

If you lose it, run "roster token create --admin --name NAME" on this host.

`
