-- Evaluation datasets: what an application is tried with. Records are told apart by their inputs.

CREATE TABLE evaluation_dataset (
  id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id),
  dataset_id TEXT NOT NULL UNIQUE,      -- "d-" and 32 hex digits
  name TEXT NOT NULL,
  digest TEXT NOT NULL,                 -- 8 hex digits, another one after each change of records
  schema TEXT,                          -- JSON: field names and types; NULL: no records yet
  records INTEGER NOT NULL DEFAULT 0,   -- number of rows in evaluation_record
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  created_by TEXT,
  updated_by TEXT,
  orphan INTEGER NOT NULL DEFAULT 0,    -- 1: its last experiment was purged
  gone INTEGER NOT NULL DEFAULT 0       -- 1: deleted; housekeeping erases it with its records
) STRICT;
CREATE INDEX evaluation_dataset_created ON evaluation_dataset (project_id, created_ms, dataset_id);

CREATE INDEX evaluation_dataset_gone ON evaluation_dataset (gone) WHERE gone = 1;

CREATE TABLE evaluation_dataset_tag (
  dataset INTEGER NOT NULL REFERENCES evaluation_dataset (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (dataset, key)
) STRICT, WITHOUT ROWID;

-- Whoever may read all of a dataset's experiments may read the dataset.
CREATE TABLE evaluation_dataset_experiment (
  dataset INTEGER NOT NULL REFERENCES evaluation_dataset (id) ON DELETE CASCADE,
  experiment_id INTEGER NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
  PRIMARY KEY (dataset, experiment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX evaluation_dataset_of ON evaluation_dataset_experiment (experiment_id, dataset);

CREATE TRIGGER evaluation_dataset_orphan BEFORE DELETE ON experiment BEGIN
  UPDATE evaluation_dataset SET orphan = 1
  WHERE id IN (SELECT dataset FROM evaluation_dataset_experiment WHERE experiment_id = OLD.id)
    AND NOT EXISTS (SELECT 1 FROM evaluation_dataset_experiment x
                    WHERE x.dataset = evaluation_dataset.id AND x.experiment_id <> OLD.id);
END;

CREATE TABLE evaluation_record (
  id INTEGER PRIMARY KEY,               -- also the order in which records came
  dataset INTEGER NOT NULL REFERENCES evaluation_dataset (id) ON DELETE CASCADE,
  record_id TEXT NOT NULL UNIQUE,       -- "dr-" and 32 hex digits
  inputs_sha256 TEXT NOT NULL,          -- of the inputs with sorted keys
  inputs TEXT NOT NULL,                 -- this and the next four: JSON
  outputs TEXT,
  expectations TEXT,
  tags TEXT NOT NULL,
  source TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  created_by TEXT,
  updated_by TEXT,
  UNIQUE (dataset, inputs_sha256)
) STRICT;
CREATE INDEX evaluation_record_order ON evaluation_record (dataset, id);
