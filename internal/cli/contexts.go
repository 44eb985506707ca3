package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// secretText is a token. No way of printing it shows it; only its JSON does.
type secretText string

// Format writes (hidden) for every verb.
func (secretText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(hidden)")) }

// savedContext is a server, with a session there.
type savedContext struct {
	Name         string     `json:"name"`
	URL          string     `json:"url"`
	Email        string     `json:"email"`
	AccessToken  secretText `json:"accessToken"`
	RefreshToken secretText `json:"refreshToken"`
	ExpiresAt    time.Time  `json:"expiresAt"` // of the access token
}

// contextFile is the content of the file of contexts.
type contextFile struct {
	Current  string         `json:"current"`
	Contexts []savedContext `json:"contexts"`
}

func (f contextFile) find(name string) (savedContext, bool) {
	i := slices.IndexFunc(f.Contexts, func(c savedContext) bool { return c.Name == name })
	if i < 0 {
		return savedContext{}, false
	}
	return f.Contexts[i], true
}

// at returns the context of a server, the current one if there are several.
func (f contextFile) at(url string) (savedContext, bool) {
	if current, ok := f.find(f.Current); ok && sameServer(current.URL, url) {
		return current, true
	}
	i := slices.IndexFunc(f.Contexts, func(c savedContext) bool { return sameServer(c.URL, url) })
	if i < 0 {
		return savedContext{}, false
	}
	return f.Contexts[i], true
}

func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// put adds a context, or replaces the one of its name.
func (f *contextFile) put(c savedContext) {
	f.remove(c.Name)
	f.Contexts = append(f.Contexts, c)
	slices.SortFunc(f.Contexts, func(a, b savedContext) int { return strings.Compare(a.Name, b.Name) })
}

func (f *contextFile) remove(name string) {
	f.Contexts = slices.DeleteFunc(f.Contexts, func(c savedContext) bool { return c.Name == name })
}

// contextStore keeps the contexts in a folder that belongs to the user alone.
type contextStore struct{ folder string }

func (s contextStore) path() string { return filepath.Join(s.folder, "contexts.json") }

// read returns the contexts; none if there is no file. It fails for a file that other users of this host can read or
// change: what it holds is as good as a password.
func (s contextStore) read() (contextFile, error) {
	var file contextFile
	if s.folder == "" {
		return file, nil
	}
	for path, forbidden := range map[string]fs.FileMode{s.folder: 0o022, s.path(): 0o077} {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return file, nil
		case err != nil:
			return file, err
		case runtime.GOOS != "windows" && info.Mode().Perm()&forbidden != 0:
			return file, fmt.Errorf("other users of this host can open %s, which holds your tokens: run chmod go= %[1]s, "+
				"and roster logout if it was open for long", path)
		}
	}
	content, err := os.ReadFile(s.path())
	if err != nil {
		return file, err
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return file, fmt.Errorf("%s is damaged: delete it, and run roster login again", s.path())
	}
	return file, nil
}

// change reads the contexts, lets fn change them and writes them in one step. No other process does so at the same
// time. If fn fails, nothing is written.
func (s contextStore) change(ctx context.Context, fn func(*contextFile) error) error {
	if s.folder == "" {
		return errors.New("there is no folder for your settings: set HOME or XDG_CONFIG_HOME")
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(s.folder, "lock"), flock.SetPermissions(0o600))
	const pause = 50 * time.Millisecond
	if _, err := lock.TryLockContext(ctx, pause); err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }() // the end of the process does as much
	file, err := s.read()
	if err != nil {
		return err
	}
	if err := fn(&file); err != nil {
		return err
	}
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return s.write(append(content, '\n'))
}

// write replaces the file. A reader sees the old content or the new.
func (s contextStore) write(content []byte) (err error) {
	temporary, err := os.CreateTemp(s.folder, "contexts-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), s.path())
}

type contextsCommands struct {
	List contextsListCommand `cmd:"" default:"withargs" help:"List the contexts."`
	Use  contextsUseCommand  `cmd:"" help:"Make a context the current one."`
}

type contextsListCommand struct {
	Output string `short:"o" default:"table" enum:"table,json,ndjson,csv,name" help:"table, json, ndjson, csv or name."`
}

// shownContext is a context without its secrets.
type shownContext struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Email   string `json:"email"`
	Current bool   `json:"current"`
}

// Run shows the contexts. It asks no server.
func (c contextsListCommand) Run(sh *Shell) error {
	file, err := contextStore{sh.Folder}.read()
	if err != nil {
		return err
	}
	return printList(sh, c.Output, func(yield func(shownContext, error) bool) {
		for _, saved := range file.Contexts {
			if !yield(shownContext{saved.Name, saved.URL, saved.Email, saved.Name == file.Current}, nil) {
				return
			}
		}
	})
}

type contextsUseCommand struct {
	Name string `arg:"" help:"The name of the context."`
}

// Run changes which context is the current one.
func (c contextsUseCommand) Run(ctx context.Context, sh *Shell) error {
	return contextStore{sh.Folder}.change(ctx, func(file *contextFile) error {
		if _, ok := file.find(c.Name); !ok {
			return notFound("there is no context %q; roster contexts lists them", c.Name)
		}
		file.Current = c.Name
		return nil
	})
}
