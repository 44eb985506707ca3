package rights

import (
	"net/http"
	"slices"
	"strings"
)

// A rule is a reason to refuse a call, with the statuses of the refusal and the words of the contract. When several
// rules forbid a call, any of their statuses is right: the contract does not say which rule is checked first.
type rule struct {
	name     string
	statuses []int
	says     string
}

var (
	ruleToken = &rule{
		"token",
		[]int{401},
		"no, unknown, expired or revoked token; inactive users' tokens stop working at once",
	}
	ruleAddress = &rule{
		"address",
		[]int{403},
		"allow-lists are checked on every request, the user's and the token's own",
	}
	ruleFactor = &rule{
		"second factor",
		[]int{403},
		"who is in a group with requireTfa and has no factor gets only as far as enrolling one",
	}
	ruleFresh = &rule{
		"fresh",
		[]int{403},
		"changing one's own e-mail or second factor, minting tokens, changing groups' permissions and webhooks from " +
			"a session needs a fresh one",
	}
	rulePermission = &rule{
		"permission",
		[]int{403},
		"the caller holds the permission of the call; oneself belongs to sessions",
	}
	ruleAdministrator = &rule{
		"administrator",
		[]int{401, 403},
		"Firefly: administrators only",
	}
	ruleCover = &rule{
		"cover",
		[]int{403},
		"nobody may create, change, delete or issue a token for anyone in a way that touches a permission " +
			"(or canViewMaskedData) the caller does not hold",
	}
	ruleYield = &rule{
		"yield",
		[]int{403},
		"nor in a way that yields one, as by a group or by canViewMaskedData",
	}
	ruleWayIn = &rule{
		"way in",
		[]int{403},
		"touching another user's way in (password, e-mail, second factor, a token that acts for them) takes, " +
			"beside the cover rule, canViewMaskedData",
	}
	ruleOwnWayIn = &rule{
		"own way in",
		[]int{403, 404},
		"password, second factor and sessions are never changed by a token that acts for the user",
	}
	ruleOracle = &rule{
		"oracle",
		[]int{403},
		"who sees masks does not sort by e-mail, explain an allow-list or introspect with ip=",
	}
	ruleExists = &rule{
		"exists",
		[]int{404, 400},
		"404: no such thing; 400: an unknown id in a body",
	}
	ruleMe = &rule{
		"me",
		[]int{400, 403, 404},
		"me is the caller's own user",
	}
	ruleCurrent = &rule{
		"current password",
		[]int{400, 429},
		"changing one's own password from a session always takes currentPassword",
	}
	ruleCurrentOfOther = &rule{
		"current password of another",
		[]int{400},
		"currentPassword for another user is an error, whatever it holds",
	}
	ruleMintPermissions = &rule{
		"mint permissions",
		[]int{403},
		"a token's permissions lie within its creator's",
	}
	ruleMintUnmasked = &rule{
		"mint unmasked",
		[]int{403},
		"a token's canViewMaskedData lies within its creator's",
	}
	ruleMintList = &rule{
		"mint list",
		[]int{403},
		"a token's allow-list lies within the creator's effective one",
	}
	ruleMintEnd = &rule{
		"mint end",
		[]int{403},
		"a token's end is at most the creating token's",
	}
	ruleMintNever = &rule{
		"mint never",
		[]int{403},
		"null (never) only for holders of every permission",
	}
	ruleMintFar = &rule{
		"mint far",
		[]int{400},
		"expiresAt is at most 366 days away",
	}
	ruleHookView = &rule{
		"webhook view",
		[]int{403},
		"a subscription takes users.view",
	}
	ruleHookUnmasked = &rule{
		"webhook v2",
		[]int{403},
		"v2 also canViewMaskedData",
	}
	ruleHookRecords = &rule{
		"webhook synced",
		[]int{403},
		"USER_SYNCED also records.manage",
	}
	ruleTaken = &rule{
		"taken",
		[]int{409},
		"409: e-mail taken",
	}
	ruleMembers = &rule{
		"members",
		[]int{409},
		"deleting a group with members: 409",
	}
	ruleAdministrators = &rule{
		"administrators",
		[]int{403, 409},
		"group 1, Administrators, cannot be changed or deleted",
	}
	ruleLast = &rule{
		"last administrator",
		[]int{409},
		"refusing only the last active administrator: 409",
	}
	ruleLockOut = &rule{
		"lock-out",
		[]int{409},
		"a change that would shut its own author out: 409 unless force=true",
	}
	ruleSession = &rule{
		"session",
		[]int{400, 403, 409},
		"sessions are signed out and proved anew, service tokens are not",
	}
	ruleOneself = &rule{
		"oneself",
		[]int{400, 403, 404, 409},
		"everyone enrols an authenticator for oneself, from a session",
	}
	ruleEnrolled = &rule{
		"enrolled",
		[]int{400, 404, 409},
		"an authenticator that counts is not enrolled again, one that was not enrolled does not count",
	}
	ruleInvite = &rule{
		"invite",
		[]int{409, 429},
		"who is invited is active and has never signed in, and gets at most five in 24 hours",
	}
	ruleCredentials = &rule{
		"credentials",
		[]int{401},
		"unknown address, wrong password and inactive user get the same 401",
	}
	ruleProof = &rule{
		"proof",
		[]int{400, 401, 403, 429},
		"who proves who they are gives the right password or code",
	}
)

var rules = []*rule{
	ruleToken, ruleAddress, ruleFactor, ruleFresh, rulePermission, ruleAdministrator, ruleCover, ruleYield, ruleWayIn,
	ruleOwnWayIn, ruleOracle, ruleExists, ruleMe, ruleCurrent, ruleCurrentOfOther, ruleMintPermissions,
	ruleMintUnmasked, ruleMintList, ruleMintEnd, ruleMintNever, ruleMintFar, ruleHookView, ruleHookUnmasked,
	ruleHookRecords, ruleTaken, ruleMembers, ruleAdministrators, ruleLast, ruleLockOut, ruleSession, ruleOneself,
	ruleEnrolled, ruleCredentials, ruleProof,
}

// The twists are errors of the model other than a missing rule, for TestTheWalkCanFail.
const (
	twistIntersection = "a token that acts for a user has its own permissions, whatever the user's are"
	twistOwnMask      = "a token that acts for a user sees unmasked data by its own flag alone"
	twistPerson       = "a token that acts for a user is that user"
	twistIncluded     = "users.update does not include users.view"
)

var twists = []string{twistIntersection, twistOwnMask, twistPerson, twistIncluded}

// A model has all rules, or for TestTheWalkCanFail all but one.
type model struct{ without string }

// A verdict is the judgement of the model on a call.
type verdict struct {
	model model
	call  *call
	unmet []*rule // they require a refusal
	open  []*rule // they allow one: the contract is ambiguous
}

func (v *verdict) need(r *rule, holds bool) {
	if !holds && v.model.without != r.name && v.model.without != r.name+" "+v.call.kind {
		v.unmet = append(v.unmet, r)
	}
}

// either is need for a rule that is ambiguous in the contract. report prints how the service answered.
func (v *verdict) either(r *rule, holds bool) {
	if !holds {
		v.open = append(v.open, r)
	}
}

// statuses returns the right statuses; 200 stands for all successes.
func (v *verdict) statuses() []int {
	var statuses []int
	if len(v.unmet) == 0 {
		statuses = append(statuses, http.StatusOK)
	}
	for _, r := range slices.Concat(v.unmet, v.open) {
		for _, status := range r.statuses {
			statuses = append(statuses, status)
			switch {
			case v.call.isFirefly() && status == http.StatusForbidden: // an AuthorizationException
				statuses = append(statuses, http.StatusUnauthorized)
			case v.call.isFirefly() && (status == http.StatusBadRequest || status == http.StatusConflict):
				statuses = append(statuses, http.StatusUnprocessableEntity) // in the words of Laravel
			case v.call.isPowens() && status == http.StatusForbidden: // "anyone else's id is 404"
				statuses = append(statuses, http.StatusNotFound)
			}
		}
	}
	return statuses
}

func (v *verdict) accepts(status int) bool {
	if status >= 200 && status < 300 {
		status = http.StatusOK
	}
	return slices.Contains(v.statuses(), status)
}

func (v *verdict) String() string {
	var text strings.Builder
	for _, r := range v.unmet {
		text.WriteString("\n      no, " + r.name + ": " + r.says)
	}
	for _, r := range v.open {
		text.WriteString("\n      perhaps not, " + r.name + ": " + r.says)
	}
	if text.Len() == 0 {
		return "yes"
	}
	return text.String()[len("\n      "):]
}
