// Package cli has the commands that speak to a running Roster, here or elsewhere, by its API. It knows no database:
// what a command may do is what the token of the caller may do.
//
// Results go to the standard output, in the chosen format. Questions, differences and remarks go to the standard error.
package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

// Commands are the commands for a server.
type Commands struct {
	Login    loginCommand     `cmd:"" group:"remote" help:"Sign in to a server, and remember it as a context."`
	Logout   logoutCommand    `cmd:"" group:"remote" help:"End the session of a context, and forget it."`
	Whoami   whoamiCommand    `cmd:"" group:"remote" help:"Show the server, and who you are there."`
	Contexts contextsCommands `cmd:"" group:"remote" help:"List the servers you have signed in to, and choose one."`
	Users    usersCommands    `cmd:"" group:"remote" help:"List and change users."`
	Groups   groupsCommands   `cmd:"" group:"remote" help:"List and change groups, which give permissions."`
	Tokens   tokensCommands   `cmd:"" group:"remote" help:"List, create and revoke service tokens."`
	Webhooks webhooksCommands `cmd:"" group:"remote" help:"List and change webhooks, and see what they were sent."`
	Events   eventsCommands   `cmd:"" group:"remote" help:"List what has happened, or follow it."`
}

// Server is the server that the environment names. Both are "" if it names none.
type Server struct {
	URL   string
	Token secretText
}

// ServerFrom returns the server at a URL, for the bearer of a token.
func ServerFrom(url, token string) Server { return Server{URL: url, Token: secretText(token)} }

// Shell is what surrounds a command: the streams of the process, the server of the environment, and the folder of the
// contexts.
type Shell struct {
	*Terminal

	Server Server
	Folder string
}

// remote has the flags of a command that speaks to a server.
type remote struct {
	Context string `placeholder:"NAME" help:"The context to use, as roster contexts lists them."`
}

// remoteOutput has the flags of a command that also shows something.
type remoteOutput struct {
	remote

	Output string `short:"o" default:"table" enum:"table,json,ndjson,csv,name" help:"table, json, ndjson, csv, name (ids)."`
}

// patience bounds each try of a call.
const patience = 30 * time.Second

// connect returns a client of the server that the flag, the environment or the current context names, in this order.
func (r remote) connect(ctx context.Context, sh *Shell, options ...client.Option) (*client.Client, error) {
	address, transport, err := r.transport(ctx, sh)
	if err != nil {
		return nil, err
	}
	options = append(options, client.HTTPClient(&http.Client{Timeout: patience, Transport: transport}))
	return client.New(address, options...)
}

// transport returns the address of the server, and a transport that adds the token.
func (r remote) transport(ctx context.Context, sh *Shell) (string, http.RoundTripper, error) {
	if r.Context == "" && sh.Server.URL != "" && sh.Server.Token != "" {
		return sh.Server.URL, bearer{token: sh.Server.Token}, nil
	}
	saved, err := r.saved(sh)
	if err != nil {
		return "", nil, err
	}
	s := &session{store: contextStore{sh.Folder}, name: saved.Name}
	if _, err := s.token(ctx); err != nil {
		return "", nil, err
	}
	return saved.URL, bearer{session: s}, nil
}

// saved returns the context that the flag, the environment or the file of contexts names.
func (r remote) saved(sh *Shell) (savedContext, error) {
	file, err := contextStore{sh.Folder}.read()
	if err != nil {
		return savedContext{}, err
	}
	switch {
	case r.Context != "":
		if saved, ok := file.find(r.Context); ok {
			return saved, nil
		}
		return savedContext{}, notSignedIn("there is no context %q; roster contexts lists them", r.Context)
	case sh.Server.URL != "":
		if saved, ok := file.at(sh.Server.URL); ok {
			return saved, nil
		}
		return savedContext{}, notSignedIn("not signed in to %s: set ROSTER_TOKEN, or run roster login %[1]s",
			sh.Server.URL)
	case sh.Server.Token != "": // it is for one server, and no other may get it
		return savedContext{}, Usage("ROSTER_TOKEN is set and ROSTER_URL is not: a token needs the server it is for")
	}
	if saved, ok := file.find(file.Current); ok {
		return saved, nil
	}
	return savedContext{}, notSignedIn("not signed in: run roster login URL, or set ROSTER_URL and ROSTER_TOKEN")
}

// IsRemote reports whether a command that also works on the database of this host is meant for a server: the flag, the
// environment or the current context names one.
func (r remote) IsRemote(sh *Shell) (bool, error) {
	if r.Context != "" || sh.Server.URL != "" {
		return true, nil
	}
	file, err := contextStore{sh.Folder}.read()
	return file.Current != "", err
}
