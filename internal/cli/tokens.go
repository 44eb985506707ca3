package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/client"
)

type tokensCommands struct {
	List   tokensListCommand   `cmd:"" help:"List the service tokens."`
	Get    tokensGetCommand    `cmd:"" help:"Show a service token."`
	Create tokensCreateCommand `cmd:"" help:"Create a service token. Its secret is shown only once."`
	Delete tokensDeleteCommand `cmd:"" aliases:"revoke" help:"Revoke a service token; it stops working at once."`
}

type tokensListCommand struct {
	remoteOutput

	User          string  `help:"Those that act for this user: an id, an e-mail address or me."`
	CreatedBy     creator `placeholder:"ID" help:"Who made them: the id of a user, or token: and the id of a token."`
	ExpiresBefore moment  `placeholder:"TIME" help:"Those that end before this time."`
	ExpiresAfter  moment  `placeholder:"TIME" help:"Those that end at this time or later."`
	Limit         int     `placeholder:"N" help:"How many at most. Without it, all."`
}

// Run lists the tokens.
func (t tokensListCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := t.connect(ctx, sh)
	if err != nil {
		return err
	}
	which := client.TokenList{
		ExpiresBefore: t.ExpiresBefore.Time, ExpiresAfter: t.ExpiresAfter.Time, CreatedBy: client.Creator(t.CreatedBy),
		Size: pageSize(t.Limit),
	}
	if t.User != "" {
		if which.UserID, err = realUserID(ctx, roster, t.User); err != nil {
			return err
		}
	}
	return printList(sh, t.Output, first(t.Limit, roster.Tokens.List(ctx, which)),
		"id", "name", "userId", "permissions", "expiresAt", "lastUsedAt")
}

// creator is who made a thing: the id of a user, or token: and the id of a token.
type creator client.Creator

// UnmarshalText reads 7 or token:7.
func (c *creator) UnmarshalText(text []byte) error {
	digits, isToken := strings.CutPrefix(string(text), "token:")
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id < 1 {
		return errors.New("must be the id of a user such as 7, or of a token such as token:7")
	}
	if isToken {
		c.TokenID = id
	} else {
		c.UserID = id
	}
	return nil
}

type tokensGetCommand struct {
	remoteOutput

	ID int64 `arg:"" help:"The id of the token."`
}

// Run shows a token.
func (t tokensGetCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := t.connect(ctx, sh)
	if err != nil {
		return err
	}
	token, err := roster.Tokens.Get(ctx, t.ID)
	if err != nil {
		return err
	}
	return printOne(sh, t.Output, token)
}

type tokensCreateCommand struct {
	remoteOutput

	Name              string        `required:"" help:"The purpose of the token."`
	Permission        []string      `required:"" help:"Permissions, separated by commas."`
	User              string        `help:"The user it acts for. Without it, it acts for a service."`
	IPWhitelist       []string      `name:"ip-whitelist" help:"Addresses and prefixes to allow. Without it, all are."`
	CanViewMaskedData bool          `help:"Show unmasked data."`
	ExpiresIn         time.Duration `xor:"end" placeholder:"720h" help:"The lifetime. Without it, as long as allowed."`
	ExpiresAt         time.Time     `xor:"end" placeholder:"TIME" help:"The end, such as 2026-01-31T12:00:00Z."`
	NeverExpires      bool          `xor:"end" help:"Without an end. Only a caller with every permission may do this."`
	DryRun            bool          `help:"Show what would be created, and create nothing."`
}

// Run creates a token and shows it with its secret. With --output name it writes the secret alone, for scripts.
func (t tokensCreateCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := t.connect(ctx, sh)
	if err != nil {
		return err
	}
	token := client.TokenCreate{
		Name: t.Name, Permissions: notNil(t.Permission), IPWhitelist: t.IPWhitelist,
		CanViewMaskedData: t.CanViewMaskedData, ExpiresAt: t.ExpiresAt, NeverExpires: t.NeverExpires,
	}
	if t.ExpiresIn > 0 {
		token.ExpiresAt = time.Now().Add(t.ExpiresIn).Truncate(time.Second)
	}
	if t.User != "" {
		user, err := userNamed(ctx, roster, t.User)
		if err != nil {
			return err
		}
		token.UserID = user.ID
	}
	if t.DryRun {
		return sh.showNew("a new token", token)
	}
	created, err := roster.Tokens.Create(ctx, token)
	if err != nil {
		return err
	}
	sh.say("Token %d (%s); its secret is shown only once.", created.ID, created.Name)
	return printOne(sh, t.Output, created)
}

type tokensDeleteCommand struct {
	remote
	changeFlags

	ID int64 `arg:"" help:"The id of the token."`
}

// Run revokes a token.
func (t tokensDeleteCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := t.connect(ctx, sh)
	if err != nil {
		return err
	}
	token, err := roster.Tokens.Get(ctx, t.ID)
	if err != nil {
		return err
	}
	return sh.remove(ctx, t.changeFlags, fmt.Sprintf("token %d (%s)", token.ID, token.Name), func() error {
		return roster.Tokens.Delete(ctx, token.ID)
	})
}
