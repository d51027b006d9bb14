-- Artifact uploads in parts. The bytes lie in uploads/<id> of the data directory until the upload is
-- complete and a blob has them.

CREATE TABLE upload (
  id TEXT PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  path TEXT NOT NULL,                -- logical name that the whole gets
  parts INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 10000),
  part_size INTEGER NOT NULL DEFAULT 0 CHECK (part_size >= 0), -- of parts in place; 0: none yet
  sha256 TEXT NOT NULL DEFAULT '',   -- of the whole once it is complete
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_expires ON upload (expires_ms);
CREATE INDEX upload_project ON upload (project_id, sha256);

CREATE TABLE upload_part (
  upload_id TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
  number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 10000),
  size INTEGER NOT NULL CHECK (size >= 0),
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  file TEXT NOT NULL DEFAULT '',     -- '': in place, at (number - 1) * part_size of uploads/<id>/data
  PRIMARY KEY (upload_id, number)
) STRICT, WITHOUT ROWID;
