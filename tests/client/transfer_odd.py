# SPDX-License-Identifier: Apache-2.0
"""Databases that no MLflow makes, or that an old one made: nothing is lost unsaid, nothing ends the import or keeps it for ever."""
import os
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from transfer import A, Server, altered, attempt, differences, everything_same, fill, ok, quern, same, served, table  # noqa: E402


def without_key(table):
    """The table anew without types, keys and NOT NULL, so that it takes anything."""
    return (f"ALTER TABLE {table} RENAME TO old_{table}", f"CREATE TABLE {table} AS SELECT * FROM old_{table}", f"DROP TABLE old_{table}")


def odd_database(work):
    """Files that no MLflow makes: each ends with what is wrong, and what is sound comes all the same."""
    run = sqlite3.connect(work + "/out.db").execute("SELECT run_uuid FROM runs ORDER BY run_uuid").fetchall()[1][0]
    # Ids that no order has would be read for ever; rows that no order leads to must be missed.
    for name, sql, part in (
            ("blob", f"UPDATE runs SET run_uuid = CAST('{run}' AS BLOB) WHERE run_uuid = '{run}'", "come in no order"),
            ("null", f"UPDATE runs SET run_uuid = NULL WHERE run_uuid = '{run}'", "only 3 can be reached"),
            ("nul", f"UPDATE runs SET run_uuid = run_uuid || char(0) || 'x' WHERE run_uuid = '{run}'", "NUL byte")):
        said = attempt("--from", altered(work, name, *without_key("runs"), sql), "--data", f"{work}/odd-{name}")
        assert part in said, said
    said = attempt("--from", altered(work, "text-id", *without_key("experiments"), "UPDATE experiments SET experiment_id = 'x' WHERE experiment_id = 1"),
                   "--data", work + "/odd-text-id")
    assert "come in no order" in said, said
    # A damaged thing is told, the others come.
    path = altered(work, "texts", f"UPDATE runs SET name = CAST(x'ff41' AS TEXT) WHERE run_uuid = '{run}'",
                   "UPDATE registered_models SET description = 'a' || char(0) || 'b'", "UPDATE spans SET content = '[1]'")
    said = attempt("--from", path, "--artifacts", work + "/files", "--data", work + "/odd-texts")
    rows = table(said)
    assert f"run {run}: One of its texts is no UTF-8" in said and "registered model rm: One of its texts" in said, said
    assert "a span has no form" in said.lower(), said
    same((rows["runs"][0], rows["runs"][1], rows["runs"][-1], rows["logged models"][-1]), (4, 3, 1, 0), said)
    with Server(data=work + "/odd-texts") as s:
        same(len(ok(s.mlflow("runs/search", {"experiment_ids": ["1"], "run_view_type": "ALL"}))["runs"]), 3)
    # Points: no key, infinite, twice.
    path = altered(work, "points", *without_key("metrics"), f"INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES"
                   f" ('inf', 9e999, 1, '{run}', 0, 0), ('inf', -9e999, 2, '{run}', 0, 0), ('inf', -9e999, 2, '{run}', 0, 0)")
    everything_same(quern("import", "mlflow", "--from", path, "--artifacts", work + "/files", "--data", work + "/odd-points"))
    with Server(data=work + "/odd-points") as s:
        same([p["value"] for p in ok(s.get(A + f"metrics/get-history?run_id={run}&metric_key=inf"))["metrics"]],
             [1.7976931348623157e308, -1.7976931348623157e308])
    for i, key in enumerate(("NULL", "''", "x'00'", "CAST(x'fe' AS TEXT)")):
        path = altered(work, "keys", *without_key("metrics"), f"UPDATE metrics SET key = {key} WHERE run_uuid = '{run}' AND key = 'odd'")
        if i < 2:
            everything_same(quern("import", "mlflow", "--from", path, "--data", f"{work}/odd-keys{i}"))
            continue
        said = attempt("--from", path, "--data", f"{work}/odd-keys{i}")
        assert f"{run}: One of its texts" in said and table(said)["metric points"][-1] == 1, said
    # Everything in another encoding is the same.
    db = sqlite3.connect(work + "/wide.db")
    db.execute("PRAGMA encoding = 'UTF-16le'")
    for line in sqlite3.connect(work + "/out.db").iterdump():
        db.execute(line) if line not in ("BEGIN TRANSACTION;", "COMMIT;") else None
    db.commit()
    same(db.execute("PRAGMA encoding").fetchone()[0], "UTF-16le")
    db.close()
    everything_same(quern("import", "mlflow", "--from", work + "/wide.db", "--artifacts", work + "/files", "--data", work + "/wide"))
    everything_same(quern("import", "mlflow", "--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/narrow"))
    same(differences(served(work + "/narrow"), served(work + "/wide")), [], "after an import from UTF-16")
    # A view may compute for ever.
    for name in ("runs", "spans", "trace_tags"):
        path = altered(work, "view-" + name, f"DROP TABLE {name}",
                       f"CREATE VIEW {name} AS WITH RECURSIVE n(run_uuid) AS (SELECT 1 UNION ALL SELECT run_uuid + 1 FROM n) SELECT * FROM n")
        assert f"'{name}' is no table" in attempt("--from", path, "--data", work + "/odd-view")
    for name, part in (("tags", "refused a statement"), ("experiment_tags", "refused a statement"), ("runs", "no table 'runs'")):
        said = attempt("--from", altered(work, "no-" + name, f"DROP TABLE {name}"), "--data", work + "/odd-no")
        assert part in said, said
    holder = sqlite3.connect(altered(work, "locked"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    said = attempt("--from", work + "/locked.db", "--data", work + "/odd-locked")
    assert "Another program has locked it" in said, said
    holder.close()
    os.mkfifo(work + "/fifo.db")
    assert "no regular file" in attempt("--from", f"sqlite:///{work}/fifo.db", "--data", work + "/odd-fifo")


def first_schema(work):
    """What MLflow had before it had data sets, aliases, logged models and traces (2.0)."""
    path = altered(work, "first", *[f"DROP TABLE {t}" for t in (
        "inputs", "input_tags", "datasets", "registered_model_aliases", "logged_model_metrics", "logged_model_params", "logged_model_tags",
        "logged_models", "assessments", "spans", "trace_tags", "trace_request_metadata", "trace_info")],
        "ALTER TABLE model_versions DROP COLUMN storage_location")
    text = quern("import", "mlflow", "--from", path, "--artifacts", work + "/files", "--data", work + "/first")
    everything_same(text)
    same((table(text)["runs"][1], table(text)["versions"][0]), (4, 2), text)
    path = altered(work, "zeroth", "ALTER TABLE experiments DROP COLUMN creation_time")
    assert "db upgrade" in attempt("--from", path, "--data", work + "/zeroth")


def main():
    work = os.path.realpath(tempfile.mkdtemp(prefix="quern-transfer-"))
    try:
        with Server(data=work + "/one") as s:
            fill(s)
        quern("export", "mlflow", "--to", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/one")
        odd_database(work)
        first_schema(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("transfer_odd: ok")


if __name__ == "__main__":
    main()
