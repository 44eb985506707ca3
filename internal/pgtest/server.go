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

// nobody is the user and group of the server when the tests run as root: PostgreSQL refuses to run
// as root.
const nobody = 65534

// clusterScript copies $2 to the directory $3, runs a server there and removes the directory at the
// end. A shell does all of this because it outlives our process: when our process ends, even when
// it is killed, the standard input of the shell ends and the shell stops the server. The loop is
// there because a server that has just started ignores SIGQUIT. SIGPIPE is ignored because the
// shell can print after our process has ended.
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

// settings returns the arguments of the server. Dynamic shared memory is mapped from files of the
// data directory, which are removed with it and do not need a large /dev/shm.
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

// clusterDir returns the name of a new directory for a cluster: in memory, unless the cluster is
// durable or memory is short (containers often have a /dev/shm of 64 MB). It is short, because macOS
// limits the path of the socket in it to 104 bytes.
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

// initdb returns a data directory to copy, which is four times faster than initialising one. There
// is one per build of PostgreSQL, not only per version.
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

// runInitdb initialises a data directory. It prefers locales that know letters beyond ASCII: without
// them, pg_trgm finds no trigrams in "é" and lower('É') is 'É'. Text is always ordered by code point.
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

// asNobody makes a command run as nobody if we are root, in a directory that nobody can enter, and
// without PG* variables, which would change the behaviour of PostgreSQL.
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
	output bytes.Buffer // read from stdout so far
}

// supervise starts a shell in a process group of its own, so that an interrupt from the keyboard
// does not reach it and it can clean up.
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

// ended reads the output of the shell for a while and reports whether the shell has ended.
func (s *supervisor) ended(within time.Duration) bool {
	_ = s.stdout.SetReadDeadline(time.Now().Add(within))
	_, err := s.output.ReadFrom(s.stdout)

	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// waitFor waits until the server answers. It fails when the shell ends or after 20 seconds.
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
			return fmt.Errorf("the server has ended: %s", bytes.TrimSpace(s.output.Bytes()))
		}
		if time.Now().After(end) {
			return fmt.Errorf("the server is not ready after %v: %w", limit, err)
		}
	}
}

// stop stops the server and returns when its files are removed.
func (s *supervisor) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // fails: the status is that of a stopped server
	_ = s.stdout.Close()
}

// cached returns the directory of that name in the cache. If it is missing, it calls fill with
// another directory and renames that, so that a directory with the right name is complete. It holds
// a lock, because "go test ./..." starts several processes at once.
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

// lock waits for the lock of a file. The lock ends with the process at the latest.
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

// cacheDir returns a directory that belongs to this user. That of root is not in the home directory,
// which the user nobody cannot read. It fails when another user owns the directory.
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
	// Another user can have made it. Programs are run from there, so check the owner.
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s is not a directory of this user", dir)
	}

	return dir, os.Chmod(dir, 0o755) // independent of the umask
}

// tempDir returns os.TempDir, or /tmp if we are root and nobody cannot write to it.
func tempDir() string {
	dir := os.TempDir()
	info, err := os.Stat(dir)
	if os.Getuid() == 0 && (err != nil || info.Mode().Perm()&0o003 != 0o003) {
		return "/tmp"
	}

	return dir
}
