package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterhq/roster/pkg/client"
)

type loginCommand struct {
	URL   string `arg:"" help:"The address of the server, such as https://roster.example.com."`
	Email string `help:"Your e-mail address. Without it, it is asked for."`
	Name  string `help:"A name for the context. Without it, it is the host of the server."`
}

// Run signs in and keeps the session's tokens. The password and the code are asked for, or read line by line from the
// standard input.
func (l loginCommand) Run(ctx context.Context, sh *Shell) error {
	address, err := signInAddress(l.URL)
	if err != nil {
		return err
	}
	saved := savedContext{Name: l.Name, URL: address.String(), Email: l.Email}
	if saved.Name == "" {
		saved.Name = address.Host
	}
	if saved.Email == "" {
		if saved.Email, err = sh.ask(ctx, "E-mail address", false); err != nil {
			return err
		}
	}
	roster, err := client.New(saved.URL)
	if err != nil {
		return err
	}
	pair, err := sh.signIn(ctx, roster, saved.Email)
	if err != nil {
		return err
	}
	saved.take(pair)
	var replaced savedContext
	err = contextStore{sh.Folder}.change(ctx, func(file *contextFile) error {
		replaced, _ = file.find(saved.Name)
		file.put(saved)
		file.Current = saved.Name
		return nil
	})
	if err != nil { // nobody has the tokens: no session stays behind
		return errors.Join(err, saved.signOut(ctx))
	}
	if replaced.Name != "" {
		_ = replaced.signOut(ctx) // it may be over, or the server another one
	}
	sh.say("You are signed in to %s as %s. The context is %s.", saved.URL, saved.Email, saved.Name)
	return nil
}

// signInAddress returns the address of a server that a password may be sent to: by HTTPS, or on this host.
func signInAddress(text string) (*url.URL, error) {
	address, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil || address.Host == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "":
		return nil, Usage("the address must be one such as https://roster.example.com")
	case address.Scheme == "https":
		return address, nil
	case address.Scheme != "http":
		return nil, Usage("the address must begin with https://")
	}
	host := address.Hostname()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return address, nil
	}
	return nil, Usage("http:// would send your password in the clear: use https://%s", address.Host)
}

// signIn asks for what it takes to sign in, and returns the tokens of the new session.
func (sh *Shell) signIn(ctx context.Context, roster *client.Client, email string) (client.TokenPair, error) {
	password, err := sh.ask(ctx, "Password", true)
	if err != nil {
		return client.TokenPair{}, err
	}
	answer, err := roster.Sessions.SignIn(ctx, email, password)
	if err != nil {
		return client.TokenPair{}, signInError(err)
	}
	if answer.EnrolmentRequired {
		return client.TokenPair{}, notSignedIn("you need an authenticator first: set it up in the console of the server, " +
			"and then run roster login again")
	}
	if !answer.CodeRequired {
		return answer.TokenPair, nil
	}
	question := "Code of your authenticator, or a recovery code"
	if answer.Challenge.Provider == "email" {
		question = "Code that was sent to you by e-mail"
	}
	const tries = 3
	for try := 1; ; try++ {
		code, err := sh.ask(ctx, question, true)
		if err != nil {
			return client.TokenPair{}, err
		}
		pair, err := roster.Sessions.Confirm(ctx, answer.Challenge.Token, strings.TrimSpace(code))
		refused, isRefused := errors.AsType[*client.Error](err)
		if !isRefused || refused.Status >= http.StatusInternalServerError || try == tries || !sh.inShown {
			return pair, signInError(err)
		}
		sh.say("%s", refused.Message)
	}
}

// signInError returns a refusal without the advice to sign in.
func signInError(err error) error {
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusUnauthorized {
		return notSignedIn("%s", refused.Message)
	}
	return err
}

// signOut ends the session. An access token that is over is renewed for it.
func (c savedContext) signOut(ctx context.Context) error {
	err := c.trySignOut(ctx)
	if ExitCode(err) != ExitNotSignedIn {
		return err
	}
	if err := c.refresh(ctx); err != nil {
		return err
	}
	return c.trySignOut(ctx)
}

func (c savedContext) trySignOut(ctx context.Context) error {
	roster, err := client.New(c.URL, client.Token(string(c.AccessToken)), client.Retries(0))
	if err != nil {
		return err
	}
	return roster.Sessions.SignOut(ctx)
}

type logoutCommand struct {
	remote
}

// Run forgets the context and ends its session. A session that is over already is no failure.
func (l logoutCommand) Run(ctx context.Context, sh *Shell) error {
	var saved savedContext
	err := contextStore{sh.Folder}.change(ctx, func(file *contextFile) error {
		name := l.Context
		if name == "" {
			name = file.Current
		}
		var ok bool
		if saved, ok = file.find(name); !ok {
			return notSignedIn("there is no context to sign out of; roster contexts lists them")
		}
		file.remove(name)
		if file.Current == name {
			file.Current = ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := saved.signOut(ctx); err != nil && ExitCode(err) != ExitNotSignedIn {
		return fmt.Errorf("the context is forgotten, but its session at the server may go on: %w", err)
	}
	sh.say("You are signed out of %s.", saved.URL)
	return nil
}

type whoamiCommand struct {
	remoteOutput
}

// identityOf is the answer to whoami.
type identityOf struct {
	Server            string   `json:"server"`
	Context           string   `json:"context"` // "" for the environment's server
	UserID            int64    `json:"userId"`
	Name              string   `json:"name"`
	Email             string   `json:"email"`
	Permissions       []string `json:"permissions"`
	CanViewMaskedData bool     `json:"canViewMaskedData"`
}

// Run asks the server who the caller is. It shows a service token that acts for no user without an id.
func (w whoamiCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := w.connect(ctx, sh)
	if err != nil {
		return err
	}
	who := identityOf{Server: sh.Server.URL}
	if saved, err := w.saved(sh); err == nil && (w.Context != "" || sh.Server.Token == "") {
		who.Server, who.Context = saved.URL, saved.Name
	}
	me, err := roster.Users.Get(ctx, client.Me)
	if ExitCode(err) == ExitNotFound {
		sh.say("You use a service token that acts for no user.")
		return printOne(sh, w.Output, who)
	}
	if err != nil {
		return err
	}
	access, err := roster.Users.Access(ctx, client.Me)
	if err != nil {
		return err
	}
	who.UserID, who.Name, who.Email, who.CanViewMaskedData = me.ID, me.Name, me.Email, access.CanViewMaskedData
	who.Permissions = []string{}
	for _, given := range access.Permissions {
		who.Permissions = append(who.Permissions, given.Permission)
	}
	return printOne(sh, w.Output, who)
}
