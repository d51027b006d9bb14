-- Arms: the models that an endpoint spreads its requests over, each with what it is bound to and
-- what came of it. number is the arm's for as long as the endpoint lives: an arm that was taken
-- away keeps its row, so that its name gets the same number again. endpoint.policy is the spec as it
-- was put, endpoint.target and what follows it are those of the first arm.
CREATE TABLE endpoint_arm (
    project_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL, -- in the spec, from 0
    target TEXT NOT NULL,
    runtime TEXT NOT NULL DEFAULT '', -- of the spec, as JSON: another runtime is another model
    pinned INTEGER NOT NULL DEFAULT 0, -- stays in memory
    state TEXT NOT NULL CHECK (state IN ('pending', 'loading', 'ready', 'failed', 'deleted')),
    reason TEXT NOT NULL DEFAULT '',
    model TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    revision INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    vetted TEXT NOT NULL DEFAULT '', -- digest and runtime of the file that was vetted and loaded
    bytes INTEGER NOT NULL DEFAULT 0, -- in memory
    load_ms INTEGER NOT NULL DEFAULT 0,
    used_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, endpoint, name),
    FOREIGN KEY (project_id, endpoint) REFERENCES endpoint (project_id, name)
) STRICT;

INSERT INTO endpoint_arm (project_id, endpoint, name, number, place, target, state, reason, model, version, sha256, revision, done)
SELECT project_id, name, 'main', 0, 0, target, state, reason, model, version, sha256, revision, done FROM endpoint;

UPDATE endpoint SET policy = json_object('target', target) WHERE policy = '{}';
