package identity

import "errors"

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
