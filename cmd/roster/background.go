package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/config"
	"github.com/rosterhq/roster/internal/delivery"
	"github.com/rosterhq/roster/internal/mail"
	"github.com/rosterhq/roster/internal/outbox"
	"github.com/rosterhq/roster/internal/service"
	"github.com/rosterhq/roster/internal/store"
	"github.com/rosterhq/roster/internal/webhook"
)

// runBackground starts what works beside the requests until ctx ends; wait for
// it before closing the database.
func runBackground(ctx context.Context, c *config.Config, db *store.Store, svc *service.Service,
	dialects []api.Dialect, deliver func(context.Context, delivery.Mail) error, metrics *outbox.Metrics, logger *slog.Logger,
) *sync.WaitGroup {
	switch {
	case c.SMTPURL == "":
		logger.Warn("ROSTER_SMTP_URL is not set: mail, with its codes and links, is written to this log")
	case c.PublicURL == nil:
		logger.Warn("ROSTER_PUBLIC_URL is not set: the links in mail lead to " + c.BaseURL())
	}
	receivers := webhook.New(c.WebhookAllowPrivate)
	worker := outbox.New(outbox.Options{
		Store: db, Clock: db.Clock().Now, Logger: logger, Metrics: metrics,
		Senders: map[delivery.Channel]outbox.Sender{
			delivery.ChannelMail:    svc.MailSender(deliver),
			delivery.ChannelWebhook: svc.WebhookSender(receivers.Post, api.WebhookRenderers(dialects)),
		},
	})
	var work sync.WaitGroup
	work.Go(func() {
		defer receivers.Close()
		worker.Run(ctx)
	})
	if c.PreparedStatements { // else there may be a pooler in between, through which nothing is ever heard
		work.Go(func() { db.Listen(ctx, func() {}) })
	}
	work.Go(func() { prune(ctx, svc, logger) })
	work.Go(func() { keepTime(ctx, db.Clock(), logger) })
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

// keepTime keeps the clock with the database's.
func keepTime(ctx context.Context, clock *store.Clock, logger *slog.Logger) {
	const interval, patience = 30 * time.Second, 5 * time.Second
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, patience)
		if err := clock.Sync(asking); err != nil && ctx.Err() == nil { // it goes on by itself
			logger.Warn("asking the database for the time", "error", err)
		}
		cancel()
	}
}

// mailer returns what delivers mail: to the SMTP server of the settings, or,
// for trying Roster out, to the log.
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
