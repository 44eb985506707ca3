-- +goose Up

-- The same tables as in ../postgres; the reasons stand there. Columns declared
-- timestamp hold integer microseconds since 1970 (see the store's engine.go).
-- AUTOINCREMENT, because without it a deleted user's id is given out again.

CREATE TABLE groups (
    id          integer PRIMARY KEY AUTOINCREMENT,
    name        text NOT NULL,
    name_folded text NOT NULL,
    permissions text NOT NULL,
    created_at  timestamp NOT NULL,
    updated_at  timestamp NOT NULL DEFAULT -62135596800000000,
    version     integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX groups_name_folded ON groups (name_folded);

INSERT INTO groups (id, name, name_folded, permissions, created_at)
VALUES (1, 'Administrators', 'administrators', '*', unixepoch() * 1000000);

CREATE TABLE users (
    id                   integer PRIMARY KEY AUTOINCREMENT,
    name                 text NOT NULL,
    name_folded          text NOT NULL,
    email                text NOT NULL,
    email_folded         text NOT NULL,
    password_hash        text NOT NULL,
    phone                text NOT NULL,
    active               boolean NOT NULL,
    tfa                  boolean NOT NULL,
    allow_list           text NOT NULL,
    client_tags          text NOT NULL,
    can_view_masked_data boolean NOT NULL,
    created_at           timestamp NOT NULL,
    updated_at           timestamp NOT NULL DEFAULT -62135596800000000,
    last_signin_at       timestamp NOT NULL DEFAULT -62135596800000000,
    version              integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX users_email_folded ON users (email_folded);
CREATE INDEX users_by_name ON users (name_folded, id);
CREATE INDEX users_by_creation ON users (created_at, id);
CREATE INDEX users_by_last_signin ON users (last_signin_at, id);
CREATE INDEX users_by_active ON users (active, id);

CREATE VIRTUAL TABLE users_search USING fts5 (
    name_folded, email_folded, phone,
    content = 'users', content_rowid = 'id', tokenize = 'trigram case_sensitive 1'
);
-- +goose StatementBegin
CREATE TRIGGER users_search_added AFTER INSERT ON users BEGIN
    INSERT INTO users_search (rowid, name_folded, email_folded, phone)
    VALUES (NEW.id, NEW.name_folded, NEW.email_folded, NEW.phone);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_search_removed AFTER DELETE ON users BEGIN
    INSERT INTO users_search (users_search, rowid, name_folded, email_folded, phone)
    VALUES ('delete', OLD.id, OLD.name_folded, OLD.email_folded, OLD.phone);
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_search_changed AFTER UPDATE OF name_folded, email_folded, phone ON users BEGIN
    INSERT INTO users_search (users_search, rowid, name_folded, email_folded, phone)
    VALUES ('delete', OLD.id, OLD.name_folded, OLD.email_folded, OLD.phone);
    INSERT INTO users_search (rowid, name_folded, email_folded, phone)
    VALUES (NEW.id, NEW.name_folded, NEW.email_folded, NEW.phone);
END;
-- +goose StatementEnd

CREATE TABLE memberships (
    user_id  integer NOT NULL REFERENCES users ON DELETE CASCADE,
    group_id integer NOT NULL REFERENCES groups,
    PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;
CREATE INDEX memberships_by_group ON memberships (group_id, user_id);

CREATE TABLE user_blocks (
    block  integer PRIMARY KEY,
    users  integer NOT NULL,
    active integer NOT NULL
);
-- +goose StatementBegin
CREATE TRIGGER users_added AFTER INSERT ON users BEGIN
    INSERT INTO user_blocks (block, users, active) VALUES (NEW.id >> 10, 1, NEW.active)
    ON CONFLICT (block) DO UPDATE SET users = users + 1, active = active + NEW.active;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_removed AFTER DELETE ON users BEGIN
    UPDATE user_blocks SET users = users - 1, active = active - OLD.active WHERE block = OLD.id >> 10;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_activated AFTER UPDATE OF active ON users WHEN OLD.active <> NEW.active BEGIN
    UPDATE user_blocks SET active = active + NEW.active - OLD.active WHERE block = NEW.id >> 10;
END;
-- +goose StatementEnd

CREATE TABLE tokens (
    id                   integer PRIMARY KEY AUTOINCREMENT,
    name                 text NOT NULL,
    digest               text NOT NULL,
    user_id              integer REFERENCES users ON DELETE CASCADE,
    permissions          text NOT NULL,
    can_view_masked_data boolean NOT NULL,
    allow_list           text NOT NULL,
    created_at           timestamp NOT NULL,
    expires_at           timestamp NOT NULL,
    last_used_at         timestamp NOT NULL DEFAULT -62135596800000000
);
CREATE UNIQUE INDEX tokens_digest ON tokens (digest);
CREATE INDEX tokens_by_user ON tokens (user_id);

CREATE TABLE events (
    id             integer PRIMARY KEY AUTOINCREMENT,
    type           text NOT NULL,
    happened_at    timestamp NOT NULL,
    actor_name     text NOT NULL,
    actor_token_id integer NOT NULL,
    actor_user_id  integer NOT NULL,
    source         text NOT NULL,
    request_id     text NOT NULL,
    subject_type   text NOT NULL,
    subject_id     integer NOT NULL,
    changes        text NOT NULL
);
CREATE INDEX events_by_subject ON events (subject_type, subject_id, id);

CREATE TABLE idempotency_keys (
    caller      text NOT NULL,
    key         text NOT NULL,
    fingerprint text NOT NULL,
    user_id     integer NOT NULL,
    answer      text NOT NULL,
    created_at  timestamp NOT NULL
);
CREATE UNIQUE INDEX idempotency_keys_caller_key ON idempotency_keys (caller, key);
CREATE INDEX idempotency_keys_by_creation ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_user ON idempotency_keys (user_id);
