-- +goose Up

-- See the migration before. These locks stop readers, but only for a moment.
DROP INDEX users_by_name;
DROP INDEX users_by_creation;
DROP INDEX users_email_folded;
ALTER INDEX users_in_order_of_name RENAME TO users_by_name;
ALTER INDEX users_in_order_of_creation RENAME TO users_by_creation;
ALTER INDEX users_in_order_of_email RENAME TO users_email_folded; -- the name by which the store knows a taken address

-- users_by_active_tfa begins with the same column.
DROP INDEX users_by_active;
