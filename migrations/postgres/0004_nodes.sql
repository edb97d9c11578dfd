-- +goose Up

-- One row for each gateway that runs on this store. A node writes its own row
-- and takes it away when it stops. The clocks of nodes differ, so that nobody
-- compares their times: what tells that a node lives is that its beat moves.
CREATE TABLE nodes (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- made at each start
    name          TEXT COLLATE "C" NOT NULL,
    version       TEXT COLLATE "C" NOT NULL,
    language      BIGINT           NOT NULL, -- the newest of rules that it knows
    bus           TEXT COLLATE "C" NOT NULL, -- how it hears of changes
    lineage       TEXT COLLATE "C" NOT NULL, -- of the log that it follows
    applied       BIGINT           NOT NULL, -- the change up to which all is in force there
    log_hash      BYTEA,                    -- of the log up to applied; NULL: nothing is in force yet
    revision      BIGINT           NOT NULL, -- of the configuration in force there
    max_staleness BIGINT           NOT NULL, -- milliseconds after which it refuses requests; 0: it never does
    problem       TEXT COLLATE "C" NOT NULL, -- why it is degraded; empty: it is not
    beat          BIGINT           NOT NULL, -- how often it has written this row
    started_at    TIMESTAMPTZ      NOT NULL, -- by its own clock
    seen_at       TIMESTAMPTZ      NOT NULL  -- by its own clock
);
