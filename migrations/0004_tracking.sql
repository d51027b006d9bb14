-- Experiments, runs, params, metrics, tags, inputs, outputs and logged models.
-- Only experiments carry the project; everything else is reached through its experiment.

CREATE TABLE experiment (
  id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id),
  name TEXT NOT NULL,
  artifact_location TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  UNIQUE (project_id, name)
) STRICT;
CREATE INDEX experiment_created ON experiment (project_id, deleted, created_ms DESC, id);
INSERT INTO experiment (id, project_id, name, artifact_location, created_ms, updated_ms)
VALUES (0, 1, 'Default', 'mlflow-artifacts:/0',
        CAST(strftime('%s', 'now') AS INTEGER) * 1000,
        CAST(strftime('%s', 'now') AS INTEGER) * 1000);

CREATE TABLE experiment_tag (
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (experiment_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  status TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER,
  artifact_uri TEXT NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
  deleted_ms INTEGER
) STRICT;
-- The default order of a search, walked without sorting.
CREATE INDEX run_started ON run (experiment_id, deleted, start_ms DESC, uuid);
-- What a search needs of a run that another index led to: a third of the table's pages.
CREATE UNIQUE INDEX run_brief ON run (id, experiment_id, deleted, start_ms, uuid);

-- Names of params, metrics and tags, as small numbers. A number belongs to one experiment, so an
-- index that begins with it covers just that experiment's runs.
CREATE TABLE run_key (
  id INTEGER PRIMARY KEY,
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  name TEXT NOT NULL,
  UNIQUE (experiment_id, name)
) STRICT;

CREATE TABLE run_param (
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_id, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_param_value ON run_param (key_id, substr(value, 1, 64));

CREATE TABLE run_tag (
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_id, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_tag_value ON run_tag (key_id, substr(value, 1, 64));

-- Every point, in the order in which histories are read. NaN is value 0 with is_nan 1; infinities
-- are the largest finite doubles. Runs are never removed, so the hot tables need no foreign keys.
CREATE TABLE metric_point (
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  step INTEGER NOT NULL,
  value REAL NOT NULL,
  is_nan INTEGER NOT NULL,
  PRIMARY KEY (run_id, key_id, time_ms, step, value, is_nan)
) STRICT, WITHOUT ROWID;

-- The point with the greatest (step, time, value) of each run and key.
CREATE TABLE metric_latest (
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  value REAL NOT NULL,
  is_nan INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  step INTEGER NOT NULL,
  PRIMARY KEY (run_id, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_latest_value ON metric_latest (key_id, is_nan, value);

-- Data sets named by log-inputs: descriptions that a client gave, not bytes that we hold.
CREATE TABLE run_dataset (
  id INTEGER PRIMARY KEY,
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  source_type TEXT,
  source TEXT,
  schema TEXT,
  profile TEXT,
  UNIQUE (experiment_id, name, digest)
) STRICT;
CREATE TABLE run_input (
  run_id INTEGER NOT NULL REFERENCES run (id),
  dataset_id INTEGER NOT NULL REFERENCES run_dataset (id),
  PRIMARY KEY (run_id, dataset_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_input_dataset ON run_input (dataset_id);
CREATE TABLE run_input_tag (
  run_id INTEGER NOT NULL,
  dataset_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run_id, dataset_id, name)
) STRICT, WITHOUT ROWID;
-- Logged models that a run read (output 0) or made (output 1).
CREATE TABLE run_model (
  run_id INTEGER NOT NULL REFERENCES run (id),
  output INTEGER NOT NULL CHECK (output IN (0, 1)),
  model_uuid TEXT NOT NULL,
  step INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, output, model_uuid)
) STRICT, WITHOUT ROWID;

CREATE TABLE logged_model (
  id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  name TEXT NOT NULL,
  artifact_uri TEXT NOT NULL,
  status TEXT NOT NULL,
  model_type TEXT NOT NULL,
  source_run_uuid TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT;
CREATE INDEX logged_model_created ON logged_model (experiment_id, deleted, created_ms DESC);
CREATE INDEX logged_model_source ON logged_model (source_run_uuid);
CREATE TABLE logged_model_param (
  model_id INTEGER NOT NULL REFERENCES logged_model (id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE logged_model_tag (
  model_id INTEGER NOT NULL REFERENCES logged_model (id),
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE logged_model_metric (
  model_id INTEGER NOT NULL REFERENCES logged_model (id),
  name TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  step INTEGER NOT NULL,
  run_uuid TEXT NOT NULL,
  value REAL NOT NULL,
  is_nan INTEGER NOT NULL,
  dataset_name TEXT NOT NULL,
  dataset_digest TEXT NOT NULL,
  PRIMARY KEY (model_id, name, time_ms, step, run_uuid)
) STRICT, WITHOUT ROWID;
