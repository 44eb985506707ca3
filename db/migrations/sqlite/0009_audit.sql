-- +goose Up

-- The same as in ../postgres; the reasons stand there.

ALTER TABLE events ADD COLUMN count integer NOT NULL DEFAULT 1;
ALTER TABLE events ADD COLUMN client_request_id text NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN person_id integer NOT NULL DEFAULT 0;
UPDATE events SET person_id = max(json_extract(changes, '$.userId.old'), json_extract(changes, '$.userId.new'))
WHERE subject_type = 'token' AND changes LIKE '%"userId"%';
CREATE INDEX events_by_person ON events (person_id) WHERE person_id <> 0;

UPDATE events SET changes = '{}' WHERE person_id <> 0 AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = person_id);
UPDATE events SET source = '' WHERE subject_type = 'user' AND subject_id <> 0 AND actor_user_id = 0 AND actor_token_id = 0
    AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = subject_id);

CREATE INDEX events_by_refusal ON events (actor_token_id, actor_user_id, happened_at) WHERE type = 'USER_ACCESS_REFUSED';

DELETE FROM idempotency_keys;

-- What is deleted from the search index goes, instead of being marked: it is made
-- of names, addresses and numbers. The second drops what has been marked so far.
INSERT INTO users_search (users_search, rank) VALUES ('secure-delete', 1);
INSERT INTO users_search (users_search) VALUES ('optimize');
