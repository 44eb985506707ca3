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
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/cli"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type commandLine struct {
	config.Config `embed:"" group:"settings"`

	ShowVersion kong.VersionFlag   `name:"version" help:"Print the version."`
	Serve       serveCommand       `cmd:"" group:"host" help:"Serve the API (default: SQLite, localhost:8080)."`
	MigrateOnly migrateCommand     `cmd:"" group:"host" help:"Bring the database's schema up to date." name:"migrate"`
	Backup      backupCommand      `cmd:"" group:"host" help:"Copy the SQLite database to a new file while it is in use."`
	Token       tokenCommands      `cmd:"" group:"host" help:"Create, list and revoke service tokens, without a server."`
	User        userCommands       `cmd:"" group:"host" help:"Create users, without a server."`
	Audit       auditCommands      `cmd:"" group:"host" help:"Delete old events."`
	ShowConfig  configCommand      `cmd:"" group:"host" help:"Show every setting and where it comes from." name:"config"`
	Healthcheck healthcheckCommand `cmd:"" group:"host" help:"Exit 0 when the service is ready (for containers)."`
	cli.Commands
	Outbox     outboxCommands `cmd:"" group:"both" help:"List undelivered mails and webhooks, and retry them."`
	Completion cli.Completion `cmd:"" group:"both" help:"Print the completion of commands for a shell."`
	Complete   cli.Complete   `cmd:"" group:"both" hidden:""`
	Version    versionCommand `cmd:"" group:"both" help:"Print the version."`
}

const allowListHelp = "Addresses and prefixes to allow, separated by commas. Without it, all are allowed."

// environment holds the standard streams of the process.
type environment struct {
	stdout io.Writer
	stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	terminal := cli.NewTerminal(os.Stdin, os.Stdout, os.Stderr)
	err := run(ctx, os.Args[1:], terminal)
	if failed := terminal.Out.Failed(); failed != nil {
		err = failed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "roster:", describe(err))
		os.Exit(exitCode(err))
	}
}

// exitCode returns the code that the process ends with. It is the same for an error whether a server or the service on
// this host has found it.
func exitCode(err error) int {
	var ours *identity.Error
	var parse *kong.ParseError
	switch {
	case errors.As(err, &parse):
		return cli.ExitUsage
	case !errors.As(err, &ours):
		return cli.ExitCode(err)
	}
	switch ours.Kind {
	case identity.Unauthenticated:
		return cli.ExitNotSignedIn
	case identity.Forbidden:
		return cli.ExitForbidden
	case identity.NotFound:
		return cli.ExitNotFound
	case identity.Conflict, identity.Precondition:
		return cli.ExitConflict
	case identity.Invalid:
		return cli.ExitInvalid
	case identity.Unavailable, identity.TooManyRequests:
		return cli.ExitUnavailable
	}
	return cli.ExitFailure
}

// describe returns the message of an error for the terminal, in sentences: of Roster's
// own errors without the code and the cause.
func describe(err error) string {
	var ours *identity.Error
	if !errors.As(err, &ours) {
		return cli.Describe(err)
	}
	text := ours.Message
	for _, field := range ours.Fields {
		if field.Message != ours.Message {
			text += fmt.Sprintf("\n  %s: %s", field.Field, field.Message)
		}
	}
	return text
}

func run(ctx context.Context, args []string, terminal *cli.Terminal) (err error) {
	env := environment{stdout: terminal.Out, stderr: terminal.Err}
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
		kong.PostBuild(setExamples),
		// The flags of the command come first, without a title; the settings are the same for all.
		kong.ConfigureHelp(kong.HelpOptions{FlagsLast: true, NoExpandSubcommands: true}),
		kong.Help(printHelp),
		kong.ExplicitGroups([]kong.Group{
			{Key: "host", Title: "Commands for the service on this host:"},
			{Key: "remote", Title: "Commands for a server (roster login, or ROSTER_URL and ROSTER_TOKEN):"},
			{Key: "both", Title: "Other commands:"},
			{Key: "settings", Title: "Settings, for every command for the service on this host:"},
		}),
		kong.Vars{"allow_list_help": allowListHelp, "version": "roster " + app.Version()},
		kong.Writers(env.stdout, env.stderr),
		kong.Exit(func(int) { exited = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(env, terminal),
		kong.Bind(&roster),
		kong.BindToProvider(roster.service),
		kong.BindToProvider(func() (*cli.Shell, error) { return newShell(terminal), nil }),
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
	if !cli.IsRemote(command.Selected()) {
		if err := line.Check(); err != nil {
			return err
		}
	}
	return command.Run(&line.Config)
}

// newShell returns what surrounds the commands for a server.
func newShell(terminal *cli.Terminal) *cli.Shell {
	sh := &cli.Shell{Terminal: terminal}
	sh.Server = cli.ServerFrom(os.Getenv(config.ServerURL), os.Getenv(config.ServerToken))
	if folder, err := os.UserConfigDir(); err == nil { // without one, there are no contexts
		sh.Folder = filepath.Join(folder, "roster")
	}
	return sh
}

// printHelp prints the help of a command. The settings of the service are left out where they do not matter.
func printHelp(options kong.HelpOptions, line *kong.Context) error {
	if cli.IsRemote(line.Selected()) {
		for _, flag := range line.Model.Flags {
			flag.Hidden = len(flag.Envs) > 0
		}
	}
	return kong.DefaultHelpPrinter(options, line)
}

var missingValue = regexp.MustCompile(`^(--[a-z-]+): expected .* value but got `)

// explain puts the errors of kong for a flag without a value and of slog for an unknown
// level into words.
func explain(err error) error {
	if strings.Contains(err.Error(), "slog: level string") {
		return cli.Usage("ROSTER_LOG_LEVEL (--log-level) must be debug, info, warn or error")
	}
	if flag := missingValue.FindStringSubmatch(err.Error()); flag != nil {
		return cli.Usage("%s needs a value", flag[1])
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
