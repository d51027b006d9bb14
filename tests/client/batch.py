# SPDX-License-Identifier: Apache-2.0
"""Batch prediction jobs: formats, columns, rows that fail, cancel, worker and daemon killed in the
middle. Every output is compared with what onnxruntime itself gives for the same rows."""
import csv
import glob
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from serving import LIBRARY, Lab
from serving_faults import add
from quern import Server, wait_until

JOBS = "/api/v1/batches"
ENV = {"QUERN_ONNX_LIBRARY": LIBRARY}
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DUCK = os.environ.get("QUERN_DUCK_LIB") or (glob.glob(os.path.join(ROOT, "build", "lib", "libduckdb.so*")) or [""])[0]
VENVS = os.environ.get("QUERN_VENVS") or os.path.join(ROOT, "build", "venv")
ARROW = os.environ.get("QUERN_ARROW_PYTHON") or os.path.join(VENVS, "flow3", "bin", "python")


def submit(s, **spec):
    r = s.post(JOBS, spec)
    assert r.status == 201 and r.json["state"] == "queued", r
    return r.json["id"]


def job(s, id):
    r = s.get(f"{JOBS}/{id}")
    assert r.status == 200, r
    return r.json


def ended(s, id, seconds=120):
    wait_until(f"the end of job {id}", lambda: job(s, id)["state"] not in ("queued", "running"), seconds)
    return job(s, id)


def done(s, id, **want):
    j = ended(s, id)
    assert j["state"] == "succeeded" and j["progress"] == 1, (j, s.log_text(2000))
    for key, value in want.items():
        assert j[key] == value, (key, value, j)
    return j


def rows_of(s, id):
    r = s.get(f"{JOBS}/{id}/output")
    assert r.status == 200, r
    return list(csv.reader(io.StringIO(r.text)))


def errors_of(s, id):
    r = s.get(f"{JOBS}/{id}/errors")
    assert r.status == 200, r
    return [json.loads(line) for line in r.text.splitlines()]


def upload(s, path, data):
    r = s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", data, raw=True)
    assert r.status == 200, r
    return path


class Forest:
    """Four numbers to a class and three probabilities, and onnxruntime's own word on them."""

    def __init__(self, lab, trees=10):
        rng = np.random.default_rng(5)
        x = rng.normal(size=(300, 4)).astype(np.float32)
        y = np.array(["a", "b", "c"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)]
        model = to_onnx(RandomForestClassifier(trees, random_state=1).fit(x, y), x[:1]).SerializeToString()
        self.version = lab.register_file("forest", model)
        self.target = f"models:/forest/{self.version}"
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def rows(self, n, seed=0):
        return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)

    def want(self, x):
        labels, maps = self.session.run(None, {"X": x})
        return labels, np.array([[m[k] for k in ("a", "b", "c")] for m in maps], dtype=np.float32)


def csv_text(x, ids=None):
    head = "a,b,c,d" if ids is None else "id,a,b,c,d"
    lines = [",".join(([] if ids is None else [ids[i]]) + [repr(float(v)) for v in row]) for i, row in enumerate(x)]
    return "\n".join([head, *lines]) + "\n"


def check_csv(forest, rows, x, numbers, extra=0):
    """Lines of output beside the rows of x with these numbers."""
    labels, p = forest.want(x[numbers])
    assert [int(r[0]) for r in rows[1:]] == list(numbers), "every row once, in order"
    assert [r[1 + extra] for r in rows[1:]] == list(labels)
    got = np.array([[float(v) for v in r[2 + extra:]] for r in rows[1:]], dtype=np.float32)
    assert np.allclose(got, p, atol=1e-6), np.abs(got - p).max()


def formats(lab, forest):
    s = lab.server
    x = forest.rows(2500)
    id = submit(s, target=forest.target, input={"data": csv_text(x)}, chunk_rows=400)
    j = done(s, id, rows=2500, errors=0, model="forest", version=forest.version, attempt=1)
    assert j["output"] == f"batches/{id}/predictions.csv" and "errors_file" not in j and j["bytes"] == j["input_bytes"], j
    assert "data" not in str(j["spec"]["input"]) or j["spec"]["input"]["data"] == "", j
    rows = rows_of(s, id)
    assert rows[0] == ["row", "output_label", "output_probability_a", "output_probability_b", "output_probability_c"], rows[0]
    check_csv(forest, rows, x, range(2500))
    # The same as an artifact, by MLflow's door; on several threads; ids kept; columns chosen and out of order.
    ids = [f'"q""{i}, x"' if i % 3 else str(i) for i in range(2500)]
    path = upload(s, "in/rows.csv", csv_text(x, ids))
    id = submit(s, target=forest.target, input={"artifact": path}, keep=["id"], chunk_rows=64, concurrency=4,
                columns={"a": "", "b": "", "c": "", "d": ""})
    done(s, id, rows=2500)
    rows = rows_of(s, id)
    assert [r[1] for r in rows[1:]] == [f'q"{i}, x' if i % 3 else str(i) for i in range(2500)], rows[:4]
    check_csv(forest, rows, x, range(2500), extra=1)
    r = s.get(f"/api/2.0/mlflow-artifacts/artifacts/batches/{id}/predictions.csv")
    assert r.status == 200 and r.text == s.get(f"{JOBS}/{id}/output").text
    # JSON lines: objects, and lists; blank lines and CRLF are no rows.
    for concurrency, line in ((1, lambda v: json.dumps({"X": v})), (3, json.dumps)):
        text = "".join(line([float(v) for v in row]) + ("\r\n\n  \n" if i % 2 else "\n") for i, row in enumerate(x))
        id = submit(s, target=forest.target, input={"data": text}, format="jsonl", chunk_rows=333, concurrency=concurrency)
        j = done(s, id, rows=2500, errors=0)
        assert j["output"].endswith("predictions.jsonl")
        got = [json.loads(line) for line in s.get(f"{JOBS}/{id}/output").text.splitlines()]
        labels, p = forest.want(x)
        assert [g["row"] for g in got] == list(range(2500)) and [g["output_label"] for g in got] == list(labels)
        assert np.allclose([[g["output_probability"][k] for k in "abc"] for g in got], p, atol=1e-6)
    # From CSV to JSON and with everything kept.
    id = submit(s, target=forest.target, input={"data": csv_text(x[:3])}, output_format="jsonl", keep=["*"])
    done(s, id, rows=3)
    got = [json.loads(line) for line in s.get(f"{JOBS}/{id}/output").text.splitlines()]
    assert list(got[0]) == ["row", "a", "b", "c", "d", "output_label", "output_probability"] and got[0]["a"] == repr(float(x[0, 0])), got
    # No rows at all; no line end at the end; an endpoint in place of a model.
    done(s, submit(s, target=forest.target, input={"data": "a,b,c,d\n"}), rows=0)
    done(s, submit(s, target=forest.target, input={"data": ""}, format="jsonl"), rows=0)
    lab.deploy("forest", forest.target)
    id = submit(s, endpoint="forest", input={"data": "\ufeff" + csv_text(x[:2])[:-1]})
    done(s, id, rows=2, version=forest.version)
    check_csv(forest, rows_of(s, id), x, range(2))


def failing_rows(lab, forest):
    """Rows at fault are kept aside with number, line and reason; the others are predicted."""
    s = lab.server
    x = forest.rows(1000, 1)
    lines = csv_text(x).splitlines()
    bad = {0: "1,2,3", 7: "1,2,x,4", 8: "1,2,3,4,5", 400: 'a"b,1,2,3', 401: '1,"2', 998: "1,2,1e999999,4", 999: ",,,"}
    for i, text in bad.items():
        lines[i + 1] = text
    id = submit(s, target=forest.target, input={"data": "\n".join(lines) + "\n"}, chunk_rows=128)
    j = ended(s, id)
    assert j["state"] == "succeeded", j
    errors = errors_of(s, id)
    found = {e["row"]: e for e in errors}
    assert set(found) >= {0, 7, 8, 400, 401} and set(found) <= set(bad), errors
    assert [e["line"] for e in errors] == [e["row"] + 2 for e in errors], errors
    assert "fields" in found[0]["error"] and found[0]["input"] == "1,2,3" and "CSV line" not in found[0]["error"], found[0]
    assert "'c'" in found[7]["error"] and "number" in found[7]["error"] and "row 0" not in found[7]["error"], found[7]
    assert "quote" in found[400]["error"] and "quote" in found[401]["error"], errors
    assert j["errors"] == len(errors) and j["errors_file"] == f"batches/{id}/errors.jsonl", j
    check_csv(forest, rows_of(s, id)[:5], x, [i for i in range(1000) if i not in found][:4])
    good = [i for i in range(998) if i not in bad]
    kept = [r for r in rows_of(s, id) if r[0] in {"row", *map(str, good)}]
    check_csv(forest, kept, x, good)
    # JSON: a line must not mean something else beside another.
    lines = [json.dumps({"X": [float(v) for v in row]}) for row in x[:40]]
    for i, text in ((3, lines[3] + "," + lines[4]), (9, '{"X": [1,2,3,4]'), (10, '"Y": 1}'), (20, "[1,2,3,4]"), (21, "nonsense"),
                    (22, '{"X": [1,2,3]}'), (23, '{"Y": [1,2,3,4], "Z": 1}'), (24, "{}"), (25, '{"X": [1,2,3,4]}]}')):
        lines[i] = text
    id = submit(s, target=forest.target, input={"data": "\n".join(lines)}, format="jsonl", concurrency=2, chunk_rows=16)
    done(s, id, rows=40, errors=9)
    assert [e["row"] for e in errors_of(s, id)] == [3, 9, 10, 20, 21, 22, 23, 24, 25], errors_of(s, id)
    got = [json.loads(line) for line in s.get(f"{JOBS}/{id}/output").text.splitlines()]
    assert [g["row"] for g in got] == [i for i in range(40) if i not in (3, 9, 10, 20, 21, 22, 23, 24, 25)]
    # A line longer than a record may be; a bound on errors; nothing that can be predicted.
    long = csv_text(x[:2]) + "1,2,3," + "4" * (5 << 20) + "\n" + csv_text(x[2:4]).split("\n", 1)[1]
    id = submit(s, target=forest.target, input={"artifact": upload(s, "in/long.csv", long)})
    done(s, id, rows=5, errors=1)
    assert errors_of(s, id)[0]["row"] == 2 and "longer than" in errors_of(s, id)[0]["error"], errors_of(s, id)
    id = submit(s, target=forest.target, input={"data": "a,b,c,d\n" + "1,2,3\n" * 50}, max_errors=20, chunk_rows=10)
    j = ended(s, id)
    assert j["state"] == "failed" and "max_errors" in j["reason"] and "row 0 (line 2)" in j["reason"], j
    id = submit(s, target=forest.target, input={"data": "a,b,c\n1,2,3\n4,5,6\n"})
    j = ended(s, id)
    assert j["state"] == "failed" and "no row could be predicted" in j["reason"] and "3 columns" in j["reason"], j
    assert len(errors_of(s, id)) == 2 and s.get(f"{JOBS}/{id}/output").status == 409
    j = ended(s, submit(s, target=forest.target, input={"data": ""}))
    assert j["state"] == "failed" and "column names" in j["reason"], j
    j = ended(s, submit(s, target=forest.target, input={"data": "\n" * 100}))
    assert (j["state"], j["rows"], j["bytes"], j["progress"]) == ("failed", 0, 0, 0), j
    v = lab.register_file("hostile", b"\x08\x08nonsense")
    j = ended(s, submit(s, target=f"models:/hostile/{v}", input={"data": csv_text(x)}))
    assert j["state"] == "failed" and j["reason"], j


def wrong_requests(lab, forest):
    s = lab.server
    ok = {"target": forest.target, "input": {"data": "a\n"}}
    rows = [
        ({}, 400, "input"), ({"input": {"data": ""}}, 400, "target"), ({**ok, "endpoint": "forest"}, 400, "one of target"),
        ({**ok, "input": {}}, 400, "one of artifact"), ({**ok, "input": {"data": "", "artifact": "x"}}, 400, "one of artifact"),
        ({**ok, "format": "xml"}, 400, "format"), ({**ok, "format": "parquet"}, 501, "Parquet"),
        ({**ok, "output_format": "parquet"}, 501, "Parquet"), ({**ok, "input": {"artifact": "in/x.parquet"}}, 501, "Parquet"),
        ({**ok, "chunk_rows": 0}, 400, "chunk_rows"), ({**ok, "chunk_rows": 100001}, 400, "chunk_rows"),
        ({**ok, "concurrency": 17}, 400, "concurrency"), ({**ok, "keep": ["*", "a"]}, 400, "keep"), ({**ok, "colums": {}}, 400, "colums"),
        ({**ok, "target": "models:/nobody/1"}, 404, "nobody"), ({**ok, "target": "forest"}, 400, "models:/"),
        ({"endpoint": "nobody", "input": ok["input"]}, 404, "nobody"),
        ({**ok, "input": {"artifact": "../etc/passwd"}}, 400, "path"), ({**ok, "input": {"artifact": "no/such"}}, 404, "no/such"),
        ({**ok, "input": {"artifact": "in"}}, 400, "is a folder"), ({**ok, "max_errors": -1}, 400, "max_errors"),
    ]
    for body, status, words in rows:
        r = s.post(JOBS, body)
        assert r.status == status and words in r.text, (body, r)
    for verb, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/output"), ("GET", "/errors")):
        r = s.request(verb, f"{JOBS}/{'0' * 32}{path}", {} if verb == "POST" else None)
        assert r.status == 404, (verb, path, r)


def many_lines(forest, n):
    return csv_text(forest.rows(n, 2))


def worker_pid(s, id):
    """Of the process that runs the job's worker, by its argument."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as f:
                    args = f.read().split(b"\0")
                if b"batch-worker" in args and any(id.encode() in a for a in args):
                    return int(name)
            except OSError:
                pass
    return None


def cancel(lab, forest):
    s = lab.server
    path = upload(s, "in/many.csv", many_lines(forest, 300000))
    first = submit(s, target=forest.target, input={"artifact": path}, chunk_rows=1000)
    second = submit(s, target=forest.target, input={"artifact": path})
    wait_until("some rows", lambda: job(s, first)["rows"] > 0)
    j = job(s, first)
    assert j["state"] == "running" and 0 < j["progress"] < 1 and j["rows_per_s"] > 0, j
    assert job(s, second)["state"] == "queued", "one at a time"
    assert s.get(f"{JOBS}/{first}/output").status == 409 and s.request("DELETE", f"{JOBS}/{first}").status == 409
    assert s.post(f"{JOBS}/{second}/cancel").json["state"] == "cancelled"
    pid = worker_pid(s, first)
    assert pid and os.getpriority(os.PRIO_PROCESS, pid) == 19 and os.sched_getscheduler(pid) == os.SCHED_IDLE, pid
    assert s.post(f"{JOBS}/{first}/cancel").json["cancelling"] is True
    assert ended(s, first)["state"] == "cancelled" and worker_pid(s, first) is None
    assert s.post(f"{JOBS}/{first}/cancel").status == 409
    assert [b["id"] for b in s.get(JOBS).json["batches"][:2]] == [second, first]
    assert s.request("DELETE", f"{JOBS}/{first}").status == 200 and s.get(f"{JOBS}/{first}").status == 404
    # The job is on record as ended before its files go.
    wait_until("no files are left", lambda: not os.listdir(os.path.join(s.data, "batch")))


def crashes():
    """Worker killed: it goes on. Daemon killed: the worker goes on without it. Both killed: all goes on
    from the last saved rows. No row is lost, none is there twice."""
    data = tempfile.mkdtemp(prefix="quern-test-")
    s = Server(data=data, env=ENV)
    lab = Lab(s)
    forest = Forest(lab, 30)
    n = 120000
    lines = csv_text(forest.rows(n, 3)).splitlines()
    for i in range(100, n, 9973):
        lines[i + 1] = "1,2,x,4"
    bad = list(range(100, n, 9973))
    path = upload(s, "in/rows.csv", "\n".join(lines) + "\n")
    id = submit(s, target=forest.target, input={"artifact": path}, chunk_rows=200)

    def some_more(than):
        wait_until("more rows", lambda: job(s, id)["rows"] > than or job(s, id)["state"] not in ("queued", "running"), 60)
        j = job(s, id)
        assert j["state"] == "running", (j, s.log_text(2000))
        return j["rows"]
    at = some_more(0)
    os.kill(worker_pid(s, id), signal.SIGKILL)
    wait_until("another attempt", lambda: job(s, id)["attempt"] == 2)
    at = some_more(at)
    assert job(s, id)["attempt"] == 2
    s.kill9()
    pid = worker_pid(s, id)
    assert pid, "the worker outlives the daemon"
    s.start()
    at = some_more(at)
    assert job(s, id)["attempt"] == 2 and worker_pid(s, id) == pid, "the same worker is watched again"
    s.kill9()
    pid = worker_pid(s, id)
    with open(f"/proc/{pid}/stat") as f:
        keeper = int(f.read().rsplit(")", 1)[1].split()[1])
    os.kill(keeper, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    s.start()
    j = done(s, id, rows=n, errors=len(bad), attempt=3)
    rows = rows_of(s, id)
    want = [i for i in range(n) if i not in set(bad)]
    assert [int(r[0]) for r in rows[1:]] == want, "every row once, in order"
    assert [e["row"] for e in errors_of(s, id)] == bad
    x = forest.rows(n, 3)
    labels, p = forest.want(x[want])
    top = np.sort(p, axis=1)
    clear = top[:, 2] - top[:, 1] > 1e-5  # of two classes that are even, the order of summing decides
    assert clear.mean() > 0.9
    for r, label, sure in zip(rows[1:], labels, clear):
        assert r[1] == label or not sure, (r, label)
    assert np.allclose(np.array([[float(v) for v in r[2:]] for r in rows[1:]]), p, atol=1e-6)
    assert os.listdir(os.path.join(data, "batch")) == []
    # One that never comes to an end is given up.
    id = submit(s, target=forest.target, input={"artifact": path}, chunk_rows=10)
    for attempt in range(1, 6):
        wait_until(f"attempt {attempt}", lambda: job(s, id)["attempt"] == attempt and worker_pid(s, id), 30)
        time.sleep(0.2)
        os.kill(worker_pid(s, id), signal.SIGKILL)
    j = ended(s, id)
    assert j["state"] == "failed" and "started 5 times" in j["reason"] and "signal 9" in j["reason"], j
    s.own_data = True
    s.__exit__(None, None, None)


def bounds():
    with Server(env={**ENV, "QUERN_BATCH_MAX_INPUT": "4K", "QUERN_BATCH_MAX_OUTPUT": "2K"}) as s:
        lab = Lab(s)
        v = lab.register_file("sum", add(1))
        r = s.post(JOBS, {"target": f"models:/sum/{v}", "input": {"data": "X\n" + "1\n" * 4096}})
        assert r.status == 413 and "batch.max-input" in r.text, r
        id = submit(s, target=f"models:/sum/{v}", input={"data": "X\n" + "1\n" * 1000}, keep=["X"], chunk_rows=100)
        j = ended(s, id)
        assert j["state"] == "failed" and "batch.max-output" in j["reason"], j
        id = submit(s, target=f"models:/sum/{v}", input={"data": "other\n1\n2\n"}, columns={"other": "X"}, keep=["other"])
        done(s, id, rows=2)
        assert rows_of(s, id) == [["row", "other", "Y"], ["0", "1", "2.0"], ["1", "2", "3.0"]], rows_of(s, id)


def parquet():
    """Lines to Parquet, and that Parquet to lines again; pyarrow, where it is, reads the same."""
    if not DUCK:
        print("   without Parquet: no DuckDB")
        return
    with Server(env={**ENV, "QUERN_DUCK_LIBRARY": DUCK}) as s:
        lab = Lab(s)
        forest = Forest(lab)
        x = forest.rows(3000, 7)
        text = "".join(json.dumps({"id": f"2024-01-{i % 28 + 1:02}", **{k: float(v) for k, v in zip("abcd", row)}}) + "\n"
                       for i, row in enumerate(x[:-1])) + '{"id": "bad", "a": "x", "b": 1, "c": 2, "d": 3}\n'
        columns = {k: "" for k in "abcd"}
        first = submit(s, target=forest.target, input={"data": text}, format="jsonl", output_format="parquet", keep=["*"], columns=columns)
        j = done(s, first, rows=3000, errors=1)
        assert j["output"] == f"batches/{first}/predictions.parquet", j
        data = s.get(f"{JOBS}/{first}/output").body
        assert data[:4] == data[-4:] == b"PAR1"
        labels, p = forest.want(x[:-1])
        if os.path.exists(ARROW) and not subprocess.run([ARROW, "-c", "import pyarrow"], capture_output=True).returncode:
            with tempfile.NamedTemporaryFile(suffix=".parquet") as f:
                f.write(data)
                f.flush()
                code = "import json, sys, pyarrow.parquet as q; print(json.dumps(q.read_table(sys.argv[1]).to_pydict()))"
                table = json.loads(subprocess.run([ARROW, "-c", code, f.name], capture_output=True, check=True).stdout)
            assert table["row"] == list(range(2999)) and table["output_label"] == list(labels)
            assert np.allclose([[r[k] for k in "abc"] for r in table["output_probability"]], p, atol=1e-6)
            assert np.allclose(np.array([table[k] for k in "abcd"]).T, x[:-1]) and table["id"][0] == "2024-01-01", table["id"][0]
        else:
            print("   Parquet is read by DuckDB alone: no pyarrow")
        second = submit(s, target=forest.target, input={"artifact": j["output"]}, output_format="csv", keep=["id", "row"], columns=columns)
        j = done(s, second, rows=2999, errors=0)
        assert j["bytes"] == j["input_bytes"] == len(data), j
        rows = rows_of(s, second)
        assert [r[1] for r in rows[1:4]] == ["2024-01-01", "2024-01-02", "2024-01-03"] and rows[5][2] == "4", rows[:6]
        check_csv(forest, rows, x, range(2999), extra=2)
        done(s, submit(s, target=forest.target, input={"data": ""}, format="jsonl", output_format="parquet"), rows=0)
        j = ended(s, submit(s, target=forest.target, input={"artifact": upload(s, "in/bad.parquet", b"PAR1 nonsense PAR1")}))
        assert j["state"] == "failed" and j["reason"] and s.data not in j["reason"], j


def main():
    with Server(env=ENV) as server:
        lab = Lab(server)
        forest = Forest(lab)
        for check in (formats, failing_rows, wrong_requests, cancel):
            check(lab, forest)
            print(check.__name__, "ok", flush=True)
    for check in (bounds, parquet, crashes):
        check()
        print(check.__name__, "ok", flush=True)


if __name__ == "__main__":
    main()
