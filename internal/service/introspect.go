package service

import (
	"context"
	"net/netip"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
)

// Introspection describes a token and its rights at the moment (RFC 7662).
type Introspection struct {
	Active     bool
	Token      identity.Token
	Actor      identity.Actor       // with the rights that hold now
	ClientTags []identity.ClientTag // of the user; nil for a service
	// Username is the user's address; "" for a service, and for callers who see masks:
	// two users can have the same mask, and a username is to tell them apart.
	Username identity.Email
	// AddressAllowed says whether the token may be used from the given address.
	AddressAllowed bool
}

// Introspect describes a token that another service has received. A token that
// Authenticate would refuse for any reason but the address is not active. An address
// together with the token of a user needs CanViewMaskedData: many such calls reveal the
// allow-list. The error is Forbidden.
func (s *Service) Introspect(ctx context.Context, actor identity.Actor, credential string, ip netip.Addr,
) (Introspection, error) {
	if err := actor.Require(identity.TokensIntrospect); err != nil {
		return Introspection{}, err
	}
	grant, err := s.store.Grant(ctx, secret.Digest(credential))
	now := s.now()
	if err == nil && !usable(grant, now) {
		return Introspection{}, nil
	}
	if err == nil && ip.IsValid() && grant.Token.UserID != 0 && !actor.CanViewMaskedData {
		return Introspection{}, errMasked(
			"Asking about addresses would spell out the user's allow-list, which is masked for you.")
	}
	var user identity.User
	if err == nil && grant.Token.UserID != 0 {
		user, err = s.store.User(ctx, grant.Token.UserID)
	}
	if identity.KindOf(err) == identity.NotFound {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	i := Introspection{
		Active: true, Token: grant.Token, Actor: actorOf(grant, now), ClientTags: user.ClientTags,
		AddressAllowed: allows(grant, ip),
	}
	if i.Actor.MustEnrol { // it may enrol a second factor here, and nothing elsewhere
		return Introspection{}, nil
	}
	if actor.SeesUnmasked(user.ID) {
		i.Username = user.Email
	}
	return i, nil
}

// Vouch returns who the caller is, if the caller has all the permissions: the user of a
// session, or the zero User for a service token. A token that acts for a user is not
// that user. The error is Forbidden.
func (s *Service) Vouch(ctx context.Context, actor identity.Actor, needed ...identity.Permission,
) (identity.User, error) {
	if err := actor.RequireEnrolled(); err != nil {
		return identity.User{}, err
	}
	for _, p := range needed {
		if err := actor.Require(p); err != nil {
			return identity.User{}, err
		}
	}
	if actor.SessionID == 0 {
		return identity.User{}, nil
	}
	return s.store.User(ctx, actor.UserID)
}

// ExplainNetwork reports whether a user may come from an address, and returns the entry
// of the user's allow-list that matches; the zero range for no match or an empty list.
// For other users the caller needs users.view and CanViewMaskedData: many such calls
// reveal the list.
func (s *Service) ExplainNetwork(ctx context.Context, actor identity.Actor, userID int64, ip netip.Addr,
) (allowed bool, match identity.AddressRange, err error) {
	user, err := s.User(ctx, actor, userID)
	if err != nil {
		return false, match, err
	}
	if !actor.SeesUnmasked(userID) {
		return false, match, errMasked("Explaining a masked list would unmask it.")
	}
	for _, r := range user.AllowList {
		if r.Contains(ip) {
			return true, r, nil
		}
	}
	return user.AllowList.Allows(ip), match, nil
}

func errMasked(message string) error {
	return identity.Errorf(identity.Forbidden, "masked_data", "%s", message)
}
