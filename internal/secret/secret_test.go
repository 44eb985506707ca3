package secret

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"

	"github.com/rosterhq/roster/internal/identity"
)

func TestNewToken(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		token := NewToken()
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, tokenPrefix))
		if err != nil || !strings.HasPrefix(token, "rst_") || len(raw) != 36 || seen[token] {
			t.Fatalf("%s: %v", token, err)
		}
		if binary.BigEndian.Uint32(raw[32:]) != crc32.ChecksumIEEE(raw[:32]) {
			t.Errorf("%s: wrong checksum", token)
		}
		seen[token] = true
	}
}

func TestHashAndMatch(t *testing.T) {
	t.Parallel()
	p := NewPasswords(MinCost, 2)
	longest := identity.Password(strings.Repeat("x", identity.MaxPasswordBytes))
	for _, password := range []identity.Password{"MySecret123", longest, "пароль123"} {
		hash, err := p.Hash(t.Context(), "caller", password)
		if err != nil || !strings.HasPrefix(hash, "$2a$04$") {
			t.Fatalf("%s, %v", hash, err)
		}
		for attempt, want := range map[identity.Password]bool{
			password: true, password + "x": false, "": false, password[:len(password)-1]: false,
		} {
			if got, err := p.Matches(t.Context(), "caller", hash, attempt, nil); got != want || err != nil {
				t.Errorf("%q for %q: %v, %v", string(attempt), string(password), got, err)
			}
		}
	}
	if got, err := p.Matches(t.Context(), "caller", "", "", nil); got || err != nil {
		t.Errorf("the empty hash matches the empty password: %v, %v", got, err)
	}
}

// TestFloodIsBounded fills every slot, so that all other calls wait or are refused.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(MinCost, 2)
	const places, share, tooMany = 66, 16, 100
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan error, places+tooMany)
	var all sync.WaitGroup
	flood := func(n int, caller func(i int) string) {
		for i := range n {
			all.Go(func() {
				_, err := p.Hash(ctx, caller(i), "MySecret123")
				refused <- err
			})
		}
	}
	// One caller gets a quarter of the places, and then an error about that caller.
	flood(share+10, func(int) string { return "greedy" })
	for range 10 {
		err := <-refused
		var e *identity.Error
		if !errors.As(err, &e) || e.Kind != identity.TooManyRequests || e.Code != "too_many_passwords" ||
			e.RetryAfter <= 0 {
			t.Fatalf("%v", err)
		}
	}
	// The others get the rest.
	flood(places-share+tooMany, func(i int) string { return fmt.Sprint("caller ", i) })
	for range tooMany { // at once, while the others wait
		if err := <-refused; identity.KindOf(err) != identity.Unavailable {
			t.Fatalf("%v", err)
		}
	}
	if p.taken != places || p.taking["greedy"] != share {
		t.Errorf("%d places are taken, %d by one", p.taken, p.taking["greedy"])
	}
	cancel()
	all.Wait()
	for range places {
		if err := <-refused; identity.KindOf(err) != identity.Unavailable {
			t.Fatalf("%v", err)
		}
	}
	for range cap(p.slots) {
		<-p.slots
	}
	if _, err := p.Hash(t.Context(), "greedy", "MySecret123"); err != nil || p.taken != 0 || len(p.taking) != 0 {
		t.Errorf("afterwards: %v, %d places are taken, by %v", err, p.taken, p.taking)
	}
}
