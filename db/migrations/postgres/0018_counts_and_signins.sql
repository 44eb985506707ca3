-- +goose Up

-- Writers wait until this migration ends; readers do not. What it replaces goes with the next one, which takes the
-- lock that stops readers, but only for a moment.
LOCK TABLE users, memberships IN SHARE ROW EXCLUSIVE MODE;

-- How many users there are per block of 1024 ids, of all users and per group, for each combination of active and tfa.
-- The database keeps it in the transaction of each change. Totals and offsets add up blocks instead of counting rows.
--
-- A block has any number of rows, and only their sums count: a transaction adds to a row that no other transaction
-- holds, or inserts one. So no transaction waits for another one here, and none of them can deadlock. A single row may
-- be negative.
CREATE TABLE user_counts (
    group_id   bigint NOT NULL, -- 0 for all users
    block      bigint NOT NULL, -- users.id / 1024
    users      bigint NOT NULL,
    active     bigint NOT NULL,
    tfa        bigint NOT NULL,
    active_tfa bigint NOT NULL  -- both
) WITH (fillfactor = 50);

INSERT INTO user_counts
SELECT 0, id >> 10, count(*), count(*) FILTER (WHERE active), count(*) FILTER (WHERE tfa),
    count(*) FILTER (WHERE active AND tfa)
FROM users GROUP BY 2 ORDER BY 2;
INSERT INTO user_counts
SELECT group_id, id >> 10, count(*), count(*) FILTER (WHERE active), count(*) FILTER (WHERE tfa),
    count(*) FILTER (WHERE active AND tfa)
FROM memberships JOIN users ON id = user_id GROUP BY 1, 2 ORDER BY 1, 2;
CREATE INDEX user_counts_by_block ON user_counts (group_id, block);

-- When users have signed in last, which changes more often than all else of a user. active and tfa are copies, so that
-- a list in this order is read from the index alone. A trigger inserts and deletes the rows: a foreign key would look
-- for the user once per row.
CREATE TABLE signins (
    id             bigint PRIMARY KEY, -- of the user
    last_signin_at timestamptz NOT NULL,
    active         boolean NOT NULL,
    tfa            boolean NOT NULL
);
INSERT INTO signins SELECT id, last_signin_at, active, tfa FROM users ORDER BY id;
CREATE INDEX signins_by_time ON signins (last_signin_at, id) INCLUDE (active, tfa);

-- +goose StatementBegin
CREATE FUNCTION add_to_user_counts(
    of_group bigint, of_block bigint, more_users bigint, more_active bigint, more_tfa bigint, more_active_tfa bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    free tid;
BEGIN
    SELECT ctid INTO free FROM user_counts WHERE group_id = of_group AND block = of_block
    LIMIT 1 FOR UPDATE SKIP LOCKED;
    UPDATE user_counts SET users = users + more_users, active = active + more_active, tfa = tfa + more_tfa,
        active_tfa = active_tfa + more_active_tfa
    WHERE ctid = free;
    IF NOT FOUND THEN
        INSERT INTO user_counts VALUES (of_group, of_block, more_users, more_active, more_tfa, more_active_tfa);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION user_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO signins SELECT id, last_signin_at, active, tfa FROM changed;
    PERFORM add_to_user_counts(0, block, n, active, tfa, active_tfa)
    FROM (SELECT id >> 10 AS block, count(*) AS n, count(*) FILTER (WHERE active) AS active,
              count(*) FILTER (WHERE tfa) AS tfa, count(*) FILTER (WHERE active AND tfa) AS active_tfa
          FROM changed GROUP BY 1) AS added;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_added AFTER INSERT ON users
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION user_added();

-- +goose StatementBegin
CREATE FUNCTION user_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM signins WHERE id IN (SELECT id FROM changed);
    PERFORM add_to_user_counts(0, block, -n, -active, -tfa, -active_tfa)
    FROM (SELECT id >> 10 AS block, count(*) AS n, count(*) FILTER (WHERE active) AS active,
              count(*) FILTER (WHERE tfa) AS tfa, count(*) FILTER (WHERE active AND tfa) AS active_tfa
          FROM changed GROUP BY 1) AS removed;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_removed AFTER DELETE ON users
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION user_removed();

-- +goose StatementBegin
CREATE FUNCTION user_rated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE signins SET active = NEW.active, tfa = NEW.tfa WHERE id = NEW.id;
    PERFORM add_to_user_counts(counted, NEW.id >> 10, 0, NEW.active::int - OLD.active::int, NEW.tfa::int - OLD.tfa::int,
        (NEW.active AND NEW.tfa)::int - (OLD.active AND OLD.tfa)::int)
    FROM (SELECT 0 AS counted UNION ALL SELECT group_id FROM memberships WHERE user_id = NEW.id) AS them;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_rated AFTER UPDATE OF active, tfa ON users
    FOR EACH ROW WHEN (OLD.active <> NEW.active OR OLD.tfa <> NEW.tfa) EXECUTE FUNCTION user_rated();

-- Memberships go before their user: what is counted for them stands in the user's row.
-- +goose StatementBegin
CREATE FUNCTION user_leaves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM memberships WHERE user_id = OLD.id;
    RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_leaves BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION user_leaves();

-- The lock is that of a writer of active and tfa, who counts the memberships that are committed: each sees what the
-- other one has done.
-- +goose StatementBegin
CREATE FUNCTION members_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign int := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM FROM users WHERE id IN (SELECT user_id FROM changed) ORDER BY id FOR SHARE;
    PERFORM add_to_user_counts(group_id, block, sign * n, sign * active, sign * tfa, sign * active_tfa)
    FROM (SELECT group_id, id >> 10 AS block, count(*) AS n, count(*) FILTER (WHERE active) AS active,
              count(*) FILTER (WHERE tfa) AS tfa, count(*) FILTER (WHERE active AND tfa) AS active_tfa
          FROM changed JOIN users ON id = user_id GROUP BY 1, 2) AS members;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER members_added AFTER INSERT ON memberships
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION members_changed();
CREATE TRIGGER members_removed AFTER DELETE ON memberships
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION members_changed();

-- +goose StatementBegin
CREATE FUNCTION group_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM user_counts WHERE group_id = OLD.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER group_removed AFTER DELETE ON groups FOR EACH ROW EXECUTE FUNCTION group_removed();

-- The version before stamps a sign-in in users. It does not see the stamps of this version.
-- +goose StatementBegin
CREATE FUNCTION user_signed_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE signins SET last_signin_at = NEW.last_signin_at WHERE id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_signed_in AFTER UPDATE OF last_signin_at ON users FOR EACH ROW EXECUTE FUNCTION user_signed_in();
