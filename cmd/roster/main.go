// Command roster is the user-management service of a back office. Each command has
// a file of its own; internal/app opens what they use. Run it with --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type commandLine struct {
	config.Config `embed:"" group:"settings"`

	ShowVersion kong.VersionFlag   `name:"version" help:"Print the version."`
	Serve       serveCommand       `cmd:"" help:"Serve the API (default: SQLite, localhost:8080)."`
	MigrateOnly migrateCommand     `cmd:"" help:"Bring the database's schema up to date." name:"migrate"`
	Backup      backupCommand      `cmd:"" help:"Copy the SQLite database to a new file while it is in use."`
	Token       tokenCommands      `cmd:"" help:"Create, list and revoke service tokens."`
	User        userCommands       `cmd:"" help:"Create users."`
	Audit       auditCommands      `cmd:"" help:"Delete old events."`
	Outbox      outboxCommands     `cmd:"" help:"List undelivered mails and webhooks, and retry them."`
	ShowConfig  configCommand      `cmd:"" help:"Show every setting and where it comes from." name:"config"`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit 0 when the service on this host is ready (for containers)."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

const allowListHelp = "Addresses and prefixes to allow, separated by commas. Without it, all are allowed."

// environment holds the standard streams of the process.
type environment struct {
	stdin  *os.File
	stdout io.Writer
	stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	env := environment{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	if err := run(ctx, os.Args[1:], env); err != nil {
		fmt.Fprintln(os.Stderr, "roster:", describe(err))
		os.Exit(1)
	}
}

// describe returns the message of an error for the terminal, in sentences: of Roster's
// own errors without the code and the cause.
func describe(err error) string {
	var ours *identity.Error
	if !errors.As(err, &ours) {
		return err.Error()
	}
	text := ours.Message
	for _, field := range ours.Fields {
		if field.Message != ours.Message {
			text += fmt.Sprintf("\n  %s: %s", field.Field, field.Message)
		}
	}
	return text
}

func run(ctx context.Context, args []string, env environment) (err error) {
	environmentErr := config.ReadEnvironment() // after --help, which always works
	if len(args) == 0 {
		args = []string{"--help"}
	}
	var line commandLine
	var roster opener
	defer func() { err = errors.Join(err, roster.close()) }()
	exited := false
	parser, err := kong.New(&line,
		kong.Name("roster"),
		kong.Description("Roster keeps the users of a back office: "+
			"who they are, whether they may sign in and from where, what they may do."),
		kong.PostBuild(setHelp),
		// The flags of the command come first, without a title; the settings are the same for all.
		kong.ConfigureHelp(kong.HelpOptions{FlagsLast: true}),
		kong.ExplicitGroups([]kong.Group{{Key: "settings", Title: "Settings, for every command:"}}),
		kong.Vars{"allow_list_help": allowListHelp, "version": "roster " + app.Version()},
		kong.Writers(env.stdout, env.stderr),
		kong.Exit(func(int) { exited = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env),
		kong.BindToProvider(roster.service),
	)
	if err != nil {
		return err
	}
	command, err := parser.Parse(args)
	switch {
	case exited: // --help has been printed
		return nil
	case environmentErr != nil:
		return environmentErr
	case err != nil:
		return explain(err)
	}
	return command.Run(&line.Config)
}

var missingValue = regexp.MustCompile(`^(--[a-z-]+): expected .* value but got `)

// explain puts the errors of kong for a flag without a value and of slog for an unknown
// level into words.
func explain(err error) error {
	if strings.Contains(err.Error(), "slog: level string") {
		return errors.New("ROSTER_LOG_LEVEL (--log-level) must be debug, info, warn or error")
	}
	if flag := missingValue.FindStringSubmatch(err.Error()); flag != nil {
		return fmt.Errorf("%s needs a value", flag[1])
	}
	return err
}

// setHelp sets the help texts of the settings. It fails for a setting without one.
func setHelp(parser *kong.Kong) error {
	for _, flag := range parser.Model.Flags {
		if len(flag.Envs) == 0 { // --help
			continue
		}
		if flag.Help = config.Help[flag.Name]; flag.Help == "" {
			return fmt.Errorf("no help text for --%s", flag.Name)
		}
	}
	return nil
}

// opener opens a service for a command whose Run takes one, and closes it after
// the command.
type opener struct {
	app *app.App // nil for commands that need none
}

func (o *opener) service(ctx context.Context, c *config.Config) (_ *service.Service, err error) {
	if o.app, err = app.New(ctx, app.Options{Config: c, Logger: slog.Default()}); err != nil {
		return nil, err
	}
	return o.app.Service, nil
}

func (o *opener) close() error {
	if o.app == nil {
		return nil
	}
	return o.app.Close()
}
