-- +goose Up

-- The reasons stand in ../postgres. octet_length would be shorter, but tools with a
-- SQLite from before 2023 do not know it, and could not open the file any more.
CREATE INDEX users_email_beyond_ascii ON users (id) WHERE length(CAST(email_folded AS blob)) <> length(email_folded);
