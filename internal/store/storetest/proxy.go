package storetest

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// Proxy listens on an address, passes all connections on to the PostgreSQL of the URL,
// which may be at a socket, and returns the URL of the database by way of the proxy. It
// ends with the test.
func Proxy(tb testing.TB, databaseURL, addr string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", addr) //nolint:noctx // closed below
	if err != nil {
		tb.Fatal(err)
	}
	network, target := target(u)
	var serving sync.WaitGroup
	tb.Cleanup(serving.Wait)
	tb.Cleanup(func() { _ = listener.Close() })
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, target) //nolint:noctx // ends with the client
			if err != nil {
				_ = client.Close()
				continue
			}
			serving.Go(func() { relay(client, server) })
			serving.Go(func() { relay(server, client) })
		}
	})
	query := u.Query()
	query.Del("host")
	query.Del("port")
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = listener.Addr().String(), query.Encode()
	return u.String()
}

// relay copies until one of the two ends, and then ends the other.
func relay(to io.WriteCloser, from io.ReadCloser) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

// target returns where the PostgreSQL of a URL listens.
func target(u *url.URL) (network, addr string) {
	const standardPort = "5432"
	query := u.Query()
	host, port := u.Hostname(), u.Port()
	if query.Has("host") {
		host = query.Get("host")
	}
	if query.Has("port") {
		port = query.Get("port")
	}
	if port == "" {
		port = standardPort
	}
	if filepath.IsAbs(host) {
		return "unix", filepath.Join(host, ".s.PGSQL."+port)
	}
	return "tcp", net.JoinHostPort(host, port)
}
