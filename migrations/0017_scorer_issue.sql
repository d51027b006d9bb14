-- Scorers that are registered with an experiment, in versions, and issues that were found in its
-- traces. Both go with their experiment.

CREATE TABLE scorer (
  id INTEGER PRIMARY KEY,
  scorer_id TEXT NOT NULL UNIQUE,       -- UUID with dashes
  experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  UNIQUE (experiment_id, name)
) STRICT;

CREATE TABLE scorer_version (
  id INTEGER PRIMARY KEY,
  scorer INTEGER NOT NULL REFERENCES scorer (id) ON DELETE CASCADE,
  version INTEGER NOT NULL,             -- 1, 2, ...; a scorer may be left without any
  content TEXT NOT NULL,                -- JSON object, as the client sent it
  created_ms INTEGER NOT NULL,
  UNIQUE (scorer, version)
) STRICT;

-- How many traces an issue has is counted from assessments of kind 'issue' that are named by its id.
CREATE TABLE issue (
  id INTEGER PRIMARY KEY,
  issue_id TEXT NOT NULL UNIQUE,        -- "iss-" and 32 hex digits
  experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'rejected', 'resolved')),
  severity TEXT CHECK (severity IN ('not_an_issue', 'low', 'medium', 'high')),
  root_causes TEXT,                     -- JSON list of texts; NULL: none
  categories TEXT,                      -- the same
  source_run TEXT REFERENCES run (uuid) ON DELETE SET NULL,
  created_by TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX issue_newest ON issue (experiment_id, created_ms DESC, issue_id DESC);
CREATE INDEX issue_source ON issue (source_run);
