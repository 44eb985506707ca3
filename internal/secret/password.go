package secret

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rosterhq/roster/internal/identity"
)

// Bounds and default of the bcrypt cost. 10 is the minimum of OWASP.
const (
	MinCost     = bcrypt.MinCost
	MaxCost     = identity.MaxBcryptCost
	DefaultCost = 10
)

// Passwords hashes passwords with bcrypt, and compares them also with hashes of other kinds, a few
// at a time. The number
// of those that wait and the time that they wait are bounded, so that a flood of
// sign-ins does not block all other requests. One caller gets at most a quarter of
// all places, working and waiting, so that no caller blocks the others.
type Passwords struct {
	cost   int
	slots  chan struct{} // one value per hash in progress
	memory chan struct{} // one value per hash in progress that takes memory
	rounds atomic.Int64

	mu     sync.Mutex
	taken  int            // places, working and waiting
	taking map[string]int // places by caller
}

const (
	maxWaitingPerSlot = 32
	maxWait           = 2 * time.Second
	callerShare       = 4 // one caller gets 1/callerShare of the places
	// maxMemory bounds the hashes in progress that take memory, up to identity.MaxHashMemory each.
	maxMemory = 2
)

// NewPasswords returns a hasher of the given cost, from MinCost to MaxCost, that
// hashes at most maxParallel passwords at once.
func NewPasswords(cost, maxParallel int) *Passwords {
	return &Passwords{
		cost: cost, slots: make(chan struct{}, maxParallel), memory: make(chan struct{}, maxMemory), taking: map[string]int{},
	}
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

// Matches reports whether the password is the one that was hashed, by bcrypt or by another kind
// that identity.ParsePasswordHash reads. What it does not read, such as the empty hash, matches
// nothing. A password longer than MaxPasswordBytes matches nothing either: bcrypt reads 72 bytes
// only and would accept it.
//
// A password that does not match always takes the time of one hash of the configured cost and of
// one for each of the decoys, which are those of all hashes in use (see identity.DecoyOf). The
// time thus does not show whether the user exists, has a password, or which kind of hash it has.
// The caller and the errors are those of Hash.
func (p *Passwords) Matches(ctx context.Context, caller, hash string, password identity.Password, decoys []string,
) (bool, error) {
	if err := p.acquire(ctx, caller); err != nil {
		return false, err
	}
	defer p.release(caller)
	own, err := identity.ParsePasswordHash(hash)
	usable := err == nil && len(password) <= identity.MaxPasswordBytes
	password = password[:min(len(password), identity.MaxPasswordBytes)]
	if usable && p.compare(own, password) {
		return true, nil
	}
	done := "" // the decoy whose time is spent
	if usable {
		done = identity.DecoyOf(hash)
	}
	if usable && !p.isDearer(own) {
		// 2^c + 2^c + 2^(c+1) + … + 2^(C-1) = 2^C
		for cost := int(own.Time); cost < p.cost; cost++ {
			p.spend(identity.BcryptDecoy(cost), password)
		}
	} else {
		p.spend(identity.BcryptDecoy(p.cost), password)
	}
	for _, decoy := range decoys {
		if h, err := identity.ParsePasswordHash(decoy); err == nil && p.isDearer(h) && decoy != done {
			p.compare(h, password)
		}
	}
	return false, nil
}

// isDearer reports whether a hash takes other time than one of bcrypt that costs as much as new
// hashes or less.
func (p *Passwords) isDearer(h identity.PasswordHash) bool {
	return h.Kind != identity.Bcrypt || int(h.Time) > p.cost
}

// compare compares a password with a hash, in a slot.
func (p *Passwords) compare(h identity.PasswordHash, password identity.Password) bool {
	p.rounds.Add(h.Work())
	if h.Bytes() > 0 {
		p.memory <- struct{}{}
		defer func() { <-p.memory }()
	}
	return matches(h, []byte(password))
}

// spend takes the time of a comparison with a decoy of bcrypt.
func (p *Passwords) spend(decoy string, password identity.Password) {
	if h, err := identity.ParsePasswordHash(decoy); err == nil {
		p.compare(h, password)
	}
}

// MaxDecoyWork is the most work of all decoys in use, in rounds of bcrypt: about three seconds.
const MaxDecoyWork = 1 << 15

// CheckDecoys returns an *identity.ValueError if a refused sign-in would have too much to do with
// these decoys.
func (p *Passwords) CheckDecoys(decoys []string) error {
	work := int64(0)
	for _, decoy := range decoys {
		if h, err := identity.ParsePasswordHash(decoy); err == nil && p.isDearer(h) {
			work += h.Work()
		}
	}
	if work > MaxDecoyWork {
		return &identity.ValueError{
			Code:    "too_many_hash_kinds",
			Message: "has a kind or parameters that are not in use yet, and those in use cost too much already",
		}
	}
	return nil
}

// Rounds returns the work so far in rounds of bcrypt, 2^cost per hash, and the estimate of
// identity.PasswordHash.Work for other kinds. The time that hashing takes is proportional to it.
func (p *Passwords) Rounds() int64 { return p.rounds.Load() }

// Outdated reports whether a hash is of another kind or another cost than new hashes.
func (p *Passwords) Outdated(hash string) bool {
	h, err := identity.ParsePasswordHash(hash)
	return err == nil && (h.Kind != identity.Bcrypt || int(h.Time) != p.cost)
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
