-- +goose Up

-- Equal refusals are one event: how many. Its time and request are the first's.
ALTER TABLE events ADD COLUMN count bigint NOT NULL DEFAULT 1;
-- What a client that is no trusted proxy calls its request; '' for nothing.
ALTER TABLE events ADD COLUMN client_request_id text NOT NULL DEFAULT '';
-- Of what happened to a token: the user that the token acts for; 0 for nobody.
-- The changes tell of that user, and are erased with the user.
ALTER TABLE events ADD COLUMN person_id bigint NOT NULL DEFAULT 0;
UPDATE events SET person_id = greatest((changes::jsonb #>> '{userId,old}')::bigint, (changes::jsonb #>> '{userId,new}')::bigint)
WHERE subject_type = 'token' AND changes LIKE '%"userId"%';
CREATE INDEX events_by_person ON events (person_id) WHERE person_id <> 0;

-- What users left behind who have been deleted before this release.
UPDATE events SET changes = '{}' WHERE person_id <> 0 AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = person_id);
UPDATE events SET source = '' WHERE subject_type = 'user' AND subject_id <> 0 AND actor_user_id = 0 AND actor_token_id = 0
    AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = subject_id);

-- By which an equal refusal is found.
CREATE INDEX events_by_refusal ON events (actor_token_id, actor_user_id, happened_at) WHERE type = 'USER_ACCESS_REFUSED';

-- A fingerprint was SHA-256 of the whole body, password included. It is now a
-- keyed one of the body without the password.
DELETE FROM idempotency_keys;
