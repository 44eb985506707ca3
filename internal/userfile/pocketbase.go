package userfile

import (
	"encoding/json"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// pocketBaseRecord is a record of the users collection of PocketBase. The API does not tell the hash:
// the table in data.db has it, as passwordHash, or as password since release 0.23.
type pocketBaseRecord struct {
	Email        string `json:"email"`
	Name         string `json:"name"`
	Username     string `json:"username"`
	Phone        string `json:"phone"`
	Verified     any    `json:"verified"` // a boolean, or 0 and 1 where a program of SQLite writes the file
	PasswordHash string `json:"passwordHash"`
	Password     string `json:"password"`
}

func pocketBaseRow(raw []byte) (Row, error) {
	var user pocketBaseRecord
	if err := json.Unmarshal(raw, &user); err != nil {
		return Row{}, err
	}
	p := person{
		email: user.Email, name: user.Name, username: user.Username, phone: user.Phone, passwordHash: user.PasswordHash,
	}
	if p.passwordHash == "" && strings.HasPrefix(user.Password, "$2") {
		p.passwordHash = user.Password
	}
	row := p.row()
	switch {
	case p.passwordHash != "":
	case user.Password != "":
		row.note(identity.FieldPasswordHash, passwordInClear)
	default:
		row.note(identity.FieldPasswordHash, noHashes)
	}
	if user.Verified == false || user.Verified == 0.0 {
		row.note(identity.FieldEmail, unverified)
	}
	return row, nil
}
