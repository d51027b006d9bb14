# SPDX-License-Identifier: Apache-2.0
"""The memory of predictions through a real daemon: what is kept and what is not, pages and filters,
feedback by id and by entity, exports that are equal, a kill -9, retention, replay against another
version, shadows, and who may do what."""
import csv
import glob
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from serving import IX, LIBRARY, Lab, iris, invoke
from quern import BIN, Server, wait_until

ROOT = os.path.join(HERE, "..", "..")
DUCK = os.environ.get("QUERN_DUCK_LIB") or (glob.glob(os.path.join(ROOT, "build", "lib", "libduckdb.so*")) or [""])[0]
VENVS = os.environ.get("QUERN_VENVS", os.path.join(ROOT, "build", "venv"))
ARROW = os.environ.get("QUERN_ARROW_PYTHON") or os.path.join(VENVS, "flow3", "bin", "python")
COLUMNS = [n.replace(" (cm)", "").replace(" ", "_") for n in iris.feature_names]
E = "/api/v1/endpoints"


def put(lab, name, spec, status=(200, 201)):
    r = lab.server.request("PUT", f"{E}/{name}", spec)
    assert r.status in status, r
    return lab.settled(name) if r.status < 300 else r.json


def models(lab):
    """Two versions that differ: the second was taught on half of the flowers."""
    frame = pd.DataFrame(IX, columns=COLUMNS)
    for rows in (slice(None), slice(0, 100)):
        m = LogisticRegression(max_iter=300).fit(IX[rows], iris.target[rows])
        onnx = to_onnx(m, IX[:1], options={"zipmap": False})
        lab.version = lab.register("iris", onnx, infer_signature(frame, m.predict(IX)))
    return frame


def ask(lab, name, rows, headers=None, status=200):
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[float(v) for v in IX[i]] for i in rows]}}
    r = lab.server.request("POST", f"/endpoints/{name}/invocations", json.dumps(body), raw=True,
                           headers={"Content-Type": "application/json", **(headers or {})})
    assert r.status == status, r
    return r.headers["X-Quern-Prediction-Id"]


def listed(s, name, query=""):
    r = s.get(f"{E}/{name}/predictions{query}")
    assert r.status == 200, r
    return r.json


def feedback(s, name, body, status=200):
    r = s.post(f"{E}/{name}/feedback", body)
    assert r.status == status, r
    return r.json


def kept(lab):
    s = lab.server
    put(lab, "log", {"target": "models:/iris/1", "log": {"redact": ["petal_width"], "key": "header:X-User"}})
    before = time.time() * 1000
    ids = [ask(lab, "log", [i], {"X-User": f"user {i % 3}"}) for i in range(12)]
    assert len(set(ids)) == 12 and [i[:13] for i in ids] == sorted(i[:13] for i in ids), "ids sort by time"
    page = listed(s, "log")
    assert [p["id"] for p in page["predictions"]] == ids[::-1], page
    p = page["predictions"][0]
    assert set(p["inputs"]) == set(COLUMNS) - {"petal_width"} and p["redacted"] == ["petal_width"], p
    assert np.allclose([p["inputs"][k][0] for k in COLUMNS[:3]], IX[11][:3]), p
    assert p["model"] == "iris" and p["version"] == 1 and p["status"] == 200 and p["key"] == "user 2", p
    assert p["kind"] == "answer" and p["rows"] == 1 and p["latency_us"] > 0 and before - 1 <= p["time_ms"], p
    assert p["outputs"]["label"] == [0], p
    # No file of the data directory holds what was redacted.
    secret = repr(float(IX[11][3]))[:8].encode()
    for path in glob.glob(os.path.join(s.data, "predictions", "**", "*.zst"), recursive=True):
        text = subprocess.run(["zstd", "-dc", path], capture_output=True).stdout if os.path.exists("/usr/bin/zstd") else b""
        assert b"petal_width\":[" not in text, (path, secret)
    one = s.get(f"{E}/log/predictions/{ids[4]}").json
    assert one["prediction"]["id"] == ids[4] and one["shadows"] == [], one
    assert s.get(f"{E}/log/predictions/{ids[4].upper()}").status in (200, 404)
    assert len(listed(s, "log", "?key=user%201")["predictions"]) == 4
    assert len(listed(s, "log", "?version=2")["predictions"]) == 0
    assert len(listed(s, "log", "?arm=main&limit=5")["predictions"]) == 5
    token, seen = "", []
    while token is not None:
        page = listed(s, "log", f"?limit=5&page_token={token}")
        seen += [p["id"] for p in page["predictions"]]
        token = page.get("next_page_token")
    assert seen == ids[::-1], seen
    # Another project's or endpoint's records are not these.
    assert s.get(f"{E}/other/predictions").status == 404
    # Several rows in one request.
    many = ask(lab, "log", [0, 60, 140])
    p = s.get(f"{E}/log/predictions/{many}").json["prediction"]
    assert p["rows"] == 3 and len(p["inputs"]["sepal_length"]) == 3 and p["outputs"]["label"] == [0, 1, 2], p


def sampled(lab):
    s = lab.server
    put(lab, "some", {"target": "models:/iris/1", "log": {"sample": 0.25, "inputs": False}})
    ids = [ask(lab, "some", [0]) for _ in range(800)]
    got = []
    token = ""
    while token is not None:
        page = listed(s, "some", f"?limit=1000&page_token={token}")
        got += page["predictions"]
        token = page.get("next_page_token")
    assert 140 < len(got) < 260, len(got)  # 200, sd 12
    assert all("inputs" not in p and "outputs" in p for p in got)
    assert {p["id"] for p in got} <= set(ids)
    put(lab, "none", {"target": "models:/iris/1"})
    ask(lab, "none", [0])
    assert listed(s, "none")["predictions"] == [], "without log nothing is kept"
    # Feedback on an answer that was not sampled is kept all the same.
    missed = next(i for i in ids if i not in {p["id"] for p in got})
    assert feedback(s, "some", {"prediction_id": missed, "reward": 1})["recorded"] == 1
    assert s.get(f"{E}/some/predictions/{missed}").status == 404


def joined(lab):
    s = lab.server
    put(lab, "join", {"target": "models:/iris/1", "log": {"key": "header:X-User"}})
    ids = []
    for i in range(4):
        ids.append(ask(lab, "join", [i], {"X-User": "ann"}))
        time.sleep(0.02)
    times = [int(i.replace("-", "")[:12], 16) for i in ids]
    r = feedback(s, "join", {"prediction_id": ids[0], "reward": 0.25, "label": "setosa"})
    assert r["results"] == [{"prediction_id": ids[0], "outcome": "recorded"}], r
    assert feedback(s, "join", {"prediction_id": ids[0], "reward": 0.25, "label": "setosa", "at_ms": times[0]})["duplicate"] == 1
    # In any order and late: the label of the latest time stays.
    rows = [{"key": "ann", "at_ms": times[1] + k, "label": k, "name": "weeks"} for k in range(15)]
    random.Random(5).shuffle(rows)
    r = feedback(s, "join", {"feedback": rows})
    assert r["recorded"] == 1 and r["unmatched"] == 0 and {x["prediction_id"] for x in r["results"]} == {ids[1]}, r
    again = feedback(s, "join", {"feedback": rows})
    assert again["duplicate"] == 15, again
    p = s.get(f"{E}/join/predictions/{ids[1]}").json["prediction"]
    assert p["feedback"]["weeks"]["label"] == 14, p
    assert feedback(s, "join", {"key": "ann", "label": 1, "at_ms": times[0] - 1})["unmatched"] == 1
    assert feedback(s, "join", {"key": "nobody", "label": 1})["unmatched"] == 1
    many = [{"prediction_id": random.Random(i).choice(ids), "reward": i / 10000, "name": f"r{i}"} for i in range(10000)]
    began = time.monotonic()
    assert feedback(s, "join", {"feedback": many})["recorded"] == 10000
    print(f"   10,000 rewards in {time.monotonic() - began:.2f} s")
    bad = [
        ({}, "prediction_id"), ({"prediction_id": ids[0]}, "reward"), ({"prediction_id": "x" * 36, "reward": 1}, "prediction_id"),
        ({"prediction_id": ids[0], "key": "ann", "reward": 1}, "prediction_id"), ({"prediction_id": ids[0], "reward": "high"}, "reward"),
        ({"prediction_id": ids[0], "reward": 1, "name": "a.b"}, "name"), ({"key": "", "reward": 1}, "key"),
        ({"key": "ann", "reward": 1, "at_ms": -1}, "at_ms"), ({"key": "ann", "reward": 1, "at_ms": 1 << 60}, "at_ms"),
        ({"key": "ann", "label": "x" * 20000}, "label"), ({"feedback": [{"key": "ann", "reward": 1}, {"key": "ann"}]}, "feedback[1].reward"),
        ({"feedback": [{"key": "ann", "reward": 1}] * 10001}, "feedback"), ({"feedback": "many"}, "feedback"),
    ]
    for body, field in bad:
        r = s.post(f"{E}/join/feedback", body)
        assert r.status == 400 and field in r.json.get("field", ""), (str(body)[:200], r)
    assert s.post(f"{E}/nothing/feedback", {"key": "ann", "reward": 1}).status == 404


def bad_queries(lab):
    s = lab.server
    for query, field in [("?from_ms=x", "from_ms"), ("?from_ms=5&to_ms=4", "to_ms"), ("?limit=0", "limit"), ("?limit=1001", "limit"),
                         ("?page_token=zz", "page_token"), ("?page_token=eyJvZmZzZXQiOjF9", "page_token"), ("?kind=ghost", "kind"),
                         ("?id=1", "id"), ("?version=0", "version")]:
        r = s.get(f"{E}/log/predictions{query}")
        assert r.status == 400 and r.json["field"].strip("/") == field, (query, r)
    for query in ("?format=xlsx", "?from_ms=9&to_ms=8", "?kind=x"):
        assert s.get(f"{E}/log/predictions/export{query}").status == 400, query
    assert s.get(f"{E}/log/predictions/not-an-id").status == 400
    for log, field in [({"sample": 2}, "sample"), ({"sample": "all"}, "sample"), ({"keep_days": 0}, "keep_days"), ({"max_bytes": 0}, "max_bytes"),
                       ({"redact": "ssn"}, "redact"), ({"redact": ["a"], "key": "a"}, "key"), ({"key": "header:cookie"}, "key"), ({"what": 1}, "what")]:
        r = put(lab, "bad", {"target": "models:/iris/1", "log": log}, status=(400,))
        assert field in r["field"], (log, r)


def close(a, b):
    """Cells of two tables: numbers by value, nothing as nothing."""
    if a in (None, "") or b in (None, ""):
        return a in (None, "") and b in (None, "")
    try:
        return float(a) == float(b) or abs(float(a) - float(b)) < 1e-12 * max(1, abs(float(a)))
    except (TypeError, ValueError):
        return str(a).lower() == str(b).lower()


def exported(lab):
    s = lab.server
    put(lab, "out", {"target": "models:/iris/1", "log": {}})
    ids = [ask(lab, "out", [i, 149 - i]) for i in range(30)]
    feedback(s, "out", {"feedback": [{"prediction_id": i, "label": 'say "hi",\nand go', "reward": 0.5} for i in ids[:5]]})
    feedback(s, "out", {"feedback": [{"prediction_id": i, "reward": k, "name": "clicks"} for k, i in enumerate(ids[5:9])]})
    text = s.get(f"{E}/out/predictions/export?format=jsonl")
    assert text.status == 200 and text.headers["Content-Type"] == "application/x-ndjson", text.headers
    rows = [json.loads(line) for line in text.text.splitlines()]
    assert len(rows) == 60 and [r["prediction_id"] for r in rows[::2]] == ids, len(rows)
    assert all(abs(r[f"inputs.{c}"] - IX[i // 2 if i % 2 == 0 else 149 - i // 2][k]) < 1e-6
               for i, r in enumerate(rows) for k, c in enumerate(COLUMNS)), rows[0]
    assert rows[0]["feedback.label"] == 'say "hi",\nand go' and rows[0]["feedback.label.reward"] == 0.5, rows[0]
    table = s.get(f"{E}/out/predictions/export?format=csv")
    assert table.status == 200 and "attachment" in table.headers["Content-Disposition"], table.headers
    from_csv = list(csv.DictReader(io.StringIO(table.text)))
    assert len(from_csv) == 60
    names = list(from_csv[0])
    assert set(names) >= {k for r in rows for k in r}, names
    for a, b in zip(rows, from_csv):
        assert all(close(a.get(k), b[k]) for k in names), (a, b)
    half = s.get(f"{E}/out/predictions/export?from_ms={rows[20]['time_ms']}").text.splitlines()
    assert len(half) == sum(r["time_ms"] >= rows[20]["time_ms"] for r in rows), len(half)
    r = s.get(f"{E}/out/predictions/export?format=parquet")
    if not DUCK:
        assert r.status == 501 and "duck.library" in r.json["detail"], r
        print("   without Parquet: no DuckDB")
        return
    assert r.status == 200 and r.body[:4] == b"PAR1" == r.body[-4:], r.status
    assert os.listdir(os.path.join(s.data, "exports")) == []
    if not os.path.exists(ARROW) or subprocess.run([ARROW, "-c", "import pyarrow"], capture_output=True).returncode:
        print("   Parquet was not read: no pyarrow")
        return
    with tempfile.NamedTemporaryFile(suffix=".parquet") as f:
        f.write(r.body)
        f.flush()
        code = ("import json, sys, pyarrow.parquet as q; t = q.read_table(sys.argv[1]);"
                "print(json.dumps([t.schema.names, [str(x) for x in t.schema.types], t.to_pylist()]))")
        got = json.loads(subprocess.run([ARROW, "-c", code, f.name], capture_output=True, check=True).stdout)
    assert got[0] == names, (got[0], names)
    kinds = dict(zip(got[0], got[1]))
    assert kinds["inputs.sepal_length"] == "double" and kinds["outputs.label"] == "int64" and kinds["feedback.label"] == "string", kinds
    for a, b in zip(rows, got[2]):
        assert all(close(a.get(k), b[k]) for k in names), (a, b)
    print("   parquet equals csv equals jsonl")


def without_duck(lab):
    with Server(data=None, env={"QUERN_ONNX_LIBRARY": LIBRARY}) as s:
        other = Lab(s)
        models(other)
        put(other, "out", {"target": "models:/iris/1", "log": {}})
        ask(other, "out", [0])
        r = s.get(f"{E}/out/predictions/export?format=parquet")
        assert r.status == 501 and "duck.library" in r.json["detail"], r
        assert s.get(f"{E}/out/predictions/export?format=csv").status == 200


def killed(lab):
    """What was listed before is there after; of the rest only the last second may be gone."""
    s = lab.server
    put(lab, "kill", {"target": "models:/iris/1", "log": {}})
    before = [ask(lab, "kill", [i]) for i in range(50)]
    assert len(listed(s, "kill")["predictions"]) == 50
    stop = time.monotonic() + 2.5
    later = []
    while time.monotonic() < stop:
        later.append((time.monotonic(), ask(lab, "kill", [1])))
    at = time.monotonic()
    s.kill9()
    for path in glob.glob(os.path.join(s.data, "predictions", "*", "kill", "*.zst")):
        with open(path, "ab") as f:
            f.write(b"\x51\x2a\x4d\x18half of a frame that never was finished")
    s.start()
    lab.settled("kill")
    seen, token = [], ""
    while token is not None:
        page = listed(s, "kill", f"?limit=1000&page_token={token}")
        seen += [p["id"] for p in page["predictions"]]
        token = page.get("next_page_token")
    assert set(before) <= set(seen), "what was on the disk is lost"
    lost = [t for t, i in later if i not in set(seen)]
    assert not lost or at - min(lost) < 1.0, f"lost the last {at - min(lost):.2f} s"
    assert [i[:13] for i in seen] == sorted((i[:13] for i in seen), reverse=True) and set(seen) <= set(before) | {i for _, i in later}
    print(f"   {len(seen)} of {50 + len(later)} records after kill -9")
    after = ask(lab, "kill", [2])
    assert listed(s, "kill")["predictions"][0]["id"] == after


def crashed(lab):
    """Killed with a frame written and not yet told of; only sanitizer builds have such instants."""
    for point in ("prediction.frame.written", "prediction.frame.synced"):
        with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as s:
            other = Lab(s)
            models(other)
            put(other, "crash", {"target": "models:/iris/1", "log": {}})
            first = [ask(other, "crash", [i]) for i in range(5)]
            assert len(listed(s, "crash")["predictions"]) == 5
            s.stop()
            s.env["QUERN_FAILPOINT"] = f"{point}:2"
            s.start()
            other.settled("crash")
            second = ask(other, "crash", [7])
            listed(s, "crash")
            try:
                for _ in range(3):
                    ask(other, "crash", [8])
                    time.sleep(0.6)
                died = False
            except OSError:
                died = True
            del s.env["QUERN_FAILPOINT"]
            if not died:
                print("   no failpoints in this build")
                return
            s.process.wait()
            s.start()
            other.settled("crash")
            got = [p["id"] for p in listed(s, "crash")["predictions"]]
            assert set(first) | {second} <= set(got) and len(got) == 6, (len(got), first, second)
            ask(other, "crash", [9])
            assert len(listed(s, "crash")["predictions"]) == 7
            assert "damaged" not in listed(s, "crash")


def full(lab):
    """A full disk costs records, which are counted, and no answer; with room they are kept again."""
    at = tempfile.mkdtemp(prefix="quern-full-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", at], capture_output=True).returncode:
        print("   skipped: no tmpfs can be mounted")
        return

    def dropped(s):
        lines = [l for l in s.get("/metrics").text.splitlines() if l.startswith('quern_predictions_dropped_total{reason="disk"}')]
        return float(lines[0].split()[-1]) if lines else 0

    try:
        with Server(data=at, env={"QUERN_ONNX_LIBRARY": LIBRARY}) as s:
            other = Lab(s)
            models(other)
            put(other, "full", {"target": "models:/iris/1", "log": {}})
            first = [ask(other, "full", [i]) for i in range(10)]
            assert len(listed(s, "full")["predictions"]) == 10
            with open(os.path.join(at, "ballast"), "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(os.urandom(4096))
                except OSError:
                    pass
            for i in range(60):
                ask(other, "full", [i % 150] * 50)
                time.sleep(0.01)
            wait_until("records to be lost", lambda: dropped(s) > 0, 10)
            assert {p["id"] for p in listed(s, "full", "?limit=1000")["predictions"]} >= set(first)
            assert s.get(f"{E}/full/predictions/export?format=csv").status in (200, 507)
            os.unlink(os.path.join(at, "ballast"))
            wait_until("records to be kept again",
                       lambda: s.get(f"{E}/full/predictions/{ask(other, 'full', [6])}").status == 200, 20)
            print(f"   {dropped(s):.0f} records lost while the disk was full")
    finally:
        subprocess.run(["umount", at])
        os.rmdir(at)


def over(lab):
    """By age and by bytes; the sweep runs every 200 ms here."""
    s = lab.server
    put(lab, "old", {"target": "models:/iris/1", "log": {"keep_days": 2.0 / 86400, "key": "header:X-User"}})
    first = ask(lab, "old", [0], {"X-User": "ann"})
    feedback(s, "old", {"prediction_id": first, "label": 1})
    assert len(listed(s, "old")["predictions"]) == 1
    s.stop()  # seals the segment
    s.start()
    lab.settled("old")
    wait_until("age to take the record", lambda: listed(s, "old")["predictions"] == [], 15)
    assert feedback(s, "old", {"key": "ann", "label": 1})["unmatched"] == 1
    wait_until("its file to go", lambda: not glob.glob(os.path.join(s.data, "predictions", "*", "old", "*.zst")), 5)
    put(lab, "old", {"target": "models:/iris/1", "log": {"max_bytes": 1}})
    ask(lab, "old", [0])
    assert len(listed(s, "old")["predictions"]) == 1, "what is being written stays"
    s.stop()
    s.start()
    lab.settled("old")
    wait_until("bytes to take the record", lambda: listed(s, "old")["predictions"] == [], 15)


def replay_done(s, name, body, state="done"):
    r = s.post(f"{E}/{name}/predictions:replay", body)
    assert r.status == 202, r
    path = f"{E}/{name}/replays/{r.json['id']}"
    wait_until("the replay", lambda: s.get(path).json["state"] not in ("pending", "running"), 60)
    got = s.get(path).json
    assert got["state"] == state, got
    return got


def replayed(lab):
    s = lab.server
    put(lab, "again", {"target": "models:/iris/1", "log": {}})
    ids = [ask(lab, "again", [i]) for i in range(150)]
    feedback(s, "again", {"feedback": [{"prediction_id": i, "label": int(iris.target[k]), "name": "flower"} for k, i in enumerate(ids)]})
    same = replay_done(s, "again", {"target": "models:/iris/1"})["report"]
    assert same["records"] == 150 and same["agreement"] == 1 and same["skipped"] == 0, same
    assert same["outputs"]["label"]["agreement"] == 1 and same["outputs"]["probabilities"]["abs_delta"]["max"] < 1e-6, same
    other = replay_done(s, "again", {"target": "models:/iris/2", "label": "flower", "tolerance": 0.05})
    report = other["report"]
    # The second version knows two kinds: its probabilities have another shape.
    assert report["incomparable"] == 150 and report["version"] == 2, report
    right = [int(v) for v in invoke_labels(lab, "again")]
    truth = report["truth"]
    both = [(a == t, b == t) for a, b, t in zip(right, labels_of_two(lab), iris.target.tolist())]
    assert truth["judged"] == 150 and truth["regressed"] == sum(a and not b for a, b in both), (truth, sum(a and not b for a, b in both))
    assert truth["fixed"] == sum(b and not a for a, b in both) and len(truth["regressions"]) == 20, truth
    changes = report["outputs"]["label"]["changes"]
    assert sum(changes.values()) == sum(a != b for a, b in zip(right, labels_of_two(lab))), changes
    # Skew: the first flowers against the last.
    middle = int(ids[75].replace("-", "")[:12], 16)
    skew = replay_done(s, "again", {"target": "models:/iris/1", "from_ms": middle, "reference_from_ms": 0, "reference_to_ms": middle - 1})["report"]
    assert skew["inputs"]["petal_length"]["psi"] > 0.25, skew["inputs"]
    assert abs(skew["inputs"]["petal_length"]["reference"]["mean"] - IX[:75, 2].mean()) < 0.2, skew["inputs"]
    by_arm = replay_done(s, "again", {"arm": "main", "limit": 10})
    assert by_arm["report"]["records"] == 10 and by_arm["seen"] == 10, by_arm
    assert replay_done(s, "again", {"target": "models:/iris/99"}, "failed")["reason"]
    assert "no arm" in replay_done(s, "again", {"arm": "ghost"}, "failed")["reason"]
    redacted = replay_done(s, "log", {"target": "models:/iris/1"})["report"]
    assert redacted["skipped"] > 0 and "column 'petal_width' was not kept" in redacted["skipped_because"], redacted
    rows = s.get(f"{E}/again/replays").json["replays"]
    assert len(rows) == 6 and all("report" not in r for r in rows), rows
    for body, field in [({}, "target"), ({"target": "iris"}, "target"), ({"target": "models:/iris/1", "arm": "main"}, "target"),
                        ({"arm": "main", "from_ms": 5, "to_ms": 1}, "to_ms"), ({"arm": "main", "tolerance": -1}, "tolerance"),
                        ({"arm": "main", "limit": 0}, "limit"), ({"arm": "main", "reference_to_ms": 4}, "reference_from_ms")]:
        r = s.post(f"{E}/again/predictions:replay", body)
        assert r.status == 400 and field in r.json["field"], (body, r)
    assert s.post(f"{E}/ghost/predictions:replay", {"arm": "main"}).status == 404
    assert s.get(f"{E}/again/replays/none").status == 404
    assert s.post(f"{E}/again/replays/{rows[0]['id']}/cancel").status == 400


def invoke_labels(lab, name):
    body = {"dataframe_split": {"columns": COLUMNS, "data": IX.astype(float).tolist()}}
    return [p["label"] for p in invoke(lab.server, name, body)]


def labels_of_two(lab):
    if not hasattr(lab, "second"):
        put(lab, "second", {"target": "models:/iris/2"})
        lab.second = invoke_labels(lab, "second")
    return lab.second


def shadowed(lab):
    s = lab.server
    put(lab, "dark", {"arms": [{"name": "stable", "target": "models:/iris/1", "weight": 1}, {"name": "next", "target": "models:/iris/2", "weight": 0}],
                      "shadows": [{"arm": "next", "percent": 100}], "log": {}})
    ids = []
    for i in range(0, 150, 3):
        ids.append(ask(lab, "dark", [i]))
        time.sleep(0.005)
    # They run when nobody else wants the processors.
    wait_until("the shadows", lambda: len(listed(s, "dark", "?kind=shadow&limit=1000")["predictions"]) == len(ids), 120)
    one = s.get(f"{E}/dark/predictions/{ids[0]}").json
    assert one["prediction"]["arm"] == "stable" and one["shadows"][0]["arm"] == "next", one
    feedback(s, "dark", {"feedback": [{"prediction_id": i, "label": int(iris.target[3 * k])} for k, i in enumerate(ids)]})
    report = s.get(f"{E}/dark/shadow-report").json
    arm = report["arms"]["next iris/2"]
    assert report["complete"] and arm["records"] == len(ids) and report["unpaired"] == 0, report
    assert arm["truth"]["judged"] == arm["records"] and arm["outputs"]["label"]["agreement"] < 1, arm
    assert s.get(f"{E}/dark/shadow-report?tolerance=-1").status == 400
    exported_shadows = s.get(f"{E}/dark/predictions/export?kind=shadow").text.splitlines()
    assert len(exported_shadows) == arm["records"], (len(exported_shadows), arm["records"])


def permitted(lab):
    """Whoever reads may look; feedback and replays want the right to write."""
    s = lab.server
    paths = [("GET", f"{E}/log/predictions", 200, 200), ("GET", f"{E}/log/predictions/export", 200, 200), ("GET", f"{E}/log/replays", 200, 200),
             ("GET", f"{E}/log/shadow-report", 200, 200), ("POST", f"{E}/log/feedback", 403, 400), ("POST", f"{E}/log/predictions:replay", 403, 400)]
    s.stop()
    tokens = {}
    for level in ("system", "writer", "reader"):
        how = ["--system"] if level == "system" else ["--role", level]
        r = subprocess.run([BIN, "token", "create", f"who-{level}", *how, "--data", s.data], capture_output=True, text=True)
        assert r.returncode == 0, r
        tokens[level] = r.stdout.strip()
    s.start()
    for method, path, reader, writer in paths:
        for level, want in (("reader", reader), ("writer", writer)):
            r = s.request(method, path, {} if method == "POST" else None, headers={"Authorization": f"Bearer {tokens[level]}"})
            assert r.status == want, (level, method, path, r)
        assert s.request(method, path, {} if method == "POST" else None).status == 401, path


def main():
    env = {"QUERN_ONNX_LIBRARY": LIBRARY, "QUERN_PREDICTION_SWEEP": "200ms"}
    if DUCK:
        env["QUERN_DUCK_LIBRARY"] = DUCK
    steps = [kept, sampled, joined, bad_queries, exported, without_duck, killed, crashed, full, over, replayed, shadowed, permitted]
    wanted = sys.argv[1:]
    with Server(env=env) as server:
        lab = Lab(server)
        models(lab)
        for step in steps:
            if wanted and step.__name__ not in wanted:
                continue
            if step is not kept and "log" not in [e["name"] for e in server.get(E).json["endpoints"]]:
                put(lab, "log", {"target": "models:/iris/1", "log": {"redact": ["petal_width"]}})
                ask(lab, "log", [0])
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            import mlflow
            mlflow.set_tracking_uri(server.url)
            mlflow.set_registry_uri(server.url)


if __name__ == "__main__":
    main()
