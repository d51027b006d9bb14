# SPDX-License-Identifier: Apache-2.0
"""Metric points over the wire: histories in pages against a plain list, thinned histories, and a
database of schema 7, whose points are rows, that is read at once and packed by and by."""
import math
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import old_database  # noqa: E402
import quern  # noqa: E402

DRAW = random.Random(5)


def same(got, want, what):
    if got != want:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        raise AssertionError(f"{what}: {len(got)} points, wanted {len(want)}; first difference at {at}: "
                             f"{got[at:at + 2]} against {want[at:at + 2]}")


def key_of(p):
    """(timestamp, step, value, NaN mark) as the server orders them."""
    nan = isinstance(p["value"], str) or math.isnan(p["value"])
    return (p["timestamp"], p["step"], 0.0 if nan else p["value"], nan)


def history(s, run, key, page=None):
    got, token = [], None
    while True:
        q = f"metrics/get-history?run_id={run}&metric_key={key}"
        q += f"&max_results={page}" if page else ""
        q += f"&page_token={token}" if token else ""
        answer = s.mlflow(q, method="GET")
        assert answer.status == 200, answer
        got += [key_of(p) for p in answer.json.get("metrics", [])]
        token = answer.json.get("next_page_token")
        if not token:
            return got


def new_run(s):
    return s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]


def log(s, run, key, points):
    for i in range(0, len(points), 1000):
        batch = [{"key": key, "timestamp": t, "step": n, "value": "NaN" if nan else v}
                 for t, n, v, nan in points[i:i + 1000]]
        answer = s.mlflow("runs/log-batch", {"run_id": run, "metrics": batch})
        assert answer.status == 200, answer


def draw_point(i):
    old = DRAW.random() < 0.05
    t = 1_700_000_000_000 + (DRAW.randrange(i + 1) if old else i) * 40 + DRAW.randrange(30)
    if DRAW.random() < 0.02:
        return (t, i - 50, 0.0, True)
    return (t, i - 50, DRAW.random(), False)


def histories(s):
    run, plain = new_run(s), set()
    for i in range(0, 6000, 500):
        points = [draw_point(k) for k in range(i, i + 500)]
        points += DRAW.sample(sorted(plain), min(100, len(plain)))  # again: ignored
        log(s, run, "loss", points)
        plain |= set(points)
    for p in list(plain)[:20]:
        answer = s.mlflow("runs/log-metric", {"run_id": run, "key": "loss", "timestamp": p[0], "step": p[1],
                                              "value": "NaN" if p[3] else p[2]})
        assert answer.status == 200, answer
    same(history(s, run, "loss"), sorted(plain), "history")
    same(history(s, run, "loss", 700), sorted(plain), "history in pages")
    # A refused batch leaves nothing, also where an earlier entry has filled a block.
    points = [{"key": "loss", "timestamp": 1, "step": i, "value": i} for i in range(900)]
    answer = s.mlflow("runs/log-batch", {"run_id": run, "metrics": points, "params": [{"key": "p", "value": "1"}],
                                         "tags": [{"key": "../x", "value": ""}]})
    assert answer.status == 400, answer
    same(history(s, run, "loss"), sorted(plain), "history after a refused batch")
    bulk = s.get(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&metric_key=loss")
    assert b":NaN" in bulk.body and b'"NaN"' not in bulk.body, bulk
    same([key_of(p) for p in bulk.json["metrics"]], sorted(plain), "bulk history")
    return run, sorted(plain)


def thinned(s, run, plain):
    where = f"/api/v1/runs/{run}/metrics/loss"
    values = [p[2] for p in plain if not p[3]]
    for mode in ("m4", "lttb"):
        for axis, at in (("step", 1), ("time", 0)):
            answer = s.get(f"{where}?points=200&mode={mode}&axis={axis}")
            assert answer.status == 200, answer
            got = [key_of(p) for p in answer.json["points"]]
            assert answer.json["total"] == len(plain), answer
            assert 100 <= len(got) <= 200 and set(got) <= set(plain), (mode, axis, len(got))
            assert [p[at] for p in got] == sorted(p[at] for p in got), (mode, axis)
            if mode == "m4":
                assert min(p[2] for p in got if not p[3]) == min(values), (axis, min(values))
                assert max(p[2] for p in got if not p[3]) == max(values), (axis, max(values))
    few = s.get(f"{where}?from=100&to=149&points=500")
    want = [p for p in plain if 100 <= p[1] <= 149]
    same([key_of(p) for p in few.json["points"]], sorted(want, key=lambda p: (p[1], p)), "a short stretch")
    nested = new_run(s)
    log(s, nested, "val/acc top", [(1, 1, 0.5, False)])
    answer = s.get(f"/api/v1/runs/{nested}/metrics/val/acc%20top")
    assert answer.json["key"] == "val/acc top" and answer.json["total"] == 1, answer
    for q, status, says in (("?points=1", 400, "points"), ("?mode=x", 400, "mode"), ("?from=5&to=4", 400, "to"),
                            ("?axis=z", 400, "axis")):
        answer = s.get(where + q)
        assert answer.status == status and says in answer.text, (q, answer)
    for path in (f"/api/v1/runs/{run}/metrics/nothing", f"/api/v1/runs/{'0' * 32}/metrics/loss"):
        assert s.get(path).status == 404, path


def schema_7(path, series):
    """A database as a server of schema 7 left it: every point a row."""
    d = old_database.make(path, 7)
    for i, (run, points) in enumerate(series.items(), 1):
        d.execute("INSERT INTO run VALUES (?, ?, 0, 'old', 'u', 'RUNNING', 1, NULL, ?, 0, NULL)",
                  (i, run, f"mlflow-artifacts:/0/{run}/artifacts"))
        if i == 1:
            d.execute("INSERT INTO run_key VALUES (1, 0, 'loss')")
        d.executemany("INSERT INTO metric_point VALUES (?, 1, ?, ?, ?, ?)",
                      [(i, t, n, v, int(nan)) for t, n, v, nan in points])
        t, n, v, nan = max(points, key=lambda p: (p[1], p[0], p[2]))
        d.execute("INSERT INTO metric_latest VALUES (?, 1, ?, ?, ?, ?)", (i, v, int(nan), t, n))
    d.commit()
    d.close()


def older_rows():
    data = tempfile.mkdtemp(prefix="quern-test-")
    try:
        series = {f"{i:032x}": sorted({draw_point(k) for k in range(n)})
                  for i, n in ((1, 60000), (2, 500), (3, 1), (4, 30000))}
        schema_7(os.path.join(data, "quern.db"), series)
        size = os.path.getsize(os.path.join(data, "quern.db"))
        with quern.Server(data=data) as s:
            for run, points in series.items():
                # New points and known ones, while rows lie beside blocks.
                new = [(1_800_000_000_000 + i, 10**6 + i, i / 3, False) for i in range(1500)]
                log(s, run, "loss", new + points[:700])
                series[run] = sorted(set(points) | set(new))
                same(history(s, run, "loss", 20000), series[run], "history while rows are packed")

            def left():
                with sqlite3.connect(f"file:{data}/quern.db?mode=ro", uri=True) as d:
                    return d.execute("SELECT count(*) FROM metric_point").fetchone()[0]
            end = time.monotonic() + 60
            while left():
                assert time.monotonic() < end, f"{left()} rows are not packed after a minute"
                time.sleep(0.1)
            for run, points in series.items():
                same(history(s, run, "loss"), points, "history after packing")
                run_info = s.mlflow(f"runs/get?run_id={run}", method="GET").json["run"]
                assert run_info["data"]["metrics"][0]["step"] == 10**6 + 1499, run_info
        with sqlite3.connect(f"{data}/quern.db") as d:
            assert d.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            used = d.execute("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'metric_%' AND name NOT LIKE "
                             "'metric_latest%'").fetchone()[0] if has_dbstat(d) else None
        print(f"{sum(map(len, series.values()))} points: {size} bytes as rows, {used} in blocks")
    finally:
        shutil.rmtree(data, ignore_errors=True)


def has_dbstat(d):
    try:
        d.execute("SELECT 1 FROM dbstat LIMIT 1")
        return True
    except sqlite3.OperationalError:
        return False


def damaged_block():
    """A block with flipped bits is an error that says nothing of the disk, and nothing else stops."""
    s = quern.Server()
    with s:
        run = new_run(s)
        log(s, run, "loss", [(i, i, i / 7, False) for i in range(3000)])
        log(s, run, "well", [(i, i, i / 7, False) for i in range(3000)])
        s.stop()
        with sqlite3.connect(f"{s.data}/quern.db") as d:
            d.execute("UPDATE metric_block SET data = zeroblob(length(data)) WHERE id = "
                      "(SELECT min(b.id) FROM metric_block b JOIN run_key k ON k.id = b.key_id WHERE k.name = 'loss')")
        s.start()
        answer = s.mlflow(f"metrics/get-history?run_id={run}&metric_key=loss", method="GET")
        assert answer.status == 500 and "INTERNAL_ERROR" in answer.text, answer
        assert "metric.block" in s.log_text(), s.log_text()
        assert len(history(s, run, "well")) == 3000
        log(s, run, "loss", [(9000, 9000, 1.0, False)])


def main():
    with quern.Server() as s:
        thinned(s, *histories(s))
    older_rows()
    damaged_block()
    print("ok")


if __name__ == "__main__":
    main()
