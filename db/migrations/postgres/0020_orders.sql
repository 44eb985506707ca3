-- +goose Up

-- The index of each order of users has copies of active and tfa, as signins_by_time has: a list in this order skips the
-- users before a page in the index alone. The next migration takes these for the indexes that have no copies.
CREATE INDEX users_in_order_of_name ON users (name_folded, id) INCLUDE (active, tfa);
CREATE INDEX users_in_order_of_creation ON users (created_at, id) INCLUDE (active, tfa);
CREATE UNIQUE INDEX users_in_order_of_email ON users (email_folded) INCLUDE (id, active, tfa);

-- An index alone tells only of pages that VACUUM has marked as visible to all. By default it waits until a fifth of the
-- rows have changed.
ALTER TABLE users SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE signins SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE memberships SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
