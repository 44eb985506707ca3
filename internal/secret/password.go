package secret

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
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
// take the service away from everyone else. Of all places, to work and to wait, one
// caller has a quarter at the most, so that no caller keeps the others out.
type Passwords struct {
	cost   int
	slots  chan struct{} // the places to work
	rounds atomic.Int64

	mu     sync.Mutex
	taken  int            // places, to work or to wait
	taking map[string]int // places by caller
}

const (
	maxWaitingPerSlot = 32
	maxWait           = 2 * time.Second
	callerShare       = 4 // one caller has a place in so many
)

// NewPasswords returns a hasher of the given cost, MinCost to MaxCost, that
// works on so many passwords at once.
func NewPasswords(cost, atOnce int) *Passwords {
	return &Passwords{cost: cost, slots: make(chan struct{}, atOnce), taking: map[string]int{}}
}

// NewPassword returns a random password, for someone who is to choose their own.
func NewPassword() identity.Password { return identity.Password(rand.Text()) }

// Hash returns the bcrypt hash of a password. Too many at once is Unavailable, too many
// of one caller TooManyRequests. caller is any text that tells callers apart.
func (p *Passwords) Hash(ctx context.Context, caller string, password identity.Password) (string, error) {
	if err := p.acquire(ctx, caller); err != nil {
		return "", err
	}
	defer p.release(caller)
	p.rounds.Add(1 << p.cost)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	return string(hash), err
}

// Matches reports whether the password is the one that was hashed. The empty
// hash matches nothing, and neither does a password that could never have been
// set, though bcrypt, which stops reading at 72 bytes, would say otherwise.
//
// It always takes the time of one hash of the configured cost, so that nobody
// learns from it whether there is a user, a password, or one hashed long ago. The
// errors and the caller are those of Hash.
func (p *Passwords) Matches(ctx context.Context, caller, hash string, password identity.Password) (bool, error) {
	if err := p.acquire(ctx, caller); err != nil {
		return false, err
	}
	defer p.release(caller)
	usable := hash != "" && len(password) <= identity.MaxPasswordBytes
	if !usable {
		hash, password = decoy(p.cost), password[:min(len(password), identity.MaxPasswordBytes)]
	}
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return false, err
	}
	compare := func(hash string, cost int) error {
		p.rounds.Add(1 << cost)
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	}
	err = compare(hash, cost)
	if !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) && err != nil {
		return false, err
	}
	// 2^c + 2^c + 2^(c+1) + … + 2^(C-1) = 2^C
	for ; cost < p.cost; cost++ {
		_ = compare(decoy(cost), cost) // for its time
	}
	return usable && err == nil, nil
}

// Rounds returns how many rounds of key expansion there were so far, 2^cost per
// hash: the unit in which bcrypt takes time.
func (p *Passwords) Rounds() int64 { return p.rounds.Load() }

// Outdated reports whether a hash is of a lower cost than new ones.
func (p *Passwords) Outdated(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost < p.cost
}

// decoyTail is the salt and the digest of a decoy.
const decoyTail = "rosterrosterrosterroste.SK1u0xS4Vb9vR7eD2mYw5nQhXcJtG"

// decoy returns a hash of a cost that no password is known to have.
func decoy(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, decoyTail)
}

// acquire takes a place and waits until there is one to work.
func (p *Passwords) acquire(ctx context.Context, caller string) error {
	if err := p.enter(caller); err != nil {
		return err
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	var err error
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		err = overloaded()
	case <-ctx.Done():
		err = overloaded().WithCause(ctx.Err())
	}
	p.leave(caller)
	return err
}

func (p *Passwords) release(caller string) {
	<-p.slots
	p.leave(caller)
}

func (p *Passwords) enter(caller string) error {
	places := (1 + maxWaitingPerSlot) * cap(p.slots)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taking[caller] >= max(1, places/callerShare) {
		e := identity.Errorf(identity.TooManyRequests, "too_many_passwords",
			"Too many of your passwords are being hashed at the moment. Send fewer at once.")
		e.RetryAfter = maxWait
		return e
	}
	if p.taken >= places {
		return overloaded()
	}
	p.taken++
	p.taking[caller]++
	return nil
}

func (p *Passwords) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.taking[caller]--; p.taking[caller] == 0 {
		delete(p.taking, caller)
	}
}

func overloaded() *identity.Error {
	e := identity.Errorf(identity.Unavailable, "overloaded", "Too many passwords are being hashed at the moment. Try again.")
	e.RetryAfter = maxWait
	return e
}
