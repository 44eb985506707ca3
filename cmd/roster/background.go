package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
)

// runBackground starts what works beside the requests until ctx ends; wait for
// it before closing the database.
func runBackground(ctx context.Context, c *config.Config, db *store.Store, svc *service.Service, logger *slog.Logger) *sync.WaitGroup {
	worker := outbox.New(outbox.Options{
		Store: db, Clock: time.Now, Logger: logger,
		Senders: map[string]outbox.Sender{identity.LaneMail: svc.MailSender(mailer(c, logger))},
	})
	var work sync.WaitGroup
	work.Go(func() { worker.Run(ctx) })
	if c.PreparedStatements { // else there may be a pooler in between, through which nothing is ever heard
		work.Go(func() { db.Listen(ctx, func() {}) })
	}
	work.Go(func() { prune(ctx, svc, logger) })
	return &work
}

// prune forgets what is over, now and then.
func prune(ctx context.Context, svc *service.Service, logger *slog.Logger) {
	const interval = 10 * time.Minute
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := svc.Prune(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("forgetting what is over", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func mailer(_ *config.Config, logger *slog.Logger) func(context.Context, identity.Mail) error {
	return func(_ context.Context, m identity.Mail) error {
		logger.Warn("MAIL", "kind", m.Kind, "to", m.To, "code", m.Code, "link", m.Link)
		return nil
	}
}
