-- Endpoints: names bound to models. target and revision say what is wanted; state, reason, model,
-- version and sha256 say what came of it, for the revision in done. policy is a JSON object and
-- will hold how requests are spread over versions.
CREATE TABLE endpoint (
    project_id INTEGER NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'loading', 'ready', 'failed', 'deleted')),
    reason TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL DEFAULT 1,
    done INTEGER NOT NULL DEFAULT 0,
    policy TEXT NOT NULL DEFAULT '{}',
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) STRICT;
