package mail

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/rosterhq/roster/internal/delivery"
)

// Log replaces a Sender if no SMTP server is configured. It is for development only: it logs
// codes and links, which are secrets.
type Log struct {
	logger *slog.Logger
	site   string
}

// NewLog returns a Log. publicURL is the URL of Roster in the mails; may be nil.
func NewLog(logger *slog.Logger, publicURL *url.URL) *Log {
	return &Log{logger: logger, site: site(publicURL)}
}

// Send logs the mail's text at level Info. It returns a *delivery.Permanent if the mail
// cannot be written.
func (l *Log) Send(ctx context.Context, m delivery.Mail) error {
	letter, err := write(m, l.site)
	if err != nil {
		return unwritable(err)
	}
	l.logger.InfoContext(ctx, "mail not sent, for no SMTP server is configured",
		"id", m.ID, "to", string(m.To), "subject", letter.subject, "text", letter.text)
	return nil
}
