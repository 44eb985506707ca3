-- +goose Up

-- An invitation is a link to choose a password as well, but lasts longer, and goes on where a
-- user's sessions end.
ALTER TABLE password_resets ADD COLUMN invitation boolean NOT NULL DEFAULT false;
