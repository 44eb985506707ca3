package ephemeral

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"

	"github.com/google/uuid"
)

// random has the same bytes for the same name at each start. A test can know them, so they
// keep nothing secret. The mails of a double are composed while requests go on: each has
// bytes of its own, so that what one draws does not depend on what the other has drawn.
type random struct {
	name string

	mu       sync.Mutex
	requests *rand.ChaCha8 // for the secrets of requests
	ids      *rand.ChaCha8 // for the ids of requests
}

func newRandom(name string) *random {
	return &random{name: name, requests: stream(name), ids: stream(name + " ids")}
}

func stream(name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256([]byte("roster double " + name)))
}

// of returns the bytes for the secrets of a message, or with 0 for all others.
func (r *random) of(messageID int64) io.Reader {
	if messageID != 0 {
		return stream(r.name + " message " + strconv.FormatInt(messageID, 10))
	}
	return r
}

// Read reads the bytes for the secrets of requests. It does not fail.
func (r *random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests.Read(p)
}

// requestID returns the id of the next request.
func (r *random) requestID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uuid.Must(uuid.NewRandomFromReader(r.ids)).String()
}
