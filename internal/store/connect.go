package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// postgresURL returns a URL that lib/pq reads as libpq does: the hosts of
// postgres://h1:5501,h2:5502/db, each with a port of its own, become parameters. Other
// URLs are returned as they are.
func postgresURL(databaseURL string) string {
	scheme, rest, _ := strings.Cut(databaseURL, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@") + 1
	if !strings.Contains(authority[at:], ",") {
		return databaseURL
	}
	const standardPort = "5432"
	var hosts, ports []string
	havePorts := false
	for address := range strings.SplitSeq(authority[at:], ",") {
		host, port, err := net.SplitHostPort(address)
		if err != nil { // no port
			host = strings.Trim(address, "[]")
		}
		havePorts = havePorts || port != ""
		if port == "" {
			port = standardPort
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	parameters := url.Values{"host": {strings.Join(hosts, ",")}}
	if havePorts { // otherwise the URL may have the parameter port
		parameters.Set("port", strings.Join(ports, ","))
	}
	address, query, _ := strings.Cut(rest, "?")
	if query != "" {
		query = "&" + query
	}
	return scheme + "://" + authority[:at] + address + "?" + parameters.Encode() + query
}

// connector marks the errors of connecting. Some of lib/pq's are plain texts, such as
// "server is in hot standby mode", and all of them mean that the database is away.
type connector struct{ driver.Connector }

type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

// Connect returns a new connection, or a connectError.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, connectError{err}
	}
	whole, ok := connection.(pqConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a connection of type %T", connection), connection.Close())
	}
	return session{whole}, nil
}

// pqConn has all methods of a connection of lib/pq that database/sql calls. It is its own transaction.
type pqConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.Tx
}

// session begins a transaction with its locks in one round trip.
type session struct{ pqConn }

// locksKey is the key of the statements in a context that lock rows when a transaction begins.
type locksKey struct{}

// BeginTx begins a transaction. That of lib/pq is READ WRITE, which overrides an operator's
// setting that makes the database read-only by default.
func (s session) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	locks, _ := ctx.Value(locksKey{}).(string)
	if _, err := s.ExecContext(ctx, "BEGIN; "+locks, nil); err != nil {
		// A lock that fails leaves the transaction open. If it cannot be ended, the connection is lost, which its
		// next use reports.
		_, _ = s.ExecContext(context.WithoutCancel(ctx), "ROLLBACK", nil)
		return nil, err
	}
	return s, nil
}

// Await waits until PostgreSQL takes connections, for the given time at most: containers
// start together. It logs once that it waits. It does not wait where time does not help,
// such as for a wrong password. The error names the hosts but no password. For SQLite it
// does nothing.
func Await(ctx context.Context, databaseURL string, patience time.Duration, logger *slog.Logger) error {
	if !strings.HasPrefix(databaseURL, "postgres") {
		return nil
	}
	config, connector, err := postgresConnector(databaseURL, nil)
	if err != nil {
		return err
	}
	hosts := hostsOf(config)
	waitCtx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const interval = 250 * time.Millisecond
	for waits := false; ; {
		connection, err := connector.Connect(ctx)
		if err == nil {
			return connection.Close()
		}
		failed := fmt.Errorf("the database at %s (DATABASE_URL) cannot be used: %w", hosts, err)
		if !passes(err) {
			return failed
		}
		if !waits && patience > 0 {
			logger.WarnContext(ctx, "waiting for the database", "host", hosts, "at_most", patience.String(), "error", err)
			waits = true
		}
		select {
		case <-waitCtx.Done():
			return failed
		case <-time.After(interval):
		}
	}
}

// passes reports whether an error of connecting can pass by itself: the server is not
// there yet, is starting or stopping, is full, or is no primary.
func passes(err error) bool {
	if e := pq.As(err); e != nil {
		return postgresEngine.isAway(err) && e.Code.Class() != "28" // who may connect
	}
	return !errors.Is(err, pq.ErrSSLNotSupported)
}

// hostsOf returns the hosts of a database with their ports, separated by commas.
func hostsOf(config pq.Config) string {
	hosts := []string{net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	for _, h := range config.Multi {
		hosts = append(hosts, net.JoinHostPort(h.Host, strconv.Itoa(int(h.Port))))
	}
	return strings.Join(hosts, ",")
}
