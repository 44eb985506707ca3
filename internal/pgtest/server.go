//go:build linux || darwin

package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// nobody is the user and group as which PostgreSQL runs for root: it refuses to run as root itself.
const nobody = 65534

// clusterScript runs a cluster in a directory of its own ($3) that starts as a copy of $2 and is
// removed at the end. Everything happens in this one shell because it outlives us: when our
// process ends, in whatever way, the pipe that is its standard input ends, too. A server that has
// only just been started ignores SIGQUIT, hence the loop; and the shell itself may say something
// when nobody reads it any more, hence the ignored SIGPIPE.
const clusterScript = `
postgres=$1 seed=$2 dir=$3
shift 3
trap '' PIPE
trap 'rm -rf "$dir"' EXIT
mkdir -m 700 "$dir" && cp -R "$seed" "$dir/data" || exit
"$postgres" -D "$dir/data" -k "$dir" "$@" >"$dir/log" 2>&1 </dev/null &
server=$!
exec 3<&0
{ read -r _ <&3; while kill -QUIT $server; do sleep 0.1; done; } >/dev/null 2>&1 &
watcher=$!
wait $server
kill $watcher 2>/dev/null
tail -n 20 "$dir/log"`

// startCluster starts a private cluster that listens on a unix socket only.
func startCluster(bindir string, durable bool) (*server, error) {
	seed, err := initdb(bindir)
	if err != nil {
		return nil, err
	}
	dir := clusterDir(durable)
	args := append([]string{"-c", clusterScript, "pgtest", filepath.Join(bindir, "postgres"), seed, dir},
		settings(durable)...)
	shell, err := supervise(asNobody(exec.Command("/bin/sh", append(args, "-c", "listen_addresses=")...)))
	if err != nil {
		return nil, err
	}
	query := url.Values{"host": {dir}, "port": {"5432"}, "sslmode": {"disable"}}
	server := &server{
		address:  &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()},
		origin:   bindir,
		volatile: !durable,
		stop:     shell.stop,
	}
	if err := shell.waitFor(server); err != nil {
		shell.stop()

		return nil, err
	}

	return server, nil
}

// settings are those of the server. Dynamic shared memory is mapped from files of the data
// directory, which cannot be left behind and for which a small /dev/shm does not matter.
func settings(durable bool) []string {
	list := []string{"port=5432", "max_connections=300", "timezone=UTC", "dynamic_shared_memory_type=mmap"}
	if durable {
		list = append(list, "shared_buffers=512MB")
	} else {
		list = append(list, "shared_buffers=64MB", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0", "autovacuum=off")
	}
	var args []string
	for _, setting := range list {
		args = append(args, "-c", setting)
	}

	return args
}

// clusterDir names a directory for a cluster: in memory, unless it is durable or memory is short
// (containers often have a /dev/shm of 64 MB). The path of the socket in it must stay below the
// 104 bytes that macOS allows.
func clusterDir(durable bool) string {
	const memory = "/dev/shm"
	name := "pgtest-" + strings.ToLower(rand.Text())
	var stat syscall.Statfs_t
	if !durable && syscall.Statfs(memory, &stat) == nil && stat.Bavail*uint64(stat.Bsize) > 1<<30 {
		return filepath.Join(memory, name)
	}
	if dir := filepath.Join(tempDir(), name); len(dir) < 80 {
		return dir
	}

	return filepath.Join("/tmp", name)
}

// initdb returns a data directory to copy, which is four times faster than making one. It depends
// on the build, too, not only on the version.
func initdb(bindir string) (string, error) {
	out, err := asNobody(exec.Command(filepath.Join(bindir, "postgres"), "--version")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s/postgres --version: %w: %s", bindir, err, out)
	}
	build := crc32.ChecksumIEEE(append(out, bindir...))

	return cached(fmt.Sprintf("initdb-%08x", build), func(dir string) error {
		if os.Getuid() == 0 {
			if err := os.Chown(dir, nobody, nobody); err != nil {
				return err
			}
		}

		return runInitdb(bindir, dir)
	})
}

// runInitdb prefers locales that know letters beyond ASCII, without which pg_trgm finds no trigrams
// in "é" and lower('É') is 'É'. The order of text is always that of the code points.
func runInitdb(bindir, dir string) error {
	var err error
	for _, locale := range [][]string{
		{"--locale=C.UTF-8"},
		{"--no-locale", "--lc-ctype=en_US.UTF-8"}, // older versions of macOS
		{"--no-locale"},
	} {
		args := append([]string{"-D", dir, "-U", "postgres", "-A", "trust", "--no-sync", "--encoding=UTF8"}, locale...)
		out, failure := asNobody(exec.Command(filepath.Join(bindir, "initdb"), args...)).CombinedOutput()
		if failure == nil {
			return nil
		}
		err = fmt.Errorf("initdb: %w: %s", failure, out)
	}

	return err
}

// asNobody gives a command the credentials of nobody when we are root, a working directory that
// nobody can enter, and no PG* variables, which would change what PostgreSQL does.
func asNobody(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}

	return cmd
}

// A supervisor is a shell that runs a server until its standard input ends.
type supervisor struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *os.File
	said   bytes.Buffer // what came from stdout so far
}

// supervise starts a shell in a process group of its own, so that an interrupt from the keyboard
// reaches only us and the shell can clean up.
func supervise(cmd *exec.Cmd) (*supervisor, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start shell: %w", err)
	}
	stdout, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start shell: %w", err)
	}
	defer func() { _ = theirs.Close() }()
	cmd.Stdout, cmd.Stderr = theirs, theirs
	if err := cmd.Start(); err != nil {
		_ = stdout.Close()

		return nil, fmt.Errorf("start shell: %w", err)
	}

	return &supervisor{cmd: cmd, stdin: stdin, stdout: stdout}, nil
}

// ended reads what the shell says for a while and reports whether it has ended.
func (s *supervisor) ended(within time.Duration) bool {
	_ = s.stdout.SetReadDeadline(time.Now().Add(within))
	_, err := s.said.ReadFrom(s.stdout)

	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// waitFor waits until the server answers.
func (s *supervisor) waitFor(server *server) error {
	const limit = 20 * time.Second
	for end := time.Now().Add(limit); ; {
		err := server.with(func(ctx context.Context, db *sql.DB) error {
			ctx, cancel := context.WithDeadline(ctx, end)
			defer cancel()

			return db.PingContext(ctx)
		})
		if err == nil {
			return nil
		}
		if s.ended(5 * time.Millisecond) {
			return fmt.Errorf("the server has ended: %s", bytes.TrimSpace(s.said.Bytes()))
		}
		if time.Now().After(end) {
			return fmt.Errorf("the server is not ready after %v: %w", limit, err)
		}
	}
}

// stop returns when server and files are gone.
func (s *supervisor) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // its status is that of a server told to quit
	_ = s.stdout.Close()
}

// cached returns the directory of that name in the cache. If it is missing, fill makes it, under
// another name so that a directory with the right name is a complete one, and under a lock because
// "go test ./..." starts several processes at once.
func cached(name string, fill func(dir string) error) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unfinished := filepath.Join(cache, "unfinished")
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return "", err
	}
	if err := fill(unfinished); err != nil {
		return "", errors.Join(err, os.RemoveAll(unfinished))
	}

	return dir, os.Rename(unfinished, dir)
}

// lock waits for a lock that ends with the process at the latest.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}

	return func() { _ = file.Close() }, nil
}

// cacheDir returns a directory that belongs to this user. That of root lies where nobody can read
// it, which excludes its home directory.
func cacheDir() (string, error) {
	if dir, err := os.UserCacheDir(); err == nil && os.Getuid() != 0 {
		dir = filepath.Join(dir, "pgtest")
		if err := os.MkdirAll(dir, 0o755); err == nil {
			return dir, nil
		}
	}
	dir := filepath.Join(tempDir(), fmt.Sprintf("pgtest-cache-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// Anybody may have made it: we are going to run programs from there.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not a directory of this user", dir)
	}

	return dir, os.Chmod(dir, 0o755) // whatever the umask
}

// tempDir is os.TempDir unless we are root and nobody could not write there.
func tempDir() string {
	dir := os.TempDir()
	info, err := os.Stat(dir)
	if os.Getuid() == 0 && (err != nil || info.Mode().Perm()&0o003 != 0o003) {
		return "/tmp"
	}

	return dir
}
