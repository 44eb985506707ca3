package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/oasdiff/yaml"

	"github.com/rosterhq/roster/pkg/client"
)

// edit opens the fields of a thing in an editor and sends what was changed, with the version. After an error of a
// value, and where somebody else has changed the thing meanwhile, the editor opens again with what was typed.
func (c changeable[T, U]) edit(
	ctx context.Context, sh *Shell, flags changeFlags, options ...client.CallOption,
) (T, error) {
	present := c.present
	order, base := editableOf[T, U](), valuesOf[T, U](present)
	document := yamlOf(order, base, "Change "+c.what+": save and close to send what you changed.\nSave no change to stop.")
	var last error // of the round before
	for {
		typed, err := sh.openEditor(ctx, document)
		if err != nil {
			return present, err
		}
		if bytes.Equal(typed, document) && !isStale(last) {
			return present, keep(typed, last)
		}
		wanted, err := readYAML(order, typed)
		if err == nil {
			change := changed(base, wanted)
			if len(change) == 0 {
				return present, errUnchanged
			}
			var result T
			if result, err = c.apply(ctx, sh, present, change, flags, options...); err == nil {
				return result, nil
			}
		}
		switch last = err; {
		case isStale(err):
			latest, err := c.again(ctx)
			if err != nil {
				return present, keep(typed, err)
			}
			now := valuesOf[T, U](latest)
			document = yamlOf(order, merge(base, wanted, now), staleComment(order, base, wanted, now))
			present, base = latest, now
		case isInvalid(err):
			document = withComment(Describe(err)+"\nSave no change to stop.", typed)
		default:
			return present, keep(typed, err)
		}
	}
}

var errUnchanged = errors.New("nothing is changed")

// merge returns what was typed, on top of the latest values: a field that was left as it was read takes the latest
// value.
func merge(base, typed, latest values) values {
	merged := values{}
	for name, value := range latest {
		merged[name] = value
	}
	for name, value := range changed(base, typed) {
		merged[name] = value
	}
	return merged
}

func staleComment(order []string, base, typed, latest values) string {
	text := "Somebody else has changed this meanwhile. What you typed is kept; what they changed:\n"
	theirs, yours := changed(base, latest), changed(base, typed)
	for _, name := range order {
		if _, ok := theirs[name]; !ok {
			continue
		}
		text += fmt.Sprintf("  %s: %s → %s\n", name, shown(base[name]), shown(latest[name]))
		if _, both := yours[name]; both {
			text += "    (you changed it, too: saving puts your value in the place of theirs)\n"
		}
	}
	return text + "Save again to send yours, even without a change."
}

// yamlOf returns fields as YAML below a comment. The values are JSON, which is YAML.
func yamlOf(order []string, of values, comment string) []byte {
	var b strings.Builder
	for _, name := range order {
		fmt.Fprintf(&b, "%s: %s\n", name, escapeJSON(of[name]))
	}
	return withComment(comment, []byte(b.String()))
}

const commentStart = "#: " // of the comments that are not the user's

// withComment puts a comment at the top of a document, in the place of an earlier one.
func withComment(comment string, document []byte) []byte {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(comment), "\n") {
		b.WriteString(commentStart + printable(line) + "\n")
	}
	for line := range strings.Lines(string(document)) {
		if !strings.HasPrefix(line, commentStart) {
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}

// readYAML returns the fields of a document. It fails for a name that is none of them. A field that is left out is not
// changed.
func readYAML(names []string, document []byte) (values, error) {
	text, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, &codedError{ExitInvalid, "this is no YAML: " + err.Error()}
	}
	var all values
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, &codedError{ExitInvalid, "this must be fields, each on a line such as name: \"Mary\""}
	}
	for name, value := range all {
		if !slices.Contains(names, name) {
			all := strings.Join(names, ", ")
			return nil, &codedError{ExitInvalid, fmt.Sprintf("%s is no field: they are %s", name, all)}
		}
		all[name] = normal(value)
	}
	return all, nil
}

// openEditor returns a document as the user leaves it.
func (sh *Shell) openEditor(ctx context.Context, document []byte) (_ []byte, err error) {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	switch {
	case editor == "" && !sh.asks():
		return nil, Usage("there is no terminal to edit on: give the new values by flags, or set EDITOR")
	case editor == "" && runtime.GOOS == "windows":
		editor = "notepad"
	case editor == "":
		editor = "vi"
	}
	file, err := os.CreateTemp("", "roster-*.yaml") // with mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.Write(document)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	// The variable is a command with arguments, as git takes it.
	command := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "editor", file.Name()) //nolint:gosec // G204: as meant
	if runtime.GOOS == "windows" {
		command = exec.CommandContext(ctx, "cmd", "/c", editor, file.Name()) //nolint:gosec // G204: as meant
	}
	command.Stdin, command.Stdout, command.Stderr = sh.In, sh.Err, sh.Err
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("the editor %s: %w", editor, err)
	}
	return os.ReadFile(file.Name())
}

// keep stores what was typed in a file, so that an error does not lose it, and adds its name to the error. Without an
// error nothing was typed.
func keep(typed []byte, cause error) error {
	if cause == nil {
		return errUnchanged
	}
	file, err := os.CreateTemp("", "roster-*.yaml")
	if err != nil {
		return errors.Join(cause, err)
	}
	_, err = file.Write(typed)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%w\nWhat you typed is in %s", cause, file.Name())
}
