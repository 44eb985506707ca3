package cli

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/pkg/client"
)

type usersCommands struct {
	List       usersListCommand     `cmd:"" help:"List the users that match, page by page."`
	Get        usersGetCommand      `cmd:"" help:"Show a user."`
	Find       usersFindCommand     `cmd:"" help:"Find users by whole e-mail addresses, ids or phone numbers."`
	Create     usersCreateCommand   `cmd:"" help:"Create a user; the password is read from standard input or asked for."`
	Edit       usersEditCommand     `cmd:"" help:"Change a user, by flags or in your editor."`
	Activate   usersActivateCommand `cmd:"" help:"Let users sign in again."`
	Deactivate usersDeactivateCmd   `cmd:"" help:"Keep users out, at once."`
	Delete     usersDeleteCommand   `cmd:"" help:"Delete users, with all that belongs to them."`
	Sessions   usersSessionsCommand `cmd:"" help:"List the sessions of a user, or end them."`
	Import     usersImportCommand   `cmd:"" help:"Create and change the users of a file, after a plan and a question."`
	Export     usersExportCommand   `cmd:"" help:"Write all users that match, with the fields that an import takes."`
}

// userColumns are those of a table.
var userColumns = []string{"id", "name", "email", "active", "tfa", "groups", "lastSigninTime"}

// userFilter has the filters of the list of users.
type userFilter struct {
	Name             string `help:"Part of the name."`
	Email            string `help:"The whole e-mail address."`
	Search           string `short:"q" help:"Part of the name, the address or the phone number."`
	Status           string `enum:"any,active,inactive" default:"any" help:"active, inactive or any."`
	Group            string `help:"The name or the id of a group."`
	TFA              *bool  `name:"tfa" negatable:"" help:"Who is asked for a second factor, or not."`
	Locked           *bool  `negatable:"" help:"Who is kept out by wrong passwords or codes, or not."`
	LastSigninAfter  moment `placeholder:"TIME" help:"Who signed in since: 2026-01-31, RFC 3339, or 90d for days ago."`
	LastSigninBefore moment `placeholder:"TIME" help:"Who has not signed in since, or never."`
	CreatedAfter     moment `placeholder:"TIME" help:"Who was created at this time or later."`
	CreatedBefore    moment `placeholder:"TIME" help:"Who was created before."`
}

func (f userFilter) list(ctx context.Context, roster *client.Client) (client.UserList, error) {
	which := client.UserList{
		Name: f.Name, Email: f.Email, Search: f.Search, TFA: f.TFA, Locked: f.Locked,
		LastSigninAfter: f.LastSigninAfter.Time, LastSigninBefore: f.LastSigninBefore.Time,
		CreatedAfter: f.CreatedAfter.Time, CreatedBefore: f.CreatedBefore.Time,
	}
	if f.Status != "any" {
		which.Status = f.Status
	}
	if f.Group == "" {
		return which, nil
	}
	ids, err := groupIDs(ctx, roster, []string{f.Group})
	if err == nil {
		which.Group = ids[0]
	}
	return which, err
}

type usersListCommand struct {
	remoteOutput
	userFilter

	Sort  string `default:"id" enum:"id,name,email,createTime,lastSigninTime" help:"${enum}."`
	Desc  bool   `help:"The other way round."`
	Limit int    `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run writes the users as the pages come.
func (u usersListCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	which, err := u.list(ctx, roster)
	if err != nil {
		return err
	}
	which.SortBy, which.Desc, which.Size = u.Sort, u.Desc, pageSize(u.Limit)
	return printList(sh, u.Output, first(u.Limit, roster.Users.List(ctx, which)), userColumns...)
}

const maxPage = 1000

// pageSize returns how many items to ask for at once, for a limit; 0 is none.
func pageSize(limit int) int {
	if limit <= 0 {
		return maxPage
	}
	return min(limit, maxPage)
}

// first returns the first items of a list; all for 0.
func first[T any](limit int, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	if limit <= 0 {
		return items
	}
	return func(yield func(T, error) bool) {
		n := 0
		for item, err := range items {
			if n++; !yield(item, err) || n == limit {
				return
			}
		}
	}
}

// userID returns the id of the user that a text names: me, an id, or a whole e-mail address.
func userID(ctx context.Context, roster *client.Client, text string) (int64, error) {
	if text == "me" {
		return client.Me, nil
	}
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return id, nil
	}
	if !strings.Contains(text, "@") {
		return 0, Usage("%q is no user: give an id, an e-mail address or me", text)
	}
	found, err := client.Collect(roster.Users.List(ctx, client.UserList{Email: text}))
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, notFound("there is no user with the e-mail address %s", text)
	}
	return found[0].ID, nil
}

// realUserID returns the id of the user that a text names, as userID does, and the id of the caller for me.
func realUserID(ctx context.Context, roster *client.Client, text string) (int64, error) {
	id, err := userID(ctx, roster, text)
	if err != nil || id != client.Me {
		return id, err
	}
	me, err := roster.Users.Get(ctx, client.Me)
	return me.ID, err
}

// userNamed returns the user that a text names.
func userNamed(ctx context.Context, roster *client.Client, text string) (client.User, error) {
	id, err := userID(ctx, roster, text)
	if err != nil {
		return client.User{}, err
	}
	return roster.Users.Get(ctx, id)
}

type usersGetCommand struct {
	remoteOutput

	User string `arg:"" help:"The id, the e-mail address, or me."`
}

// Run shows a user.
func (u usersGetCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	user, err := userNamed(ctx, roster, u.User)
	if err != nil {
		return err
	}
	return printOne(sh, u.Output, user)
}

type usersFindCommand struct {
	remoteOutput

	Text []string `arg:"" help:"Whole e-mail addresses, ids or phone numbers."`
}

// Run shows the users that are found. It fails if a text names nobody.
func (u usersFindCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	found, err := roster.Users.Find(ctx, u.Text)
	if err != nil {
		return err
	}
	err = printList(sh, u.Output, func(yield func(client.User, error) bool) {
		for _, user := range found.Users {
			if !yield(user, nil) {
				return
			}
		}
	}, userColumns...)
	if err == nil && len(found.NotFound) > 0 {
		return notFound("not found: %s", strings.Join(found.NotFound, ", "))
	}
	return err
}

// many are the users of a command that works on several.
type many struct {
	User []string `arg:"" help:"Ids or e-mail addresses."`
}

// each does something to each user that is named, as eachOf does.
func (m many) each(ctx context.Context, sh *Shell, roster *client.Client, do func(user client.User) error) error {
	return eachOf(ctx, sh, m.User, func(text string) error {
		user, err := userNamed(ctx, roster, text)
		if err != nil {
			return err
		}
		return do(user)
	})
}

// eachOf does something to each thing, also after an error. It fails if one has failed, with the code of
// the errors if it is the same for all.
func eachOf[T any](ctx context.Context, sh *Shell, things []T, do func(T) error) error {
	failed, code := 0, 0
	for _, thing := range things {
		err := do(thing)
		if err == nil {
			continue
		}
		if len(things) == 1 || ctx.Err() != nil {
			return err
		}
		sh.say("%v: %s", thing, Describe(err))
		if failed++; failed > 1 && code != ExitCode(err) {
			code = ExitFailure
		} else {
			code = ExitCode(err)
		}
	}
	if failed == 0 {
		return nil
	}
	return &codedError{code, fmt.Sprintf("%d of %d have failed", failed, len(things))}
}

func userWhat(user client.User) string { return fmt.Sprintf("user %d (%s)", user.ID, user.Email) }

type usersDeleteCommand struct {
	remote
	many
	changeFlags
}

// Run deletes the users.
func (u usersDeleteCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	return u.each(ctx, sh, roster, func(user client.User) error {
		return sh.remove(ctx, u.changeFlags, userWhat(user), func() error {
			return roster.Users.Delete(ctx, user.ID, client.IfVersion(user.Version))
		})
	})
}

// remove deletes a thing, after a question.
func (sh *Shell) remove(ctx context.Context, flags changeFlags, what string, do func() error) error {
	if flags.DryRun {
		sh.say("%s would be deleted. This is a dry run: nothing is changed.", sentence(what))
		return nil
	}
	err := sh.confirm(ctx, flags.Yes, "Delete %s?", what)
	if err == nil {
		err = do()
	}
	if err == nil {
		sh.say("%s is deleted.", sentence(what))
	}
	return err
}

type usersSessionsCommand struct {
	remoteOutput

	User   string `arg:"" help:"The id, the e-mail address, or me."`
	End    int64  `xor:"end" placeholder:"ID" help:"End this session."`
	EndAll bool   `xor:"end" help:"End all sessions, but this one of yours."`
	Limit  int    `placeholder:"N" help:"How many to list at most. Without it, all."`
}

// Run lists the sessions, or ends them.
func (u usersSessionsCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	id, err := userID(ctx, roster, u.User)
	if err != nil {
		return err
	}
	switch {
	case u.End != 0:
		err = roster.Sessions.End(ctx, id, u.End)
	case u.EndAll:
		err = roster.Sessions.EndAll(ctx, id)
	default:
		return printList(sh, u.Output, first(u.Limit, roster.Sessions.List(ctx, id, client.Page{Size: pageSize(u.Limit)})),
			"id", "client", "address", "createTime", "lastUsedTime", "expiresAt", "current")
	}
	if err == nil {
		sh.say("The sessions are ended.")
	}
	return err
}
