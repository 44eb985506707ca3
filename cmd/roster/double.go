package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/ephemeral"
)

// realSettings are the settings that name something real, which a double must not touch or
// take for its own.
var realSettings = []string{
	"database-url", "smtp-url", "secret-key", "admin-token", "admin-email", "admin-password", "metrics-addr",
	"trusted-proxies", "webhook-allow-private", "port",
}

// double runs a double until ctx ends or the parent of this process does. It prints one line of
// JSON when the double is ready.
func (s serveCommand) double(ctx context.Context, c *config.Config, line *kong.Context, env environment) error {
	parent := os.Getppid()
	for _, flag := range line.Model.Flags {
		for _, name := range realSettings {
			if flag.Name == name && isGiven(line, name) {
				return fmt.Errorf("--ephemeral keeps everything in memory and cannot be used with %s (--%s): "+
					"run it without, as env -u %s roster serve --ephemeral", flag.Envs[0], name, flag.Envs[0])
			}
		}
	}
	options := ephemeral.Options{Config: c, SeedName: s.Seed, Clock: s.Clock, Throttled: s.Throttle}
	if isGiven(line, "addr") {
		options.Addr = c.Addr
	}
	if s.Seed != "" {
		var err error
		if options.Seed, err = os.ReadFile(s.Seed); err != nil {
			return fmt.Errorf("--seed: %w", err)
		}
	}
	logs := newLogWriter(env.stderr)
	defer logs.close()
	options.Logger = slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: c.LogLevel}))
	slog.SetDefault(options.Logger)
	d, err := ephemeral.Start(ctx, options)
	if err != nil {
		return err
	}
	err = json.NewEncoder(env.stdout).Encode(struct {
		URL     string            `json:"url"`
		Token   string            `json:"token"`
		Tokens  map[string]string `json:"tokens,omitempty"`
		Secrets map[string]string `json:"secrets,omitempty"`
	}{d.URL, d.Token, d.Tokens, d.Secrets})
	if err == nil {
		awaitEnd(ctx, parent)
	}
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// awaitEnd returns when ctx ends or the process gets another parent, which is how POSIX tells
// that the parent has ended. The standard input tells nothing: a shell gives a command in the
// background an empty one, and a script that is piped into a shell is read by all its commands.
func awaitEnd(ctx context.Context, parent int) {
	const interval = 50 * time.Millisecond
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
