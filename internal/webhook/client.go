// Package webhook posts one webhook to its receiver and says how that went. It
// reaches public addresses only, follows no redirects, and is bounded in time
// and size whatever the receiver does. When to try again is not decided here.
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
	// timeout is for one delivery as a whole: look-up, connection, TLS, answer.
	timeout = 10 * time.Second
	// maxAnswerBytes is how much of an answer's body is read, and then forgotten:
	// a connection can be used again only when nothing is left on it.
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
	timeout   time.Duration
}

// New returns a client that reaches public addresses and those in the given
// ranges. Close it after use.
func New(private []identity.AddressRange) *Client {
	c := &Client{guard: newGuard(private), timeout: timeout}
	dialer := &net.Dialer{Timeout: timeout, Control: c.control}
	c.transport = &http.Transport{
		// A proxy would look the host up itself, where no guard sees the address.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    timeout,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true, // or 64 KiB could become much more
	}
	return c
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Post sends a webhook and returns the status of the answer, 0 if there was
// none. A status of 2xx is success, whatever becomes of the answer's body; all
// else is an delivery.Error, in a *delivery.Permanent for 410
// (delivery.ErrWebhookGone), and with ctx.Err() where the end of ctx has stopped it.
func (c *Client) Post(ctx context.Context, r Request) (status int, err error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := sign(limited, r)
	if err != nil {
		return 0, err
	}
	// The transport is used without an http.Client, which would follow redirects
	// and put the URL, with what it may keep in its query, into errors.
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("%w: %w", delivery.Error("the delivery was interrupted"), ctx.Err())
		}
		return 0, c.explain(err)
	}
	defer answer.Body.Close()                               //nolint:errcheck // nothing is lost
	if answer.StatusCode != http.StatusSwitchingProtocols { // its body is the bare connection, which no deadline ends
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
