-- +goose Up

-- The times of the tries that count, in microseconds since 1970 and separated by spaces, each with an x once it has
-- failed. started_at is the time of the latest try; attempts and failures are those of the release before.
ALTER TABLE throttles ADD COLUMN tries text NOT NULL DEFAULT '';

-- When the password of the sign-in was tried, so that its try is taken back with the right code.
ALTER TABLE challenges ADD COLUMN tried_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00';

-- The message that the link was mailed with; a repetition of it replaces the link.
ALTER TABLE password_resets ADD COLUMN message_id bigint NOT NULL DEFAULT 0;

-- From where users have signed in of late: an IPv4 address, or the /64 of an IPv6 address.
CREATE TABLE user_sources (
    user_id       bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    source        text COLLATE "C" NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, source)
);
CREATE INDEX user_sources_by_last_seen ON user_sources (last_seen_at);

INSERT INTO user_sources (user_id, source, first_seen_at, last_seen_at)
SELECT subject_id, source, min(happened_at), max(happened_at) FROM events
WHERE type = 'USER_SIGNED_IN' AND happened_at > now() - interval '90 days' AND source LIKE '%.%' AND source NOT LIKE '%:%'
    AND subject_id IN (SELECT id FROM users)
GROUP BY subject_id, source;
