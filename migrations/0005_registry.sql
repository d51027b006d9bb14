-- Registered models and their versions. Versions, tags and aliases hang on the model's number, so a
-- rename touches one row.

CREATE TABLE registered_model (
  id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  last_version INTEGER NOT NULL DEFAULT 0, -- largest number ever given; never handed out again
  UNIQUE (project_id, name)
) STRICT;

CREATE TABLE registered_model_tag (
  model INTEGER NOT NULL REFERENCES registered_model (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE model_version (
  model INTEGER NOT NULL REFERENCES registered_model (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,         -- as the client gave it
  storage TEXT,                 -- where the bytes are, when the source only points on
  run_id TEXT NOT NULL DEFAULT '',
  run_link TEXT NOT NULL DEFAULT '',
  logged_model TEXT NOT NULL DEFAULT '',
  description TEXT NOT NULL DEFAULT '',
  stage TEXT NOT NULL DEFAULT 'None'
    CHECK (stage IN ('None', 'Staging', 'Production', 'Archived')),
  status TEXT NOT NULL DEFAULT 'READY'
    CHECK (status IN ('PENDING_REGISTRATION', 'FAILED_REGISTRATION', 'READY')),
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_version_stage ON model_version (model, stage, version);
CREATE INDEX model_version_run ON model_version (run_id) WHERE run_id <> '';

CREATE TABLE model_version_tag (
  model INTEGER NOT NULL,
  version INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, version, key),
  FOREIGN KEY (model, version) REFERENCES model_version (model, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE model_alias (
  model INTEGER NOT NULL,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (model, alias),
  FOREIGN KEY (model, version) REFERENCES model_version (model, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX model_alias_version ON model_alias (model, version);
