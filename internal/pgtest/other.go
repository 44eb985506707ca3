//go:build !linux && !darwin

package pgtest

import "errors"

// sources returns a source that always fails: this system lacks the unix tools that the others
// need. TEST_DATABASE_URL must name a server.
func sources() []source {
	return []source{{"TEST_DATABASE_URL", func(bool) (*server, error) { return nil, errors.New("not set") }}}
}
