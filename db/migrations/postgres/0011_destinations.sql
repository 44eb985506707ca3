-- +goose Up

-- Where a message goes, in two columns. The version before still runs during an
-- upgrade, and writes and claims by lane alone: so lane stays what is written, and
-- the database makes the columns from it.
ALTER TABLE outbox
    ADD COLUMN channel text COLLATE "C" NOT NULL GENERATED ALWAYS AS (split_part(lane, '/', 1)) STORED, -- mail or webhook
    ADD COLUMN webhook_id bigint NOT NULL
        GENERATED ALWAYS AS (CAST('0' || split_part(lane, '/', 2) AS bigint)) STORED; -- 0 for mail
CREATE INDEX outbox_due ON outbox (channel, webhook_id, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_by_destination ON outbox (channel, webhook_id, id);
