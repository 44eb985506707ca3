package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterhq/roster/pkg/client"
)

// Exit codes. They are documented in docs/cli.md and stay as they are.
const (
	ExitFailure     = 1
	ExitUsage       = 2
	ExitNotSignedIn = 3
	ExitForbidden   = 4
	ExitNotFound    = 5
	ExitConflict    = 6
	ExitInvalid     = 7
	ExitUnavailable = 8
	ExitInterrupted = 130
)

// codedError is an error that ends the process with a code.
type codedError struct {
	code int
	text string
}

func (e *codedError) Error() string { return e.text }

// Usage returns an error of how a command was called.
func Usage(format string, args ...any) error {
	return &codedError{ExitUsage, fmt.Sprintf(format, args...)}
}

func notSignedIn(format string, args ...any) error {
	return &codedError{ExitNotSignedIn, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &codedError{ExitNotFound, fmt.Sprintf(format, args...)}
}

// ExitCode returns the code that the process ends with after an error of a command, and 0 for nil.
func ExitCode(err error) int {
	var coded *codedError
	var refused *client.Error
	var unsent *url.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &refused):
		return exitCodeOf(refused.Status)
	case errors.As(err, &unsent):
		return ExitUnavailable
	}
	return ExitFailure
}

func exitCodeOf(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return ExitNotSignedIn
	case http.StatusForbidden:
		return ExitForbidden
	case http.StatusNotFound, http.StatusGone:
		return ExitNotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return ExitConflict
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity:
		return ExitInvalid
	case http.StatusTooManyRequests:
		return ExitUnavailable
	}
	if status >= http.StatusInternalServerError {
		return ExitUnavailable
	}
	return ExitFailure
}

// Describe returns an error in sentences for a terminal. What a server has sent is shown, and cannot steer the
// terminal.
func Describe(err error) string {
	var refused *client.Error
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if !errors.As(err, &refused) {
		return lines(err.Error())
	}
	before, after, _ := strings.Cut(err.Error(), refused.Error())
	text := before + refused.Message
	for _, f := range refused.Fields {
		text += fmt.Sprintf("\n  %s: %s", f.Field, f.Message)
	}
	switch {
	case refused.Status < http.StatusBadRequest:
		text += "\nThe server redirects elsewhere, which Roster does not do. Use the address that Roster itself has."
	case refused.Status == http.StatusUnauthorized:
		text += "\nRun roster login, or set another ROSTER_TOKEN."
	case refused.RequestID != "" && refused.Status >= http.StatusInternalServerError:
		text += "\nRoster's log has it as request " + refused.RequestID + "."
	}
	return lines(text + after)
}

// maxMessage bounds an error on the terminal, in bytes.
const maxMessage = 8 << 10

// lines returns a text of several lines with all other control characters escaped.
func lines(text string) string {
	if len(text) > maxMessage {
		text = text[:maxMessage] + "…"
	}
	all := strings.Split(text, "\n")
	for i, line := range all {
		all[i] = printable(line)
	}
	return strings.Join(all, "\n")
}
