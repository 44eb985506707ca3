-- +goose Up

-- A session is one sign-in of a user: its access tokens are rows of tokens, its
-- refresh tokens rows of refresh_tokens, and all of them end with it.
CREATE TABLE sessions (
    id         integer PRIMARY KEY AUTOINCREMENT,
    user_id    integer NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamp NOT NULL,
    expires_at timestamp NOT NULL -- of its last refresh token
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

ALTER TABLE tokens ADD COLUMN session_id integer REFERENCES sessions ON DELETE CASCADE; -- NULL for a service token
CREATE INDEX tokens_by_session ON tokens (session_id, expires_at) WHERE session_id IS NOT NULL;
CREATE INDEX tokens_of_services ON tokens (id) WHERE session_id IS NULL;

-- Used refresh tokens stay until they expire: one presented again was stolen.
CREATE TABLE refresh_tokens (
    id         integer PRIMARY KEY AUTOINCREMENT,
    digest     text NOT NULL,
    session_id integer NOT NULL REFERENCES sessions ON DELETE CASCADE,
    expires_at timestamp NOT NULL,
    used_at    timestamp NOT NULL DEFAULT -62135596800000000
);
CREATE UNIQUE INDEX refresh_tokens_digest ON refresh_tokens (digest);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- A sign-in that waits for its second factor.
CREATE TABLE challenges (
    id          integer PRIMARY KEY AUTOINCREMENT,
    digest      text NOT NULL,
    user_id     integer NOT NULL REFERENCES users ON DELETE CASCADE,
    provider    text NOT NULL,            -- email or totp
    code_digest text NOT NULL DEFAULT '', -- of the code that was mailed
    wrong_codes integer NOT NULL DEFAULT 0,
    expires_at  timestamp NOT NULL
);
CREATE UNIQUE INDEX challenges_digest ON challenges (digest);
CREATE INDEX challenges_by_user ON challenges (user_id);
CREATE INDEX challenges_by_expiry ON challenges (expires_at);

CREATE TABLE totp (
    user_id      integer PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    secret       text NOT NULL, -- sealed
    confirmed_at timestamp NOT NULL DEFAULT -62135596800000000,
    last_step    integer NOT NULL DEFAULT 0 -- of the last code that was taken; no code of it or before is taken again
);

CREATE TABLE recovery_codes (
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    digest  text NOT NULL,
    PRIMARY KEY (user_id, digest)
);

CREATE TABLE password_resets (
    id         integer PRIMARY KEY AUTOINCREMENT,
    digest     text NOT NULL,
    user_id    integer NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamp NOT NULL,
    expires_at timestamp NOT NULL
);
CREATE UNIQUE INDEX password_resets_digest ON password_resets (digest);
CREATE INDEX password_resets_by_user ON password_resets (user_id);
CREATE INDEX password_resets_by_expiry ON password_resets (expires_at);

-- How often something was tried of late, so that all instances count together.
CREATE TABLE throttles (
    key          text PRIMARY KEY, -- a digest of what is counted
    started_at   timestamp NOT NULL,
    attempts     integer NOT NULL,
    failures     integer NOT NULL,
    locked_until timestamp NOT NULL
);
CREATE INDEX throttles_by_start ON throttles (started_at);

-- What secrets are sealed with unless the configuration has a key.
CREATE TABLE secret_keys (key text NOT NULL);
INSERT INTO secret_keys (key) VALUES (lower(hex(randomblob(32))));

ALTER TABLE events ADD COLUMN reason text NOT NULL DEFAULT ''; -- why, where something was refused
CREATE INDEX events_by_time ON events (happened_at, id);
CREATE INDEX events_by_actor_user ON events (actor_user_id, id);
CREATE INDEX events_by_actor_token ON events (actor_token_id, id);
CREATE INDEX events_by_type ON events (type, id);
