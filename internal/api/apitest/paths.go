package apitest

// Paths of the Back Office API.
const (
	SignInPath         = "/api/v2/signin"
	ConfirmPath        = "/api/v2/2fa/confirm"
	RefreshPath        = "/api/v2/refresh"
	SignOutPath        = "/api/v2/signout"
	ReauthenticatePath = "/api/v2/reauthenticate"
	ForgotPath         = "/api/v2/password/forgot"
	ResetPath          = "/api/v2/password/reset"

	UsersPath      = "/api/v2/users"
	MePath         = UsersPath + "/me"
	GroupsPath     = "/api/v2/groups"
	TokensPath     = "/api/v2/tokens" //nolint:gosec // a path, no credential
	EventsPath     = "/api/v2/events"
	IntrospectPath = "/api/v2/introspect"
	ExplainPath    = "/api/v2/network/explain"
	WebhooksPath   = "/api/v2/webhooks"
	JobsPath       = "/api/v2/jobs"
	OutboxPath     = "/api/v2/outbox"
)
