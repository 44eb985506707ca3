-- +goose Up

ALTER TABLE password_resets ADD COLUMN invitation boolean NOT NULL DEFAULT false;
