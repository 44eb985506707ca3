-- +goose Up

-- Of an import: how many of its rows create and change users, up to which row all are settled, and what the data of its
-- rows is sealed with. The key goes with the end of the job, so that the data of up to a million rows goes at once.
ALTER TABLE jobs ADD COLUMN creates bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN updates bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN applied bigint NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN import_key text COLLATE "C" NOT NULL DEFAULT '';
-- The version before takes an import for a job without users, and would finish it.
ALTER TABLE jobs ADD CONSTRAINT jobs_import_is_done
    CHECK (action <> 'import' OR state <> 'finished' OR total = done + unchanged + skipped + failed);

-- The rows of imports: see identity.ImportRow. No trigger deletes them with the job: that would be up to a million rows
-- in one statement. They are deleted in parts when others have their turns in between.
CREATE TABLE import_rows (
    job_id  bigint NOT NULL,
    number  bigint NOT NULL, -- from 1
    state   text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    user_id bigint NOT NULL,           -- 0 for nobody who is there
    email   text COLLATE "C" NOT NULL, -- the key of the address; '' for none
    code    text COLLATE "C" NOT NULL,
    field   text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL,
    version bigint NOT NULL,           -- of the user, when the row was planned
    data    text COLLATE "C" NOT NULL, -- sealed; '' once the row is settled
    PRIMARY KEY (job_id, state, number)
);
CREATE INDEX import_rows_by_email ON import_rows (job_id, email) WHERE email <> '';
CREATE INDEX import_rows_by_user ON import_rows (user_id, job_id) WHERE user_id <> 0;

-- To put each trigram of each new user into the index at once takes three times as long as all the rest. A list of 64 KB
-- at most, about fifty users, is sorted in together; a search walks that list as well.
ALTER INDEX users_search SET (fastupdate = on, gin_pending_list_limit = 64);
