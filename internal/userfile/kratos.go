package userfile

import (
	"encoding/json"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// kratosIdentity is an identity of Ory Kratos, as GET /admin/identities answers with
// include_credential=password, and as POST takes it.
type kratosIdentity struct {
	State  string `json:"state"` // active or inactive
	Traits struct {
		Email     string          `json:"email"`
		Username  string          `json:"username"`
		Name      json.RawMessage `json:"name"` // a text, or first and last
		FirstName string          `json:"first_name"`
		LastName  string          `json:"last_name"`
		Phone     string          `json:"phone"`
		Number    string          `json:"phone_number"`
	} `json:"traits"`
	Addresses []struct {
		Value    string `json:"value"`
		Verified bool   `json:"verified"`
	} `json:"verifiable_addresses"`
	// Credentials are by their type, such as password, totp and oidc.
	Credentials map[string]struct {
		Config json.RawMessage `json:"config"`
	} `json:"credentials"`
}

// kratosPrefixes are the prefixes of hashes that Kratos names otherwise.
var kratosPrefixes = strings.NewReplacer("$sha256-crypt$", "$5$", "$sha512-crypt$", "$6$")

func kratosRow(raw []byte) (Row, error) {
	var user kratosIdentity
	if err := json.Unmarshal(raw, &user); err != nil {
		return Row{}, err
	}
	traits := user.Traits
	p := person{
		email: traits.Email, username: traits.Username, name: traits.FirstName + " " + traits.LastName, phone: traits.Phone,
	}
	if p.phone == "" {
		p.phone = traits.Number
	}
	if name := kratosName(traits.Name); name != "" {
		p.name = name
	}
	var password struct {
		Hash  string `json:"hashed_password"`
		Clear string `json:"password"`
	}
	hasPassword := false
	if credential, found := user.Credentials["password"]; found && len(credential.Config) > 0 {
		if err := json.Unmarshal(credential.Config, &password); err != nil {
			return Row{}, err
		}
		hasPassword = true
	}
	p.passwordHash = kratosPrefixes.Replace(password.Hash)
	row := p.row()
	switch {
	case password.Hash == "" && password.Clear != "":
		row.note(identity.FieldPasswordHash, passwordInClear)
	case password.Hash == "" && hasPassword:
		row.note(identity.FieldPasswordHash, noHashes)
	}
	switch user.State {
	case "active":
		row.Fields[identity.FieldActive] = true
	case "inactive":
		row.Fields[identity.FieldActive] = false
	}
	user.noteRest(&row)
	return row, nil
}

// kratosName returns a name that is a text, or one of two parts; "" for another value.
func kratosName(raw json.RawMessage) string {
	var whole string
	var parts struct {
		First string `json:"first"`
		Last  string `json:"last"`
	}
	switch {
	case len(raw) == 0:
		return ""
	case json.Unmarshal(raw, &whole) == nil:
		return whole
	case json.Unmarshal(raw, &parts) == nil:
		return strings.TrimSpace(parts.First + " " + parts.Last)
	}
	return ""
}

// noteRest notes what has no field.
func (u kratosIdentity) noteRest(row *Row) {
	var unknown []string
	for kind := range u.Credentials {
		switch kind {
		case "password", "code", "link_recovery", "code_recovery":
		case "totp", "webauthn", "lookup_secret":
			row.Fields[identity.FieldTFA] = true
		default:
			unknown = append(unknown, kind)
		}
	}
	if row.Fields[identity.FieldTFA] == true {
		row.note(identity.FieldTFA, secondFactor)
	}
	if len(unknown) > 0 {
		row.note(identity.FieldPasswordHash, otherSignIn, others(unknown))
	}
	for _, address := range u.Addresses {
		if !address.Verified && strings.EqualFold(address.Value, u.Traits.Email) {
			row.note(identity.FieldEmail, unverified)
			break
		}
	}
}
