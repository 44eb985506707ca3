-- +goose Up

-- The same as in ../postgres; the reasons stand there.

CREATE INDEX users_by_active_tfa ON users (active, tfa, id);
CREATE INDEX users_by_active_signin ON users (active, last_signin_at, id);
CREATE INDEX users_by_phone ON users (phone, id) WHERE phone <> '';
CREATE INDEX tokens_by_expiry ON tokens (expires_at, id) WHERE session_id IS NULL;
CREATE INDEX events_by_reason ON events (reason, happened_at, id) WHERE reason > '';

ALTER TABLE throttles ADD COLUMN user_id integer NOT NULL DEFAULT 0;
ALTER TABLE throttles ADD COLUMN blocked_until timestamp NOT NULL DEFAULT -62135596800000000;
CREATE INDEX throttles_by_user ON throttles (user_id, blocked_until) WHERE user_id <> 0;
CREATE INDEX throttles_by_block ON throttles (blocked_until, user_id) WHERE user_id <> 0;

ALTER TABLE webhooks ADD COLUMN created_by_user integer NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN created_by_token integer NOT NULL DEFAULT 0;
UPDATE webhooks SET created_by_user = made.actor_user_id, created_by_token = made.actor_token_id
FROM events AS made
WHERE made.subject_type = 'webhook' AND made.subject_id = webhooks.id AND made.type = 'WEBHOOK_CREATED';
