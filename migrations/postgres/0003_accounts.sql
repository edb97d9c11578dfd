-- +goose Up

CREATE TABLE users (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT COLLATE "C" NOT NULL UNIQUE,
    email      TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    tags       TEXT COLLATE "C" NOT NULL, -- JSON object
    disabled   BOOLEAN          NOT NULL,
    password   TEXT COLLATE "C" NOT NULL, -- argon2id in PHC form, or empty
    created_at TIMESTAMPTZ      NOT NULL,
    seq        BIGINT           NOT NULL
);

-- A login is no change of the log.
CREATE TABLE user_logins (
    user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    at      TIMESTAMPTZ      NOT NULL
);

ALTER TABLE keys ADD COLUMN user_id TEXT COLLATE "C" REFERENCES users (id);
ALTER TABLE keys ADD COLUMN models TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON array of globs
ALTER TABLE keys ADD COLUMN limits TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON array of objects
ALTER TABLE keys ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE keys ADD COLUMN keep_streams BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX keys_by_user ON keys (user_id);

-- Neither is the use of a key.
CREATE TABLE key_uses (
    key_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    at     TIMESTAMPTZ      NOT NULL -- to the minute
);

-- Exactly one of key_id, user_id and tag says whose binding it is.
CREATE TABLE bindings (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    key_id        TEXT COLLATE "C" REFERENCES keys (id),
    user_id       TEXT COLLATE "C" REFERENCES users (id),
    tag           TEXT COLLATE "C" NOT NULL,
    tag_value     TEXT COLLATE "C" NOT NULL,
    upstream_id   TEXT COLLATE "C" NOT NULL REFERENCES upstreams (id),
    credential_id TEXT COLLATE "C" NOT NULL, -- empty: any of the upstream's
    ord           BIGINT           NOT NULL,
    weight        BIGINT           NOT NULL,
    models        TEXT COLLATE "C" NOT NULL, -- JSON array of globs
    created_at    TIMESTAMPTZ      NOT NULL,
    seq           BIGINT           NOT NULL
);
CREATE INDEX bindings_by_key ON bindings (key_id);
CREATE INDEX bindings_by_user ON bindings (user_id);
CREATE INDEX bindings_by_upstream ON bindings (upstream_id);

-- Logins to the admin API and personal access tokens. hash is the SHA-256 of the
-- refresh token, or of the personal access token. They are no changes.
CREATE TABLE sessions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT COLLATE "C" NOT NULL, -- empty: a login
    hash       BYTEA            NOT NULL UNIQUE,
    last4      TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    created_at TIMESTAMPTZ      NOT NULL,
    used_at    TIMESTAMPTZ,
    expires_at TIMESTAMPTZ,
    from_addr  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- Refresh tokens that were used. One that comes again was stolen, and ends its
-- session.
CREATE TABLE spent_refreshes (
    hash       BYTEA            NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at TIMESTAMPTZ      NOT NULL -- when it would have ended unused
);
CREATE INDEX spent_refreshes_by_session ON spent_refreshes (session_id, expires_at);

-- What each change did to each object. before and after are JSON objects, in
-- which a secret stands as a fingerprint; NULL where there was none.
CREATE TABLE audit (
    seq           BIGINT           NOT NULL REFERENCES changes (seq),
    n             BIGINT           NOT NULL, -- within the change, from 1
    subject       TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    before_change TEXT COLLATE "C",
    after_change  TEXT COLLATE "C",
    PRIMARY KEY (seq, n)
);
CREATE INDEX audit_by_subject ON audit (subject, seq);
CREATE INDEX audit_by_name ON audit (name, seq);

-- What was written down stays as it was.

-- +goose StatementBegin
CREATE FUNCTION refuse_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_append_only();
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_append_only();
CREATE TRIGGER changes_is_not_updated BEFORE UPDATE ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_append_only();
CREATE TRIGGER changes_is_not_deleted BEFORE DELETE OR TRUNCATE ON changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_append_only();
