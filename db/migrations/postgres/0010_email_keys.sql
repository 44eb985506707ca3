-- +goose Up

-- users.email_folded has the domain of an address in its ASCII form from here on
-- (identity.EmailKey). That form is made in Go, after the migrations; this index
-- has the few rows that may need it, so that every start can look.
CREATE INDEX users_email_beyond_ascii ON users (id) WHERE octet_length(email_folded) <> length(email_folded);
