package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Create a token and print it, only once."`
	List   tokenListCommand   `cmd:"" help:"List the tokens."`
	Revoke tokenRevokeCommand `cmd:"" help:"Revoke a token; it stops working at once."`
}

type tokenCreateCommand struct {
	Name              string                  `required:"" help:"Purpose of the token."`
	Admin             bool                    `required:"" help:"Every permission, and unmasked data." xor:"rights"`
	Permission        []identity.Permission   `required:"" help:"Permissions, separated by commas." xor:"rights"`
	CanViewMaskedData bool                    `help:"Show unmasked data."`
	User              int64                   `help:"Id of the user it acts for. Without it, it acts for a service."`
	IPWhitelist       []identity.AddressRange `help:"${allow_list_help}" name:"ip-whitelist"`
	ExpiresIn         *period                 `help:"Lifetime such as 7d or 720h; default unlimited." placeholder:"PERIOD"`
}

// Run creates a token. It prints only the token on standard output, so that scripts
// can read it.
func (t tokenCreateCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	name, err := identity.ParseLabel(t.Name)
	if err != nil {
		return fmt.Errorf("--name %w", err)
	}
	if len(t.Permission) == 0 && !t.Admin {
		return errors.New("--permission names no permission: the token could do nothing")
	}
	token := identity.Token{
		Name: name, UserID: t.User, AllowList: t.IPWhitelist,
		Permissions: identity.PermissionSet(t.Permission...), CanViewMaskedData: t.CanViewMaskedData || t.Admin,
	}
	if t.Admin {
		token.Permissions = identity.AllPermissions
	}
	var expiresAt *time.Time
	if t.ExpiresIn != nil {
		expiresAt = new(time.Now().Add(time.Duration(*t.ExpiresIn)))
	}
	token, secret, err := svc.CreateToken(ctx, identity.CommandLine(), token, expiresAt)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "Token %d (%s), shown only once:\n", token.ID, token.Name)
	fmt.Fprintln(env.stdout, secret)
	return nil
}

type tokenListCommand struct{}

// Run prints the tokens as a table.
func (tokenListCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	table := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tUSER\tPERMISSIONS\tFROM\tEXPIRES\tLAST USED")
	for page := (identity.Page{Limit: identity.MaxPageSize}); ; {
		tokens, _, err := svc.Tokens(ctx, identity.CommandLine(), identity.TokenFilter{}, page)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			user := "-"
			if t.UserID != 0 {
				user = fmt.Sprint(t.UserID)
			}
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, user, orDash(t.Permissions.String()),
				orDash(strings.ReplaceAll(t.AllowList.String(), " ", ",")),
				timeOrDash(t.ExpiresAt), timeOrDash(t.LastUsedAt))
		}
		if len(tokens) == 0 {
			return table.Flush()
		}
		page.Offset += int64(len(tokens)) // a page can end before its limit
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

type tokenRevokeCommand struct {
	ID int64 `arg:"" help:"The token's id, as list shows it."`
}

// Run revokes the token.
func (t tokenRevokeCommand) Run(ctx context.Context, svc *service.Service, env environment) error {
	if err := svc.RevokeToken(ctx, identity.CommandLine(), t.ID); err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "Token %d is revoked.\n", t.ID)
	return nil
}
