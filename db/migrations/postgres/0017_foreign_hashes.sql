-- +goose Up

-- A hash that takes as long to compare as the user's and matches no password, or '' where every comparison takes that
-- long anyway: see identity.DecoyOf. A refused sign-in compares with each of them, so they are listed by an index. The
-- version before leaves a decoy behind where it replaces a hash; the next password of that user removes it.
ALTER TABLE users ADD COLUMN password_decoy text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX users_by_decoy ON users (password_decoy) WHERE password_decoy > '';
