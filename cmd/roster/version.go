package main

import (
	"fmt"

	"github.com/rosterhq/roster/internal/app"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(env environment) error {
	_, err := fmt.Fprintln(env.stdout, "roster", app.Version())
	return err
}
