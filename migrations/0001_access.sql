-- Projects, callers, tokens, the audit chain, the event outbox and idempotency replay.

CREATE TABLE project (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL
) STRICT;
INSERT INTO project (id, name, created_ms) VALUES (1, 'default', 0);

CREATE TABLE principal (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('user', 'service')),
  password TEXT,              -- scrypt string; NULL: tokens only
  disabled INTEGER NOT NULL DEFAULT 0,
  system INTEGER NOT NULL DEFAULT 0, -- 1: administers the installation
  created_ms INTEGER NOT NULL
) STRICT;

-- Named so because GRANT is a reserved word of SQL.
CREATE TABLE role (
  principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  level TEXT NOT NULL CHECK (level IN ('reader', 'writer', 'admin')),
  PRIMARY KEY (principal_id, project_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
  hash BLOB PRIMARY KEY,        -- SHA-256 of the token's text
  id TEXT NOT NULL UNIQUE,      -- what people name it by
  principal_id INTEGER REFERENCES principal (id) ON DELETE CASCADE, -- NULL: a run token
  project_id INTEGER REFERENCES project (id) ON DELETE CASCADE,     -- run tokens only
  run_id TEXT,                  -- run tokens only
  name TEXT NOT NULL DEFAULT '',
  last4 TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,           -- NULL: never
  used_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_principal ON token (principal_id);
CREATE INDEX token_run ON token (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  project_id INTEGER NOT NULL,
  principal TEXT NOT NULL,
  remote TEXT NOT NULL,
  request_id TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  data TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
  project_id INTEGER NOT NULL,
  principal TEXT NOT NULL,
  key TEXT NOT NULL,
  route TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  status INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  body BLOB NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, principal, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_ms);
