-- What was deleted and can be undone, what is erased bit by bit, and how much a project may hold.

-- One row per deleted thing. Experiments, runs and logged models stay where they are, marked; their
-- rows here come and go with the mark. Of the others `content` or trash_file has what they were.
CREATE TABLE trash (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  kind TEXT NOT NULL CHECK (kind IN ('experiment', 'run', 'logged_model', 'registered_model',
                                     'model_version', 'artifact')),
  object INTEGER,               -- row of the marked thing; NULL: it is gone
  experiment_id INTEGER,        -- whose permission is asked
  name TEXT,                    -- of what is gone
  deleted_ms INTEGER NOT NULL,  -- when this server came to know of it, not what an import tells
  since_ms INTEGER NOT NULL,    -- later than deleted_ms where purging had to be put off
  deleted_by TEXT,              -- NULL: unknown
  content TEXT,                 -- JSON of a registered model or version
  UNIQUE (kind, object)
) STRICT;
CREATE INDEX trash_newest ON trash (project_id, id);
CREATE INDEX trash_kind ON trash (project_id, kind, id);
CREATE INDEX trash_due ON trash (since_ms);

CREATE TABLE trash_file (
  trash INTEGER NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (trash, path)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER trash_experiment AFTER UPDATE OF deleted ON experiment
WHEN NEW.deleted = 1 AND OLD.deleted = 0 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT NEW.project_id, 'experiment', NEW.id, NEW.id, ms, ms FROM
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms);
END;
CREATE TRIGGER trash_experiment_came AFTER INSERT ON experiment WHEN NEW.deleted = 1 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT NEW.project_id, 'experiment', NEW.id, NEW.id, ms, ms FROM
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms);
END;
CREATE TRIGGER trash_experiment_back AFTER UPDATE OF deleted ON experiment
WHEN NEW.deleted = 0 AND OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'experiment' AND object = NEW.id;
END;
CREATE TRIGGER trash_experiment_gone AFTER DELETE ON experiment WHEN OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'experiment' AND object = OLD.id;
END;

CREATE TRIGGER trash_run AFTER UPDATE OF deleted ON run
WHEN NEW.deleted = 1 AND OLD.deleted = 0 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT e.project_id, 'run', NEW.id, e.id, ms, ms FROM experiment e,
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms)
  WHERE e.id = NEW.experiment_id;
END;
CREATE TRIGGER trash_run_came AFTER INSERT ON run WHEN NEW.deleted = 1 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT e.project_id, 'run', NEW.id, e.id, ms, ms FROM experiment e,
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms)
  WHERE e.id = NEW.experiment_id;
END;
CREATE TRIGGER trash_run_back AFTER UPDATE OF deleted ON run
WHEN NEW.deleted = 0 AND OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'run' AND object = NEW.id;
END;
CREATE TRIGGER trash_run_gone AFTER DELETE ON run WHEN OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'run' AND object = OLD.id;
END;

CREATE TRIGGER trash_logged_model AFTER UPDATE OF deleted ON logged_model
WHEN NEW.deleted = 1 AND OLD.deleted = 0 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT e.project_id, 'logged_model', NEW.id, e.id, ms, ms FROM experiment e,
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms)
  WHERE e.id = NEW.experiment_id;
END;
CREATE TRIGGER trash_logged_model_came AFTER INSERT ON logged_model WHEN NEW.deleted = 1 BEGIN
  INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
  SELECT e.project_id, 'logged_model', NEW.id, e.id, ms, ms FROM experiment e,
  (SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms)
  WHERE e.id = NEW.experiment_id;
END;
CREATE TRIGGER trash_logged_model_back AFTER UPDATE OF deleted ON logged_model
WHEN NEW.deleted = 0 AND OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'logged_model' AND object = NEW.id;
END;
CREATE TRIGGER trash_logged_model_gone AFTER DELETE ON logged_model WHEN OLD.deleted = 1 BEGIN
  DELETE FROM trash WHERE kind = 'logged_model' AND object = OLD.id;
END;

-- Deleted before there was a trash: their time begins now.
INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
SELECT e.project_id, 'experiment', e.id, e.id, ms, ms FROM experiment e,
(SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms) WHERE e.deleted = 1;
INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
SELECT e.project_id, 'run', r.id, e.id, ms, ms FROM run r JOIN experiment e ON e.id = r.experiment_id,
(SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms) WHERE r.deleted = 1;
INSERT INTO trash (project_id, kind, object, experiment_id, deleted_ms, since_ms)
SELECT e.project_id, 'logged_model', m.id, e.id, ms, ms FROM logged_model m
JOIN experiment e ON e.id = m.experiment_id,
(SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS ms) WHERE m.deleted = 1;

-- Purging takes a run's row first, so that nobody meets half a run, and what hangs on the row's
-- number in steps; the number is not given out meanwhile. An experiment's number never is again: its
-- artifacts' names begin with it.
CREATE TABLE run_rest (
  run_id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL
) STRICT;
CREATE TABLE artifact_rest (    -- trees of artifact names to erase
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  PRIMARY KEY (project_id, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE experiment_purged (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  greatest INTEGER NOT NULL
) STRICT;
ALTER TABLE experiment ADD COLUMN purging INTEGER NOT NULL DEFAULT 0;

-- Versions keep what they were made of.
CREATE INDEX model_version_logged ON model_version (logged_model) WHERE logged_model <> '';

-- Projects with a quota. most_...: NULL is no bound. The counts are kept by the triggers below, which
-- cost a look at an empty table where no project has a quota.
CREATE TABLE quota (
  project_id INTEGER PRIMARY KEY REFERENCES project (id) ON DELETE CASCADE,
  most_runs INTEGER,
  most_artifact_bytes INTEGER,
  most_registered_models INTEGER,
  most_traces INTEGER,
  runs INTEGER NOT NULL,
  artifact_bytes INTEGER NOT NULL,
  registered_models INTEGER NOT NULL,
  traces INTEGER NOT NULL
) STRICT;

CREATE TRIGGER quota_run_added AFTER INSERT ON run WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET runs = runs + 1
  WHERE project_id = (SELECT project_id FROM experiment WHERE id = NEW.experiment_id);
  SELECT RAISE(ABORT, 'quota: The project holds as many runs as its quota allows, those in the trash included; purge some, or have the quota raised.')
  FROM quota WHERE runs > most_runs
  AND project_id = (SELECT project_id FROM experiment WHERE id = NEW.experiment_id);
END;
CREATE TRIGGER quota_run_gone AFTER DELETE ON run WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET runs = runs - 1
  WHERE project_id = (SELECT project_id FROM experiment WHERE id = OLD.experiment_id);
END;
CREATE TRIGGER quota_trace_added AFTER INSERT ON trace WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET traces = traces + 1
  WHERE project_id = (SELECT project_id FROM experiment WHERE id = NEW.experiment_id);
  SELECT RAISE(ABORT, 'quota: The project holds as many traces as its quota allows; delete some, or have the quota raised.')
  FROM quota WHERE traces > most_traces
  AND project_id = (SELECT project_id FROM experiment WHERE id = NEW.experiment_id);
END;
CREATE TRIGGER quota_trace_gone AFTER DELETE ON trace WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET traces = traces - 1
  WHERE project_id = (SELECT project_id FROM experiment WHERE id = OLD.experiment_id);
END;
CREATE TRIGGER quota_model_added AFTER INSERT ON registered_model
WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET registered_models = registered_models + 1 WHERE project_id = NEW.project_id;
  SELECT RAISE(ABORT, 'quota: The project holds as many registered models as its quota allows; delete some, or have the quota raised.')
  FROM quota WHERE registered_models > most_registered_models AND project_id = NEW.project_id;
END;
CREATE TRIGGER quota_model_gone AFTER DELETE ON registered_model
WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET registered_models = registered_models - 1 WHERE project_id = OLD.project_id;
END;
CREATE TRIGGER quota_artifact_added AFTER INSERT ON artifact WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET artifact_bytes = artifact_bytes + NEW.size WHERE project_id = NEW.project_id;
  SELECT RAISE(ABORT, 'quota: The project''s artifacts would exceed the bytes that its quota allows; delete some, or have the quota raised.')
  FROM quota WHERE NEW.size > 0 AND artifact_bytes > most_artifact_bytes
  AND project_id = NEW.project_id;
END;
CREATE TRIGGER quota_artifact_changed AFTER UPDATE OF size ON artifact
WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET artifact_bytes = artifact_bytes + NEW.size - OLD.size
  WHERE project_id = NEW.project_id;
  SELECT RAISE(ABORT, 'quota: The project''s artifacts would exceed the bytes that its quota allows; delete some, or have the quota raised.')
  FROM quota WHERE NEW.size > OLD.size AND artifact_bytes > most_artifact_bytes
  AND project_id = NEW.project_id;
END;
CREATE TRIGGER quota_artifact_gone AFTER DELETE ON artifact WHEN EXISTS (SELECT 1 FROM quota) BEGIN
  UPDATE quota SET artifact_bytes = artifact_bytes - OLD.size WHERE project_id = OLD.project_id;
END;
