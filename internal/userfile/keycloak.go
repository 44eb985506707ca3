package userfile

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// keycloakUser is a UserRepresentation of Keycloak's Admin REST API, as kc.sh export writes it.
type keycloakUser struct {
	Username      string               `json:"username"`
	Email         string               `json:"email"`
	EmailVerified *bool                `json:"emailVerified"`
	FirstName     string               `json:"firstName"`
	LastName      string               `json:"lastName"`
	Enabled       *bool                `json:"enabled"`
	Attributes    map[string]any       `json:"attributes"` // each a list of texts
	Groups        []string             `json:"groups"`     // paths
	RealmRoles    []string             `json:"realmRoles"`
	ClientRoles   map[string]any       `json:"clientRoles"`
	Credentials   []keycloakCredential `json:"credentials"`
	Identities    []struct {
		Provider string `json:"identityProvider"`
	} `json:"federatedIdentities"`
	FederationLink string `json:"federationLink"`
	ServiceAccount string `json:"serviceAccountClientId"`
}

// keycloakCredential is a CredentialRepresentation. SecretData and CredentialData are JSON. The last
// fields are of releases before 8.
type keycloakCredential struct {
	Type           string `json:"type"`
	Value          string `json:"value"`
	SecretData     string `json:"secretData"`
	CredentialData string `json:"credentialData"`

	Algorithm         string `json:"algorithm"`
	HashIterations    int    `json:"hashIterations"`
	HashedSaltedValue string `json:"hashedSaltedValue"`
	Salt              string `json:"salt"`
}

// keycloakPhones are the attributes that may have a phone number, as they are named most often.
var keycloakPhones = []string{"phone", "phoneNumber", "phone_number", "mobile", "mobileNumber", "mobile_number"}

func keycloakRow(raw []byte) (Row, error) {
	var user keycloakUser
	if err := json.Unmarshal(raw, &user); err != nil {
		return Row{}, err
	}
	p := person{email: user.Email, name: user.FirstName + " " + user.LastName, username: user.Username}
	for _, name := range keycloakPhones {
		if p.phone == "" {
			p.phone = firstText(user.Attributes[name])
		}
	}
	var secondFactors bool
	var unknown []string
	var passwordNote string
	for _, credential := range user.Credentials {
		switch credential.Type {
		case "password":
			p.passwordHash, passwordNote = credential.hash()
		case "otp", "totp", "hotp":
			secondFactors = true
		default:
			unknown = append(unknown, credential.Type)
		}
	}
	row := p.row()
	if passwordNote != "" {
		row.note(identity.FieldPasswordHash, "%s", passwordNote)
	}
	if user.Enabled != nil {
		row.Fields[identity.FieldActive] = *user.Enabled
	}
	if secondFactors {
		row.Fields[identity.FieldTFA] = true
		row.note(identity.FieldTFA, secondFactor)
	}
	if groups := user.groups(); len(groups) > 0 {
		row.Fields[identity.FieldGroups] = groups
	}
	user.noteRest(&row, unknown)
	return row, nil
}

// groups returns the groups and the roles of the realm as names of groups, without the roles that
// Keycloak gives everybody.
func (u keycloakUser) groups() []string {
	var groups []string
	for _, path := range u.Groups {
		groups = append(groups, strings.Trim(path, "/"))
	}
	for _, role := range u.RealmRoles {
		if role != "offline_access" && role != "uma_authorization" && !strings.HasPrefix(role, "default-roles-") {
			groups = append(groups, role)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// noteRest notes what has no field.
func (u keycloakUser) noteRest(row *Row, credentials []string) {
	if u.EmailVerified != nil && !*u.EmailVerified {
		row.note(identity.FieldEmail, unverified)
	}
	if u.ServiceAccount != "" {
		row.note(identity.FieldEmail, "belongs to no person: this is the service account of a client")
	}
	if len(u.ClientRoles) > 0 {
		row.note(identity.FieldGroups, "are without the roles of clients, which are not taken over")
	}
	for _, provider := range u.Identities {
		credentials = append(credentials, provider.Provider)
	}
	if u.FederationLink != "" {
		credentials = append(credentials, "user federation")
	}
	if len(credentials) > 0 {
		row.note(identity.FieldPasswordHash, otherSignIn, others(credentials))
	}
}

// unverified is the note of an address that the other system has not verified.
const unverified = "has not been verified by its owner"

// hash returns the hash of a password as the PHC string format has it, or a note why there is none.
// The format: https://github.com/keycloak/keycloak, PasswordCredentialData and Argon2PasswordHashProvider.
func (c keycloakCredential) hash() (hash, note string) {
	var data struct {
		Algorithm  string              `json:"algorithm"`
		Iterations int                 `json:"hashIterations"`
		More       map[string][]string `json:"additionalParameters"`
	}
	var secret struct {
		Value string `json:"value"`
		Salt  string `json:"salt"`
	}
	switch {
	case c.CredentialData != "":
		if json.Unmarshal([]byte(c.CredentialData), &data) != nil || json.Unmarshal([]byte(c.SecretData), &secret) != nil {
			return "", leftOut + "what Keycloak says of it is no JSON"
		}
	case c.HashedSaltedValue != "":
		data.Algorithm, data.Iterations = c.Algorithm, c.HashIterations
		secret.Value, secret.Salt = c.HashedSaltedValue, c.Salt
	case c.Value != "":
		return "", passwordInClear
	default:
		return "", noHashes
	}
	more := func(name string) string { return firstText(data.More[name]) }
	switch data.Algorithm {
	case "pbkdf2":
		return fmt.Sprintf("$pbkdf2$%d$%s$%s", data.Iterations, secret.Salt, secret.Value), ""
	case "pbkdf2-sha256", "pbkdf2-sha512":
		return fmt.Sprintf("$%s$%d$%s$%s", data.Algorithm, data.Iterations, secret.Salt, secret.Value), ""
	case "argon2":
		version := more("version")
		if version == "1.3" { // as Argon2 writes it in its hashes
			version = strconv.Itoa(19)
		}
		return fmt.Sprintf("$argon2%s$v=%s$m=%s,t=%d,p=%s$%s$%s", more("type"), version, more("memory"), data.Iterations,
			more("parallelism"), secret.Salt, secret.Value), ""
	case "bcrypt": // an extension
		return secret.Value, ""
	}
	return "", leftOut + "its algorithm is not one that can be compared"
}

// firstText returns a text, or the first one of a list.
func firstText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case []string:
		if len(value) > 0 {
			return value[0]
		}
	case []any:
		if len(value) > 0 {
			text, _ := value[0].(string) // "" for another type
			return text
		}
	}
	return ""
}
