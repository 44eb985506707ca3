// Package app is the one wiring of Roster: from the settings it makes the store,
// the service, the APIs, the server and the senders. The commands, the tests and
// the benchmarks all start the same App. It has no rules of its own.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/api/backoffice"
	"github.com/rosterhq/roster/internal/api/firefly"
	"github.com/rosterhq/roster/internal/api/powens"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/console"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/httpserver"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/jobs"
	"github.com/rosterhq/roster/internal/mail"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/webhook"
)

// Options holds the settings and, for tests and benchmarks, replacements of parts.
type Options struct {
	Config *config.Config
	Logger *slog.Logger

	// Store is an open store, which Close leaves open. With nil, New opens the
	// database of the settings and migrates it if they say so.
	Store *store.Store
	// Clock returns the time. With nil, it is that of the database.
	Clock func() time.Time
	// Passwords hashes passwords. With nil, the cost is that of the settings, and
	// as many passwords are hashed at once as there are processors.
	Passwords *secret.Passwords
	// Deliver sends a mail. With nil, mail goes to the SMTP server of the settings
	// or, without one, to the log.
	Deliver func(context.Context, delivery.Mail) error
	// RequestTimeout limits the work on a request; 0 is the default of httpserver.
	RequestTimeout time.Duration
	// Authenticate checks a credential. With nil, the service does.
	Authenticate func(ctx context.Context, credential string, origin identity.Origin) (identity.Actor, error)
	// Double makes the app a test double. Only internal/ephemeral sets it.
	Double *Double
}

// Double has what a test double does otherwise than a server. Its secrets can be known
// beforehand. All fields must be set.
type Double struct {
	// Random returns the random bytes of the secrets of a message, or of all others; see
	// service.Options.
	Random func(messageID int64) io.Reader
	// RequestID returns a new id for a request.
	RequestID func() string
	// Posts returns what the signed webhooks go through on their way to the network.
	Posts func(http.RoundTripper) http.RoundTripper
	// Throttled keeps the limits of attempts.
	Throttled bool
	// PollInterval is how often to look for jobs and messages that have become due.
	PollInterval time.Duration
}

// App is an installation of Roster. Commands use its Service; Start and Run serve
// its APIs.
type App struct {
	Store         *store.Store
	Service       *service.Service
	Server        *httpserver.Server
	Worker        *outbox.Worker
	Jobs          *jobs.Worker
	OutboxMetrics *outbox.Metrics

	config          *config.Config
	logger          *slog.Logger
	metrics         *httpserver.Metrics
	localURL        string // of this process, with the port that it listens on
	listener        net.Listener
	metricsListener net.Listener   // nil without a metrics address
	closers         []func() error // in the order of opening
}

// New returns the app of the settings and migrates the database if they say so.
// Close it after use. The error names the setting that is wrong, or says why the
// database cannot be used.
func New(ctx context.Context, o Options) (_ *App, err error) {
	c := o.Config
	double := Double{Throttled: true} // with every part nil, which is that of a server
	if o.Double != nil {
		double = *o.Double
	}
	a := &App{Store: o.Store, config: c, logger: o.Logger, localURL: localURL(c.Addr)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if o.Deliver == nil {
		if o.Deliver, err = mailer(c, a.logger); err != nil {
			return nil, err
		}
	}
	passwordList, err := a.openPasswordList()
	if err != nil {
		return nil, err
	}
	if a.Store == nil {
		if err := a.openStore(ctx); err != nil {
			return nil, err
		}
	}
	if o.Clock == nil {
		o.Clock = a.Store.Clock().Now
	}
	if o.Passwords == nil {
		o.Passwords = secret.NewPasswords(c.BcryptCost, runtime.GOMAXPROCS(0))
	}
	webhooks := webhook.New(c.WebhookAllowPrivate, double.Posts)
	a.onClose(func() error { webhooks.Close(); return nil })
	a.Service = service.New(service.Options{
		Store: a.Store, Passwords: o.Passwords, PasswordList: passwordList, Clock: o.Clock,
		AccessTTL: c.AccessTokenTTL, RefreshTTL: c.RefreshTokenTTL, SessionTTL: c.SessionTTL, HeldTTL: c.ConsoleIdleTTL,
		SecretKey: c.SecretKey, BaseURL: a.baseURL, CheckWebhookURL: webhooks.Check,
		Random: double.Random, Unthrottled: !double.Throttled,
	})
	if o.Authenticate == nil {
		o.Authenticate = a.Service.Authenticate
	}
	a.OutboxMetrics = outbox.NewMetrics(a.Store, o.Clock)
	a.Worker = outbox.New(outbox.Options{
		Store: a.Store, Clock: o.Clock, Logger: a.logger, Metrics: a.OutboxMetrics,
		PollInterval: double.PollInterval, Steady: o.Double != nil,
		Senders: map[delivery.Channel]outbox.Sender{
			delivery.ChannelMail: a.Service.MailSender(o.Deliver),
			delivery.ChannelWebhook: a.Service.WebhookSender(webhooks.Post,
				api.WebhookRenderers(Dialects(a.Service, api.Site{}))),
		},
	})
	a.Jobs = jobs.New(a.Service, a.logger, double.PollInterval)
	a.metrics = httpserver.NewMetrics(a.Store.Collector(), a.OutboxMetrics, a.Jobs)
	a.Server = a.newServer(o, double.RequestID)
	return a, nil
}

func (a *App) newServer(o Options, requestID func() string) *httpserver.Server {
	c := o.Config
	site := api.Site{PublicURL: c.PublicURL, AllowedHosts: c.AllowedHosts, TrustedProxies: c.TrustedProxies}
	dialects, home, signIn := Dialects(a.Service, site), "docs", ""
	if c.Console {
		dialects, home = append(dialects, console.New(a.Service, site, o.Clock)), "console"
		signIn = home
	}
	return httpserver.New(httpserver.Options{
		Dialects:       dialects,
		Home:           home,
		SignIn:         signIn,
		Authenticate:   o.Authenticate,
		Denied:         a.Service.Denied,
		Ready:          a.Store.Ready,
		TrustedProxies: c.TrustedProxies,
		Secure:         site.Secure(),
		Timeout:        o.RequestTimeout,
		Logger:         a.logger,
		Metrics:        a.metrics,
		Trace:          c.OTLPEndpoint != "",
		RequestID:      requestID,
	})
}

// Dialects returns all APIs of a service at a site. The service may be nil if no call is made.
func Dialects(s *service.Service, site api.Site) []api.Dialect {
	return []api.Dialect{backoffice.New(s, site), firefly.New(s, site), powens.New(s)}
}

// Close closes what New and Start have opened, the latest first. Call it after Run
// has returned.
func (a *App) Close() error {
	var err error
	for _, closer := range slices.Backward(a.closers) {
		err = errors.Join(err, closer())
	}
	a.closers = nil
	return err
}

func (a *App) onClose(closer func() error) { a.closers = append(a.closers, closer) }

// openPasswordList opens the list of passwords to refuse. It returns nil if the
// settings name none.
func (a *App) openPasswordList() (*secret.PasswordList, error) {
	path := a.config.PasswordList
	if path == "" {
		return nil, nil //nolint:nilnil // the list is optional
	}
	list, err := secret.OpenPasswordList(path)
	if err != nil {
		return nil, fmt.Errorf("ROSTER_PASSWORD_LIST (--password-list): %s: %w", path, err)
	}
	a.onClose(list.Close)
	return list, nil
}

// startPatience is how long to wait for a database that is not there yet.
const startPatience = 30 * time.Second

// openStore waits for the database, migrates it if the settings say so, opens it and
// synchronises the clock with it.
func (a *App) openStore(ctx context.Context) (err error) {
	c := a.config
	if c.Migrate {
		_, err = Migrate(ctx, c, a.logger)
	} else {
		warnOfOpenFiles(ctx, c, a.logger)
		err = store.Await(ctx, c.DatabaseURL, startPatience, a.logger)
	}
	if err != nil {
		return err
	}
	a.Store, err = store.Open(c.DatabaseURL, store.Options{
		Prepare: c.PreparedStatements, MaxConns: c.DatabaseMaxConns, Trace: c.OTLPEndpoint != "",
		GrantTTL: c.TokenCacheTTL,
	})
	if err != nil {
		return err
	}
	a.onClose(a.Store.Close)
	return a.Store.Clock().Sync(ctx)
}

// Migrate waits for the database, brings its schema up to date and returns the number of
// migrations that it ran.
func Migrate(ctx context.Context, c *config.Config, logger *slog.Logger) (applied int, err error) {
	warnOfOpenFiles(ctx, c, logger)
	if err := store.Await(ctx, c.DatabaseURL, startPatience, logger); err != nil {
		return 0, err
	}
	return store.Migrate(ctx, c.DatabaseURL)
}

// Backup writes a copy of the SQLite database to a new file; see store.Backup.
func Backup(ctx context.Context, c *config.Config, file string) error {
	return store.Backup(ctx, c.DatabaseURL, file)
}

// warnOfOpenFiles logs the database files that other users of this machine can
// open. It does not fail: the operator may have set the mode on purpose.
func warnOfOpenFiles(ctx context.Context, c *config.Config, logger *slog.Logger) {
	for _, file := range store.FilesOpenToOthers(c.DatabaseURL) {
		logger.WarnContext(ctx, "other users of this machine can open the database file, which has password hashes: "+
			"run chmod 600 on it", "file", file)
	}
}

// mailer returns a function that sends a mail to the SMTP server of the settings
// or, without one, writes it to the log.
func mailer(c *config.Config, logger *slog.Logger) (func(context.Context, delivery.Mail) error, error) {
	if c.SMTPURL == "" {
		return mail.NewLog(logger, c.PublicURL).Send, nil
	}
	sender, err := mail.New(mail.Config{URL: c.SMTPURL, From: c.MailFrom, PublicURL: c.PublicURL})
	if err != nil {
		return nil, fmt.Errorf("ROSTER_SMTP_URL (--smtp-url) or ROSTER_MAIL_FROM (--mail-from): %w", err)
	}
	return sender.Send, nil
}
