-- +goose Up

-- The same as in ../postgres; the reasons stand there. Writers take turns here, so a block has one row.

CREATE TABLE user_counts (
    group_id   integer NOT NULL,
    block      integer NOT NULL,
    users      integer NOT NULL,
    active     integer NOT NULL,
    tfa        integer NOT NULL,
    active_tfa integer NOT NULL,
    PRIMARY KEY (group_id, block)
) WITHOUT ROWID;

INSERT INTO user_counts
SELECT 0, id >> 10, count(*), sum(active), sum(tfa), sum(active AND tfa) FROM users GROUP BY 2;
INSERT INTO user_counts
SELECT group_id, id >> 10, count(*), sum(active), sum(tfa), sum(active AND tfa)
FROM memberships JOIN users ON id = user_id GROUP BY 1, 2;

CREATE TABLE signins (
    id             integer PRIMARY KEY,
    last_signin_at timestamp NOT NULL,
    active         boolean NOT NULL,
    tfa            boolean NOT NULL
);
INSERT INTO signins SELECT id, last_signin_at, active, tfa FROM users ORDER BY id;
CREATE INDEX signins_by_time ON signins (last_signin_at, id, active, tfa);

-- +goose StatementBegin
CREATE TRIGGER user_added AFTER INSERT ON users BEGIN
    INSERT INTO signins VALUES (NEW.id, NEW.last_signin_at, NEW.active, NEW.tfa);
    INSERT INTO user_counts VALUES (0, NEW.id >> 10, 1, NEW.active, NEW.tfa, NEW.active AND NEW.tfa)
    ON CONFLICT DO UPDATE SET users = users + 1, active = active + excluded.active, tfa = tfa + excluded.tfa,
        active_tfa = active_tfa + excluded.active_tfa;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER user_removed AFTER DELETE ON users BEGIN
    DELETE FROM signins WHERE id = OLD.id;
    UPDATE user_counts SET users = users - 1, active = active - OLD.active, tfa = tfa - OLD.tfa,
        active_tfa = active_tfa - (OLD.active AND OLD.tfa)
    WHERE group_id = 0 AND block = OLD.id >> 10;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER user_rated AFTER UPDATE OF active, tfa ON users WHEN OLD.active <> NEW.active OR OLD.tfa <> NEW.tfa BEGIN
    UPDATE signins SET active = NEW.active, tfa = NEW.tfa WHERE id = NEW.id;
    UPDATE user_counts SET active = active + NEW.active - OLD.active, tfa = tfa + NEW.tfa - OLD.tfa,
        active_tfa = active_tfa + (NEW.active AND NEW.tfa) - (OLD.active AND OLD.tfa)
    WHERE group_id IN (SELECT 0 UNION ALL SELECT group_id FROM memberships WHERE user_id = NEW.id)
        AND block = NEW.id >> 10;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER user_leaves BEFORE DELETE ON users BEGIN
    DELETE FROM memberships WHERE user_id = OLD.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER member_added AFTER INSERT ON memberships BEGIN
    INSERT INTO user_counts
    SELECT NEW.group_id, id >> 10, 1, active, tfa, active AND tfa FROM users WHERE id = NEW.user_id
    ON CONFLICT DO UPDATE SET users = users + 1, active = active + excluded.active, tfa = tfa + excluded.tfa,
        active_tfa = active_tfa + excluded.active_tfa;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER member_removed AFTER DELETE ON memberships BEGIN
    UPDATE user_counts SET users = user_counts.users - 1, active = user_counts.active - member.active,
        tfa = user_counts.tfa - member.tfa, active_tfa = active_tfa - (member.active AND member.tfa)
    FROM (SELECT active, tfa FROM users WHERE id = OLD.user_id) AS member
    WHERE group_id = OLD.group_id AND block = OLD.user_id >> 10;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER group_removed AFTER DELETE ON groups BEGIN
    DELETE FROM user_counts WHERE group_id = OLD.id;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER user_signed_in AFTER UPDATE OF last_signin_at ON users BEGIN
    UPDATE signins SET last_signin_at = NEW.last_signin_at WHERE id = NEW.id;
END;
-- +goose StatementEnd
