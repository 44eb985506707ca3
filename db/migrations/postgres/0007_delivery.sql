-- +goose Up

-- Secrets of webhooks that were replaced and sign as well until a time. The
-- version before keeps one of them, in webhooks.old_secret, which counts, too.
CREATE TABLE webhook_old_secrets (
    webhook_id bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    secret     text NOT NULL, -- sealed
    until      timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, secret)
);

-- Of a mail to a user who is known by the address only: the address, folded, so
-- that the mail goes with the user.
ALTER TABLE outbox ADD COLUMN address text NOT NULL DEFAULT '';
CREATE INDEX outbox_by_address ON outbox (address) WHERE address <> '';

-- A deletion that has been told is not told again.
UPDATE outbox SET payload = '' WHERE topic = 'USER_DELETED' AND state = 'done';
