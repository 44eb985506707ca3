package secret

import (
	"context"
	"encoding/base64"
	"encoding/binary"
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
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, TokenPrefix))
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
		hash, err := p.Hash(t.Context(), password)
		if err != nil || !strings.HasPrefix(hash, "$2a$04$") {
			t.Fatalf("%s, %v", hash, err)
		}
		for attempt, want := range map[identity.Password]bool{password: true, password + "x": false, "": false, password[:len(password)-1]: false} {
			if got, err := p.Matches(t.Context(), hash, attempt); got != want || err != nil {
				t.Errorf("%q for %q: %v, %v", string(attempt), string(password), got, err)
			}
		}
	}
	if got, err := p.Matches(t.Context(), "", ""); got || err != nil {
		t.Errorf("no password matches the empty one: %v, %v", got, err)
	}
}

// TestFloodIsBounded fills every slot, so that all others have to wait or go.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords(MinCost, 2)
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	places := maxWaitingPerSlot * cap(p.slots)
	const tooMany = 100
	refused := make(chan error, places+tooMany)
	var all sync.WaitGroup
	for range places + tooMany {
		all.Go(func() {
			_, err := p.Hash(ctx, "MySecret123")
			refused <- err
		})
	}
	for range tooMany { // at once, while the others wait
		if err := <-refused; identity.KindOf(err) != identity.Unavailable {
			t.Fatalf("%v", err)
		}
	}
	if waiting := p.waiting.Load(); waiting != int64(places) {
		t.Errorf("%d wait, want %d", waiting, places)
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
	if _, err := p.Hash(t.Context(), "MySecret123"); err != nil || p.waiting.Load() != 0 {
		t.Errorf("afterwards: %v, %d wait", err, p.waiting.Load())
	}
}
