package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

type configCommand struct{}

// Run prints each setting, where it comes from, and (hidden) in place of a secret.
func (configCommand) Run(line *kong.Context, env environment) error {
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	for _, flag := range line.Model.Flags {
		if len(flag.Envs) == 0 { // --help
			continue
		}
		value := fmt.Sprint(flag.Target.Interface())
		if flag.Tag.Has("secret") && value != "" && !flag.Target.IsZero() && value != flag.Default {
			value = "(hidden)"
		}
		if flag.Target.IsZero() && flag.Default == "" {
			value = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", flag.Envs[0], value, origin(line, flag))
	}
	return table.Flush()
}

func origin(line *kong.Context, flag *kong.Flag) string {
	name := flag.Envs[0]
	switch {
	case isGivenAsFlag(line, flag.Name):
		return "flag --" + flag.Name
	case os.Getenv(name+"_FILE") != "":
		return "file " + os.Getenv(name+"_FILE")
	case os.Getenv(name) != "":
		return "environment"
	}
	return "default"
}

// isGiven reports whether a setting was given, by a flag, a file or a variable.
func isGiven(line *kong.Context, flagName string) bool {
	for _, flag := range line.Model.Flags {
		if flag.Name == flagName {
			return origin(line, flag) != "default"
		}
	}
	return false
}

func isGivenAsFlag(line *kong.Context, flagName string) bool {
	return slices.ContainsFunc(line.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == flagName })
}
