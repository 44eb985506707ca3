-- +goose Up

-- The same as in ../postgres; the reasons stand there.
DROP TRIGGER users_added;
DROP TRIGGER users_removed;
DROP TRIGGER users_activated;
DROP TABLE user_blocks;
CREATE VIEW user_blocks AS
SELECT block, users, active FROM user_counts WHERE group_id = 0;

DROP INDEX users_by_last_signin;
DROP INDEX users_by_active_signin;
