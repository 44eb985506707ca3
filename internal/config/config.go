// Package config is the settings of Roster: flags and environment variables,
// checked once, before anything is opened.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/store"
)

// Config is every setting. The tags are kong's; a setting tagged secret is
// never printed and may be read from the file that its variable with _FILE
// names.
type Config struct {
	Addr                string                  `env:"ROSTER_ADDR"                default:"localhost:8080"   help:"Address to listen on (host:port)."`
	Port                uint16                  `env:"PORT"                                                  help:"Port to listen on, on all addresses; ROSTER_ADDR goes first."`
	DatabaseURL         string                  `env:"DATABASE_URL"               default:"sqlite:roster.db" help:"Database: postgres://… or sqlite:PATH."                                           name:"database-url" secret:""`
	DatabaseMaxConns    int                     `env:"ROSTER_DATABASE_MAX_CONNS"  default:"16"               help:"Most connections to PostgreSQL."`
	PreparedStatements  bool                    `env:"ROSTER_PREPARED_STATEMENTS" default:"true"             help:"Prepare statements per connection. Switch off behind a transaction pooler."       negatable:""`
	Migrate             bool                    `env:"ROSTER_MIGRATE"             default:"true"             help:"Bring the schema up to date at the start."                                        negatable:""`
	PublicURL           *url.URL                `env:"ROSTER_PUBLIC_URL"                                     help:"Where clients reach the service; links are relative without it."                  name:"public-url"`
	AdminToken          string                  `env:"ROSTER_ADMIN_TOKEN"                                    help:"An administrator token of your own (at least 32 characters)."                     secret:""`
	AdminEmail          string                  `env:"ROSTER_ADMIN_EMAIL"                                    help:"The first administrator, created on an empty database."`
	AdminPassword       string                  `env:"ROSTER_ADMIN_PASSWORD"                                 help:"The first administrator's password."                                              secret:""`
	BcryptCost          int                     `env:"ROSTER_BCRYPT_COST"         default:"10"               help:"Cost of a password hash, 4 to 15; each step doubles the time."`
	AccessTokenTTL      time.Duration           `env:"ROSTER_ACCESS_TOKEN_TTL"    default:"1h"               help:"How long an access token of a session lives."                                     name:"access-token-ttl"`
	RefreshTokenTTL     time.Duration           `env:"ROSTER_REFRESH_TOKEN_TTL"   default:"720h"             help:"How long a session lasts without being used."                                     name:"refresh-token-ttl"`
	SessionTTL          time.Duration           `env:"ROSTER_SESSION_TTL"         default:"720h"             help:"How long a session lasts however much it is used."                                name:"session-ttl"`
	RequireAdminTFA     bool                    `env:"ROSTER_REQUIRE_ADMIN_TFA"                              help:"Let administrators without a second factor do nothing but enrol one."             name:"require-admin-tfa"`
	SecretKey           string                  `env:"ROSTER_SECRET_KEY"                                     help:"What secrets in the database are sealed with (at least 32 characters); a key in the database itself without it." secret:""`
	PasswordList        string                  `env:"ROSTER_PASSWORD_LIST"                                  help:"A file of more passwords to refuse: plain lines, or the list of Have I Been Pwned ordered by hash; none without it." name:"password-list"`
	TokenCacheTTL       time.Duration           `env:"ROSTER_TOKEN_CACHE_TTL"     default:"1s"               help:"How long to remember what a token grants, at most 10s; changes are seen before. 0 asks the database on every request." name:"token-cache-ttl"`
	SMTPURL             string                  `env:"ROSTER_SMTP_URL"                                       help:"Where to send mail: smtp://user:password@host:port, or smtps://…; to the log without it." name:"smtp-url" secret:""`
	MailFrom            string                  `env:"ROSTER_MAIL_FROM"                                      help:"Who mail comes from; roster@ the host of the public URL without it."`
	TrustedProxies      []identity.AddressRange `env:"ROSTER_TRUSTED_PROXIES"                                help:"Addresses and prefixes whose X-Forwarded-For is believed, separated by commas."`
	WebhookAllowPrivate []identity.AddressRange `env:"ROSTER_WEBHOOK_ALLOW_PRIVATE" help:"Addresses and prefixes that webhooks may be sent to although they are not public, separated by commas."`
	MetricsAddr         string                  `env:"ROSTER_METRICS_ADDR"                                   help:"Address to serve /metrics on (host:port); none without it."`
	LogLevel            slog.Level              `env:"ROSTER_LOG_LEVEL"           default:"info"             help:"debug, info, warn or error."`
	OTLPEndpoint        string                  `env:"OTEL_EXPORTER_OTLP_ENDPOINT"                           help:"Where to send traces (OTLP over HTTP); nowhere without it. The other OTEL_ variables count, too."`
}

const (
	// minSecret is how many characters a token or key of one's own needs.
	minSecret = 32
	// maxTokenCacheTTL bounds how long an instance that hears nothing of the
	// others could go by what was.
	maxTokenCacheTTL = 10 * time.Second
)

// Validate checks what the types do not; kong calls it.
func (c *Config) Validate() error {
	if err := checkAddr("ROSTER_ADDR (--addr)", c.Addr); err != nil {
		return err
	}
	if c.MetricsAddr != "" {
		if err := checkAddr("ROSTER_METRICS_ADDR (--metrics-addr)", c.MetricsAddr); err != nil {
			return err
		}
	}
	switch {
	case !hasPrefix(c.DatabaseURL, "postgres://", "postgresql://", "sqlite:"):
		return errors.New("DATABASE_URL (--database-url) must be postgres://… or sqlite:PATH")
	case c.DatabaseMaxConns < 2:
		return errors.New("ROSTER_DATABASE_MAX_CONNS (--database-max-conns) must be at least 2")
	case c.PublicURL != nil && (c.PublicURL.Host == "" || !hasPrefix(c.PublicURL.Scheme, "http")):
		return errors.New("ROSTER_PUBLIC_URL (--public-url) must be a URL such as https://roster.example.com")
	case c.BcryptCost < secret.MinCost || c.BcryptCost > secret.MaxCost:
		return fmt.Errorf("ROSTER_BCRYPT_COST (--bcrypt-cost) must be from %d to %d", secret.MinCost, secret.MaxCost)
	case c.AccessTokenTTL < time.Minute || c.RefreshTokenTTL < c.AccessTokenTTL:
		return errors.New("ROSTER_ACCESS_TOKEN_TTL (--access-token-ttl) must be at least 1m, and ROSTER_REFRESH_TOKEN_TTL no less than that")
	case c.SessionTTL < c.AccessTokenTTL:
		return errors.New("ROSTER_SESSION_TTL (--session-ttl) must be no less than ROSTER_ACCESS_TOKEN_TTL")
	case c.SecretKey != "" && utf8.RuneCountInString(c.SecretKey) < minSecret:
		return fmt.Errorf("ROSTER_SECRET_KEY (--secret-key) must have at least %d characters", minSecret)
	case c.TokenCacheTTL < 0 || c.TokenCacheTTL > maxTokenCacheTTL:
		return fmt.Errorf("ROSTER_TOKEN_CACHE_TTL (--token-cache-ttl) must be from 0 to %s", maxTokenCacheTTL)
	case c.AdminToken != "" && utf8.RuneCountInString(c.AdminToken) < minSecret:
		return fmt.Errorf("ROSTER_ADMIN_TOKEN (--admin-token) must have at least %d characters", minSecret)
	case strings.TrimSpace(c.AdminToken) != c.AdminToken || strings.ContainsFunc(c.AdminToken, isNotVisible):
		return errors.New("ROSTER_ADMIN_TOKEN (--admin-token) must have visible ASCII characters only")
	case (c.AdminEmail == "") != (c.AdminPassword == ""):
		return errors.New("ROSTER_ADMIN_EMAIL and ROSTER_ADMIN_PASSWORD must be given together")
	}
	if c.AdminEmail != "" {
		if _, err := identity.ParseEmail(c.AdminEmail); err != nil {
			return fmt.Errorf("ROSTER_ADMIN_EMAIL (--admin-email) %w", err)
		}
		if _, err := identity.ParsePassword(c.AdminPassword); err != nil {
			return fmt.Errorf("ROSTER_ADMIN_PASSWORD (--admin-password) %w", err)
		}
	}
	return nil
}

func isNotVisible(r rune) bool { return r <= ' ' || r > '~' }

func hasPrefix(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func checkAddr(name, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s must be host:port, such as localhost:8080", name)
	}
	return nil
}

// ListenAddr is where to serve: --addr, unless only a port was given.
func (c *Config) ListenAddr(addrGiven bool) string {
	if c.Port != 0 && !addrGiven {
		return fmt.Sprintf(":%d", c.Port)
	}
	return c.Addr
}

// BaseURL is where people reach the service: the public URL, or, for trying it
// out, this host.
func (c *Config) BaseURL() string {
	if c.PublicURL != nil {
		return c.PublicURL.Scheme + "://" + c.PublicURL.Host
	}
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil || host == "" || c.Port != 0 {
		host = "localhost"
	}
	if c.Port != 0 {
		port = strconv.Itoa(int(c.Port))
	}
	return "http://" + net.JoinHostPort(host, port)
}

// OpenPasswordList opens the list of passwords to refuse; nil where there is none.
func (c *Config) OpenPasswordList() (*secret.PasswordList, error) {
	if c.PasswordList == "" {
		return nil, nil //nolint:nilnil // to have none is no error
	}
	list, err := secret.OpenPasswordList(c.PasswordList)
	if err != nil {
		return nil, fmt.Errorf("ROSTER_PASSWORD_LIST (--password-list): %s: %w", c.PasswordList, err)
	}
	return list, nil
}

// StoreOptions are the settings of the store.
func (c *Config) StoreOptions() store.Options {
	return store.Options{Prepare: c.PreparedStatements, MaxConns: c.DatabaseMaxConns, Trace: c.OTLPEndpoint != "", GrantTTL: c.TokenCacheTTL}
}

// ReadSecretFiles sets each variable of a secret from the file that the
// variable with _FILE names, which keeps secrets out of the environment of
// containers. A trailing line break is not part of the secret.
func ReadSecretFiles() error {
	for _, name := range secretVariables() {
		path := os.Getenv(name + "_FILE")
		if path == "" {
			continue
		}
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s and %s_FILE must not both be set", name, name)
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator's own choice
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		if err := os.Setenv(name, strings.TrimRight(string(content), "\r\n")); err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
	}
	return nil
}

// secretVariables are the variables of the settings that are tagged secret.
func secretVariables() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if _, isSecret := field.Tag.Lookup("secret"); isSecret {
			names = append(names, field.Tag.Get("env"))
		}
	}
	return names
}
