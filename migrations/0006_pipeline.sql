-- Pipelines: stored definitions, runs, step instances, attempts, outputs, the cache, the state feed.

CREATE TABLE pipeline (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,     -- the newest
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_version (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  description TEXT NOT NULL,
  definition TEXT NOT NULL,
  digest TEXT NOT NULL,         -- SHA-256 of definition and files
  created_ms INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY (project_id, name, version)
) STRICT, WITHOUT ROWID;

-- Source files of a stored version ("version") or of a run ("run").
CREATE TABLE pipeline_file (
  owner TEXT NOT NULL,          -- "pipeline:<name>/<version>" with its project, or "run:<id>"
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (owner, project_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_file_blob ON pipeline_file (project_id, sha256);

CREATE TABLE pipeline_run (
  id TEXT PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  pipeline TEXT NOT NULL,
  version INTEGER,              -- of the stored pipeline, when it came from one
  definition TEXT NOT NULL,
  params TEXT NOT NULL,         -- JSON object, every parameter
  state TEXT NOT NULL,
  reason TEXT,
  use_cache INTEGER NOT NULL,
  cancel INTEGER NOT NULL DEFAULT 0,
  git_commit TEXT,
  git_branch TEXT,
  git_remote TEXT,
  git_dirty INTEGER,
  experiment_id INTEGER,
  tracking_run_id TEXT,
  created_by TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms INTEGER
) STRICT;
CREATE INDEX pipeline_run_list ON pipeline_run (project_id, created_ms, id);
CREATE INDEX pipeline_run_name ON pipeline_run (project_id, pipeline, created_ms);
CREATE INDEX pipeline_run_active ON pipeline_run (created_ms) WHERE state IN ('queued', 'running');

CREATE TABLE pipeline_step (
  id INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,    -- of the instance in its run
  step TEXT NOT NULL,           -- name in the definition
  name TEXT NOT NULL,           -- of the instance: step, or step[2]
  item_index INTEGER,           -- fan-outs only
  item TEXT,                    -- JSON
  state TEXT NOT NULL,
  reason TEXT,
  attempt INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  not_before_ms INTEGER NOT NULL DEFAULT 0,
  cache_key TEXT,
  origin_attempt INTEGER,       -- whose outputs count: its own, or a cached one
  cached_from TEXT,             -- "<run>/<instance>"
  tracking_run_id TEXT,
  result TEXT,                  -- JSON of select, gate and actions
  started_ms INTEGER,
  ended_ms INTEGER,
  UNIQUE (run_id, name),
  UNIQUE (run_id, position)
) STRICT;
CREATE INDEX pipeline_step_step ON pipeline_step (run_id, step, position);
CREATE INDEX pipeline_step_flight ON pipeline_step (cache_key) WHERE state IN ('launching', 'running');
CREATE INDEX pipeline_step_active ON pipeline_step (run_id) WHERE state IN ('launching', 'running');

CREATE TABLE pipeline_attempt (
  id INTEGER PRIMARY KEY,
  step_id INTEGER NOT NULL REFERENCES pipeline_step (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  token TEXT NOT NULL,          -- guards every later write about this attempt
  state TEXT NOT NULL CHECK (state IN ('launching', 'running', 'unstarted', 'succeeded', 'failed', 'cancelled', 'lost')),
  folder TEXT UNIQUE,           -- below the data directory; NULL for built-in kinds
  tracking_run_id TEXT,
  reason TEXT,
  exit_code INTEGER,
  signal INTEGER,
  timed_out INTEGER NOT NULL DEFAULT 0,
  cpu_ms INTEGER,
  peak_rss_bytes INTEGER,
  log_bytes INTEGER,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  UNIQUE (step_id, number)
) STRICT;
CREATE INDEX pipeline_attempt_active ON pipeline_attempt (state) WHERE state IN ('launching', 'running');

CREATE TABLE pipeline_output (
  attempt_id INTEGER NOT NULL REFERENCES pipeline_attempt (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  folder INTEGER NOT NULL,      -- 1: sha256 is that of a manifest [{path, sha256, size}]
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,        -- of all files
  data TEXT,                    -- metrics and values: the document
  PRIMARY KEY (attempt_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline_cache (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  attempt_id INTEGER NOT NULL REFERENCES pipeline_attempt (id) ON DELETE CASCADE,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, key)
) STRICT, WITHOUT ROWID;

-- Which run registered which version, and what its gates had measured then.
CREATE TABLE pipeline_registration (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  source TEXT NOT NULL,
  evaluation INTEGER,           -- attempt whose metrics the gate judged
  metrics TEXT NOT NULL,        -- JSON object of name to number
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, model, version, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_registration_source ON pipeline_registration (project_id, model, source);

CREATE TABLE pipeline_event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL REFERENCES pipeline_run (id) ON DELETE CASCADE,
  time_ms INTEGER NOT NULL,
  step TEXT,                    -- instance; NULL: the run itself
  attempt INTEGER,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  reason TEXT
) STRICT;
CREATE INDEX pipeline_event_run ON pipeline_event (run_id, seq);
