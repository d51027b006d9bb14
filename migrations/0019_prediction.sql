-- Predictions: records lie in files of compressed frames, predictions/PROJECT/ENDPOINT/ID.zst; a row
-- here says how much of a file counts. digest is SHA-256 over the digest before and each frame.
CREATE TABLE prediction_segment (
    id INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    versions TEXT NOT NULL,
    digest TEXT NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX prediction_segment_endpoint ON prediction_segment (project_id, endpoint, id);

-- Which predictions were made for an entity, so that feedback finds the newest before its time.
CREATE TABLE prediction_key (
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    entity TEXT NOT NULL,
    ms INTEGER NOT NULL,
    prediction_id TEXT NOT NULL,
    segment_id INTEGER NOT NULL REFERENCES prediction_segment (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, endpoint, entity, ms, prediction_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX prediction_key_segment ON prediction_key (segment_id);

-- How long an endpoint's records and feedback stay; no row: the defaults.
CREATE TABLE prediction_keep (
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    keep_ms INTEGER NOT NULL,
    max_bytes INTEGER NOT NULL,
    PRIMARY KEY (project_id, endpoint)
) STRICT, WITHOUT ROWID;

-- What became known of predictions. A reward is kept as it first came; a label gives way to one
-- with a later at_ms.
CREATE TABLE prediction_feedback (
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    prediction_id TEXT NOT NULL,
    name TEXT NOT NULL,
    reward REAL,
    label TEXT,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    PRIMARY KEY (project_id, endpoint, prediction_id, name)
) STRICT, WITHOUT ROWID;

-- Replays of a logged window against another model: asked for, under way, and what came of them.
CREATE TABLE prediction_replay (
    id TEXT PRIMARY KEY,
    project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done', 'failed', 'cancelled')),
    reason TEXT NOT NULL DEFAULT '',
    seen INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    report TEXT NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX prediction_replay_endpoint ON prediction_replay (project_id, endpoint, created_ms);
CREATE INDEX prediction_replay_open ON prediction_replay (created_ms) WHERE state IN ('pending', 'running');
