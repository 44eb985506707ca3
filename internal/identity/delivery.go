package identity

import (
	"errors"
	"fmt"
)

// DeliveryError is why a delivery failed, in our own words: the kind of failure,
// and nothing that the receiver has said, no address and no secret. It is shown to
// those who look at the outbox; other errors are for the log.
type DeliveryError string

// Error is the text.
func (e DeliveryError) Error() string { return string(e) }

// Undelivered returns a DeliveryError. Its arguments are numbers and words of ours.
func Undelivered(format string, args ...any) DeliveryError {
	return DeliveryError(fmt.Sprintf(format, args...))
}

// PermanentError is a failed delivery that trying again cannot mend: the
// receiver has refused this very message for good.
type PermanentError struct{ Cause error }

// Error is the cause's text; for logs and operators.
func (e *PermanentError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Cause }

// IsPermanent reports whether a delivery failed for good.
func IsPermanent(err error) bool {
	var permanent *PermanentError
	return errors.As(err, &permanent)
}
