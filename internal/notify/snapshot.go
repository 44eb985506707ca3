package notify

import (
	"time"

	"github.com/rosterhq/roster/internal/identity"
)

// userSnapshot is a user in plain values, so that it can be read back whatever
// the rules have become meanwhile.
type userSnapshot struct {
	ID                                 int64
	Name, Email, Phone, BlockedCode    string
	Active, TFA                        bool
	Groups                             []int64
	AllowList, ClientTags              string
	CanViewMaskedData                  bool
	CreatedAt, UpdatedAt, LastSigninAt time.Time
	Version                            int64
}

func snapshotOf(u identity.User) (*userSnapshot, error) {
	tags, err := identity.ClientTagsText(u.ClientTags)
	return &userSnapshot{
		ID: u.ID, Name: string(u.Name), Email: string(u.Email), Phone: string(u.Phone), BlockedCode: string(u.BlockedCode), Active: u.Active, TFA: u.TFA, Groups: u.Groups,
		AllowList: u.AllowList.String(), ClientTags: tags, CanViewMaskedData: u.CanViewMaskedData,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, LastSigninAt: u.LastSigninAt, Version: u.Version,
	}, err
}

func (s userSnapshot) user() (identity.User, error) {
	allowList, err := identity.AllowListFrom(s.AllowList)
	if err != nil {
		return identity.User{}, err
	}
	tags, err := identity.ClientTagsFrom(s.ClientTags)
	return identity.User{
		ID: s.ID, Name: identity.Name(s.Name), Email: identity.Email(s.Email), Phone: identity.Phone(s.Phone), Active: s.Active, TFA: s.TFA,
		BlockedCode: identity.BlockedCode(s.BlockedCode), Groups: s.Groups, AllowList: allowList, ClientTags: tags, CanViewMaskedData: s.CanViewMaskedData,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, LastSigninAt: s.LastSigninAt, Version: s.Version,
	}, err
}
