-- Webhooks and their deliveries. A delivery is a row before anybody is called, and the cursor says
-- up to which event of the outbox rows have been made, so neither is lost with the process.

CREATE TABLE webhook (
  id TEXT PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  url TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DISABLED')),
  secret BLOB,                -- sealed; NULL: deliveries are not signed
  since_seq INTEGER NOT NULL, -- events up to here are not its business
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  deleted_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_newest ON webhook (project_id, created_ms, id) WHERE deleted_ms IS NULL;

CREATE TABLE webhook_event (
  webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
  event TEXT NOT NULL,        -- 'model_version.created'
  position INTEGER NOT NULL,  -- as the client listed them
  PRIMARY KEY (webhook, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_event_name ON webhook_event (event, webhook);

CREATE TABLE webhook_delivery (
  id INTEGER PRIMARY KEY,
  delivery_id TEXT NOT NULL UNIQUE,
  webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
  event_seq INTEGER NOT NULL,
  event TEXT NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_ms INTEGER NOT NULL,
  response_status INTEGER,
  response_body TEXT,
  error TEXT,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  UNIQUE (webhook, event_seq)
) STRICT;
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, next_ms, id)
  WHERE state = 'pending';
CREATE INDEX webhook_delivery_next ON webhook_delivery (next_ms) WHERE state = 'pending';
CREATE INDEX webhook_delivery_log ON webhook_delivery (webhook, id);
CREATE INDEX webhook_delivery_old ON webhook_delivery (updated_ms) WHERE state <> 'pending';

CREATE TABLE webhook_cursor (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL
) STRICT;
INSERT INTO webhook_cursor (one, seq) SELECT 1, coalesce(max(seq), 0) FROM event;
