package config

// Help holds the text that --help shows for each flag of Config, by the name of the flag.
var Help = map[string]string{ //nolint:gosec // G101: texts about secrets, not secrets
	"addr":                "Address to listen on (host:port).",
	"port":                "Port to listen on, on all addresses. ROSTER_ADDR takes precedence.",
	"database-url":        "Database: postgres://… or sqlite:PATH.",
	"database-max-conns":  "Maximum number of connections to PostgreSQL.",
	"prepared-statements": "Prepare statements per connection. Switch it off behind a transaction pooler.",
	"migrate":             "Bring the schema up to date at the start.",
	"public-url":          "URL at which clients reach the service; all links lead to it.",
	"allowed-hosts": "Hosts that links may lead to without a public URL, with or without a port, separated by " +
		"commas. Those of loopback always may. Links are relative for a request to another host.",
	"admin-token":       "An administrator token of your own (at least 32 characters).",
	"admin-email":       "E-mail of the first administrator, created on an empty database.",
	"admin-password":    "Password of the first administrator.",
	"bcrypt-cost":       "Cost of a password hash, 4 to 15. Each step doubles the time.",
	"access-token-ttl":  "Lifetime of an access token of a session.",
	"refresh-token-ttl": "How long a session lasts without being used.",
	"session-ttl":       "How long a session lasts at most, however much it is used.",
	"console":           "Serve the pages for operators at /console.",
	"console-idle-ttl":  "How long a sign-in to the console lasts without being used.",
	"require-admin-tfa": "Administrators without a second factor can only enrol one.",
	"secret-key": "Key that seals the secrets in the database (at least 32 characters). Without it, the " +
		"key is in the database itself.",
	"password-list": "File of further passwords to refuse: plain lines, or the list of Have I Been Pwned " +
		"ordered by hash.",
	"token-cache-ttl": "How long to remember the rights of a token, at most 10s. Changes take effect before " +
		"that. With 0, every request asks the database.",
	"smtp-url": "Mail server: smtp://user:password@host:port, or smtps://…. Without it, mail is " +
		"written to the log.",
	"mail-from": "Sender of mail. Without it, roster@ the host of the public URL.",
	"trusted-proxies": "Addresses and prefixes of proxies whose X-Forwarded-For, X-Forwarded-Proto and " +
		"X-Request-Id are trusted, separated by commas.",
	"webhook-allow-private": "Addresses and prefixes that are not public and that webhooks may still reach, " +
		"separated by commas.",
	"metrics-addr": "Address to serve /metrics on (host:port). Without it, there are no metrics.",
	"log-level":    "debug, info, warn or error.",
	"otlp-endpoint": "URL to send traces to (OTLP over HTTP). Without it, none are sent. The other OTEL_ " +
		"variables apply too.",
}
