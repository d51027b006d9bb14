-- Logical names of stored content, and the blobs that other records keep alive.

CREATE TABLE artifact (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  size INTEGER NOT NULL CHECK (size >= 0),
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_blob ON artifact (sha256, project_id);

CREATE TABLE blob_ref (
  owner TEXT NOT NULL,          -- a ref (kind:id) of the record that keeps the blob
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
  PRIMARY KEY (owner, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_ref_blob ON blob_ref (sha256);
