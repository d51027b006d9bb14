-- Golden cases that were put for a version (else a file golden.json among its artifacts counts), and
-- batch prediction jobs.
CREATE TABLE model_version_golden (
    model INTEGER NOT NULL,
    version INTEGER NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    size INTEGER NOT NULL,
    cases INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (model, version),
    FOREIGN KEY (model, version) REFERENCES model_version (model, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TRIGGER model_version_golden_gone AFTER DELETE ON model_version_golden BEGIN
    DELETE FROM blob_ref WHERE owner = 'golden:' || OLD.model || '/' || OLD.version;
END;

-- A job's spec is the document that was posted; input and model are pinned when it is made, so that
-- neither a moved alias nor a replaced file changes what it does.
CREATE TABLE batch (
    id TEXT PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    reason TEXT NOT NULL DEFAULT '',
    spec TEXT NOT NULL,
    model TEXT NOT NULL,
    version INTEGER NOT NULL,
    input_sha256 TEXT NOT NULL CHECK (length(input_sha256) = 64),
    input_bytes INTEGER NOT NULL,
    made_by TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, -- of its worker; counts those that were lost or crashed
    cancelled INTEGER NOT NULL DEFAULT 0, -- asked for
    rows_done INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    bytes_done INTEGER NOT NULL DEFAULT 0, -- of the input
    created_ms INTEGER NOT NULL,
    started_ms INTEGER NOT NULL DEFAULT 0,
    ended_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX batch_project ON batch (project_id, created_ms DESC, id);
CREATE INDEX batch_open ON batch (created_ms) WHERE state IN ('queued', 'running');
CREATE TRIGGER batch_gone AFTER DELETE ON batch BEGIN
    DELETE FROM blob_ref WHERE owner = 'batch:' || OLD.id;
END;
