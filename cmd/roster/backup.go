package main

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
)

type backupCommand struct {
	File string `arg:"" help:"The file to write. It must not exist."`
}

// Run copies the database of the settings and does not migrate it: a backup comes before an upgrade.
func (b backupCommand) Run(ctx context.Context, c *config.Config, env environment) error {
	if err := app.Backup(ctx, c, b.File); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "The database is copied to %s. Keep ROSTER_SECRET_KEY with it, if you set one.\n", b.File)
	return nil
}
