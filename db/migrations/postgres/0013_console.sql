-- +goose Up

-- What the lists and the counts of the console go by. active comes first where a list of active users is long.
CREATE INDEX users_by_active_tfa ON users (active, tfa, id);
CREATE INDEX users_by_active_signin ON users (active, last_signin_at, id);
CREATE INDEX users_by_phone ON users (phone, id) WHERE phone <> '';
CREATE INDEX tokens_by_expiry ON tokens (expires_at, id) WHERE session_id IS NULL;
CREATE INDEX events_by_reason ON events (reason, happened_at, id) WHERE reason > '';

-- Whom a count of tries keeps out, and until when; 0 where it keeps out no user. The version before writes neither:
-- what it locks works as before, and is not found by user.
ALTER TABLE throttles ADD COLUMN user_id bigint NOT NULL DEFAULT 0;
ALTER TABLE throttles ADD COLUMN blocked_until timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00';
CREATE INDEX throttles_by_user ON throttles (user_id, blocked_until) WHERE user_id <> 0;
CREATE INDEX throttles_by_block ON throttles (blocked_until, user_id) WHERE user_id <> 0;

-- Who made a webhook, as of a token: 0 for nobody known.
ALTER TABLE webhooks ADD COLUMN created_by_user bigint NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN created_by_token bigint NOT NULL DEFAULT 0;
UPDATE webhooks SET created_by_user = made.actor_user_id, created_by_token = made.actor_token_id
FROM events AS made
WHERE made.subject_type = 'webhook' AND made.subject_id = webhooks.id AND made.type = 'WEBHOOK_CREATED';
