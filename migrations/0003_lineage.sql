-- What came from what: things by their ref (kind:id), and edges from a source to what was made of it.

CREATE TABLE lineage_node (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  ref TEXT NOT NULL,
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  attrs TEXT,                   -- a JSON object
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX lineage_node_kind ON lineage_node (project_id, kind, created_ms);

CREATE TABLE lineage_edge (
  project_id INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  verb TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (project_id, source, target, verb)
) STRICT, WITHOUT ROWID;
CREATE INDEX lineage_edge_target ON lineage_edge (project_id, target, source, verb);
