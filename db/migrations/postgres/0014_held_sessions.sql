-- +goose Up

-- A session of a browser holds one token, which each use extends by this many seconds.
-- 0 is a session of the API, which refreshes its tokens.
ALTER TABLE sessions ADD COLUMN idle_seconds bigint NOT NULL DEFAULT 0;
