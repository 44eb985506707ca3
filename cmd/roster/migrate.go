package main

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/store"
)

type migrateCommand struct{}

// Run brings the schema up to date.
func (migrateCommand) Run(ctx context.Context, c *config.Config, env environment) error {
	warnOfOpenFiles(ctx, c)
	applied, err := store.Migrate(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "The schema is up to date (%d migrations run).\n", applied)
	return nil
}
