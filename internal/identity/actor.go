package identity

import "net/netip"

// Actor is the caller of an operation: who acts, from where, with which
// permissions. Every operation takes it explicitly and checks it first.
type Actor struct {
	Name              string // of the token, or of the command line
	TokenID           int64  // the service token used; 0 for none
	SessionID         int64  // the session of a user who has signed in; 0 for none
	UserID            int64  // the user who acts or is acted for; 0 for a service
	Permissions       Permissions
	CanViewMaskedData bool
	Source            netip.Addr // zero where it could not be told
	RequestID         string
	ClientRequestID   string // what a client that is no trusted proxy calls its request; "" for nothing
}

// Anonymous is a caller of what needs no credential.
func Anonymous(source netip.Addr, requestID string) Actor {
	return Actor{Source: source, RequestID: requestID}
}

// CommandLine is whoever may run the binary beside its database: everything.
func CommandLine() Actor {
	return Actor{Name: "command line", Permissions: AllPermissions, CanViewMaskedData: true}
}

// Require returns a Forbidden error unless the actor holds the permission.
func (a Actor) Require(p Permission) error {
	if a.Permissions.Has(p) {
		return nil
	}
	return Errorf(Forbidden, "permission_denied", "This needs the permission %s.", p)
}

// RequireAll returns a Forbidden error unless the actor holds every permission.
func (a Actor) RequireAll() error {
	if a.Permissions == AllPermissions {
		return nil
	}
	return Errorf(Forbidden, "permission_denied", "This needs every permission there is: only administrators may do it.")
}

// RequireCover returns a Forbidden error unless the actor itself holds all that
// is touched: nobody may give, take or act on what they do not hold.
func (a Actor) RequireCover(p Permissions, canViewMaskedData bool) error {
	if a.Permissions.Contains(p) && (a.CanViewMaskedData || !canViewMaskedData) {
		return nil
	}
	return Errorf(Forbidden, "escalation_denied", "This would touch permissions that you do not hold yourself.")
}

// IsAdministrator reports whether the actor is a service that holds every
// permission: as long as its token lasts, someone can administer.
func (a Actor) IsAdministrator() bool {
	return a.UserID == 0 && a.Permissions == AllPermissions && a.CanViewMaskedData
}
