-- +goose Up

-- The rules as they were, each text once: most revisions that change an
-- upstream have the rules of the one before, and so has a rollback.
CREATE TABLE rule_texts (
    hash BYTEA            NOT NULL PRIMARY KEY, -- SHA-256 of body
    body TEXT COLLATE "C" NOT NULL              -- JSON array of {set, order, rules}
);

-- One row for each config revision. The texts of old revisions go, the rows
-- stay: they are as small as those of changes.
CREATE TABLE history (
    config_revision BIGINT           NOT NULL PRIMARY KEY,
    seq             BIGINT           NOT NULL, -- of the change that made it
    at              TIMESTAMPTZ      NOT NULL,
    actor           TEXT COLLATE "C" NOT NULL,
    from_addr       TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    message         TEXT COLLATE "C" NOT NULL,
    edits           TEXT COLLATE "C" NOT NULL, -- JSON array: what it changed of the rules
    rules_hash      BYTEA            REFERENCES rule_texts (hash) -- NULL once the text has gone
);
CREATE INDEX history_by_rules ON history (rules_hash);
