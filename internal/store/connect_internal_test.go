package store

import (
	"testing"

	"github.com/lib/pq"
)

func TestPostgresURL(t *testing.T) {
	t.Parallel()
	for databaseURL, want := range map[string]string{
		"postgres://u:p@h1:5501,h2:5502/db?target_session_attrs=read-write":  "h1:5501,h2:5502",
		"postgresql://u:p@h1:5501,h2/db?target_session_attrs=read-write":     "h1:5501,h2:5432",
		"postgres://u:p@h1,h2:5502/db?target_session_attrs=read-write":       "h1:5432,h2:5502",
		"postgres://u:p@h1,h2/db?port=6000&target_session_attrs=read-write":  "h1:6000,h2:6000",
		"postgres://u:p@[::1]:5501,[::2]/db?target_session_attrs=read-write": "[::1]:5501,[::2]:5432",
		"postgres://u:p@h1:5501,h2:5502,h3:5503/db":                          "h1:5501,h2:5502,h3:5503",
		"postgres://u:p@/db?host=h1,h2&port=1,2":                             "h1:1,h2:2",
		"postgres://u:p@h1:5501/db":                                          "h1:5501",
		"postgres://u:p@h1/db?options=a,b":                                   "h1:5432",
		"postgres://u:a%2Cb%40@h1:5501,h2:5502/db":                           "h1:5501,h2:5502",
	} {
		config, err := pq.NewConfig(postgresURL(databaseURL))
		if err != nil {
			t.Errorf("%s: %v", databaseURL, err)
			continue
		}
		if got := hostsOf(config); got != want || config.User != "u" || config.Database != "db" || config.Password == "" {
			t.Errorf("%s: %s, %s at %s", databaseURL, got, config.User, config.Database)
		}
	}
}

// FuzzPostgresURL checks that any text can be read and that reading it a second time, as
// the connection of the listener does, changes nothing.
func FuzzPostgresURL(f *testing.F) {
	f.Add("postgres://u:p@h1:5501,h2:5502/db?host=evil")
	f.Add("postgres://u,p@h1:5501")
	f.Add("postgres://h1,h2#a?b")
	f.Fuzz(func(t *testing.T, databaseURL string) {
		once := postgresURL(databaseURL)
		if twice := postgresURL(once); twice != once {
			t.Errorf("%q: %q, then %q", databaseURL, once, twice)
		}
	})
}
