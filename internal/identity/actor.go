package identity

import "net/netip"

// Actor is the caller of an operation: who acts, from where, with which
// permissions. Every operation takes it explicitly and checks it first.
//
// A person is a session: only somebody who has signed in is "oneself". A service
// token that acts for a user has what its list says and nothing by being that
// user.
type Actor struct {
	Name              string // of the token, or of the command line
	TokenID           int64  // the service token used; 0 for none
	SessionID         int64  // the session of a user who has signed in; 0 for none
	UserID            int64  // the user who acts or is acted for; 0 for a service
	Permissions       Permissions
	CanViewMaskedData bool
	// Fresh says that the session has proved a moment ago who it is.
	Fresh bool
	// MustEnrol says that the user needs a second factor and has none: the session
	// may enrol one and do nothing else.
	MustEnrol bool
	// Credential is the digest of the token that was presented, by which an
	// operation looks again at what the caller may do; "" for the command line.
	Credential string
	Source     netip.Addr // zero where it could not be told
	RequestID  string     // ours, or a trusted proxy's
	// ClientRequestID is what a client that is not trusted calls the request; "" for none.
	ClientRequestID string
	Client          string // what the client calls itself; at most MaxClientLength characters
}

// MaxRequestIDLength bounds a request's id, in bytes.
const MaxRequestIDLength = 128

// Origin is where a request comes from and what it is called, as far as that is
// known before its caller is.
type Origin struct {
	Source          netip.Addr // zero where it could not be told
	RequestID       string     // ours, or a trusted proxy's
	ClientRequestID string     // what a client that is not trusted calls it; "" for none
	Client          string     // what the client calls itself; at most MaxClientLength characters
}

// MaxClientLength bounds what is kept of a client's name (User-Agent).
const MaxClientLength = 200 // characters

// Anonymous is a caller of what needs no credential.
func Anonymous(o Origin) Actor { return Actor{}.From(o) }

// From returns the actor as the caller of one request.
func (a Actor) From(o Origin) Actor {
	a.Source, a.RequestID, a.ClientRequestID, a.Client = o.Source, o.RequestID, o.ClientRequestID, o.Client
	return a
}

// CommandLine may run the binary beside its database, and so may do everything.
func CommandLine() Actor {
	return Actor{Name: "command line", Permissions: AllPermissions, CanViewMaskedData: true}
}

// Is reports whether the actor is this user in person: a session that has shown
// all that a sign-in of the user takes.
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

// RequireCover returns a Forbidden error unless the actor itself holds all that
// is touched: nobody may give, take or act on what they do not hold.
func (a Actor) RequireCover(p Permissions, canViewMaskedData bool) error {
	if a.Permissions.Contains(p) && (a.CanViewMaskedData || !canViewMaskedData) {
		return nil
	}
	return ErrEscalation("This would touch permissions that you do not hold yourself.")
}

// RequireWayIn returns a Forbidden error unless the actor may touch what somebody
// else signs in with: somebody who sees masks could become the one who is masked.
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

// RequireFresh returns a Forbidden error if the actor is a session that has not
// proved lately who it is. Service tokens have nothing to prove.
func (a Actor) RequireFresh() error {
	if a.SessionID == 0 || a.Fresh {
		return nil
	}
	return Errorf(Forbidden, "reauthentication_required", "This needs a proof of who you are from the last 15 minutes: reauthenticate first.")
}

// IsAdministrator reports whether the actor is a service that holds every
// permission: as long as its token lasts, someone can administer.
func (a Actor) IsAdministrator() bool {
	return a.UserID == 0 && a.Permissions == AllPermissions && a.CanViewMaskedData
}

// ErrEscalation is the refusal to give, take or act on more than the caller has.
func ErrEscalation(message string) *Error {
	return Errorf(Forbidden, "escalation_denied", "%s", message)
}

func errMustEnrol() error {
	return Errorf(Forbidden, "second_factor_required",
		"A group of yours requires a second factor. Enrol an authenticator; until then you can do nothing else.")
}
