package store_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/store/storetest"
)

// answer is what a server says to a client that connects.
type answer []byte

func (a answer) message(kind byte, body string) answer {
	a = append(a, kind)
	a = binary.BigEndian.AppendUint32(a, uint32(len(body)+4))
	return append(a, body...)
}

// standby greets as a PostgreSQL that replays the changes of another one.
func standby() answer {
	return answer{}.message('R', "\x00\x00\x00\x00").
		message('S', "in_hot_standby\x00on\x00").message('S', "default_transaction_read_only\x00off\x00").
		message('Z', "I")
}

// refusing greets with an error.
func refusing(code, text string) answer {
	return answer{}.message('E', "SFATAL\x00C"+code+"\x00M"+text+"\x00\x00")
}

// server gives every client the same answer and returns its address.
func server(t *testing.T, a answer) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	serving.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = connection.Close() }()
				var length [4]byte
				if _, err := io.ReadFull(connection, length[:]); err != nil {
					return
				}
				rest := int64(binary.BigEndian.Uint32(length[:])) - int64(len(length))
				if _, err := io.CopyN(io.Discard, connection, rest); err != nil {
					return
				}
				_, _ = connection.Write(a)
				_, _ = io.Copy(io.Discard, connection) // until the client goes
			})
		}
	})
	return listener.Addr().String()
}

// TestNoPrimary checks that the database is unavailable, which callers may try again, and
// not a failure of Roster, while no host is a primary or a host cannot take connections.
func TestNoPrimary(t *testing.T) {
	t.Parallel()
	const readWrite = "target_session_attrs=read-write"
	starting := refusing("57P03", "the database system is starting up")
	readOnly := refusing("25006", "cannot execute UPDATE in a read-only transaction")
	for name, databaseURL := range map[string]string{
		"a standby": "postgres://u:hunter2@" + server(t, standby()) + "/d?sslmode=disable&" + readWrite,
		"standbys": "postgres://u:hunter2@" + server(t, standby()) + "," + server(t, standby()) +
			"/d?sslmode=disable&" + readWrite,
		"one that has to be primary": "postgres://u:hunter2@" + server(t, standby()) +
			"/d?sslmode=disable&target_session_attrs=primary",
		"a start":     "postgres://u:hunter2@" + server(t, starting) + "/d?sslmode=disable",
		"a read-only": "postgres://u:hunter2@" + server(t, readOnly) + "/d?sslmode=disable",
	} {
		s, err := store.Open(databaseURL, store.Options{Prepare: true})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.User(t.Context(), 1)
		if identity.KindOf(err) != identity.Unavailable {
			t.Errorf("%s: reading: %v", name, err)
		}
		err = s.InTx(t.Context(), func(*store.Tx) error { return nil })
		if identity.KindOf(err) != identity.Unavailable {
			t.Errorf("%s: writing: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSeveralHosts checks that a store finds the primary among the hosts of its URL, as
// the notifications do.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.Proxy(t, storetest.URL(t, "postgres"), "127.0.0.1:0")
	databaseURL = strings.Replace(databaseURL, "@", "@"+server(t, standby())+",", 1) + "&target_session_attrs=read-write"
	open := func() *store.Store {
		s, err := store.Open(databaseURL, store.Options{Prepare: true, MaxConns: 4, GrantTTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	author, hearing := open(), open()
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	t.Cleanup(listening.Wait)
	t.Cleanup(cancel)
	for _, s := range []*store.Store{author, hearing} {
		ready := make(chan struct{})
		listening.Go(func() { s.Listen(ctx, func() { close(ready) }) })
		<-ready
	}
	if err := store.Await(ctx, databaseURL, 0, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	var id int64
	if err := author.InTx(ctx, func(tx *store.Tx) (err error) {
		id, err = tx.InsertToken(ctx, identity.Token{Name: "CI", CreatedAt: noon}, "digest")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := hearing.Grant(ctx, "digest"); err != nil { // which it keeps for an hour
		t.Fatal(err)
	}
	if err := author.InTx(ctx, func(tx *store.Tx) error { _, err := tx.DeleteToken(ctx, id); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := hearing.Grant(ctx, "digest"); identity.KindOf(err) != identity.NotFound {
		t.Errorf("the listener has not heard of the end of the token: %v", err)
	}
}

// TestAwait checks the errors of a database that does not come: a sentence with the
// hosts and without the password, at once where waiting is of no use.
func TestAwait(t *testing.T) {
	t.Parallel()
	wrongPassword := server(t, refusing("28P01", "password authentication failed"))
	starting := server(t, refusing("57P03", "the database system is starting up"))
	closed := server(t, answer{})
	for _, test := range []struct {
		hosts    string
		patience time.Duration
		waits    bool
		want     string
	}{
		{wrongPassword, time.Hour, false, "password authentication failed"},
		{server(t, refusing("3D000", `database "d" does not exist`)), time.Hour, false, "does not exist"},
		{starting, time.Millisecond, true, "starting up"},
		{starting + "," + server(t, standby()), time.Millisecond, true, "hot standby"},
		{"127.0.0.1:1", 0, false, "connection refused"},
		{closed[:len(closed)-1] + "x", 0, false, "DATABASE_URL"},
	} {
		var log strings.Builder
		databaseURL := "postgres://u:hunter2@" + test.hosts + "/d?sslmode=disable&target_session_attrs=read-write"
		err := store.Await(t.Context(), databaseURL, test.patience, slog.New(slog.NewJSONHandler(&log, nil)))
		if err == nil {
			t.Errorf("%s: no error", test.hosts)
			continue
		}
		all := err.Error() + log.String()
		if !strings.Contains(all, test.want) || strings.Contains(all, "hunter2") {
			t.Errorf("%s: %s", test.hosts, all)
		}
		if test.want != "DATABASE_URL" && !strings.Contains(err.Error(), test.hosts) {
			t.Errorf("%s is not in: %v", test.hosts, err)
		}
		if waited := strings.Contains(log.String(), "waiting for the database"); waited != test.waits {
			t.Errorf("%s: waits %v, %s", test.hosts, waited, log.String())
		}
	}
	if err := store.Await(t.Context(), "sqlite:x.db", 0, nil); err != nil {
		t.Error(err)
	}
}
