package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of a failure. The set is closed: each dialect has one table from Kind to
// status. An error without a kind is Internal.
type Kind int

// The kinds of failure.
const (
	Internal        Kind = iota // ours: logged, shown as one neutral sentence
	Invalid                     // the caller's input breaks a rule
	Unauthenticated             // no usable credential
	Forbidden                   // a good credential that may not do this
	NotFound                    // no such thing, or none that the caller may see
	Conflict                    // the state of other things forbids it
	Precondition                // the caller's version is stale
	TooManyRequests             // the caller has to slow down
	Unavailable                 // the database is away, or we are overloaded
)

// Kinds lists every kind, for tables that must cover them all.
var Kinds = []Kind{
	Internal, Invalid, Unauthenticated, Forbidden, NotFound, Conflict, Precondition, TooManyRequests, Unavailable,
}

// Error is a failure that may be shown to the caller: Code, Message and Fields are safe to
// show, the wrapped cause is not.
type Error struct {
	Kind    Kind
	Code    string // stable, machine-readable, snake_case
	Message string // one sentence for a person
	Fields  []FieldError
	// RetryAfter is how long to wait before trying again, for TooManyRequests and Unavailable
	// only; 0 is the dialect's default.
	RetryAfter time.Duration

	cause error
}

// FieldError says what is wrong with one field. Field is a name, or a JSON path such as
// ipWhitelist[1]; "" in the entry that counts the fields that are not listed (see Problems).
type FieldError struct {
	Field   string
	Code    string
	Message string
}

// Error returns the message with its cause; for logs, not for answers.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	b.WriteString(": ")
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Message)
	}
	if e.cause != nil {
		b.WriteString(": ")
		b.WriteString(e.cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause, which must never be shown to a caller.
func (e *Error) Unwrap() error { return e.cause }

// Errorf returns an Error of a kind with a message that is safe to show.
func Errorf(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithCause keeps err for the log.
func (e *Error) WithCause(err error) *Error {
	e.cause = err
	return e
}

// WithField names the field that is at fault, with the error's own code and message.
func (e *Error) WithField(field string) *Error {
	e.Fields = append(e.Fields, FieldError{Field: field, Code: e.Code, Message: e.Message})
	return e
}

// MaxFieldErrors is how many wrong fields an error lists.
const MaxFieldErrors = 20

// Problems collects the wrong fields of one request. It keeps the first MaxFieldErrors and
// counts the others, so that the memory of a request is bounded. The zero value is empty.
type Problems struct {
	listed []FieldError
	more   int
}

// Add records that a field is wrong.
func (p *Problems) Add(field, code, message string) {
	if len(p.listed) == MaxFieldErrors {
		p.more++
		return
	}
	p.listed = append(p.listed, FieldError{Field: field, Code: code, Message: message})
}

// Err returns one Invalid error for all added fields, or nil for none. If some are only
// counted, the last entry has no field, the code more_errors, and the count in its message.
func (p *Problems) Err() error {
	if len(p.listed) == 0 {
		return nil
	}
	fields := p.listed
	switch p.more {
	case 0:
	case 1:
		fields = append(slices.Clip(fields), FieldError{Code: "more_errors", Message: "1 more value is wrong"})
	default:
		fields = append(slices.Clip(fields), FieldError{
			Code:    "more_errors",
			Message: fmt.Sprintf("%d more values are wrong", p.more),
		})
	}
	return &Error{Kind: Invalid, Code: "validation_failed", Message: "The request has invalid values.", Fields: fields}
}

// InvalidFields returns one Invalid error for all the given fields, or nil for
// none; see Problems.
func InvalidFields(fields []FieldError) error {
	var p Problems
	for _, f := range fields {
		p.Add(f.Field, f.Code, f.Message)
	}
	return p.Err()
}

// InvalidField returns an Invalid error for one field.
func InvalidField(field, code, message string) error {
	return InvalidFields([]FieldError{{Field: field, Code: code, Message: message}})
}

// KindOf returns the kind of the first Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ValueError is the error of the parsers of this package: a value breaks a rule. It does
// not name the field.
type ValueError struct {
	Code    string
	Message string
}

// Error returns the message, which is safe to show.
func (e *ValueError) Error() string { return e.Message }

func invalid(code, format string, args ...any) error {
	return &ValueError{Code: code, Message: fmt.Sprintf(format, args...)}
}
