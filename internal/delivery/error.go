package delivery

import (
	"errors"
	"fmt"
)

// Error is the reason of a failed delivery that is shown with the message in the outbox. It
// names the kind of failure, without text of the receiver, an address or a secret. Other
// errors are only logged.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// Errorf returns an Error. The arguments must not have text of the receiver.
func Errorf(format string, args ...any) Error { return Error(fmt.Sprintf(format, args...)) }

// Permanent is a failed delivery that must not be tried again: the receiver has refused this
// message for good.
type Permanent struct{ Cause error }

// Error returns the text of the cause.
func (e *Permanent) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *Permanent) Unwrap() error { return e.Cause }

// IsPermanent reports whether there is a Permanent in the chain of err.
func IsPermanent(err error) bool {
	var permanent *Permanent
	return errors.As(err, &permanent)
}
