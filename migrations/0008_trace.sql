-- Traces, spans and assessments. A trace is reached through its experiment, all else through its
-- trace. What lists and searches read stands apart from the spans' texts, which can be large.

CREATE TABLE trace (
  id INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL UNIQUE,        -- "tr-" and 32 hex digits; what clients of line 2 got: hex
  experiment_id INTEGER NOT NULL REFERENCES experiment (id),
  timestamp_ms INTEGER NOT NULL,
  execution_ms INTEGER,                 -- NULL: not ended
  state TEXT NOT NULL,
  name TEXT,                            -- tag mlflow.traceName, kept in step
  client_request_id TEXT,
  request_preview TEXT,
  response_preview TEXT,
  told INTEGER NOT NULL DEFAULT 0,      -- a client described it; spans fill gaps only
  spans INTEGER NOT NULL DEFAULT 0      -- number of rows in span
) STRICT;
CREATE INDEX trace_started ON trace (experiment_id, timestamp_ms DESC, trace_id);

CREATE TABLE trace_tag (
  trace INTEGER NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (trace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_tag_value ON trace_tag (key, substr(value, 1, 64));

CREATE TABLE trace_metadata (
  trace INTEGER NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (trace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_metadata_value ON trace_metadata (key, substr(value, 1, 64));

CREATE TABLE span (
  id INTEGER PRIMARY KEY,
  trace INTEGER NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
  span_id TEXT NOT NULL,                -- 16 hex digits
  parent_id TEXT,                       -- NULL: the root
  name TEXT NOT NULL,
  type TEXT NOT NULL,                   -- attribute mlflow.spanType, "" when none
  status TEXT NOT NULL,                 -- UNSET, OK, ERROR
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,                       -- NULL: not ended
  model TEXT,                           -- attribute mlflow.llm.model
  provider TEXT,                        -- attribute mlflow.llm.provider
  input_cost REAL,                      -- attribute mlflow.llm.cost
  output_cost REAL,
  total_cost REAL,
  content TEXT NOT NULL,                -- the span as answers show it, JSON
  UNIQUE (trace, span_id)
) STRICT;
CREATE INDEX span_brief ON span (trace, name, type, status);

-- Runs that a trace belongs to beyond the one that made it (metadata mlflow.sourceRun).
CREATE TABLE trace_run (
  trace INTEGER NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
  run_uuid TEXT NOT NULL,
  PRIMARY KEY (trace, run_uuid)
) STRICT, WITHOUT ROWID;
CREATE INDEX trace_run_uuid ON trace_run (run_uuid, trace);

CREATE TABLE assessment (
  id INTEGER PRIMARY KEY,
  assessment_id TEXT NOT NULL UNIQUE,   -- "a-" and 32 hex digits
  trace INTEGER NOT NULL REFERENCES trace (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('feedback', 'expectation', 'issue')),
  value TEXT NOT NULL,                  -- JSON
  error TEXT,                           -- JSON
  source_type TEXT NOT NULL,
  source_id TEXT NOT NULL,
  span_id TEXT,
  rationale TEXT,
  metadata TEXT,                        -- JSON object of texts
  overrides TEXT,                       -- assessment_id
  valid INTEGER NOT NULL DEFAULT 1 CHECK (valid IN (0, 1)),
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX assessment_trace ON assessment (trace, created_ms, id);
CREATE INDEX assessment_name ON assessment (name, kind, valid);
CREATE INDEX assessment_overrides ON assessment (overrides) WHERE overrides IS NOT NULL;
