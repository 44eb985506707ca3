package backoffice_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rosterhq/roster/internal/api/apitest"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// TestNothingReadableAtRest gives out every kind of secret there is and looks for
// each of them in all of the database.
func TestNothingReadableAtRest(t *testing.T) {
	t.Parallel()
	for _, engine := range storetest.Engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := storetest.URL(t, engine)
			s := apitest.New(t, url)
			s.CreateUser("mary@example.com")
			p := signIn(t, s, "mary@example.com", password)
			app, recovery := enrol(t, s, p.AccessToken.Token)
			c := challenged(t, s, "mary@example.com", "totp", noToken("192.0.2.1"))
			s.CreateUser("john@example.com", changes{"tfa": true})
			mailed := challenged(t, s, "john@example.com", "email", noToken("192.0.2.1"))
			code := s.Mail().Code
			_, webhookSecret := createWebhook(s, "https://example.com/hook", changes{"auth": "bearer", "token": "bearer-token-of-the-receiver"})
			secrets := map[string]string{
				"configured token": apitest.AdminToken, "service token": s.CreateToken(0, nil), "access token": p.AccessToken.Token,
				"refresh token": p.RefreshToken.Token, "challenge": c.Details.Token, "challenge by mail": mailed.Details.Token,
				"password": password, "authenticator": app.secret, "recovery code": recovery[0], "plain recovery code": strings.ReplaceAll(recovery[0], "-", ""),
				"reset token": resetToken(t, s, "mary@example.com"), "webhook's secret": webhookSecret, "webhook's token": "bearer-token-of-the-receiver",
			}
			content := dump(t, engine, openDatabase(t, engine, url))
			for name, secret := range secrets {
				if secret == "" || strings.Contains(content, secret) {
					t.Errorf("%s: %q stands in the database, or is none", name, secret)
				}
			}
			if strings.Contains(content, "|"+code+"|") || strings.Contains(content, `"`+code+`"`) {
				t.Error("the mailed code stands in the database")
			}
			for _, there := range []string{"mary@example.com", "$2a$04$", "https://example.com/hook"} { // or the dump would prove nothing
				if !strings.Contains(content, there) {
					t.Errorf("%s is not found", there)
				}
			}
			s.Do(http.MethodGet, me, nil, apitest.As(p.AccessToken.Token)).Want(http.StatusOK)
		})
	}
}

// dump returns all of a database as text, values between bars.
func dump(t *testing.T, engine string, db *sql.DB) string {
	t.Helper()
	list := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'users_search%'"
	if engine == "postgres" {
		list = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var content strings.Builder
	for _, table := range query(t, db, list) {
		content.WriteString(strings.Join(query(t, db, "SELECT * FROM "+strings.Trim(table, "|")), "\n") + "\n")
	}
	return content.String()
}

// query returns rows as text, values between bars.
func query(t *testing.T, db *sql.DB, text string) (lines []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		line := "|"
		for _, value := range values {
			if raw, isBytes := value.([]byte); isBytes {
				value = string(raw)
			}
			line += fmt.Sprint(value, "|")
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
