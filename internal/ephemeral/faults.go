package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Faults are what goes wrong on purpose. The zero value is a double without faults.
type Faults struct {
	SMTP     string `json:"smtp"`     // "down": the mail server refuses connections
	Webhooks string `json:"webhooks"` // "hang": no receiver answers
	Database int    `json:"database"` // how many of the next requests find the database away
}

// The values of faults.
const (
	smtpDown     = "down"
	webhooksHang = "hang"
	maxRequests  = 1_000_000
)

// check returns an error that names the field that is wrong.
func (f Faults) check() error {
	switch {
	case f.SMTP != "" && f.SMTP != smtpDown:
		return fmt.Errorf("smtp must be %q, or empty for none", smtpDown)
	case f.Webhooks != "" && f.Webhooks != webhooksHang:
		return fmt.Errorf("webhooks must be %q, or empty for none", webhooksHang)
	case f.Database < 0 || f.Database > maxRequests:
		return errors.New("database must be a number of requests, from 0 to 1000000")
	}
	return nil
}

// faults holds the current Faults.
type faults struct {
	mu  sync.Mutex
	now Faults
}

func (f *faults) get() Faults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// change lets fn change the faults, unless they are wrong after that, and returns all.
func (f *faults) change(fn func(*Faults)) (Faults, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.now
	fn(&next)
	err := next.check()
	if err == nil {
		f.now = next
	}
	return f.now, err
}

type awayKey struct{}

// request returns the context of a request, in which the database may be away.
func (f *faults) request(ctx context.Context) context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.Database == 0 {
		return ctx
	}
	f.now.Database--
	return context.WithValue(ctx, awayKey{}, true)
}

// isAway reports that a call of the database belongs to a request that finds it away.
func isAway(ctx context.Context) bool { return ctx.Value(awayKey{}) != nil }
