-- What columns discovery and large searches read.

-- Short texts lie whole in an index, so conditions and orders on them need no look at the rows; of
-- long ones the beginning does. Every text is in exactly one of the two.
DROP INDEX run_param_value;
DROP INDEX run_tag_value;
CREATE INDEX run_param_short ON run_param (key_id, value) WHERE length(value) <= 64;
CREATE INDEX run_param_long ON run_param (key_id, substr(value, 1, 64)) WHERE length(value) > 64;
CREATE INDEX run_tag_short ON run_tag (key_id, value) WHERE length(value) <= 64;
CREATE INDEX run_tag_long ON run_tag (key_id, substr(value, 1, 64)) WHERE length(value) > 64;

-- Runs of one status in the default order.
CREATE INDEX run_status ON run (experiment_id, deleted, status, start_ms DESC, uuid);

-- How many runs, deleted ones among them, have a name as a metric, a param or a tag.
ALTER TABLE run_key ADD COLUMN metrics INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_key ADD COLUMN params INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_key ADD COLUMN tags INTEGER NOT NULL DEFAULT 0;
UPDATE run_key SET
  metrics = (SELECT count(*) FROM metric_latest m WHERE m.key_id = run_key.id),
  params = (SELECT count(*) FROM run_param p WHERE p.key_id = run_key.id
            AND length(p.value) <= 64)
         + (SELECT count(*) FROM run_param p WHERE p.key_id = run_key.id
            AND length(p.value) > 64),
  tags = (SELECT count(*) FROM run_tag t WHERE t.key_id = run_key.id AND length(t.value) <= 64)
       + (SELECT count(*) FROM run_tag t WHERE t.key_id = run_key.id AND length(t.value) > 64);
CREATE TRIGGER metric_latest_added AFTER INSERT ON metric_latest BEGIN
  UPDATE run_key SET metrics = metrics + 1 WHERE id = NEW.key_id;
END;
CREATE TRIGGER metric_latest_gone AFTER DELETE ON metric_latest BEGIN
  UPDATE run_key SET metrics = metrics - 1 WHERE id = OLD.key_id;
END;
CREATE TRIGGER run_param_added AFTER INSERT ON run_param BEGIN
  UPDATE run_key SET params = params + 1 WHERE id = NEW.key_id;
END;
CREATE TRIGGER run_param_gone AFTER DELETE ON run_param BEGIN
  UPDATE run_key SET params = params - 1 WHERE id = OLD.key_id;
END;
CREATE TRIGGER run_tag_added AFTER INSERT ON run_tag BEGIN
  UPDATE run_key SET tags = tags + 1 WHERE id = NEW.key_id;
END;
CREATE TRIGGER run_tag_gone AFTER DELETE ON run_tag BEGIN
  UPDATE run_key SET tags = tags - 1 WHERE id = OLD.key_id;
END;

-- Deleting or restoring an experiment marks its runs in slices. While that goes on: the time in ms
-- when it was deleted, or the negative of the time when it was restored; NULL otherwise.
ALTER TABLE experiment ADD COLUMN sweep INTEGER;
CREATE INDEX experiment_sweep ON experiment (id) WHERE sweep IS NOT NULL;
