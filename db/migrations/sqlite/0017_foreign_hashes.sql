-- +goose Up

ALTER TABLE users ADD COLUMN password_decoy text NOT NULL DEFAULT '';
CREATE INDEX users_by_decoy ON users (password_decoy) WHERE password_decoy > '';
