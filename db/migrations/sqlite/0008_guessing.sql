-- +goose Up

-- The times of the tries that count, in microseconds since 1970 and separated by spaces, each with an x once it has
-- failed. started_at is the time of the latest try; attempts and failures are those of the release before.
ALTER TABLE throttles ADD COLUMN tries text NOT NULL DEFAULT '';

-- When the password of the sign-in was tried, so that its try is taken back with the right code.
ALTER TABLE challenges ADD COLUMN tried_at timestamp NOT NULL DEFAULT -62135596800000000;

-- The message that the link was mailed with; a repetition of it replaces the link.
ALTER TABLE password_resets ADD COLUMN message_id integer NOT NULL DEFAULT 0;

-- From where users have signed in of late: an IPv4 address, or the /64 of an IPv6 address.
CREATE TABLE user_sources (
    user_id       integer NOT NULL REFERENCES users ON DELETE CASCADE,
    source        text NOT NULL,
    first_seen_at timestamp NOT NULL,
    last_seen_at  timestamp NOT NULL,
    PRIMARY KEY (user_id, source)
);
CREATE INDEX user_sources_by_last_seen ON user_sources (last_seen_at);

INSERT INTO user_sources (user_id, source, first_seen_at, last_seen_at)
SELECT subject_id, source, min(happened_at), max(happened_at) FROM events
WHERE type = 'USER_SIGNED_IN' AND happened_at > (CAST(strftime('%s', 'now') AS integer) - 90 * 86400) * 1000000
    AND source LIKE '%.%' AND source NOT LIKE '%:%' AND subject_id IN (SELECT id FROM users)
GROUP BY subject_id, source;
