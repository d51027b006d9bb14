-- Revisions: every spec an endpoint was given, the newest 200; number is endpoint.revision. restored
-- is the revision whose spec it took up again, 0 for a spec of its own.
CREATE TABLE endpoint_revision (
    project_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    number INTEGER NOT NULL,
    spec TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    restored INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (project_id, endpoint, number),
    FOREIGN KEY (project_id, endpoint) REFERENCES endpoint (project_id, name)
) STRICT;

INSERT INTO endpoint_revision (project_id, endpoint, number, spec, who, created_ms)
SELECT project_id, name, revision, CASE WHEN policy = '{}' THEN json_object('target', target) ELSE policy END, '', updated_ms FROM endpoint;

-- What arms have answered since the endpoint was made. latency: steps of the histogram, "12:3 13:1".
CREATE TABLE endpoint_arm_count (
    project_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    arm TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    nan INTEGER NOT NULL,
    latency TEXT NOT NULL,
    PRIMARY KEY (project_id, endpoint, arm),
    FOREIGN KEY (project_id, endpoint) REFERENCES endpoint (project_id, name)
) STRICT;

-- The canary that runs, or how the last one ended. definition is a digest of its member in the spec;
-- arm_base and baseline_base are the counts when its step began.
CREATE TABLE endpoint_canary (
    project_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    definition TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'waiting', 'promoted', 'rolled_back')),
    step INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    arm_base TEXT NOT NULL DEFAULT '',
    baseline_base TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (project_id, endpoint),
    FOREIGN KEY (project_id, endpoint) REFERENCES endpoint (project_id, name)
) STRICT;

-- What a bandit knows, by context (0: other) and arm.
CREATE TABLE endpoint_bandit (
    project_id INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    context INTEGER NOT NULL,
    arm TEXT NOT NULL,
    name TEXT NOT NULL, -- the context's
    plays INTEGER NOT NULL,
    rewards INTEGER NOT NULL,
    reward_sum REAL NOT NULL,
    weight REAL NOT NULL,
    value REAL NOT NULL,
    then_ms INTEGER NOT NULL,
    PRIMARY KEY (project_id, endpoint, context, arm),
    FOREIGN KEY (project_id, endpoint) REFERENCES endpoint (project_id, name)
) STRICT;
