-- +goose Up

-- The same as in ../postgres.
DROP INDEX users_by_active;
