-- +goose Up

-- Where events are posted to. The messages on their way there are those of the
-- outbox in the lane webhook/ID.
CREATE TABLE webhooks (
    id               integer PRIMARY KEY AUTOINCREMENT,
    url              text NOT NULL,
    events           text NOT NULL, -- types separated by spaces
    format           text NOT NULL,
    auth             text NOT NULL,
    active           boolean NOT NULL,
    created_at       timestamp NOT NULL,
    updated_at       timestamp NOT NULL DEFAULT -62135596800000000,
    version          integer NOT NULL DEFAULT 1,
    secret           text NOT NULL DEFAULT '', -- sealed, as the next two
    old_secret       text NOT NULL DEFAULT '', -- signs as well until a time; '' for none
    token            text NOT NULL DEFAULT '', -- '' for none
    old_secret_until timestamp NOT NULL DEFAULT -62135596800000000
);

ALTER TABLE outbox ADD COLUMN topic text NOT NULL DEFAULT ''; -- the type of the event, or the kind of mail
ALTER TABLE outbox ADD COLUMN status integer NOT NULL DEFAULT 0; -- of HTTP, that the last attempt was answered with; 0 for none
ALTER TABLE outbox ADD COLUMN attempted_at timestamp NOT NULL DEFAULT -62135596800000000; -- when the last attempt began
ALTER TABLE outbox ADD COLUMN erase boolean NOT NULL DEFAULT false; -- its user is gone: the payload goes, too, once it is settled
CREATE INDEX outbox_by_settlement ON outbox (settled_at) WHERE state <> 'pending';
