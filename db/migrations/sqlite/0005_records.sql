-- +goose Up

-- The same as in ../postgres; the reasons stand there.

ALTER TABLE users ADD COLUMN blocked_code text NOT NULL DEFAULT '';

CREATE TABLE records (
    user_id    integer NOT NULL REFERENCES users ON DELETE CASCADE,
    type       text NOT NULL,
    id         text NOT NULL,
    attributes text NOT NULL,
    created_at timestamp NOT NULL,
    updated_at timestamp NOT NULL DEFAULT -62135596800000000,
    PRIMARY KEY (user_id, type, id)
);
