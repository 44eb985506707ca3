package pgtest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/lib/pq"
)

// Tap is a proxy between a server and PostgreSQL. It counts the messages for whose
// answer the server waits: round trips.
type Tap struct {
	URL string // of the database by way of the tap

	listener net.Listener
	network  string
	target   string
	trips    atomic.Int64
}

// NewTap starts a tap that listens on a socket in the directory.
func NewTap(ctx context.Context, databaseURL, dir string) (*Tap, error) {
	config, err := pq.NewConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	through, err := url.Parse(databaseURL)
	if err != nil {
		return nil, err
	}
	t := &Tap{network: "tcp", target: net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	if filepath.IsAbs(config.Host) {
		t.network, t.target = "unix", filepath.Join(config.Host, ".s.PGSQL."+strconv.Itoa(int(config.Port)))
	}
	const port = "5432"
	var listenConfig net.ListenConfig
	if t.listener, err = listenConfig.Listen(ctx, "unix", filepath.Join(dir, ".s.PGSQL."+port)); err != nil {
		return nil, err
	}
	query := through.Query()
	query.Set("host", dir)
	query.Set("port", port)
	query.Set("sslmode", "disable") // encrypted messages cannot be counted
	through.Host, through.RawQuery = "", query.Encode()
	t.URL = through.String()
	go t.serve(ctx)
	return t, nil
}

// Trips returns the number of round trips so far.
func (t *Tap) Trips() int64 { return t.trips.Load() }

// Close stops accepting connections. Open ones end when the server closes them.
func (t *Tap) Close() error { return t.listener.Close() }

func (t *Tap) serve(ctx context.Context) {
	for {
		client, err := t.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = client.Close() }()
			var dialer net.Dialer
			upstream, err := dialer.DialContext(ctx, t.network, t.target)
			if err != nil {
				return // the server reports the lost connection
			}
			defer func() { _ = upstream.Close() }()
			go func() { _, _ = io.Copy(client, upstream); _ = client.Close() }()
			_ = t.forward(upstream, client)
		}()
	}
}

// forward copies messages to PostgreSQL and counts round trips. The first message is
// the startup message, which has no type.
func (t *Tap) forward(to io.Writer, from io.Reader) error {
	const typeLength, lengthLength = 1, 4
	header := make([]byte, typeLength+lengthLength)
	for typed := 0; ; typed = typeLength {
		head := header[:typed+lengthLength]
		if _, err := io.ReadFull(from, head); err != nil {
			return err
		}
		// The length counts itself, but not the type.
		length := binary.BigEndian.Uint32(head[typed:])
		if length < lengthLength {
			return errors.New("no message of PostgreSQL: its length is too small")
		}
		if typed > 0 {
			switch head[0] {
			case 'S', 'Q', 'H': // Sync, Query, Flush
				t.trips.Add(1)
			}
		}
		if _, err := to.Write(head); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, int64(length-lengthLength)); err != nil {
			return err
		}
	}
}
