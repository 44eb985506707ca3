-- +goose Up

-- Messages on their way out. A row is inserted in the transaction of what it
-- tells of, so that both happen or neither. A worker that takes a row puts its
-- due time off: if the worker dies, the row is due again.
CREATE TABLE outbox (
    id         integer PRIMARY KEY AUTOINCREMENT,
    lane       text NOT NULL, -- mail or webhook/ID: no lane delays another
    user_id    integer NOT NULL,           -- whom it is about, 0 for nobody; no reference, for it can outlive its user
    payload    text NOT NULL,             -- JSON; '' once it is of no more use
    state      text NOT NULL DEFAULT 'pending', -- pending, done or dead
    attempts   integer NOT NULL DEFAULT 0,
    created_at timestamp NOT NULL,
    due_at     timestamp NOT NULL,
    expires_at timestamp NOT NULL, -- when it is of no use any more; the zero time for never
    settled_at timestamp NOT NULL DEFAULT -62135596800000000,
    last_error text NOT NULL DEFAULT ''
);
CREATE INDEX outbox_pending ON outbox (lane, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_by_state ON outbox (state, id);
CREATE INDEX outbox_by_lane ON outbox (lane, id);
CREATE INDEX outbox_by_user ON outbox (user_id);
