# SPDX-License-Identifier: Apache-2.0
"""Large things stay responsive: an experiment of thousands of runs is deleted and restored in slices
while others write, whatever is asked meanwhile and whenever the server is killed; a run of many tags;
runs of many columns. RUNS and TAGS say how large."""
import http.client
import json
import os
import random
import sqlite3
import sys
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import Server, wait_until

RUNS = int(os.environ.get("RUNS", "3000"))
TAGS = int(os.environ.get("TAGS", "20000"))
COLUMNS = int(os.environ.get("COLUMNS", "5000"))


class Client:
    """One connection that stays open."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def post(self, path, body, want=200):
        self.connection.request("POST", "/api/2.0/mlflow/" + path, json.dumps(body), {"Content-Type": "application/json"})
        r = self.connection.getresponse()
        data = r.read()
        assert r.status == want, f"{path}: {r.status} {data[:300]}"
        return json.loads(data)


def make_runs(server, experiment, count):
    ids, lock = [], threading.Lock()

    def work(n):
        c = Client(server)
        mine = [c.post("runs/create", {"experiment_id": experiment, "start_time": i})["run"]["info"]["run_id"] for i in range(n)]
        with lock:
            ids.extend(mine)
    threads = [threading.Thread(target=work, args=(count // 8,)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(ids) == count // 8 * 8, f"{len(ids)} runs"
    return ids


class Beside:
    """Somebody else's requests: how long each takes."""

    def __init__(self, server, run):
        self.server, self.run, self.times, self.failed, self.end = server, run, [], None, False

    def work(self):
        try:
            c = Client(self.server)
            while not self.end:
                t0 = time.monotonic()
                c.post("runs/log-metric", {"run_id": self.run, "key": "m", "value": 1, "timestamp": len(self.times) + 1})
                self.times.append(time.monotonic() - t0)
        except Exception as e:  # noqa: BLE001: told by the thread that joins
            self.failed = e

    def __enter__(self):
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end = True
        self.thread.join()
        assert self.failed is None, self.failed

    def told(self, what, most):
        times = sorted(self.times) or [0]
        p99 = times[int(len(times) * 0.99) if len(times) > 100 else -1] * 1000
        print(f"{what}: {len(times)} requests beside it, p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {p99:.1f} ms")
        assert p99 < most, f"{what}: others waited {p99:.0f} ms"


def found(c, experiment, view, page=1000):
    ids, token = [], None
    while True:
        body = {"experiment_ids": [experiment], "run_view_type": view, "max_results": page}
        if token:
            body["page_token"] = token
        a = c.post("runs/search", body)
        ids += [r["info"]["run_id"] for r in a.get("runs", [])]
        states = {r["info"]["lifecycle_stage"] for r in a.get("runs", [])}
        assert states <= ({"deleted"} if view == "DELETED_ONLY" else {"active"} if view == "ACTIVE_ONLY" else states), (view, states)
        token = a.get("next_page_token")
        if not token:
            return ids


def marked(server, experiment):
    """Straight from the file: (runs marked deleted, still at it)."""
    db = sqlite3.connect(f"file:{server.data}/quern.db?mode=ro", uri=True, timeout=20)
    try:
        n = db.execute("SELECT count(*) FROM run WHERE experiment_id = ? AND deleted = 1", (experiment,)).fetchone()[0]
        return n, db.execute("SELECT sweep IS NOT NULL FROM experiment WHERE id = ?", (experiment,)).fetchone()[0] == 1
    finally:
        db.close()


def experiments(s):
    c = Client(s)
    e = c.post("experiments/create", {"name": "large"})["experiment_id"]
    other = c.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    ids = make_runs(s, e, RUNS)
    with Beside(s, other) as beside:
        t0 = time.monotonic()
        c.post("experiments/delete", {"experiment_id": e})
        took = time.monotonic() - t0
        assert found(c, e, "ACTIVE_ONLY") == []
        for run in random.sample(ids, 30):
            s_run = s.get(f"/api/2.0/mlflow/runs/get?run_id={run}").json["run"]["info"]
            assert s_run["lifecycle_stage"] == "deleted", s_run
            a = s.mlflow("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1})
            assert a.status == 400 and "'active' state" in a.text, a
        assert sorted(found(c, e, "DELETED_ONLY")) == sorted(ids)
        wait_until("all marks", lambda: marked(s, e) == (RUNS, False), 60)
        assert sorted(found(c, e, "DELETED_ONLY")) == sorted(ids)
    print(f"deleting {RUNS} runs' experiment took {took * 1000:.1f} ms")
    beside.told("delete", 500)
    with Beside(s, other) as beside:
        c.post("experiments/restore", {"experiment_id": e})
        # Deleted while the others are being restored, and so it stays.
        c.post("runs/delete", {"run_id": ids[0]})
        assert s.get(f"/api/2.0/mlflow/runs/get?run_id={ids[1]}").json["run"]["info"]["lifecycle_stage"] == "active"
        c.post("runs/log-metric", {"run_id": ids[-1], "key": "m", "value": 1, "timestamp": 1})
        wait_until("all restored", lambda: marked(s, e) == (1, False), 60)
    beside.told("restore", 500)
    assert found(c, e, "DELETED_ONLY") == [ids[0]]
    assert len(found(c, e, "ACTIVE_ONLY")) == RUNS - 1
    # Turning round half way, and a kill in the middle.
    c.post("experiments/delete", {"experiment_id": e})
    c.post("experiments/restore", {"experiment_id": e})
    c.post("experiments/delete", {"experiment_id": e})
    s.kill9()
    s.start()
    c = Client(s)
    assert found(c, e, "ACTIVE_ONLY") == []
    assert len(found(c, e, "DELETED_ONLY")) == RUNS
    wait_until("the rest after a kill", lambda: marked(s, e) == (RUNS, False), 60)
    c.post("experiments/restore", {"experiment_id": e})
    wait_until("all restored", lambda: marked(s, e) == (0, False), 60)
    assert len(found(c, e, "ALL")) == RUNS


def tags(s):
    c = Client(s)
    run = c.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    other = c.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    with Beside(s, other) as beside:
        for i in range(0, TAGS, 100):
            c.post("runs/log-batch", {"run_id": run, "tags": [{"key": f"t{k}", "value": f"v{k}"} for k in range(i, i + 100)]})
    beside.told(f"writing {TAGS} tags", 500)
    with Beside(s, other) as beside:
        t0 = time.monotonic()
        got = s.get(f"/api/2.0/mlflow/runs/get?run_id={run}").json["run"]["data"]["tags"]
        took = time.monotonic() - t0
        assert len(got) >= TAGS, len(got)
        a = c.post("runs/search", {"experiment_ids": ["0"], "filter": f"tags.t{TAGS - 1} = 'v{TAGS - 1}'"})
        assert [r["info"]["run_id"] for r in a["runs"]] == [run], a
        c.post("runs/set-tag", {"run_id": run, "key": "one", "value": "more"})
        c.post("runs/delete", {"run_id": run})
    print(f"reading a run of {TAGS} tags took {took * 1000:.1f} ms")
    beside.told("a run of many tags", 500)


def columns(s):
    c = Client(s)
    e = c.post("experiments/create", {"name": "wide"})["experiment_id"]
    other = c.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    with Beside(s, other) as beside:
        for r in range(3):
            run = c.post("runs/create", {"experiment_id": e})["run"]["info"]["run_id"]
            for i in range(0, COLUMNS, 1000):
                c.post("runs/log-batch", {"run_id": run, "metrics": [
                    {"key": f"m{k}", "value": k + r, "timestamp": 1} for k in range(i, min(i + 1000, COLUMNS))]})
        a = c.post("runs/search", {"experiment_ids": [e], "filter": "metrics.m7 > 7", "order_by": [f"metrics.m{COLUMNS - 1}"]})
        assert [len(r["data"]["metrics"]) for r in a["runs"]] == [COLUMNS, COLUMNS], "columns"
    beside.told(f"runs of {COLUMNS} columns", 500)


def main():
    with Server() as s:
        experiments(s)
        tags(s)
        columns(s)
    print("large things: ok")


if __name__ == "__main__":
    main()
