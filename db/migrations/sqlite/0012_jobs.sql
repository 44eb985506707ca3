-- +goose Up

-- The same as in ../postgres; the reasons stand there.

CREATE TABLE jobs (
    id          integer PRIMARY KEY AUTOINCREMENT,
    user_id     integer REFERENCES users ON DELETE CASCADE,
    token_id    integer REFERENCES tokens ON DELETE CASCADE,
    session_id  integer NOT NULL DEFAULT 0,
    source      text NOT NULL DEFAULT '',
    request_id  text NOT NULL DEFAULT '',
    action      text NOT NULL,
    group_id    integer NOT NULL DEFAULT 0,
    filter      text NOT NULL DEFAULT '', -- JSON; '' for a list of ids, and once the job has ended
    state       text NOT NULL,
    code        text NOT NULL DEFAULT '', -- why it was stopped
    message     text NOT NULL DEFAULT '',
    total       integer NOT NULL DEFAULT 0,
    done        integer NOT NULL DEFAULT 0,
    unchanged   integer NOT NULL DEFAULT 0,
    skipped     integer NOT NULL DEFAULT 0,
    failed      integer NOT NULL DEFAULT 0,
    created_at  timestamp NOT NULL,
    started_at  timestamp NOT NULL DEFAULT -62135596800000000,
    finished_at timestamp NOT NULL DEFAULT -62135596800000000,
    lease_until timestamp NOT NULL DEFAULT -62135596800000000 -- a worker has it until then
);
CREATE INDEX jobs_by_user ON jobs (user_id);
CREATE INDEX jobs_by_token ON jobs (token_id);
CREATE INDEX jobs_by_lease ON jobs (lease_until, id) WHERE state = 'running';

CREATE TABLE job_items (
    job_id  integer NOT NULL REFERENCES jobs ON DELETE CASCADE,
    user_id integer NOT NULL,
    state   text NOT NULL DEFAULT 'pending',
    code    text NOT NULL DEFAULT '',
    message text NOT NULL DEFAULT '',
    PRIMARY KEY (job_id, state, user_id)
) WITHOUT ROWID;
