-- +goose Up

ALTER TABLE users ADD COLUMN blocked_code text NOT NULL DEFAULT ''; -- why a user is not active; '' for no reason given

-- What services hold for a user, as each describes it.
CREATE TABLE records (
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    type       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL, -- chosen by the service
    attributes text NOT NULL,             -- JSON object, kept as it was written
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT '0001-01-01 00:00:00+00',
    PRIMARY KEY (user_id, type, id)
);
