-- +goose Up

-- The same as in ../postgres; the reasons stand there. A unique index has no copies here: the order by address alone
-- looks into the table for status and second factor.
DROP INDEX users_by_name;
DROP INDEX users_by_creation;
CREATE INDEX users_by_name ON users (name_folded, id, active, tfa);
CREATE INDEX users_by_creation ON users (created_at, id, active, tfa);
