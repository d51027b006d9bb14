-- How metric points lie on disk. A series is one run's points of one key. Its newest points are one
-- packed tail row; a tail that has grown goes into blocks that fill a page each. Rows of
-- metric_point, where older versions kept every point, stay readable and are packed by and by.
-- Times, steps and values of `data`: src/tracking/metric_block.h.

-- One row per series. open_id is the block that still has room (NULL: none), top_time and top_step
-- those of the last point in blocks, so a later point is known to be new without reading them.
CREATE TABLE metric_tail (
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  open_id INTEGER,
  top_time INTEGER,
  top_step INTEGER,
  data BLOB NOT NULL,
  PRIMARY KEY (run_id, key_id)
) STRICT, WITHOUT ROWID;

-- Points in the order (time, step, value). "first" and "last" are those of that order, NULL values
-- are NaN; min_value and max_value leave NaN out and are NULL when nothing else is there. stride is
-- how much greater each point's step is than that of the point before, 0 when that differs.
CREATE TABLE metric_block (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  points INTEGER NOT NULL CHECK (points > 0),
  min_time INTEGER NOT NULL,
  max_time INTEGER NOT NULL,
  first_step INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  min_step INTEGER NOT NULL,
  max_step INTEGER NOT NULL,
  stride INTEGER NOT NULL,
  first_value REAL,
  last_value REAL,
  min_value REAL,
  max_value REAL,
  digest INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX metric_block_series ON metric_block (run_id, key_id, max_time);
