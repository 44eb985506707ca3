package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"

	"github.com/rosterhq/roster/internal/delivery"
)

// explain returns the reason why there was no answer as a delivery.Error. The errors of the
// libraries repeat text of the receiver and addresses.
func (c *Client) explain(err error) error {
	var (
		lookup  *net.DNSError
		timeout net.Error
		dial    *net.OpError
	)
	switch {
	case errors.Is(err, errNotPublic):
		return errNotPublic
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return delivery.Error("the host name was not found")
	case errors.As(err, &lookup):
		return delivery.Error("the host name could not be looked up")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return delivery.Errorf("no complete answer within %s", c.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return delivery.Error("the connection was refused")
	case errors.As(err, &dial) && dial.Op == "dial":
		return delivery.Error("the receiver cannot be reached")
	}
	return explainTLS(err)
}

// explainTLS returns the reason of a failure of TLS, or a general one for other errors.
func explainTLS(err error) delivery.Error {
	var (
		certificate *tls.CertificateVerificationError
		host        x509.HostnameError
		authority   x509.UnknownAuthorityError
		validity    x509.CertificateInvalidError
		record      tls.RecordHeaderError
		alert       tls.AlertError
		remote      *net.OpError
	)
	switch {
	case errors.As(err, &host):
		return "the receiver's certificate is for another host"
	case errors.As(err, &authority):
		return "the receiver's certificate is signed by an unknown authority"
	case errors.As(err, &validity) && validity.Reason == x509.Expired:
		return "the receiver's certificate has expired or is not valid yet"
	case errors.As(err, &certificate):
		return "the receiver's certificate is not valid"
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return "the receiver speaks HTTP, not HTTPS"
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &remote) && remote.Op == "remote error":
		return "the TLS handshake failed"
	}
	return "the connection broke, or what came was no HTTP answer"
}
