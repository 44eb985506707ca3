package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/rosterhq/roster/internal/identity"
)

// conflicts has, by unique index, the error for its violation.
var conflicts = map[string]func() *identity.Error{
	"users_email_folded": ErrEmailTaken,
	"groups_name_folded": func() *identity.Error {
		return identity.Errorf(identity.Conflict, "name_taken", "Another group has this name.").WithField(identity.FieldName)
	},
	"idempotency_keys_caller_key": func() *identity.Error {
		return identity.Errorf(identity.Conflict, "idempotency_key_taken", "Another request with this key came first.")
	},
}

// ErrEmailTaken returns the Conflict of an address that another user has.
func ErrEmailTaken() *identity.Error {
	return identity.Errorf(identity.Conflict, "email_taken", "Another user has this e-mail address.").
		WithField(identity.FieldEmail)
}

// retryable marks an Unavailable error whose transaction may be tried again.
type retryable struct{ error }

func (r retryable) Unwrap() error { return r.error }

func isRetryable(err error) bool {
	var r retryable
	return errors.As(err, &r)
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// mapError gives an error of the driver its kind. It returns an error that it does not
// know unchanged, which makes it Internal.
func (p *pool) mapError(ctx context.Context, err error) error {
	if isNoRows(err) {
		return err
	}
	if conflict := conflicts[p.engine.violated(err)]; conflict != nil {
		return conflict().WithCause(err)
	}
	if p.engine.isConflict(err) {
		return retryable{unavailable(err)}
	}
	// A query that its context has stopped reports the database's own error, not the context's.
	var connecting connectError
	stopped := ctx.Err() == nil && p.engine.isStopped(err) || errors.Is(ctx.Err(), context.DeadlineExceeded)
	if stopped && !errors.As(err, &connecting) {
		return identity.Errorf(identity.Unavailable, "timeout",
			"This took longer than a request may take, and was stopped. Ask for less at a time, or try again later.").
			WithCause(errors.Join(err, ctx.Err()))
	}
	if ctx.Err() != nil || p.engine.isAway(err) || isConnectionError(err) {
		return unavailable(errors.Join(err, ctx.Err()))
	}
	return err
}

func unavailable(cause error) error {
	return identity.Errorf(identity.Unavailable, "database_unavailable",
		"The database cannot be used at the moment. Try again.").WithCause(cause)
}

func isConnectionError(err error) bool {
	var netError net.Error
	var connecting connectError
	return errors.As(err, &connecting) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netError)
}
