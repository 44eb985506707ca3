package identity

// The names of fields, as errors and events have them. A dialect that has another name for
// a field maps it.
const (
	FieldActive            = "active"
	FieldAllowList         = "ipWhitelist"
	FieldAuth              = "auth"
	FieldBlockedCode       = "blockedCode"
	FieldCanViewMaskedData = "canViewMaskedData"
	FieldClientTags        = "clientTags"
	FieldCode              = "code"
	FieldCreatedTokens     = "createdTokens"
	FieldCurrentPassword   = "currentPassword"
	FieldDelivery          = "delivery"
	FieldEmail             = "email"
	FieldEvents            = "events"
	FieldExpiresAt         = "expiresAt"
	FieldFormat            = "format"
	FieldGroups            = "groups"
	FieldKey               = "key"
	FieldName              = "name"
	FieldPassword          = "password"
	FieldPermissions       = "permissions"
	FieldPhone             = "phone"
	FieldRecord            = "record"
	FieldRequireTFA        = "requireTfa"
	FieldSecret            = "secret"
	FieldSession           = "session"
	FieldTFA               = "tfa"
	FieldToken             = "token"
	FieldURL               = "url"
	FieldUserID            = "userId"
)
