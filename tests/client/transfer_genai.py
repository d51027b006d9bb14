# SPDX-License-Identifier: Apache-2.0
"""Evaluation datasets, scorers and issues of MLflow's database move in whole, again without a change,
after a change, and not without their experiment; from a live server they come in the same form."""
import json
import os
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from transfer import everything_same, ok, quern, same, table  # noqa: E402
from quern import Server  # noqa: E402

ROOT = "/api/3.0/mlflow/"
# The columns of MLflow's revision dc11669786a5 (3.17).
TABLES = (
    "CREATE TABLE evaluation_datasets (dataset_id VARCHAR(36) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, schema TEXT, profile TEXT,"
    " digest VARCHAR(64), created_time BIGINT, last_update_time BIGINT, created_by VARCHAR(255), last_updated_by VARCHAR(255))",
    "CREATE TABLE evaluation_dataset_tags (dataset_id VARCHAR(36), key VARCHAR(255), value VARCHAR(5000), PRIMARY KEY (dataset_id, key))",
    "CREATE TABLE evaluation_dataset_records (dataset_record_id VARCHAR(36) NOT NULL PRIMARY KEY, dataset_id VARCHAR(36) NOT NULL, inputs JSON NOT NULL,"
    " expectations JSON, tags JSON, source JSON, source_id VARCHAR(36), source_type VARCHAR(255), created_time BIGINT, last_update_time BIGINT,"
    " created_by VARCHAR(255), last_updated_by VARCHAR(255), input_hash VARCHAR(64) NOT NULL, outputs JSON, UNIQUE (dataset_id, input_hash))",
    "CREATE TABLE scorers (experiment_id INTEGER NOT NULL, scorer_name VARCHAR(256) NOT NULL, scorer_id VARCHAR(36) NOT NULL PRIMARY KEY)",
    "CREATE TABLE scorer_versions (scorer_id VARCHAR(36) NOT NULL, scorer_version INTEGER NOT NULL, serialized_scorer TEXT NOT NULL,"
    " creation_time BIGINT, PRIMARY KEY (scorer_id, scorer_version))",
    "CREATE TABLE issues (issue_id VARCHAR(36) NOT NULL PRIMARY KEY, experiment_id INTEGER NOT NULL, name VARCHAR(250) NOT NULL, description TEXT NOT NULL,"
    " status VARCHAR(50) NOT NULL, severity VARCHAR(50), root_causes TEXT, source_run_id VARCHAR(32), categories TEXT, created_timestamp BIGINT NOT NULL,"
    " last_updated_timestamp BIGINT NOT NULL, created_by VARCHAR(255))")
DATASET, SCORER, ISSUE = "d-" + "1" * 32, "00000000-0000-4000-8000-000000000001", "iss-" + "2" * 32


SCORER_TEXT = json.dumps({"name": "right", "mlflow_version": "3.17.2", "serialization_version": 1, "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {}})


def fill(path, experiment, run):
    db = sqlite3.connect(path)
    for sql in TABLES:
        db.execute("DROP TABLE IF EXISTS " + sql.split()[2])
        db.execute(sql)
    db.execute("INSERT INTO evaluation_datasets VALUES (?, 'qa', '{\"inputs\": {\"q\": \"string\"}}', '{\"num_records\": 3}', 'abcd1234', 5, 6, 'ann', NULL)", (DATASET,))
    db.execute("INSERT INTO evaluation_dataset_tags VALUES (?, 'team', 'mł')", (DATASET,))
    record = "INSERT INTO evaluation_dataset_records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    db.execute(record, ("dr-1", DATASET, '{"q": "x", "f": 0.1}', '{"a": 1.1}', '{"t": "1"}', '{"source_type": "HUMAN", "source_data": {"source_id": "h"}}', "h",
                        "HUMAN", 7, 8, "bob", "eve", "h1", '{"mlflow_wrapped": [1.1, "o"]}'))
    db.execute(record, ("dr-2", DATASET, '{"q": "y"}', "null", "null", None, None, None, 7, 7, None, None, "h2", '{"mlflow_wrapped": {"z": 1E2, "a": [ 0.10, 1e-7, 1.0, 12345678901234567, "\\u0142"], "n": null}}'))
    db.execute(record, ("dr-3", DATASET, '{"q": "z"}', None, None, "{}", None, None, 6, 7, None, None, "h3", None))
    db.execute("INSERT INTO entity_associations VALUES ('a1', 'evaluation_dataset', ?, 'experiment', ?, 5)", (DATASET, experiment))
    db.execute("INSERT INTO scorers VALUES (?, 'right', ?)", (experiment, SCORER))
    db.execute("INSERT INTO scorer_versions VALUES (?, 1, '{\"name\": \"right\"}', 9), (?, 3, '{\"name\": \"right\", \"v\": 3}', 10)", (SCORER, SCORER))
    db.execute("INSERT INTO issues VALUES (?, ?, 'slow', 'it is slow', 'pending', 'high', '[\"db\", \"\\u0142\"]', ?, '[]', 11, 12, 'ann')", (ISSUE, experiment, run))
    db.commit()
    db.close()


def check(s, experiment, run):
    d = ok(s.get(f"{ROOT}datasets/{DATASET}"))["dataset"]
    same((d["name"], d["digest"], d["created_time"], d["last_update_time"], d["created_by"], json.loads(d["tags"]), json.loads(d["profile"])),
         ("qa", "abcd1234", 5, 6, "ann", {"team": "mł"}, {"num_records": 3}))
    same(ok(s.get(f"{ROOT}datasets/{DATASET}/experiment-ids"))["experiment_ids"], [str(experiment)])
    z, x, y = json.loads(ok(s.get(f"{ROOT}datasets/{DATASET}/records"))["records"])
    same((z["inputs"], "outputs" in z, "source" in z, y["outputs"], "expectations" in y, y["tags"]),
         ({"q": "z"}, False, False, {"z": 100.0, "a": [0.1, 1e-7, 1.0, 12345678901234567, "ł"], "n": None}, False, {}))
    same((x["dataset_record_id"], x["inputs"], x["outputs"], x["expectations"], x["tags"], x["source_id"], x["created_by"], x["last_updated_by"], x["last_update_time"]),
         ("dr-1", {"q": "x", "f": 0.1}, [1.1, "o"], {"a": 1.1}, {"t": "1"}, "h", "bob", "eve", 8))
    scorers = ok(s.get(f"{ROOT}scorers/versions?experiment_id={experiment}&name=right"))["scorers"]
    same([(v["scorer_version"], v["creation_time"], v["scorer_id"]) for v in scorers], [(1, 9, SCORER), (3, 10, SCORER)])
    issue = ok(s.get(f"{ROOT}issues/{ISSUE}"))["issue"]
    same((issue["name"], issue["severity"], issue["root_causes"], issue["source_run_id"], issue["created_timestamp"], issue["experiment_id"]),
         ("slow", "high", ["db", "ł"], run, 11, str(experiment)))
    # What came in can be used.
    same(ok(s.post(f"{ROOT}datasets/{DATASET}/records", {"records": json.dumps([{"inputs": {"f": 0.1, "q": "x"}, "tags": {"u": "2"}}])})),
         {"inserted_count": 0, "updated_count": 1}, "records are told apart as before")


KINDS = ("evaluation datasets", "scorers", "issues")


def counts(text):
    return [table(text)[k][:4] for k in KINDS]


def live(work):
    """What came from the database comes on from this server in the same form, page by page, and once."""
    command = ("import", "mlflow", "--data", work + "/three", "--from")
    with Server(data=work + "/two") as s:
        text = quern(*command, s.url)
        everything_same(text)
        same(counts(text), [[1, 1, 0, 0]] * 3, text)
        text = quern(*command, work + "/out.db")
        everything_same(text)
        same(counts(text), [[1, 0, 0, 1]] * 3, "by database as by server")
        e = ok(s.mlflow("experiments/create", {"name": "many"}))["experiment_id"]
        for i in range(101):
            d = ok(s.post(f"{ROOT}datasets/create", {"name": f"d{i}", "experiment_ids": [e], "tags": json.dumps({"i": str(i)})}))["dataset"]["dataset_id"]
            ok(s.post(f"{ROOT}issues", {"experiment_id": e, "name": f"i{i}", "description": "d"}))
        cases = [{"inputs": {"i": i, "v": i / 7}, "outputs": i / 3} for i in range(1201)]
        ok(s.post(f"{ROOT}datasets/{d}/records", {"records": json.dumps(cases)}))
        text = quern(*command, s.url)
        everything_same(text)
        same(counts(text), [[102, 101, 0, 1], [1, 0, 0, 1], [102, 101, 0, 1]], "pages of datasets and issues")
        text = quern(*command, s.url)
        everything_same(text)
        same(counts(text), [[102, 0, 0, 102], [1, 0, 0, 1], [102, 0, 0, 102]], "and not again")
    with Server(data=work + "/three") as s:
        got, token = [], ""
        while not got or token:
            page = ok(s.get(f"{ROOT}datasets/{d}/records?max_results=1000&page_token={token}"))
            got, token = got + json.loads(page["records"]), page.get("next_page_token", "")
        # MLflow keeps no order of what came in the same millisecond.
        same(sorted(({k: r[k] for k in ("inputs", "outputs")} for r in got), key=lambda r: r["inputs"]["i"]), cases, "pages of records")


def work_in(work):
    with Server(data=work + "/one") as s:
        e = ok(s.mlflow("experiments/create", {"name": "e"}))["experiment_id"]
        run = ok(s.mlflow("runs/create", {"experiment_id": e}))["run"]["info"]["run_id"]
    quern("export", "mlflow", "--to", work + "/out.db", "--data", work + "/one")
    fill(work + "/out.db", int(e), run)
    command = ("import", "mlflow", "--from", work + "/out.db", "--data", work + "/two")
    dry = table(quern(*command, "--dry-run"))
    same([dry[k][:2] for k in KINDS], [[1, 1]] * 3, dry)
    everything_same(quern(*command))
    live(work)
    with Server(data=work + "/two") as s:
        check(s, e, run)
    text = quern(*command)
    everything_same(text)
    same(counts(text), [[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], "the record that was merged is as it was")
    everything_same(quern(*command))
    with Server(data=work + "/two") as s:  # made here: nobody asked for their end
        ok(s.post(f"{ROOT}datasets/{DATASET}/records", {"records": json.dumps([{"inputs": {"q": "new"}}])}))
        ok(s.post(f"{ROOT}scorers/register", {"experiment_id": e, "name": "right", "serialized_scorer": SCORER_TEXT}))
    text = quern(*command, code=1)
    same((text.count("here that the source has not"), [table(text)[k][-1] for k in KINDS]), (2, [1, 1, 0]), text)
    with Server(data=work + "/two") as s:
        records = json.loads(ok(s.get(f"{ROOT}datasets/{DATASET}/records"))["records"])
        ok(s.request("DELETE", f"{ROOT}datasets/{DATASET}/records", {"dataset_record_ids": [r["dataset_record_id"] for r in records if r["inputs"] == {"q": "new"}]}))
        ok(s.request("DELETE", f"{ROOT}scorers/delete", {"experiment_id": e, "name": "right", "version": 4}))
    everything_same(quern(*command))
    db = sqlite3.connect(work + "/out.db")
    db.execute("UPDATE evaluation_dataset_records SET outputs = '{\"mlflow_wrapped\": NaN}' WHERE dataset_record_id = 'dr-1'")
    db.commit()
    text = quern(*command, code=1)
    assert "no JSON that can be kept" in text, text
    db.execute("UPDATE evaluation_dataset_records SET outputs = NULL WHERE dataset_record_id = 'dr-1'")
    db.execute("UPDATE issues SET status = 'nonsense'")
    db.execute("UPDATE scorers SET experiment_id = 777")
    db.execute("INSERT INTO entity_associations VALUES ('a2', 'evaluation_dataset', ?, 'experiment', 777, 5)", (DATASET,))
    db.commit()
    db.close()
    text = quern(*command, code=1)
    same([table(text)[k][-1] for k in KINDS], [1, 1, 1], text)
    with Server(data=work + "/two") as s:
        same(ok(s.get(f"{ROOT}issues/{ISSUE}"))["issue"]["status"], "pending", "a refused thing stays as it was")
        same(ok(s.get(f"{ROOT}datasets/{DATASET}/experiment-ids"))["experiment_ids"], [str(e)])


def main():
    work = os.path.realpath(tempfile.mkdtemp(prefix="quern-transfer-"))
    try:
        work_in(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("transfer of evaluation datasets, scorers and issues: ok")


if __name__ == "__main__":
    main()
