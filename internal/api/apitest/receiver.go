package apitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Receiver is a server that receives webhooks.
type Receiver struct {
	URL string

	mu       sync.Mutex
	received []Delivery
	answer   func(http.ResponseWriter, *http.Request)
}

// Delivery is a received webhook.
type Delivery struct {
	Method, Path string
	Header       http.Header
	Body         []byte
}

// Object returns the body as a map.
func (d Delivery) Object(tb testing.TB) map[string]any {
	tb.Helper()
	object := map[string]any{}
	if err := json.Unmarshal(d.Body, &object); err != nil {
		tb.Fatalf("%v in %s", err, d.Body)
	}
	return object
}

// NewReceiver starts a receiver that answers 204.
func NewReceiver(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{}
	r.Answer(http.StatusNoContent)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return // the sender has given up
		}
		r.mu.Lock()
		r.received = append(r.received, Delivery{request.Method, request.URL.RequestURI(), request.Header, body})
		answer := r.answer
		r.mu.Unlock()
		answer(w, request)
	}))
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Answer sets the status of the next answers.
func (r *Receiver) Answer(status int) {
	r.Handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// Handle sets the handler of the next requests, which gets them with the body read.
func (r *Receiver) Handle(answer func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Take returns the deliveries since the last call.
func (r *Receiver) Take() []Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	received := r.received
	r.received = nil
	return received
}
