// Package config holds the settings of Roster: flags and environment variables.
// They are checked once, before anything is opened.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
)

// Config holds every setting. The tags are those of kong; the texts for --help
// are in Help. A setting tagged secret is never printed, and ReadEnvironment can
// read it from a file.
type Config struct {
	Addr                string                  `env:"ROSTER_ADDR" default:"localhost:8080"`
	Port                uint16                  `env:"PORT"`
	DatabaseURL         string                  `env:"DATABASE_URL" default:"sqlite:roster.db" secret:""`
	DatabaseMaxConns    int                     `env:"ROSTER_DATABASE_MAX_CONNS" default:"16"`
	PreparedStatements  bool                    `env:"ROSTER_PREPARED_STATEMENTS" default:"true" negatable:""`
	Migrate             bool                    `env:"ROSTER_MIGRATE" default:"true" negatable:""`
	PublicURL           *url.URL                `env:"ROSTER_PUBLIC_URL"`
	AllowedHosts        []identity.Host         `env:"ROSTER_ALLOWED_HOSTS"`
	AdminToken          string                  `env:"ROSTER_ADMIN_TOKEN" secret:""`
	AdminEmail          string                  `env:"ROSTER_ADMIN_EMAIL"`
	AdminPassword       string                  `env:"ROSTER_ADMIN_PASSWORD" secret:""`
	BcryptCost          int                     `env:"ROSTER_BCRYPT_COST" default:"10"`
	AccessTokenTTL      time.Duration           `env:"ROSTER_ACCESS_TOKEN_TTL" default:"1h"`
	RefreshTokenTTL     time.Duration           `env:"ROSTER_REFRESH_TOKEN_TTL" default:"720h"`
	SessionTTL          time.Duration           `env:"ROSTER_SESSION_TTL" default:"720h"`
	Console             bool                    `env:"ROSTER_CONSOLE" default:"true" negatable:""`
	ConsoleIdleTTL      time.Duration           `env:"ROSTER_CONSOLE_IDLE_TTL" default:"12h"`
	RequireAdminTFA     bool                    `env:"ROSTER_REQUIRE_ADMIN_TFA"`
	SecretKey           string                  `env:"ROSTER_SECRET_KEY" secret:""`
	PasswordList        string                  `env:"ROSTER_PASSWORD_LIST"`
	TokenCacheTTL       time.Duration           `env:"ROSTER_TOKEN_CACHE_TTL" default:"1s"`
	SMTPURL             string                  `env:"ROSTER_SMTP_URL" name:"smtp-url" secret:""`
	MailFrom            string                  `env:"ROSTER_MAIL_FROM"`
	TrustedProxies      []identity.AddressRange `env:"ROSTER_TRUSTED_PROXIES"`
	WebhookAllowPrivate []identity.AddressRange `env:"ROSTER_WEBHOOK_ALLOW_PRIVATE"`
	MetricsAddr         string                  `env:"ROSTER_METRICS_ADDR"`
	LogLevel            slog.Level              `env:"ROSTER_LOG_LEVEL" default:"info"`
	OTLPEndpoint        string                  `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
}

const (
	// minSecret is the minimum length of a configured token or key, in characters.
	minSecret = 32
	// minConsoleIdle is longer than the resolution of a session's last use, a minute.
	minConsoleIdle = 5 * time.Minute
	// maxTokenCacheTTL bounds how long an instance that receives no notifications
	// of the others can use outdated rights.
	maxTokenCacheTTL = 10 * time.Second
)

// Check checks what the types cannot check. The error names the setting that is wrong. It is not Validate, which kong calls
// for every command: the commands for a server elsewhere do not care what DATABASE_URL is on this host.
func (c *Config) Check() error {
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
		return errors.New("ROSTER_ACCESS_TOKEN_TTL (--access-token-ttl) must be at least 1m, " +
			"and ROSTER_REFRESH_TOKEN_TTL no less than that")
	case c.SessionTTL < c.AccessTokenTTL:
		return errors.New("ROSTER_SESSION_TTL (--session-ttl) must be no less than ROSTER_ACCESS_TOKEN_TTL")
	case c.ConsoleIdleTTL < minConsoleIdle || c.ConsoleIdleTTL > c.SessionTTL:
		return errors.New("ROSTER_CONSOLE_IDLE_TTL (--console-idle-ttl) must be at least 5m, " +
			"and no more than ROSTER_SESSION_TTL")
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
	if c.MailFrom != "" {
		if _, err := mail.ParseAddress(c.MailFrom); err != nil {
			return errors.New("ROSTER_MAIL_FROM (--mail-from) must be one e-mail address, such as roster@example.com")
		}
	}
	if c.OTLPEndpoint != "" {
		endpoint, err := url.Parse(c.OTLPEndpoint)
		if err != nil || endpoint.Hostname() == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
			return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT (--otlp-endpoint) must be a URL such as http://localhost:4318")
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

// ListenAddr returns the address to listen on: --addr, or all addresses with the
// given port when only a port was given.
func (c *Config) ListenAddr(addrGiven bool) string {
	if c.Port != 0 && !addrGiven {
		return fmt.Sprintf(":%d", c.Port)
	}
	return c.Addr
}
