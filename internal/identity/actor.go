package identity

import "net/netip"

// Actor is the caller of an operation: who acts, from where, with which
// permissions. Every operation takes it as a parameter and checks it first.
//
// Only a session is a user in person. A service token that acts for a user has the
// permissions in its list, and none because it acts for that user.
type Actor struct {
	Name              string // of the token, or of the command line
	TokenID           int64  // the service token used; 0 for none
	SessionID         int64  // the session of a user who has signed in; 0 for none
	UserID            int64  // the user who acts or is acted for; 0 for a service
	Permissions       Permissions
	CanViewMaskedData bool
	// Fresh says that the user of the session has signed in or reauthenticated lately.
	Fresh bool
	// MustEnrol says that the user needs a second factor and has none: the session can only
	// enrol one.
	MustEnrol bool
	// Credential is the digest of the token that was presented. An operation reads the
	// caller's rights again by it. "" for the command line, and in a job, which goes by the
	// session or the token.
	Credential string
	Source     netip.Addr // zero if it is unknown
	RequestID  string     // ours, or a trusted proxy's
	// ClientRequestID is the id that an untrusted client has given the request; "" for none.
	ClientRequestID string
	Client          string // the name of the client (User-Agent); at most MaxClientLength characters
}

// MaxRequestIDLength bounds a request's id, in bytes.
const MaxRequestIDLength = 128

// Origin is what is known of a request before its caller is known; see Actor.
type Origin struct {
	Source          netip.Addr
	RequestID       string
	ClientRequestID string
	Client          string
}

// MaxClientLength bounds the stored name of a client (User-Agent).
const MaxClientLength = 200 // characters

// Anonymous returns a caller without a credential.
func Anonymous(o Origin) Actor { return Actor{}.From(o) }

// From returns the actor as the caller of one request.
func (a Actor) From(o Origin) Actor {
	a.Source, a.RequestID, a.ClientRequestID, a.Client = o.Source, o.RequestID, o.ClientRequestID, o.Client
	return a
}

// Forgotten returns the actor as events have it after its user is deleted: without the
// source, the client's id of the request and the name of the token.
func (a Actor) Forgotten() Actor {
	a.Source, a.ClientRequestID = netip.Addr{}, ""
	if a.TokenID != 0 {
		a.Name = ""
	}
	return a
}

// CommandLine returns the caller on the command line, which has all rights: it runs the
// binary beside its database.
func CommandLine() Actor {
	return Actor{Name: "command line", Permissions: AllPermissions, CanViewMaskedData: true}
}

// Is reports whether the actor is this user in person: a session whose sign-in is
// complete.
func (a Actor) Is(userID int64) bool { return a.owns(userID) && !a.MustEnrol }

// owns reports whether the actor is a session of this user, also one that still
// has to enrol a second factor.
func (a Actor) owns(userID int64) bool { return a.SessionID != 0 && a.UserID == userID }

// ActsFor reports whether the actor is a service token that acts for this user.
func (a Actor) ActsFor(userID int64) bool {
	return a.SessionID == 0 && a.UserID == userID && userID != 0
}

// RequireEnrolled returns a Forbidden error if the actor still has to enrol a second
// factor.
func (a Actor) RequireEnrolled() error {
	if a.MustEnrol {
		return errMustEnrol()
	}
	return nil
}

// Require returns a Forbidden error unless the actor holds the permission.
func (a Actor) Require(p Permission) error {
	switch {
	case a.MustEnrol:
		return errMustEnrol()
	case a.Permissions.Has(p):
		return nil
	}
	return Errorf(Forbidden, "permission_denied", "This needs the permission %s.", p)
}

// RequireAll returns a Forbidden error unless the actor holds every permission
// that this release knows.
func (a Actor) RequireAll() error {
	switch {
	case a.MustEnrol:
		return errMustEnrol()
	case a.Permissions.HasAllNamed():
		return nil
	}
	return Errorf(Forbidden, "permission_denied", "This needs every permission there is: only administrators may do it.")
}

// RequireCover returns a Forbidden error unless the actor itself holds the permissions
// that an operation gives, takes or acts on.
func (a Actor) RequireCover(p Permissions, canViewMaskedData bool) error {
	if a.Permissions.Contains(p) && (a.CanViewMaskedData || !canViewMaskedData) {
		return nil
	}
	return ErrEscalation("This would touch permissions that you do not hold yourself.")
}

// RequireWayIn returns a Forbidden error unless the actor may change how another user
// signs in. Otherwise a caller who sees masks could sign in as a user who is masked.
func (a Actor) RequireWayIn() error {
	if a.CanViewMaskedData {
		return nil
	}
	return Errorf(Forbidden, "masked_data",
		"To change how another user signs in, or to act for one, you must be allowed to see unmasked data.")
}

// RequireSession returns a Forbidden error unless the actor is a session of this
// user. A token never changes how the user that it acts for signs in.
func (a Actor) RequireSession(userID int64) error {
	if a.owns(userID) {
		return nil
	}
	return Errorf(Forbidden, "session_required", "Only the user in person may do this, after signing in.")
}

// RequireFresh returns a Forbidden error if the actor is a session that is not fresh.
// Service tokens always pass.
func (a Actor) RequireFresh() error {
	if a.SessionID == 0 || a.Fresh {
		return nil
	}
	return Errorf(Forbidden, "reauthentication_required",
		"This needs a proof of who you are from the last 15 minutes: reauthenticate first.")
}

// IsAdministrator reports whether the actor is a service with every permission: it can
// administer without any user.
func (a Actor) IsAdministrator() bool {
	return a.UserID == 0 && a.Permissions == AllPermissions && a.CanViewMaskedData
}

// ErrEscalation returns the Forbidden error for an operation that gives, takes or acts on
// more than the caller has.
func ErrEscalation(message string) *Error {
	return Errorf(Forbidden, "escalation_denied", "%s", message)
}

func errMustEnrol() error {
	return Errorf(Forbidden, "second_factor_required",
		"A group of yours requires a second factor. Enrol an authenticator; until then you can do nothing else.")
}
