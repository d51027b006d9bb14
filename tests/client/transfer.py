# SPDX-License-Identifier: Apache-2.0
"""Moving out to MLflow and in again, by the commands alone: what one server has, another has after
export and import, field by field; folders mlruns, moved and odd ones; cut-off and repeated imports;
newer schemas; conflicts; damage. Sources that run are in transfer_live.py, odd databases in
transfer_odd.py. With mlflow itself at hand (QUERN_GENUINE) it opens the export."""
import json
import os
import resource
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import BIN, Server  # noqa: E402
from trace_wire import request, send, span  # noqa: E402

A = "/api/2.0/mlflow/"


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def quern(*args, code=0):
    p = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=300)
    assert p.returncode == code, f"quern {' '.join(args)} ended with {p.returncode}:\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


def attempt(*args):
    """Ends with 1 and a message, whatever it is."""
    p = subprocess.run([BIN, "import", "mlflow", *args], capture_output=True, text=True, timeout=120)
    assert p.returncode == 1 and "everything stands" not in p.stdout and "AddressSanitizer" not in p.stderr, p
    return p.stdout + p.stderr


def altered(work, name, *statements):
    """A copy of the exported database after these statements, of which each may do what SQLite lets it."""
    path = f"{work}/{name}.db"
    shutil.copy(work + "/out.db", path)
    db = sqlite3.connect(path)
    for sql in statements:
        db.execute(sql)
    db.commit()
    db.close()
    return path


def table(text):
    """The report as {kind: [numbers]}."""
    rows = {}
    for line in text.splitlines():
        words = line.split()
        name = line[:20].strip()
        if name and words and words[-1].isdigit() and not line.startswith("  "):
            rows[name] = [int(w) for w in line[20:].split() if w.isdigit()]
    return rows


def everything_same(text):
    assert "everything stands here as in the source" in text, text


def fill(s):
    e = ok(s.mlflow("experiments/create", {"name": "ä/b c", "tags": [{"key": "t", "value": "ü"}]}))["experiment_id"]
    gone = ok(s.mlflow("experiments/create", {"name": "gone"}))["experiment_id"]
    runs = []
    for i in range(4):
        r = ok(s.mlflow("runs/create", {"experiment_id": e, "user_id": "ann", "start_time": 1000 + i, "run_name": f"r{i}"}))
        rid = r["run"]["info"]["run_id"]
        runs.append(rid)
        ok(s.mlflow("runs/log-batch", {"run_id": rid, "params": [{"key": "p", "value": "x" * 5000}, {"key": "q/é", "value": ""}],
                                       "tags": [{"key": "k", "value": "日本"}],
                                       "metrics": [{"key": "loss", "value": 1 / (j + 1), "timestamp": 5000 + j, "step": j} for j in range(900)]}))
        ok(s.mlflow("runs/log-batch", {"run_id": rid, "metrics": [
            {"key": "odd", "value": "NaN", "timestamp": 1, "step": -5}, {"key": "odd", "value": "Infinity", "timestamp": 2, "step": 2**40},
            {"key": "odd", "value": "-Infinity", "timestamp": 2}, {"key": "odd", "value": -0.0, "timestamp": 3}]}))
        ok(s.mlflow("runs/log-inputs", {"run_id": rid, "datasets": [
            {"tags": [{"key": "mlflow.data.context", "value": "training"}],
             "dataset": {"name": "iris", "digest": "d1", "source_type": "http", "source": "{}", "schema": "{}"}}]}))
        ok(s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{e}/{rid}/artifacts/a/{i}.bin", bytes([i]) * 1000, raw=True))
    ok(s.mlflow("runs/update", {"run_id": runs[0], "status": "FINISHED", "end_time": 9000}))
    ok(s.mlflow("runs/delete", {"run_id": runs[1]}))
    m = ok(s.mlflow("logged-models", {"experiment_id": e, "name": "lm", "source_run_id": runs[0], "params": [{"key": "a", "value": "b"}],
                                      "tags": [{"key": "c", "value": "d"}]}))["model"]["info"]["model_id"]
    ok(s.request("PATCH", A + f"logged-models/{m}", {"model_id": m, "status": "LOGGED_MODEL_READY"}))
    ok(s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{e}/models/{m}/artifacts/MLmodel", b"flavors: {}", raw=True))
    ok(s.mlflow("runs/outputs", {"run_id": runs[0], "models": [{"model_id": m, "step": 3}]}))
    ok(s.mlflow("runs/log-batch", {"run_id": runs[0], "metrics": [
        {"key": "acc", "value": 0.5, "timestamp": 7, "step": 1, "model_id": m, "dataset_name": "iris", "dataset_digest": "d1"}]}))
    ok(s.mlflow("registered-models/create", {"name": "rm", "description": "d", "tags": [{"key": "x", "value": "y"}]}))
    for source in (f"models:/{m}", f"runs:/{runs[0]}/model", f"runs:/{runs[2]}/model"):
        ok(s.mlflow("model-versions/create", {"name": "rm", "source": source, "run_id": runs[0], "tags": [{"key": "v", "value": "1"}]}))
    ok(s.mlflow("registered-models/alias", {"name": "rm", "alias": "best", "version": "2"}))
    ok(s.mlflow("model-versions/transition-stage", {"name": "rm", "version": "1", "stage": "Production"}))
    ok(s.request("DELETE", A + "model-versions/delete", {"name": "rm", "version": "3"}))
    send(s, request(span(b"\x01" * 16, b"\x01" * 8, None, "root", attributes={"mlflow.spanInputs": {"q": [1, {"z": False}, "x"]}, "n": 5, "f": 0.5}),
                    span(b"\x01" * 16, b"\x02" * 8, b"\x01" * 8, "leaf", attributes={"mlflow.spanType": "TOOL"}, code=2)), experiment=e)
    tid = "tr-" + "01" * 16
    ok(s.request("PATCH", f"/api/3.0/mlflow/traces/{tid}/tags", {"key": "k", "value": "v"}))
    for kind, value in (("feedback", {"value": True}), ("expectation", {"serialized_value": {"serialization_format": "JSON_FORMAT",
                                                                                              "value": '{"a": [1]}'}})):
        ok(s.post(f"/api/3.0/mlflow/traces/{tid}/assessments", {"assessment": {
            "assessment_name": kind, "source": {"source_type": "HUMAN", "source_id": "me"}, kind: value, "metadata": {"m": "1"}}}))
    ok(s.mlflow("traces/link-to-run", {"trace_ids": [tid], "run_id": runs[2]}))
    d = ok(s.post("/api/3.0/mlflow/datasets/create", {"name": "qa", "experiment_ids": [e, "0"], "tags": '{"t": "ü"}'}))["dataset"]["dataset_id"]
    ok(s.post(f"/api/3.0/mlflow/datasets/{d}/records", {"records": json.dumps([
        {"inputs": {"q": "wörum?", "z": {"b": 1, "a": [None, True]}}, "outputs": "yes", "expectations": {"n": 0.1}, "tags": {"mlflow.user": "ann"}},
        {"inputs": {"q": 2}, "outputs": None, "source": {"source_type": "TRACE", "source_data": {"trace_id": tid}}}])}))
    scorer = json.dumps({"name": "right", "mlflow_version": "3.17.2", "serialization_version": 1, "builtin_scorer_class": "Safety", "builtin_scorer_pydantic_data": {}})
    for _ in range(2):
        ok(s.post("/api/3.0/mlflow/scorers/register", {"experiment_id": e, "name": "right", "serialized_scorer": scorer}))
    ok(s.mlflow("experiments/delete", {"experiment_id": gone}))
    return e


def sort_lists(v):
    if isinstance(v, dict):
        return {k: sort_lists(x) for k, x in v.items()}
    if isinstance(v, list):
        return sorted((sort_lists(x) for x in v), key=lambda x: json.dumps(x, sort_keys=True))
    return v


def dump(s):
    """Everything that clients can see."""
    out = {}
    exps = ok(s.mlflow("experiments/search", {"max_results": 1000, "view_type": "ALL"}))["experiments"]
    for x in exps:
        out["experiment", x["experiment_id"]] = x
    ids = [x["experiment_id"] for x in exps]
    for r in ok(s.mlflow("runs/search", {"experiment_ids": ids, "run_view_type": "ALL"})).get("runs", []):
        rid = r["info"]["run_id"]
        out["run", rid] = ok(s.get(A + f"runs/get?run_id={rid}"))["run"]
        for m in r["data"].get("metrics", []):
            out["history", rid, m["key"]] = ok(s.get(A + f"metrics/get-history?run_id={rid}&metric_key={m['key']}"))["metrics"]
        files = ok(s.get(f"/api/2.0/mlflow-artifacts/artifacts?path={r['info']['experiment_id']}/{rid}/artifacts/a")).get("files", [])
        for f in files:
            out["file", rid, f["path"]] = s.get(f"/api/2.0/mlflow-artifacts/artifacts/{r['info']['experiment_id']}/{rid}/artifacts/a/{f['path']}").body
    for m in ok(s.mlflow("logged-models/search", {"experiment_ids": ids})).get("models", []):
        out["model", m["info"]["model_id"]] = m
    for m in ok(s.get(A + "registered-models/search")).get("registered_models", []):
        out["registered", m["name"]] = ok(s.get(A + f"registered-models/get?name={m['name']}"))
    for v in ok(s.get(A + "model-versions/search")).get("model_versions", []):
        out["version", v["name"], v["version"]] = (v, ok(s.get(A + f"model-versions/get-download-uri?name={v['name']}&version={v['version']}")))
    places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": i}} for i in ids]
    for t in ok(s.post("/api/3.0/mlflow/traces/search", {"locations": places})).get("traces", []):
        a = s.get(f"/api/3.0/mlflow/traces/get?trace_id={t['trace_id']}")
        whole = a.json if a.status == 200 else t
        for one in whole["trace"]["spans"] if a.status == 200 else []:
            one.pop("kind", None)  # MLflow's tables have no place for it
        out["trace", t["trace_id"]] = whole
    return {k: v if isinstance(v, bytes) else sort_lists(v) for k, v in out.items()}


def dump_evaluation(s):
    """Evaluation datasets, scorers, and the traces of each run."""
    out = {}
    every = "/api/3.0/mlflow/"
    ids = [x["experiment_id"] for x in ok(s.mlflow("experiments/search", {"max_results": 1000}))["experiments"]]
    for d in ok(s.post(every + "datasets/search", {})).get("datasets", []):
        where = every + "datasets/" + d["dataset_id"]
        out["dataset", d["dataset_id"]] = (d, ok(s.get(where + "/experiment-ids")),
                                             # MLflow keeps no order of what came in the same millisecond.
                                             sorted(json.loads(ok(s.get(where + "/records"))["records"]), key=lambda r: r["dataset_record_id"]))
    for e in ids:
        for v in ok(s.get(every + f"scorers/list?experiment_id={e}")).get("scorers", []):
            out["scorer", v["scorer_id"]] = ok(s.get(every + f"scorers/versions?experiment_id={e}&name={v['scorer_name']}"))
    for r in ok(s.mlflow("runs/search", {"experiment_ids": ids}))["runs"]:
        rid = r["info"]["run_id"]
        out["traces", rid] = [t["trace_id"] for t in ok(s.post(every + "traces/search", {
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": r["info"]["experiment_id"]}}],
            "filter": f"attributes.run_id = '{rid}'"})).get("traces", [])]
    assert sum(map(len, (out[k] for k in out if k[0] == "traces"))) == 1 and {k[0] for k in out} == {"dataset", "scorer", "traces"}, out
    return out


def differences(a, b, path=""):
    """Where two trees differ, leaf by leaf."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(set(a) | set(b), key=str) for d in differences(a.get(k), b.get(k), f"{path}/{k}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [f"{path}: {a!r:.300} became {b!r:.300}"]


def served(data):
    with Server(data=data) as s:
        return dump(s)


def round_trip(work):
    with Server(data=work + "/one") as s:
        fill(s)
        first, evaluated = dump(s), dump_evaluation(s)
    assert len(first) > 20, first.keys()
    def small():  # a disk that ends soon
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))
    p = subprocess.run([BIN, "export", "mlflow", "--to", work + "/out.db", "--data", work + "/one"], capture_output=True, text=True, preexec_fn=small)
    assert p.returncode == 1 and "everything" not in p.stdout, p
    assert not os.path.exists(work + "/out.db"), "half a file stays in the way"
    text = quern("export", "mlflow", "--to", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/one")
    everything_same(text)
    same(table(text)["metric points"][:2], [4 * 904 + 1, 4 * 904 + 1], text)
    assert "exists already" in quern("export", "mlflow", "--to", work + "/out.db", "--data", work + "/one", code=1)
    dry = quern("import", "mlflow", "--from", f"sqlite:///{work}/out.db", "--artifacts", work + "/files", "--data", work + "/two", "--dry-run")
    assert "nothing was changed" in dry and table(dry)["runs"][:2] == [4, 4], dry
    text = quern("import", "mlflow", "--from", f"sqlite:///{work}/out.db", "--artifacts", work + "/files", "--data", work + "/two")
    everything_same(text)
    again = quern("import", "mlflow", "--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/two")
    everything_same(again)
    rows = table(again)
    for kind in ("experiments", "runs", "metric points", "logged models", "registered models", "traces", "files"):
        same(rows[kind][1:3], [0, 0], f"a second import changed {kind}:\n{again}")
    same(differences(first, served(work + "/two")), [], "after export and import")
    with Server(data=work + "/two") as s:
        same(differences(evaluated, dump_evaluation(s)), [], "evaluation after export and import")
    with Server(data=work + "/two") as s:  # numbers that were spent are not given again
        same(ok(s.mlflow("model-versions/create", {"name": "rm", "source": "runs:/x/y"}))["model_version"]["version"], "4")


def live(work):
    """A server that runs, files included, by its URL alone; then the same again."""
    with Server(data=work + "/one") as s:
        run = ok(s.mlflow("runs/search", {"experiment_ids": ["1"]}))["runs"][0]["info"]["run_id"]
        ok(s.mlflow("runs/log-batch", {"run_id": run, "metrics": [  # at one place a number below 0 comes before NaN
            {"key": "both", "value": v, "timestamp": 7, "step": 1} for v in ("NaN", -1.0, 0.0, 2.0)]}))
        want = dump(s)
        text = quern("import", "mlflow", "--from", s.url + "/", "--data", work + "/live")
        everything_same(text)
        rows = table(text)
        assert rows["files"][0] > 0 and rows["spans"][0] > 0 and rows["assessments"][0] > 0, text
        again = quern("import", "mlflow", "--from", s.url, "--data", work + "/live")
        everything_same(again)
        for kind in ("experiments", "runs", "metric points", "logged models", "registered models", "traces", "files"):
            same(table(again)[kind][1:3], [0, 0], f"a second import changed {kind}:\n{again}")
        said = quern("import", "mlflow", "--from", s.url + "/none", "--data", work + "/none", code=1)
        assert "no MLflow server" in said, said
        url = s.url
    same(differences(want, served(work + "/live")), [], "after an import from a server")
    said = quern("import", "mlflow", "--from", url, "--data", work + "/none", code=1)
    assert "cannot be asked" in said, said


def changed_later(work):
    """What changes in the source afterwards is brought here by a further import."""
    db = sqlite3.connect(work + "/out.db")
    run = db.execute("SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' LIMIT 1").fetchone()[0]
    db.execute("UPDATE runs SET status = 'KILLED', end_time = 77 WHERE run_uuid = ?", (run,))
    db.execute("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('late', 1.5, 9, ?, 0, 0)", (run,))
    db.execute("UPDATE registered_models SET description = 'new'")
    db.commit()
    said = attempt("--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/two")
    assert "'rm': it has a version 4 here that the source has not" in said, said  # round_trip made it
    rows = table(said)
    same((rows["runs"][1:3], rows["metric points"][1], rows["registered models"][2]), ([0, 1], 1, 0), said)
    with Server(data=work + "/two") as s:
        same(ok(s.get(A + "registered-models/get?name=rm"))["registered_model"]["description"], "d", "nothing of it was changed")
        ok(s.request("DELETE", A + "model-versions/delete", {"name": "rm", "version": "4"}))
    text = quern("import", "mlflow", "--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/two")
    everything_same(text)
    same((table(text)["runs"][1:3], table(text)["registered models"][2]), ([0, 0], 1), text)
    with Server(data=work + "/two") as s:
        r = ok(s.get(A + f"runs/get?run_id={run}"))["run"]
        same((r["info"]["status"], r["info"]["end_time"]), ("KILLED", 77))


def newer_schema(work):
    """Columns that later revisions of MLflow have: workspaces, names and sums of traces in columns."""
    shutil.copy(work + "/out.db", work + "/newer.db")
    db = sqlite3.connect(work + "/newer.db")
    for t in ("experiments", "registered_models", "model_versions", "registered_model_tags", "model_version_tags", "registered_model_aliases",
              "evaluation_datasets"):
        db.execute(f"ALTER TABLE {t} ADD COLUMN workspace VARCHAR(63) DEFAULT 'default' NOT NULL")
    for c in ("trace_name VARCHAR(4096)", "session_id VARCHAR(250)", "input_tokens BIGINT", "output_tokens BIGINT", "total_tokens BIGINT"):
        db.execute(f"ALTER TABLE trace_info ADD COLUMN {c}")
    db.execute("UPDATE trace_info SET trace_name = 'promoted', session_id = 's1', input_tokens = 3, total_tokens = 5")
    db.execute("DELETE FROM trace_tags WHERE key = 'mlflow.traceName'")
    db.execute("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, workspace)"
               " VALUES (900, 'elsewhere', 's3://b/900', 'active', 'team')")
    db.commit()
    everything_same(quern("import", "mlflow", "--from", work + "/newer.db", "--artifacts", work + "/files", "--data", work + "/three"))
    with Server(data=work + "/three") as s:
        t = ok(s.get("/api/3.0/mlflow/traces/tr-" + "01" * 16))["trace"]["trace_info"]
        same(t["tags"]["mlflow.traceName"], "promoted")
        same((t["trace_metadata"]["mlflow.trace.session"], json.loads(t["trace_metadata"]["mlflow.trace.tokenUsage"])),
             ("s1", {"input_tokens": 3, "total_tokens": 5}))
        same(s.get(A + "experiments/get?experiment_id=900").status, 404, "another workspace stays behind")
    text = quern("import", "mlflow", "--from", work + "/newer.db", "--workspace", "team", "--data", work + "/team")
    same((table(text)["experiments"][0], table(text)["runs"][0]), (1, 0), text)
    assert "1 artifact URIs lead elsewhere" in text, text


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb" if isinstance(text, bytes) else "w") as f:
        f.write(text)


def mlruns(work):
    """The file store, written as MLflow writes it, in a place that is not where it was made."""
    top = work + "/mlruns"
    run, dead = "a" * 32, "b" * 32
    was = "file:///home/ann/mlruns"
    write(top + "/0/meta.yaml", f"artifact_location: {was}/0\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n")
    e = top + "/394505294170354916"
    write(e + "/meta.yaml", f"artifact_location: {was}/394505294170354916\ncreation_time: 11\nexperiment_id: '394505294170354916'\n"
                            "last_update_time: 12\nlifecycle_stage: active\nname: alpha\n")
    write(e + "/tags/team", "x")
    write(f"{e}/{run}/meta.yaml", f"artifact_uri: {was}/394505294170354916/{run}/artifacts\nend_time: 99\nentry_point_name: ''\n"
          f"experiment_id: '394505294170354916'\nlifecycle_stage: active\nrun_id: {run}\nrun_name: first\nrun_uuid: {run}\n"
          "source_name: ''\nsource_type: 4\nstart_time: 50\nstatus: 3\ntags: []\nuser_id: ann\n")
    write(f"{e}/{run}/metrics/loss", "2 0.5 1\n1 1.0 0\n2 0.5 1\n3 nan 2\n4 inf 3\n")
    write(f"{e}/{run}/metrics/val/acc", "5 1e-05\n")
    write(f"{e}/{run}/params/lr", "0.1")
    write(f"{e}/{run}/tags/mlflow.runName", "first")
    write(f"{e}/{run}/artifacts/model/MLmodel", "flavors: {}")
    write(f"{e}/{run}/inputs/i1/meta.yaml", f"destination_id: {run}\ndestination_type: RUN\nsource_id: d1\nsource_type: DATASET\n"
          "tags:\n  mlflow.data.context: training\n")
    write(e + "/datasets/d1/meta.yaml", "digest: dd\nname: iris\nprofile: '{}'\nschema: null\nsource: '{}'\nsource_type: code\n")
    write(f"{e}/traces/t1/trace_info.yaml", "execution_time_ms: 2\nexperiment_id: '394505294170354916'\nrequest_id: t1\nstatus: OK\ntimestamp_ms: 70\n")
    write(f"{e}/traces/t1/tags/mlflow.artifactLocation", f"{was}/394505294170354916/traces/t1/artifacts")
    write(f"{e}/traces/t1/request_metadata/m", "1")
    write(f"{e}/traces/t1/artifacts/traces.json", '{"spans": []}')
    t = top + "/.trash/981441672915079278"
    write(t + "/meta.yaml", f"artifact_location: {was}/981441672915079278\nexperiment_id: '981441672915079278'\nlifecycle_stage: deleted\nname: beta\n")
    write(f"{t}/{dead}/meta.yaml", f"artifact_uri: {was}/981441672915079278/{dead}/artifacts\ndeleted_time: 5\nexperiment_id: '981441672915079278'\n"
          f"lifecycle_stage: deleted\nrun_id: {dead}\nstart_time: 1\nstatus: 4\nuser_id: ann\n")
    write(f"{t}/{dead}/artifacts/x.txt", "x")
    m = top + "/models/churner"
    write(m + "/meta.yaml", "aliases: {}\ncreation_timestamp: 1\ndescription: null\nlast_updated_timestamp: 2\nname: churner\n")
    for n, stage in ((1, "Staging"), (2, "Deleted_Internal")):
        write(f"{m}/version-{n}/meta.yaml", f"creation_timestamp: 1\ncurrent_stage: {stage}\ndescription: first\nlast_updated_timestamp: 2\n"
              f"name: churner\nrun_id: {run}\nrun_link: null\nsource: {was}/394505294170354916/{run}/artifacts/model\nstatus: READY\n"
              f"storage_location: {was}/394505294170354916/{run}/artifacts/model\nversion: {n}\n")
    write(m + "/version-1/tags/k", "v")
    write(m + "/aliases/champion", "1")
    text = quern("import", "mlflow", "--from", top, "--data", work + "/runs")
    everything_same(text)
    rows = table(text)
    same({k: rows[k][0] for k in ("experiments", "runs", "metric points", "registered models", "versions", "traces", "files")},
         {"experiments": 3, "runs": 2, "metric points": 5, "registered models": 1, "versions": 1, "traces": 1, "files": 3}, text)
    everything_same(quern("import", "mlflow", "--from", top, "--data", work + "/runs"))
    with Server(data=work + "/runs") as s:
        r = ok(s.get(A + f"runs/get?run_id={run}"))["run"]
        same((r["info"]["status"], r["info"]["artifact_uri"]), ("FINISHED", f"mlflow-artifacts:/394505294170354916/{run}/artifacts"))
        same(sorted(m["key"] for m in r["data"]["metrics"]), ["loss", "val/acc"])
        same([(p["timestamp"], p["value"]) for p in ok(s.get(A + f"metrics/get-history?run_id={run}&metric_key=loss"))["metrics"]],
             [(1, 1.0), (2, 0.5), (3, "NaN"), (4, 1.7976931348623157e308)])
        same(ok(s.get(A + "model-versions/get-download-uri?name=churner&version=1"))["artifact_uri"],
             f"mlflow-artifacts:/394505294170354916/{run}/artifacts/model")
        same(s.get(f"/get-artifact?run_id={dead}&path=x.txt").body, b"x")
        same(ok(s.get(A + "registered-models/alias?name=churner&alias=champion"))["model_version"]["version"], "1")
        same(ok(s.mlflow("model-versions/create", {"name": "churner", "source": "runs:/x/y"}))["model_version"]["version"], "3")
        same(s.get("/ajax-api/2.0/mlflow/get-trace-artifact?request_id=t1").json, {"spans": []})
    return top, run, e


def hostile(work, top, run, e):
    """Links and climbing names lead nowhere; a file that is no database, or half of one, is refused."""
    secret = work + "/secret.txt"
    write(secret, "secret")
    os.symlink(secret, f"{e}/{run}/artifacts/link.txt")
    os.symlink("/etc", f"{e}/{run}/artifacts/folder")
    os.mkfifo(f"{e}/{run}/artifacts/pipe")  # must not be waited for
    p = subprocess.run([BIN, "import", "mlflow", "--from", top, "--data", work + "/hostile"], capture_output=True, text=True)
    assert p.returncode == 1 and "links are not followed" in p.stderr and "secret" not in p.stdout, p
    assert "is no regular file" in p.stderr, p
    same(table(p.stdout)["files"][-1], 3, p.stdout)
    copied = os.path.dirname(e) + "/0/" + run
    shutil.copytree(f"{e}/{run}/tags", copied + "/tags")
    shutil.copy(f"{e}/{run}/meta.yaml", copied)
    said = attempt("--from", top, "--data", work + "/hostile")
    assert "it has 3 of them, of which only 2 can be reached" in said, said
    shutil.rmtree(copied)
    write(f"{e}/{run}/params/latin", b"\xe4")
    said = attempt("--from", top, "--data", work + "/hostile")
    assert f"run {run}: The file" in said and "no UTF-8" in said, said
    same(table(said)["runs"], [2, 0, 0, 1, 1, 1], said)
    os.unlink(f"{e}/{run}/params/latin")
    os.unlink(f"{e}/{run}/artifacts/pipe")
    os.unlink(f"{e}/{run}/artifacts/link.txt")
    os.unlink(f"{e}/{run}/artifacts/folder")
    shutil.copy(work + "/out.db", work + "/evil.db")
    db = sqlite3.connect(work + "/evil.db")
    db.execute("UPDATE runs SET artifact_uri = 'file:///etc'")
    db.execute("UPDATE experiments SET artifact_location = '" + work + "/files/../one'")
    db.commit()
    text = quern("import", "mlflow", "--from", work + "/evil.db", "--artifacts", work + "/files", "--data", work + "/evil")
    same(table(text)["files"][0], 1, "only the logged model's file is below the folder:\n" + text)
    with Server(data=work + "/evil") as s:
        a = s.get(f"/get-artifact?run_id={'a' * 32}&path=passwd")
        assert a.status in (400, 404) and b"root:" not in a.body, a
    for name, content, part in (("empty.db", b"", "no database of MLflow"), ("text.db", b"hello" * 1000, "no SQLite database"),
                                ("none.db", None, "no source")):
        if content is not None:
            write(f"{work}/{name}", content)
        assert part in quern("import", "mlflow", "--from", f"{work}/{name}", "--data", work + "/refused", code=1)
    good = open(work + "/out.db", "rb").read()
    write(work + "/half.db", good[: len(good) // 2])
    p = subprocess.run([BIN, "import", "mlflow", "--from", work + "/half.db", "--data", work + "/half"], capture_output=True, text=True)
    assert p.returncode == 1 and "everything stands" not in p.stdout, p
    broken = bytearray(good)
    for at in range(8192, len(broken) - 4096, 3 * 4096):
        broken[at:at + 64] = struct.pack("<q", at) * 8
    write(work + "/broken.db", bytes(broken))
    p = subprocess.run([BIN, "import", "mlflow", "--from", work + "/broken.db", "--data", work + "/broken"], capture_output=True, text=True)
    assert p.returncode in (0, 1), p


def conflicts(work):
    with Server(data=work + "/taken") as s:
        ok(s.mlflow("experiments/create", {"name": "mine"}))  # id 1, as in the source
        ok(s.mlflow("registered-models/create", {"name": "rm"}))
        for _ in range(3):
            ok(s.mlflow("model-versions/create", {"name": "rm", "source": "runs:/x/y"}))
        before = dump(s)
    said = attempt("--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/taken", "--dry-run")
    for part in ("exists here with the name 'mine'", "its experiment 1 was not taken", "it has a version 3 here that the source has not"):
        assert part in said, said
    same(table(said)["experiments"][1:3], [1, 1], "the others could come:\n" + said)  # the deleted one; Default is in another form
    same(served(work + "/taken"), before, "a dry run changes nothing")
    said = attempt("--from", work + "/out.db", "--artifacts", work + "/files", "--data", work + "/taken")
    assert "exists here with the name 'mine'" in said and "its experiment 1 was not taken" in said, said
    same([table(said)[k][1] for k in ("runs", "metric points", "logged models", "traces", "files")], [0] * 5, said)
    with Server(data=work + "/taken") as s:
        same(ok(s.get(A + "experiments/get?experiment_id=1"))["experiment"]["name"], "mine", "what was here stays")
        same(ok(s.mlflow("runs/search", {"experiment_ids": ["1"], "run_view_type": "ALL"})).get("runs", []), [], "and gets nothing of the other's")
    # A run whose artifacts are said to lie with an experiment that is here alone.
    with Server(data=work + "/aimed") as s:
        for i in range(5):
            ok(s.mlflow("experiments/create", {"name": f"mine {i}"}))
        ok(s.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/5/r/artifacts/model.bin", b"mine", raw=True))
    write(work + "/aim/5/r/artifacts/model.bin", "theirs")
    path = altered(work, "aimed", "UPDATE experiments SET experiment_id = experiment_id + 900 WHERE experiment_id > 0",
                   "UPDATE runs SET experiment_id = experiment_id + 900, artifact_uri = 'mlflow-artifacts:/5/r/artifacts'")
    said = attempt("--from", path, "--artifacts", work + "/aim", "--data", work + "/aimed")
    assert "5/r/artifacts: it lies with an experiment here that the source has not" in said and table(said)["runs"][1] == 4, said
    with Server(data=work + "/aimed") as s:
        same(s.get("/api/2.0/mlflow-artifacts/artifacts/5/r/artifacts/model.bin").body, b"mine")
    with Server(data=work + "/one") as s:
        p = subprocess.run([BIN, "import", "mlflow", "--from", work + "/out.db", "--data", s.data], capture_output=True, text=True)
        assert p.returncode == 1 and "is in use" in p.stderr or "another" in p.stderr, p
    quern("import", "mlflow", code=2)
    quern("import", "feast", "--from", "x", code=2)
    quern("export", "mlflow", code=2)


def cut_off(work):
    """Killed in the middle, again and again: the next import goes on, and the end is the same."""
    data = work + "/killed"
    db = sqlite3.connect(work + "/big.db")
    sqlite3.connect(work + "/out.db").backup(db)
    run = db.execute("SELECT run_uuid FROM runs LIMIT 1").fetchone()[0]
    db.executemany("INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('big', ?, ?, ?, ?, 0)",
                   [(i * 0.5, i, run, i) for i in range(60000)])
    db.commit()
    args = [BIN, "import", "mlflow", "--from", work + "/big.db", "--artifacts", work + "/files", "--data", data]
    for wait in (0.03, 0.06, 0.1, 0.15, 0.2):
        p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        p.send_signal(signal.SIGKILL)
        p.wait()
    everything_same(quern(*args[1:]))
    with Server(data=data) as s:
        n, token = 0, ""
        while True:
            a = ok(s.get(A + f"metrics/get-history?run_id={run}&metric_key=big&max_results=25000" + token))
            n += len(a["metrics"])
            if "next_page_token" not in a:
                break
            token = "&page_token=" + a["next_page_token"]
        same(n, 60000)


def genuine(work):
    """A genuine server opens the export once its own migrations ran over it."""
    mlflow = os.environ.get("QUERN_GENUINE")
    if not mlflow:
        return "no genuine mlflow to open the export"
    shutil.copy(work + "/out.db", work + "/upgraded.db")
    subprocess.run([mlflow, "db", "upgrade", f"sqlite:///{work}/upgraded.db"], check=True, capture_output=True)
    everything_same(quern("import", "mlflow", "--from", work + "/upgraded.db", "--artifacts", work + "/files", "--data", work + "/back"))
    return "opened by the genuine mlflow"


def main():
    work = os.path.realpath(tempfile.mkdtemp(prefix="quern-transfer-"))
    try:
        round_trip(work)
        live(work)
        cut_off(work)
        newer_schema(work)
        hostile(work, *mlruns(work))
        conflicts(work)
        said = genuine(work)
        changed_later(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("transfer: ok,", said)


if __name__ == "__main__":
    main()
