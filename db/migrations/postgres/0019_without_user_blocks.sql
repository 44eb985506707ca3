-- +goose Up

-- See the migration before. The version before reads user_blocks.
DROP TRIGGER users_added ON users;
DROP TRIGGER users_removed ON users;
DROP TRIGGER users_activated ON users;
DROP FUNCTION count_added_users;
DROP FUNCTION count_removed_users;
DROP FUNCTION count_activated_user;
DROP TABLE user_blocks;
CREATE VIEW user_blocks AS
SELECT block, sum(users)::bigint AS users, sum(active)::bigint AS active FROM user_counts WHERE group_id = 0 GROUP BY block;

-- users.last_signin_at is what the version before writes; signins has all of them.
DROP INDEX users_by_last_signin;
DROP INDEX users_by_active_signin;

-- Room for a new version of a row beside the old one, without which each change of any column writes to each index.
-- Pages that are full already get room from their first change.
ALTER TABLE users SET (fillfactor = 90);
ALTER TABLE tokens SET (fillfactor = 90);
ALTER TABLE sessions SET (fillfactor = 90);
