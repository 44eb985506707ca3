//go:build !linux && !darwin

package pgtest

import "errors"

// sources has nothing for systems without the unix tools that the others rely on: there,
// TEST_DATABASE_URL has to name a server.
func sources() []source {
	return []source{{"TEST_DATABASE_URL", func(bool) (*server, error) { return nil, errors.New("not set") }}}
}
