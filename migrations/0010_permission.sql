-- Permissions on single experiments and registered models.

-- Let into a project without a role on it: users made by MLflow's users/create.
CREATE TABLE member (
  principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  PRIMARY KEY (principal_id, project_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE permission (
  principal_id INTEGER NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL CHECK (kind IN (1, 2)), -- 1 experiment, 2 registered model
  object INTEGER NOT NULL,
  level INTEGER NOT NULL CHECK (level IN (0, 1, 2, 3, 5)), -- none, read, use, edit, manage
  PRIMARY KEY (principal_id, project_id, kind, object)
) STRICT, WITHOUT ROWID;
CREATE INDEX permission_object ON permission (kind, object);

-- Row numbers are given out again; what is gone must leave no permission to the next of its number.
CREATE TRIGGER permission_experiment AFTER DELETE ON experiment
BEGIN DELETE FROM permission WHERE kind = 1 AND object = OLD.id; END;
CREATE TRIGGER permission_model AFTER DELETE ON registered_model
BEGIN DELETE FROM permission WHERE kind = 2 AND object = OLD.id; END;

-- Experiments whose artifacts lie elsewhere than below their number: their names are judged by them.
CREATE INDEX experiment_elsewhere ON experiment (project_id, id, artifact_location)
  WHERE artifact_location <> 'mlflow-artifacts:/' || id;
