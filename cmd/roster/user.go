package main

import (
	"context"
	"fmt"

	"github.com/rosterhq/roster/internal/cli"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type userCommands struct {
	Create userCreateCommand `cmd:"" help:"Create a user; the password is read from standard input or asked for."`
}

type userCreateCommand struct {
	Name              identity.Name           `required:"" help:"The user's name."`
	Email             identity.Email          `required:"" help:"The user's e-mail address."`
	Group             []int64                 `help:"Ids of the groups, separated by commas (1 is Administrators)."`
	Phone             identity.Phone          `help:"The user's phone number, with country code."`
	IPWhitelist       []identity.AddressRange `help:"${allow_list_help}" name:"ip-whitelist"`
	TFA               bool                    `help:"Ask for a second factor at sign-in." name:"tfa"`
	Inactive          bool                    `help:"Create the user as inactive: without access."`
	CanViewMaskedData bool                    `help:"Let the user see unmasked data."`
}

// Run creates the user.
func (u userCreateCommand) Run(
	ctx context.Context, svc *service.Service, terminal *cli.Terminal, env environment,
) error {
	text, err := terminal.NewPassword(ctx)
	if err != nil {
		return err
	}
	password, err := identity.ParsePassword(text)
	if err != nil {
		return fmt.Errorf("the password %w", err)
	}
	user, _, err := svc.CreateUser(ctx, identity.CommandLine(), service.NewUser{
		Password: password,
		User: identity.User{
			Name: u.Name, Email: u.Email, Phone: u.Phone, Active: !u.Inactive, TFA: u.TFA, Groups: u.Group,
			AllowList: u.IPWhitelist, CanViewMaskedData: u.CanViewMaskedData,
		},
	}, service.Idempotency{})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "User %d (%s) is created.\n", user.ID, user.Email)
	return nil
}
