// Package webhook posts one webhook to its receiver and returns the result. It reaches public
// addresses only and follows no redirects. Its time and memory are bounded whatever the
// receiver does. It does not retry.
package webhook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"code.dny.dev/ssrf"

	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/identity"
)

const (
	// timeout bounds one delivery: look-up, connection, TLS, answer.
	timeout = 10 * time.Second
	// maxAnswerBytes is how much of an answer's body is read and discarded: a connection can
	// be used again only after the whole body was read.
	maxAnswerBytes = 64 << 10

	maxHeaderBytes = 64 << 10
	maxIdle        = 64 // connections
	maxIdlePerHost = 2
	idleTimeout    = 30 * time.Second
)

// Client posts webhooks. It is safe for concurrent use.
type Client struct {
	guard     *ssrf.Guardian
	transport *http.Transport
	posts     http.RoundTripper // transport, or what a test double has put before it
	timeout   time.Duration
}

// New returns a client that reaches public addresses and those in the given
// ranges. before returns what the signed posts go through on their way to the
// network; a nil before sends them at once. Close the client after use.
func New(private []identity.AddressRange, before func(http.RoundTripper) http.RoundTripper) *Client {
	c := &Client{guard: newGuard(private), timeout: timeout}
	dialer := &net.Dialer{Timeout: timeout, Control: c.control}
	c.transport = &http.Transport{
		// A proxy would look up the host itself, and the guard would not see the address.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // 64 KiB could become much more
	}
	c.posts = c.transport
	if before != nil {
		c.posts = before(c.transport)
	}
	return c
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Post sends a webhook and returns the status of the answer, 0 for none. A status of 2xx is
// success, also if the body of the answer cannot be read. Otherwise the error is a
// delivery.Error, in a *delivery.Permanent for 410 (delivery.ErrWebhookGone), and with
// ctx.Err() if the end of ctx has stopped it.
func (c *Client) Post(ctx context.Context, r Request) (status int, err error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := sign(limited, r)
	if err != nil {
		return 0, err
	}
	// The transport is used without an http.Client, which would follow redirects and put the
	// URL, whose query can have a secret, into errors.
	answer, err := c.posts.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%w: %w", delivery.Error("the delivery was interrupted"), ctx.Err())
		}
		return 0, c.explain(err)
	}
	defer answer.Body.Close() //nolint:errcheck // nothing is lost
	// The body of that answer is the bare connection, which has no deadline.
	if answer.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswerBytes)
	}
	return answer.StatusCode, verdict(answer.StatusCode)
}

func verdict(status int) error {
	switch class := status / 100; {
	case class == 2:
		return nil
	case class == 3:
		return delivery.Errorf("HTTP %d: redirects are not followed", status)
	case status == http.StatusGone:
		return &delivery.Permanent{Cause: delivery.ErrWebhookGone}
	}
	return delivery.Errorf("HTTP %d", status)
}
