package mail

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/rosterhq/roster/internal/delivery"
)

// Log stands in for a Sender where no SMTP server is configured. It is for
// development: codes and links, which are secrets, are in what it logs.
type Log struct {
	logger *slog.Logger
	site   string
}

// NewLog returns a Log. publicURL is where Roster is reached, as the mails tell;
// may be nil.
func NewLog(logger *slog.Logger, publicURL *url.URL) *Log {
	return &Log{logger: logger, site: site(publicURL)}
}

// Send writes the mail's text to the log, at level Info. The error is a
// *delivery.Permanent: the mail cannot be written.
func (l *Log) Send(ctx context.Context, m delivery.Mail) error {
	letter, err := write(m, l.site)
	if err != nil {
		return unwritable(err)
	}
	l.logger.InfoContext(ctx, "mail not sent, for no SMTP server is configured", "id", m.ID, "to", string(m.To), "subject", letter.subject, "text", letter.text)
	return nil
}
