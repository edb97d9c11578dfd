-- +goose Up

-- The one row that every change locks first. hash is that of the newest entry
-- of changes, and before the first one a hash of the lineage.
CREATE TABLE head (
    id              INTEGER          PRIMARY KEY CHECK (id = 1),
    lineage         TEXT COLLATE "C" NOT NULL,
    seq             BIGINT           NOT NULL,
    config_revision BIGINT           NOT NULL,
    hash            BYTEA            NOT NULL
);

-- The log. hash covers the entry and the hash before it.
CREATE TABLE changes (
    seq             BIGINT           NOT NULL PRIMARY KEY,
    config_revision BIGINT           NOT NULL,
    id              TEXT COLLATE "C" NOT NULL UNIQUE,
    kind            TEXT COLLATE "C" NOT NULL,
    subjects        TEXT COLLATE "C" NOT NULL, -- JSON array of texts
    hash            BYTEA            NOT NULL,
    actor           TEXT COLLATE "C" NOT NULL,
    from_addr       TEXT COLLATE "C" NOT NULL,
    why             TEXT COLLATE "C" NOT NULL,
    at              TIMESTAMPTZ      NOT NULL
);
CREATE INDEX changes_by_revision ON changes (config_revision, seq);

CREATE TABLE rule_sets (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    ord  BIGINT           NOT NULL,
    seq  BIGINT           NOT NULL
);

-- position is not unique within a set, so that rules can be moved one by one.
CREATE TABLE rules (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    set_name   TEXT COLLATE "C" NOT NULL REFERENCES rule_sets (name),
    position   BIGINT           NOT NULL,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    enabled    BOOLEAN          NOT NULL,
    body       TEXT COLLATE "C" NOT NULL, -- JSON, the whole rule
    created_at TIMESTAMPTZ      NOT NULL,
    updated_at TIMESTAMPTZ      NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL,
    seq        BIGINT           NOT NULL
);
CREATE INDEX rules_by_set ON rules (set_name, position);

CREATE TABLE upstreams (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    provider   TEXT COLLATE "C" NOT NULL,
    url        TEXT COLLATE "C" NOT NULL,
    auth       TEXT COLLATE "C" NOT NULL,
    enabled    BOOLEAN          NOT NULL,
    settings   TEXT COLLATE "C" NOT NULL, -- JSON object
    created_at TIMESTAMPTZ      NOT NULL,
    seq        BIGINT           NOT NULL
);

CREATE TABLE credentials (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    upstream_id TEXT COLLATE "C" NOT NULL REFERENCES upstreams (id),
    name        TEXT COLLATE "C" NOT NULL,
    reference   TEXT COLLATE "C" NOT NULL, -- empty where sealed holds the secret
    sealed      BYTEA,
    last4       TEXT COLLATE "C" NOT NULL,
    weight      BIGINT           NOT NULL,
    enabled     BOOLEAN          NOT NULL,
    created_at  TIMESTAMPTZ      NOT NULL,
    seq         BIGINT           NOT NULL,
    UNIQUE (upstream_id, name)
);

CREATE TABLE keys (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    tags       TEXT COLLATE "C" NOT NULL, -- JSON object
    created_at TIMESTAMPTZ      NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    seq        BIGINT           NOT NULL
);

-- hash is the SHA-256 of the key, the only form in which a key is kept.
CREATE TABLE key_secrets (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    key_id     TEXT COLLATE "C" NOT NULL REFERENCES keys (id),
    last4      TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    expires_at TIMESTAMPTZ,
    seq        BIGINT           NOT NULL
);
CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

-- Secrets of the installation itself, sealed with its secret key.
CREATE TABLE sealed (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA            NOT NULL
);
