-- +goose Up

-- Who made a token, for its issuer can go while it stays: no references. 0 for nobody known.
ALTER TABLE tokens ADD COLUMN created_by_user bigint NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN created_by_token bigint NOT NULL DEFAULT 0;
CREATE INDEX tokens_by_creating_user ON tokens (created_by_user, id) WHERE created_by_user <> 0;
CREATE INDEX tokens_by_creating_token ON tokens (created_by_token, id) WHERE created_by_token <> 0;

ALTER TABLE sessions ADD COLUMN fresh_until timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00'; -- of the last proof of who it is
ALTER TABLE sessions ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00'; -- to the minute
ALTER TABLE sessions ADD COLUMN source text NOT NULL DEFAULT ''; -- the address of the last use
ALTER TABLE sessions ADD COLUMN client text NOT NULL DEFAULT ''; -- what the client called itself at the sign-in

-- A challenge of a session makes it fresh again, one without a session opens one.
ALTER TABLE challenges ADD COLUMN session_id bigint REFERENCES sessions ON DELETE CASCADE;
CREATE INDEX challenges_by_session ON challenges (session_id) WHERE session_id IS NOT NULL;

ALTER TABLE groups ADD COLUMN require_tfa boolean NOT NULL DEFAULT false;
