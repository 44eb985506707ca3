package cli

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/rosterhq/roster/pkg/client"
)

type usersCreateCommand struct {
	remoteOutput

	Name              string   `required:"" help:"The user's name."`
	Email             string   `required:"" help:"The user's e-mail address."`
	Group             []string `help:"Names or ids of groups, separated by commas."`
	Phone             string   `help:"The phone number, with country code."`
	IPWhitelist       []string `name:"ip-whitelist" help:"Addresses and prefixes to allow. Without it, all are."`
	Tag               []string `help:"Client tags, separated by commas."`
	TFA               bool     `name:"tfa" help:"Ask for a second factor at sign-in."`
	Inactive          bool     `help:"Create the user without access."`
	CanViewMaskedData bool     `help:"Let the user see unmasked data."`
	Invite            bool     `help:"Mail a link to choose the password, in the place of a password."`
	Notify            bool     `help:"Tell the user by mail."`
	DryRun            bool     `help:"Show what would be created, and create nothing."`
}

// Run creates a user and shows it.
func (u usersCreateCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	user := client.UserCreate{
		Name: u.Name, Email: u.Email, Active: !u.Inactive, TFA: u.TFA, Phone: u.Phone, IPWhitelist: u.IPWhitelist,
		ClientTags: tags(u.Tag), CanViewMaskedData: u.CanViewMaskedData, SendNotify: u.Notify, Invite: u.Invite,
	}
	if user.Groups, err = groupIDs(ctx, roster, u.Group); err != nil {
		return err
	}
	if u.DryRun {
		return sh.showNew("a new user", user)
	}
	if !u.Invite {
		if user.Password, err = sh.NewPassword(ctx); err != nil {
			return err
		}
	}
	created, err := roster.Users.Create(ctx, user)
	if err != nil {
		return err
	}
	return printOne(sh, u.Output, created)
}

// showNew writes what a dry run would create.
func (sh *Shell) showNew(what string, thing any) error {
	text, err := json.Marshal(thing)
	if err != nil {
		return err
	}
	var all values
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	sh.showChange(what, nil, nil, all)
	sh.say("This is a dry run: nothing is changed.")
	return nil
}

func tags(texts []string) []client.Tag {
	var all []client.Tag
	for _, text := range texts {
		all = append(all, client.Tag{Text: text})
	}
	return all
}

// forceFlag is for changes that the API refuses unless they are meant.
type forceFlag struct {
	Force bool `help:"Do it although it shuts yourself out."`
}

func (f forceFlag) options() []client.CallOption {
	if f.Force {
		return []client.CallOption{client.Force()}
	}
	return nil
}

// changeableUser is a user that flags or an editor change. To make it inactive takes a yes.
func changeableUser(roster *client.Client, user client.User) changeable[client.User, client.UserUpdate] {
	return changeable[client.User, client.UserUpdate]{
		what:    userWhat(user),
		present: user,
		again:   func(ctx context.Context) (client.User, error) { return roster.Users.Get(ctx, user.ID) },
		update: func(ctx context.Context, u client.UserUpdate, options ...client.CallOption) (client.User, error) {
			return roster.Users.Update(ctx, user.ID, u, options...)
		},
		question: "Deactivate", asksFor: "active", asksAt: "false",
	}
}

type usersEditCommand struct {
	remoteOutput
	changeFlags
	forceFlag

	User              string    `arg:"" help:"The id, the e-mail address, or me."`
	Name              *string   `help:"Another name."`
	Email             *string   `help:"Another e-mail address."`
	Phone             *string   `help:"Another phone number; empty for none."`
	Active            *bool     `negatable:"" help:"Let the user sign in, or not."`
	TFA               *bool     `name:"tfa" negatable:"" help:"Ask for a second factor at sign-in, or not."`
	Group             *[]string `help:"Names or ids of all groups, separated by commas."`
	AddGroup          []string  `help:"Groups to add."`
	RemoveGroup       []string  `help:"Groups to take away."`
	IPWhitelist       *[]string `name:"ip-whitelist" help:"Addresses and prefixes to allow; empty for all."`
	Tag               *[]string `help:"All client tags, separated by commas."`
	CanViewMaskedData *bool     `negatable:"" help:"Let the user see unmasked data, or not."`
	Notify            bool      `help:"Tell the user by mail of what matters for signing in."`
}

// Run changes a user, by the flags or, without any, in the editor, and shows it.
func (u usersEditCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	user, err := userNamed(ctx, roster, u.User)
	if err != nil {
		return err
	}
	wanted, err := u.wanted(ctx, roster, user)
	if err != nil {
		return err
	}
	c := changeableUser(roster, user)
	if u.Notify {
		update := c.update
		c.update = func(ctx context.Context, up client.UserUpdate, options ...client.CallOption) (client.User, error) {
			up.SendNotify = true
			return update(ctx, up, options...)
		}
	}
	return changeAndShow(ctx, sh, c, wanted, u.changeFlags, u.Output, u.options()...)
}

// wanted returns the fields that the flags set.
func (u usersEditCommand) wanted(ctx context.Context, roster *client.Client, user client.User) (values, error) {
	wanted := values{}
	wanted.set("name", u.Name)
	wanted.set("email", u.Email)
	wanted.set("phone", u.Phone)
	wanted.set("active", u.Active)
	wanted.set("tfa", u.TFA)
	wanted.set("ipWhitelist", u.IPWhitelist)
	wanted.set("canViewMaskedData", u.CanViewMaskedData)
	if u.Tag != nil {
		wanted.set("clientTags", tags(*u.Tag))
	}
	groups := user.Groups
	if u.Group != nil {
		ids, err := groupIDs(ctx, roster, *u.Group)
		if err != nil {
			return nil, err
		}
		groups = ids
	}
	added, err := groupIDs(ctx, roster, u.AddGroup)
	if err != nil {
		return nil, err
	}
	removed, err := groupIDs(ctx, roster, u.RemoveGroup)
	if err != nil {
		return nil, err
	}
	if u.Group == nil && len(added) == 0 && len(removed) == 0 {
		return wanted, nil
	}
	groups = slices.Concat(groups, added)
	slices.Sort(groups)
	groups = slices.DeleteFunc(slices.Compact(groups), func(id int64) bool { return slices.Contains(removed, id) })
	wanted.set("groups", groups)
	return wanted, nil
}

type usersActivateCommand struct {
	remote
	many

	DryRun bool `help:"Show what would change, and change nothing."`
}

// Run activates the users.
func (u usersActivateCommand) Run(ctx context.Context, sh *Shell) error {
	return setActive(ctx, sh, u.remote, u.many, "true", changeFlags{DryRun: u.DryRun})
}

type usersDeactivateCmd struct {
	remote
	many
	changeFlags
	forceFlag
}

// Run deactivates the users.
func (u usersDeactivateCmd) Run(ctx context.Context, sh *Shell) error {
	return setActive(ctx, sh, u.remote, u.many, "false", u.changeFlags, u.options()...)
}

func setActive(
	ctx context.Context, sh *Shell, r remote, m many, value string, flags changeFlags, options ...client.CallOption,
) error {
	roster, err := r.connect(ctx, sh)
	if err != nil {
		return err
	}
	return m.each(ctx, sh, roster, func(user client.User) error {
		wanted := values{"active": json.RawMessage(value)}
		_, err := changeableUser(roster, user).change(ctx, sh, wanted, flags, options...)
		return err
	})
}
