-- +goose Up

-- The one row that every change locks first. hash is that of the newest entry
-- of changes, and before the first one a hash of the lineage.
CREATE TABLE head (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    lineage         TEXT    NOT NULL,
    seq             BIGINT  NOT NULL,
    config_revision BIGINT  NOT NULL,
    hash            BLOB    NOT NULL
);

-- The log. hash covers the entry and the hash before it.
CREATE TABLE changes (
    seq             BIGINT    NOT NULL PRIMARY KEY,
    config_revision BIGINT    NOT NULL,
    id              TEXT      NOT NULL UNIQUE,
    kind            TEXT      NOT NULL,
    subjects        TEXT      NOT NULL, -- JSON array of texts
    hash            BLOB      NOT NULL,
    actor           TEXT      NOT NULL,
    from_addr       TEXT      NOT NULL,
    why             TEXT      NOT NULL,
    at              TIMESTAMP NOT NULL
);
CREATE INDEX changes_by_revision ON changes (config_revision, seq);

CREATE TABLE rule_sets (
    name TEXT   NOT NULL PRIMARY KEY,
    ord  BIGINT NOT NULL,
    seq  BIGINT NOT NULL
);

-- position is not unique within a set, so that rules can be moved one by one.
CREATE TABLE rules (
    id         TEXT      NOT NULL PRIMARY KEY,
    set_name   TEXT      NOT NULL REFERENCES rule_sets (name),
    position   BIGINT    NOT NULL,
    name       TEXT      NOT NULL UNIQUE,
    enabled    BOOLEAN   NOT NULL,
    body       TEXT      NOT NULL, -- JSON, the whole rule
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    updated_by TEXT      NOT NULL,
    seq        BIGINT    NOT NULL
);
CREATE INDEX rules_by_set ON rules (set_name, position);

CREATE TABLE upstreams (
    id         TEXT      NOT NULL PRIMARY KEY,
    name       TEXT      NOT NULL UNIQUE,
    provider   TEXT      NOT NULL,
    url        TEXT      NOT NULL,
    auth       TEXT      NOT NULL,
    enabled    BOOLEAN   NOT NULL,
    settings   TEXT      NOT NULL, -- JSON object
    created_at TIMESTAMP NOT NULL,
    seq        BIGINT    NOT NULL
);

CREATE TABLE credentials (
    id          TEXT      NOT NULL PRIMARY KEY,
    upstream_id TEXT      NOT NULL REFERENCES upstreams (id),
    name        TEXT      NOT NULL,
    reference   TEXT      NOT NULL, -- empty where sealed holds the secret
    sealed      BLOB,
    last4       TEXT      NOT NULL,
    weight      BIGINT    NOT NULL,
    enabled     BOOLEAN   NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    seq         BIGINT    NOT NULL,
    UNIQUE (upstream_id, name)
);

CREATE TABLE keys (
    id         TEXT      NOT NULL PRIMARY KEY,
    name       TEXT      NOT NULL UNIQUE,
    tags       TEXT      NOT NULL, -- JSON object
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    revoked_at TIMESTAMP,
    seq        BIGINT    NOT NULL
);

-- hash is the SHA-256 of the key, the only form in which a key is kept.
CREATE TABLE key_secrets (
    hash       BLOB      NOT NULL PRIMARY KEY,
    key_id     TEXT      NOT NULL REFERENCES keys (id),
    last4      TEXT      NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    seq        BIGINT    NOT NULL
);
CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

-- Secrets of the installation itself, sealed with its secret key.
CREATE TABLE sealed (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
);
