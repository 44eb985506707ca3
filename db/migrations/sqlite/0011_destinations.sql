-- +goose Up

-- The reasons stand in ../postgres.
ALTER TABLE outbox ADD COLUMN channel text NOT NULL -- mail or webhook
    GENERATED ALWAYS AS (substr(lane, 1, instr(lane || '/', '/') - 1)) VIRTUAL;
ALTER TABLE outbox ADD COLUMN webhook_id integer NOT NULL -- 0 for mail
    GENERATED ALWAYS AS (CAST(substr(lane, instr(lane || '/', '/') + 1) AS integer)) VIRTUAL;
CREATE INDEX outbox_due ON outbox (channel, webhook_id, due_at, id) WHERE state = 'pending';
CREATE INDEX outbox_by_destination ON outbox (channel, webhook_id, id);
