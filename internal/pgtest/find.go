//go:build linux || darwin

package pgtest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// sources lists where a server may come from, the fastest and least demanding first.
func sources() []source {
	return []source{
		{"installed", binaries(findInstalled)},
		{"embedded", binaries(fetchEmbedded)},
	}
}

// binaries makes a source of a way to find the programs of PostgreSQL.
func binaries(find func() (bindir string, err error)) func(durable bool) (*server, error) {
	return func(durable bool) (*server, error) {
		bindir, err := find()
		if err != nil {
			return nil, err
		}

		return startCluster(bindir, durable)
	}
}

// findInstalled looks where packages of the usual systems put the server; only a few put it in PATH.
func findInstalled() (string, error) {
	var dirs []string
	if out, err := exec.CommandContext(context.Background(), "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",                          // Debian
		"/usr/pgsql-*/bin",                                   // packages of postgresql.org for Red Hat
		"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew
		"/usr/local/opt/postgresql*/bin",                     // Homebrew, Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew, Linux
		"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	} {
		found, _ := filepath.Glob(pattern) // fails for a bad pattern only
		dirs = append(dirs, newestFirst(found)...)
	}
	// pg_config comes with the client library and may name a directory without a server.
	for _, dir := range dirs {
		if isProgram(filepath.Join(dir, "postgres")) && isProgram(filepath.Join(dir, "initdb")) {
			return dir, nil
		}
	}

	return "", errors.New("no directory with postgres and initdb")
}

func isProgram(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

var versionInPath = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

// newestFirst sorts directories by the number in their path: 9.6 comes after 15.
func newestFirst(dirs []string) []string {
	version := func(dir string) float64 {
		number, _ := strconv.ParseFloat(versionInPath.FindString(dir), 64)

		return number
	}

	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })

	return dirs
}

// fetchEmbedded has the library embedded-postgres fetch the programs, once per user. The library
// fetches them on the way to a server of its own, which cannot run as root and is not needed: what
// counts is that the programs are there.
func fetchEmbedded() (string, error) {
	dir, err := cached("embedded-"+string(embeddedpostgres.V18), func(dir string) error {
		scratch, err := os.MkdirTemp("", "pgtest-embedded-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(scratch) }()
		port, err := freePort()
		if err != nil {
			return err
		}
		once := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().Version(embeddedpostgres.V18).
			BinariesPath(dir).CachePath(scratch).RuntimePath(filepath.Join(scratch, "run")).
			Port(port).Logger(io.Discard))
		err = once.Start()
		if err == nil {
			return once.Stop()
		}
		if !isProgram(filepath.Join(dir, "bin", "initdb")) || !isProgram(filepath.Join(dir, "bin", "postgres")) {
			return err
		}

		return nil
	})

	return filepath.Join(dir, "bin"), err
}

func freePort() (uint32, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, err := netip.ParseAddrPort(listener.Addr().String())

	return uint32(address.Port()), errors.Join(err, listener.Close())
}
