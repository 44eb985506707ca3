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

// Bounds and default of the bcrypt cost. 10 is the minimum of OWASP.
const (
	MinCost     = bcrypt.MinCost
	MaxCost     = 15 // several seconds per hash
	DefaultCost = 10
)

// Passwords hashes and compares passwords with bcrypt, a few at a time. The number
// of those that wait and the time that they wait are bounded, so that a flood of
// sign-ins does not block all other requests. One caller gets at most a quarter of
// all places, working and waiting, so that no caller blocks the others.
type Passwords struct {
	cost   int
	slots  chan struct{} // one value per hash in progress
	rounds atomic.Int64

	mu     sync.Mutex
	taken  int            // places, working and waiting
	taking map[string]int // places by caller
}

const (
	maxWaitingPerSlot = 32
	maxWait           = 2 * time.Second
	callerShare       = 4 // one caller gets 1/callerShare of the places
)

// NewPasswords returns a hasher of the given cost, from MinCost to MaxCost, that
// hashes at most maxParallel passwords at once.
func NewPasswords(cost, maxParallel int) *Passwords {
	return &Passwords{cost: cost, slots: make(chan struct{}, maxParallel), taking: map[string]int{}}
}

// NewPassword returns a random password, for a user who will choose another one.
func NewPassword() identity.Password { return identity.Password(rand.Text()) }

// Hash returns the bcrypt hash of a password. It fails with Unavailable when too many
// passwords are hashed at once, and with TooManyRequests when too many of them are of
// this caller. caller is any text that identifies the caller.
func (p *Passwords) Hash(ctx context.Context, caller string, password identity.Password) (string, error) {
	if err := p.acquire(ctx, caller); err != nil {
		return "", err
	}
	defer p.release(caller)
	p.rounds.Add(1 << p.cost)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), p.cost)
	return string(hash), err
}

// Matches reports whether the password is the one that was hashed. The empty hash
// matches nothing. A password longer than MaxPasswordBytes matches nothing either:
// bcrypt reads 72 bytes only and would accept it.
//
// It always takes the time of one hash of the configured cost. The time thus does
// not show whether the user exists, has a password, or has a hash of a lower cost.
// The caller and the errors are those of Hash.
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
		_ = compare(decoy(cost), cost) // only to spend the time
	}
	return usable && err == nil, nil
}

// Rounds returns the number of rounds of key expansion so far, 2^cost per hash. The
// time that bcrypt takes is proportional to it.
func (p *Passwords) Rounds() int64 { return p.rounds.Load() }

// Outdated reports whether a hash has a lower cost than new hashes.
func (p *Passwords) Outdated(hash string) bool {
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost < p.cost
}

// decoyTail holds the salt and the digest of a decoy.
const decoyTail = "rosterrosterrosterroste.SK1u0xS4Vb9vR7eD2mYw5nQhXcJtG"

// decoy returns a hash of the given cost that matches no known password.
func decoy(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, decoyTail)
}

// acquire takes a place and waits for a slot, for at most maxWait.
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
	e := identity.Errorf(identity.Unavailable, "overloaded",
		"Too many passwords are being hashed at the moment. Try again.")
	e.RetryAfter = maxWait
	return e
}
