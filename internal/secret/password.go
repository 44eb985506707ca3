package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rosterhq/roster/internal/identity"
)

// Bounds and default of the bcrypt cost. 10 is what OWASP asks for at least.
const (
	MinCost     = bcrypt.MinCost
	MaxCost     = 15 // several seconds per hash
	DefaultCost = 10
)

// Passwords hashes and compares passwords with bcrypt, a few at a time. Others
// wait, but neither in large numbers nor for long: a flood of sign-ins must not
// take the service away from everyone else.
type Passwords struct {
	cost    int
	slots   chan struct{}
	waiting atomic.Int64
}

const (
	maxWaitingPerSlot = 32
	maxWait           = 2 * time.Second
)

// NewPasswords returns a hasher of the given cost, MinCost to MaxCost, that
// works on so many passwords at once.
func NewPasswords(cost, atOnce int) *Passwords {
	return &Passwords{cost: cost, slots: make(chan struct{}, atOnce)}
}

// NewPassword returns a random password, for someone who is to choose their own.
func NewPassword() identity.Password { return identity.Password(rand.Text()) }

// Hash returns the bcrypt hash of a password. Too many at once is Unavailable.
func (p *Passwords) Hash(ctx context.Context, password identity.Password) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	return string(hash), err
}

// Matches reports whether the password is the one that was hashed. A password
// that could never have been set matches nothing, though bcrypt, which stops
// reading at 72 bytes, would say otherwise.
func (p *Passwords) Matches(ctx context.Context, hash string, password identity.Password) (bool, error) {
	if hash == "" || len(password) > identity.MaxPasswordBytes {
		return false, nil
	}
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer p.release()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func (p *Passwords) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(maxWaitingPerSlot*cap(p.slots)) {
		return overloaded()
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return overloaded()
	case <-ctx.Done():
		return overloaded().WithCause(ctx.Err())
	}
}

func (p *Passwords) release() { <-p.slots }

func overloaded() *identity.Error {
	e := identity.Errorf(identity.Unavailable, "overloaded", "Too many passwords are being hashed at the moment. Try again.")
	e.RetryAfter = maxWait
	return e
}
