-- +goose Up

-- The same as in ../postgres; the reasons stand there.

ALTER TABLE tokens ADD COLUMN created_by_user integer NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN created_by_token integer NOT NULL DEFAULT 0;
CREATE INDEX tokens_by_creating_user ON tokens (created_by_user, id) WHERE created_by_user <> 0;
CREATE INDEX tokens_by_creating_token ON tokens (created_by_token, id) WHERE created_by_token <> 0;

ALTER TABLE sessions ADD COLUMN fresh_until timestamp NOT NULL DEFAULT -62135596800000000;
ALTER TABLE sessions ADD COLUMN last_used_at timestamp NOT NULL DEFAULT -62135596800000000;
ALTER TABLE sessions ADD COLUMN source text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN client text NOT NULL DEFAULT '';

ALTER TABLE challenges ADD COLUMN session_id integer REFERENCES sessions ON DELETE CASCADE;
CREATE INDEX challenges_by_session ON challenges (session_id) WHERE session_id IS NOT NULL;

ALTER TABLE groups ADD COLUMN require_tfa boolean NOT NULL DEFAULT false;
