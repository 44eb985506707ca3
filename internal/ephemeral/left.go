package ephemeral

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Mail is a mail that has left.
type Mail struct {
	N         int       `json:"n"`  // the place in the order of leaving, from 1
	ID        string    `json:"id"` // the same for each attempt
	To        string    `json:"to"`
	Kind      string    `json:"kind"` // such as profile_created or signin_code
	Subject   string    `json:"subject"`
	Text      string    `json:"text"`
	HTML      string    `json:"html"`
	Code      string    `json:"code,omitempty"`     // six digits
	Link      string    `json:"link,omitempty"`     // absolute
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // of the code or the link
	SentAt    time.Time `json:"sentAt"`
}

// Webhook is an attempt to post a webhook. It has ended, except where the receiver hangs.
type Webhook struct {
	N      int         `json:"n"`  // the place in the order of leaving, from 1
	ID     string      `json:"id"` // the same for each attempt
	URL    string      `json:"url"`
	Event  string      `json:"event"` // such as USER_CREATED
	Header http.Header `json:"header"`
	Body   string      `json:"body"`            // as it was signed
	Status int         `json:"status"`          // of the answer; 0 for none
	Error  string      `json:"error,omitempty"` // why there was no answer
	SentAt time.Time   `json:"sentAt"`
}

// box keeps what has left, in order.
type box[T any] struct {
	mu    sync.Mutex
	items []T
	added chan struct{} // closed at the next add; nil if nobody waits
}

// add keeps the item that fn returns for its number, from 1.
func (b *box[T]) add(fn func(n int) T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, fn(len(b.items)+1))
	if b.added != nil {
		close(b.added)
		b.added = nil
	}
}

// matching returns the items after a number that match, and a channel that is closed at the
// next add.
func (b *box[T]) matching(after int, match func(T) bool) ([]T, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := []T{}
	for _, item := range b.items[min(after, len(b.items)):] {
		if match(item) {
			found = append(found, item)
		}
	}
	if b.added == nil {
		b.added = make(chan struct{})
	}
	return found, b.added
}

// await is matching that waits until ctx is done for an item that matches.
func (b *box[T]) await(ctx context.Context, after int, match func(T) bool) []T {
	for {
		found, added := b.matching(after, match)
		if len(found) > 0 {
			return found
		}
		select {
		case <-added:
		case <-ctx.Done():
			return found
		}
	}
}
