package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rosterhq/roster/pkg/client"
)

type groupsCommands struct {
	List   groupsListCommand   `cmd:"" help:"List the groups."`
	Get    groupsGetCommand    `cmd:"" help:"Show a group."`
	Create groupsCreateCommand `cmd:"" help:"Create a group."`
	Edit   groupsEditCommand   `cmd:"" help:"Change a group, by flags or in your editor."`
	Delete groupsDeleteCommand `cmd:"" help:"Delete a group without members."`
}

// groupIDs returns the ids of the groups that texts name: an id, or else a name. It asks the server only for names.
func groupIDs(ctx context.Context, roster *client.Client, texts []string) ([]int64, error) {
	ids := []int64{}
	var byName map[string]int64
	for _, text := range texts {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
			ids = append(ids, id)
			continue
		}
		if byName == nil {
			byName = map[string]int64{}
			for group, err := range roster.Groups.List(ctx, client.Page{Size: maxPage}) {
				if err != nil {
					return nil, err
				}
				byName[group.Name] = group.ID
			}
		}
		id, ok := byName[text]
		if !ok {
			return nil, notFound("there is no group %q; roster groups list shows them", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

type groupsListCommand struct {
	remoteOutput

	Limit int `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the groups.
func (g groupsListCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := g.connect(ctx, sh)
	if err != nil {
		return err
	}
	return printList(sh, g.Output, first(g.Limit, roster.Groups.List(ctx, client.Page{Size: pageSize(g.Limit)})),
		"id", "name", "requireTfa", "permissions")
}

// oneGroup is the argument of the commands for one group.
type oneGroup struct {
	Group string `arg:"" help:"The name or the id of the group."`
}

func (g oneGroup) get(ctx context.Context, roster *client.Client) (client.Group, error) {
	ids, err := groupIDs(ctx, roster, []string{g.Group})
	if err != nil {
		return client.Group{}, err
	}
	return roster.Groups.Get(ctx, ids[0])
}

type groupsGetCommand struct {
	remoteOutput
	oneGroup
}

// Run shows a group.
func (g groupsGetCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := g.connect(ctx, sh)
	if err != nil {
		return err
	}
	group, err := g.get(ctx, roster)
	if err != nil {
		return err
	}
	return printOne(sh, g.Output, group)
}

type groupsCreateCommand struct {
	remoteOutput

	Name       string   `required:"" help:"The name of the group."`
	Permission []string `help:"Permissions, separated by commas."`
	RequireTFA bool     `name:"require-tfa" help:"Ask all members for a second factor."`
	DryRun     bool     `help:"Show what would be created, and create nothing."`
}

// Run creates a group and shows it.
func (g groupsCreateCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := g.connect(ctx, sh)
	if err != nil {
		return err
	}
	group := client.GroupCreate{Name: g.Name, Permissions: notNil(g.Permission), RequireTFA: g.RequireTFA}
	if g.DryRun {
		return sh.showNew("a new group", group)
	}
	created, err := roster.Groups.Create(ctx, group)
	if err != nil {
		return err
	}
	return printOne(sh, g.Output, created)
}

// notNil returns a list that is [] in JSON if it is empty.
func notNil(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

type groupsEditCommand struct {
	remoteOutput
	oneGroup
	changeFlags

	Name       *string   `help:"Another name."`
	Permission *[]string `help:"All permissions, separated by commas."`
	RequireTFA *bool     `name:"require-tfa" negatable:"" help:"Ask all members for a second factor, or not."`
}

// Run changes a group, by the flags or, without any, in the editor, and shows it.
func (g groupsEditCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := g.connect(ctx, sh)
	if err != nil {
		return err
	}
	group, err := g.get(ctx, roster)
	if err != nil {
		return err
	}
	wanted := values{}
	wanted.set("name", g.Name)
	wanted.set("permissions", g.Permission)
	wanted.set("requireTfa", g.RequireTFA)
	c := changeable[client.Group, client.GroupUpdate]{
		what:    groupWhat(group),
		present: group,
		again:   func(ctx context.Context) (client.Group, error) { return roster.Groups.Get(ctx, group.ID) },
		update: func(ctx context.Context, u client.GroupUpdate, options ...client.CallOption) (client.Group, error) {
			return roster.Groups.Update(ctx, group.ID, u, options...)
		},
	}
	return changeAndShow(ctx, sh, c, wanted, g.changeFlags, g.Output)
}

// changeAndShow changes a thing, by the flags or, without any, in the editor, and shows it.
func changeAndShow[T, U any](
	ctx context.Context, sh *Shell, c changeable[T, U], wanted values, flags changeFlags, output string,
	options ...client.CallOption,
) error {
	change := func() (T, error) { return c.change(ctx, sh, wanted, flags, options...) }
	if len(wanted) == 0 {
		change = func() (T, error) { return c.edit(ctx, sh, flags, options...) }
	}
	thing, err := change()
	if err != nil {
		return err
	}
	return printOne(sh, output, thing)
}

func groupWhat(group client.Group) string { return fmt.Sprintf("group %d (%s)", group.ID, group.Name) }

type groupsDeleteCommand struct {
	remote
	oneGroup
	changeFlags
}

// Run deletes a group.
func (g groupsDeleteCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := g.connect(ctx, sh)
	if err != nil {
		return err
	}
	group, err := g.get(ctx, roster)
	if err != nil {
		return err
	}
	return sh.remove(ctx, g.changeFlags, groupWhat(group), func() error {
		return roster.Groups.Delete(ctx, group.ID, client.IfVersion(group.Version))
	})
}
