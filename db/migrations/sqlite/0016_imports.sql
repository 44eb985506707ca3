-- +goose Up

-- The same as in ../postgres; the reasons stand there.

ALTER TABLE jobs ADD COLUMN creates integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN updates integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN applied integer NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN import_key text NOT NULL DEFAULT ''
    CHECK (action <> 'import' OR state <> 'finished' OR total = done + unchanged + skipped + failed);

CREATE TABLE import_rows (
    job_id  integer NOT NULL,
    number  integer NOT NULL, -- from 1
    state   text NOT NULL,
    outcome text NOT NULL,
    user_id integer NOT NULL, -- 0 for nobody who is there
    email   text NOT NULL,    -- the key of the address; '' for none
    code    text NOT NULL,
    field   text NOT NULL,
    message text NOT NULL,
    version integer NOT NULL, -- of the user, when the row was planned
    data    text NOT NULL,    -- sealed; '' once the row is settled
    PRIMARY KEY (job_id, state, number)
) WITHOUT ROWID;
CREATE INDEX import_rows_by_email ON import_rows (job_id, email) WHERE email <> '';
CREATE INDEX import_rows_by_user ON import_rows (user_id, job_id) WHERE user_id <> 0;
