package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
)

type migrateCommand struct{}

// Run brings the schema up to date and prints the number of migrations run.
func (migrateCommand) Run(ctx context.Context, c *config.Config, env environment) error {
	applied, err := app.Migrate(ctx, c, slog.Default())
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "The schema is up to date (%d migrations run).\n", applied)
	return nil
}
