package delivery

import (
	"errors"
	"fmt"
)

// Error is why a delivery failed, in our own words: the kind of failure, without the
// receiver's words, an address or a secret. It is shown to those who look at the
// outbox; other errors are for the log.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// Errorf returns an Error. Its arguments are numbers and words of ours.
func Errorf(format string, args ...any) Error { return Error(fmt.Sprintf(format, args...)) }

// Permanent is a failed delivery that another attempt cannot mend: the receiver has
// refused this very message for good.
type Permanent struct{ Cause error }

// Error returns the cause's text; for logs and operators.
func (e *Permanent) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *Permanent) Unwrap() error { return e.Cause }

// IsPermanent reports whether a delivery failed for good.
func IsPermanent(err error) bool {
	var permanent *Permanent
	return errors.As(err, &permanent)
}
