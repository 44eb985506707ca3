package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rosterhq/roster/internal/app"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
)

// adminToken is the administrator token of the servers under test.
const adminToken = "benchmark-administrator-token-0123456789"

// buildRoster builds the program as it is released and returns its path.
func buildRoster(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "roster")
	const program = "github.com/rosterhq/roster/cmd/roster"
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", path, program}
	build := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the path is in our own directory
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build roster: %w: %s", err, out)
	}
	return path, nil
}

// server is a running Roster, a process of its own.
type server struct {
	cmd     *exec.Cmd
	addr    string
	readyIn time.Duration // from its start to the first 200 of /readyz
}

// greeting matches the address in the first line that a server prints.
var greeting = regexp.MustCompile(`http://([^\s,/]+)`)

// startServer starts a program and waits until it is ready. Its log is appended to the
// file log.
func startServer(ctx context.Context, databaseURL, log, program string, args ...string) (*server, error) {
	const flags = os.O_APPEND | os.O_CREATE | os.O_WRONLY
	logFile, err := os.OpenFile(log, flags, 0o600) //nolint:gosec // the caller chooses the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = logFile.Close() }()            // the process has its own descriptor
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // this program or the one just built
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = timeout
	cmd.Env = append(environment(),
		"DATABASE_URL="+databaseURL, "ROSTER_ADMIN_TOKEN="+adminToken, "ROSTER_ADDR=127.0.0.1:0")
	cmd.Stderr = logFile
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd}
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	if found := greeting.FindStringSubmatch(line); found != nil {
		s.addr = found[1]
		err = s.waitReady(ctx)
	} else {
		err = errors.Join(err, fmt.Errorf("no address in the first line: %q", line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the server: %w", err), s.stop())
	}
	s.readyIn = time.Since(start)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return s, nil
}

// environment returns our environment without the settings of the server.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "ROSTER_") || strings.HasPrefix(variable, "DATABASE_URL") ||
			strings.HasPrefix(variable, "PORT=")
	})
}

func (s *server) waitReady(ctx context.Context) error {
	const limit = 30 * time.Second
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		r, err := s.call(ctx, http.MethodGet, "/readyz", "", nil)
		switch {
		case err != nil:
			return err // it listens before it prints the address
		case r.status == http.StatusOK:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("not ready within %v: status %d: %s", limit, r.status, r.body)
		}
	}
}

// response is an answer to call.
type response struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request that is not measured.
func (s *server) call(ctx context.Context, method, path, token string, body []byte) (response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, bytes.NewReader(body)) //nolint:gosec // ours
	if err != nil {
		return response{}, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request) //nolint:gosec // ours
	if err != nil {
		return response{}, err
	}
	content, err := io.ReadAll(answer.Body)
	return response{answer.StatusCode, answer.Header, content}, errors.Join(err, answer.Body.Close())
}

// stop ends the process with SIGTERM and waits for it.
func (s *server) stop() error {
	http.DefaultClient.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return s.cmd.Wait()
}

// memory returns the resident memory of the process in bytes.
func (s *server) memory(ctx context.Context) (int64, error) {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	kilobytes := ""
	if status, err := os.ReadFile(filepath.Join("/proc", pid, "status")); err == nil { //nolint:gosec // a number
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kilobytes, _, _ = strings.Cut(rest, "kB")
	} else { // not Linux
		out, err := exec.CommandContext(ctx, "ps", "-o", "rss=", "-p", pid).Output() //nolint:gosec // a number
		if err != nil {
			return 0, fmt.Errorf("memory of the server: %w", err)
		}
		kilobytes = string(out)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(kilobytes), 10, 64)
	return n << 10, err
}

// cpu returns the time that the process has had on processors, to a hundredth of a second; 0 where
// there is no /proc.
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.cmd.Process.Pid), "stat"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	// proc_pid_stat(5): after the name in brackets come state, ppid and so on; utime and stime
	// are in ticks, a hundred a second.
	const utime, stime, tick = 11, 12, 10 * time.Millisecond
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(fields) <= stime {
		return 0, fmt.Errorf("processor time of the server: %w: %s", err, stat)
	}
	user, err := strconv.ParseInt(fields[utime], 10, 64)
	system, systemErr := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err, systemErr)
}

// serveOpen is "roster serve" without authentication: every request is that of an
// administrator, and no token is looked up. The cost of authentication is the
// difference to it. Its log is not buffered, which made no measurable difference.
func serveOpen(ctx context.Context) (err error) {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(logger)
	roster, err := app.New(ctx, app.Options{
		Config: &config.Config{
			DatabaseURL: os.Getenv("DATABASE_URL"), PreparedStatements: true,
			BcryptCost: secret.DefaultCost, AdminToken: adminToken,
		},
		Logger: logger,
		Authenticate: func(_ context.Context, _ string, origin identity.Origin) (identity.Actor, error) {
			return identity.Actor{
				Name: "anyone", TokenID: 1, UserID: 1, Permissions: identity.AllPermissions, CanViewMaskedData: true,
			}.From(origin), nil
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, roster.Close()) }()
	if _, err := roster.Start(ctx, os.Getenv("ROSTER_ADDR")); err != nil {
		return err
	}
	fmt.Printf("Open to everyone at http://%s\n", roster.Addr())
	return roster.Run(ctx)
}
