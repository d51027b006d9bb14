# SPDX-License-Identifier: Apache-2.0
"""Runs under kills: points one by one, batches and artifacts, and a ledger of what was answered with
200. A write without an answer may or may not be there; a write that was answered must be there,
whole; nothing else may be there."""
import hashlib
import json
import time
from collections import Counter

from traffic import Writer, content

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
BATCH = 8


class RunWriter(Writer):
    def __init__(self, *where, sizes=(1,)):
        super().__init__(*where)
        self.sizes = sizes    # points of each key in a batch
        self.runs = {}        # run id -> ledger of acknowledged creation
        self.sent_names = set()
        self.run = None
        self.count = 0

    def new_run(self):
        self.count += 1
        name = f"c{self.number}-{self.count}"
        self.sent_names.add(name)
        self.run = None
        data = self.send("POST", "/api/2.0/mlflow/runs/create",
                         {"experiment_id": "0", "run_name": name, "start_time": 1,
                          "tags": [{"key": "client", "value": str(self.number)}]})
        if data is not None:
            run = json.loads(data)["run"]["info"]["run_id"]
            with self.lock:
                self.runs[run] = {"name": name, "points": {}, "points_sent": set(), "batches": set(),
                                  "batches_sent": {}, "files": {}, "files_sent": {}, "next": 0}
            self.run = run

    def one(self):
        if self.run is None or self.random.random() < 0.01:
            self.new_run()
            return
        run, ledger = self.run, self.runs[self.run]
        n = ledger["next"]
        ledger["next"] += 1
        kind = self.random.random()
        if kind < 0.6:
            with self.lock:
                ledger["points_sent"].add(n)
            if self.send("POST", "/api/2.0/mlflow/runs/log-metric",
                         {"run_id": run, "key": "loss", "value": n * 0.5, "timestamp": 1000 + n,
                          "step": n}) is not None:
                with self.lock:
                    ledger["points"][n] = n * 0.5
        elif kind < 0.85:
            size = self.random.choice(self.sizes)
            with self.lock:
                ledger["batches_sent"][n] = size
            metrics = [{"key": f"b{i}", "value": n + i, "timestamp": 1000 + n + k, "step": n}
                       for i in range(BATCH) for k in range(size)]
            if self.send("POST", "/api/2.0/mlflow/runs/log-batch",
                         {"run_id": run, "metrics": metrics,
                          "params": [{"key": f"p{n}", "value": str(n)}],
                          "tags": [{"key": f"t{n}", "value": str(n)}]}) is not None:
                with self.lock:
                    ledger["batches"].add(n)
        else:
            size = self.random.choice((0, 1, 700, 20000, 60000, 300000))
            path = f"0/{run}/artifacts/f{n % 7}.bin"  # some are written over
            name = f"{path}-{n}"
            body = content(name, size)
            digest = hashlib.sha256(body).hexdigest()
            with self.lock:
                ledger["files_sent"].setdefault(path, []).append((n, digest))
            if self.send("PUT", ARTIFACTS + path, body, raw=True) is not None:
                with self.lock:
                    ledger["files"][path] = n

    def check(self, conn, faults, everything):
        for run in list(self.runs)[-1:]:  # check_all sees to the others
            check_run(conn, run, self.runs[run], faults)


class BatchReader(Writer):
    """Reads runs while they are written: of a batch it sees every member or none."""

    def __init__(self, *where, writers):
        super().__init__(*where)
        self.writers = writers

    def one(self):
        time.sleep(0.002)  # leaves room for those who write
        run = self.random.choice(self.writers).run
        data = run and self.send("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")
        if not data:
            return
        got = json.loads(data)["run"]["data"]
        params = {int(p["key"][1:]) for p in got.get("params", [])}
        tags = {int(t["key"][1:]) for t in got.get("tags", []) if t["key"][1:].isdigit()}
        last = [int(m["step"]) for m in got.get("metrics", []) if m["key"] != "loss"]
        if params != tags or last != ([max(params)] * BATCH if params else []):
            self.refused.append(f"half a batch was seen in run {run}: {params ^ tags}, last steps {last}")


def history(conn, run, key):
    points, token = [], ""
    while True:
        answer = conn.ask("GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key={key}"
                                 f"&max_results=20000{token}")
        points += [(int(m["step"]), float(m["value"])) for m in answer.get("metrics", [])]
        if not answer.get("next_page_token"):
            return points
        token = "&page_token=" + answer["next_page_token"]


def check_run(conn, run, ledger, faults, files=True):
    """Compares one run with its ledger as of before the last kill."""
    status, data = conn.call("GET", f"/api/2.0/mlflow/runs/get?run_id={run}")
    if status != 200:
        faults.append(f"LOST run {run}: {status} {data[:200]!r}")
        return
    got = json.loads(data)["run"]
    if got["info"]["run_name"] != ledger["name"]:
        faults.append(f"run {run} is named {got['info']['run_name']}, not {ledger['name']}")
    points = history(conn, run, "loss") if ledger["points_sent"] else []
    have = dict(points)
    if len(have) != len(points):
        faults.append(f"run {run} has points twice")
    for step, value in ledger["points"].items():
        if have.get(step) != value:
            faults.append(f"LOST point {step} of run {run}: {have.get(step)} is there, {value} was sent")
    for step in have:
        if step not in ledger["points_sent"]:
            faults.append(f"INVENTED point {step} in run {run}")
    if ledger["batches_sent"]:
        per_key = [Counter(s for s, _ in history(conn, run, f"b{i}")) for i in range(BATCH)]
        params = {p["key"] for p in got["data"].get("params", [])}
        tags = {t["key"] for t in got["data"].get("tags", [])}
        for n, size in ledger["batches_sent"].items():
            parts = [points[n] for points in per_key] + [int(f"p{n}" in params), int(f"t{n}" in tags)]
            whole = parts == [size] * BATCH + [1, 1]
            if n in ledger["batches"] and not whole:
                faults.append(f"LOST batch {n} of run {run}, of {size} points a key: {parts}")
            elif any(parts) and not whole:
                faults.append(f"TORN batch {n} of run {run}, of {size} points a key: {parts}")
        extra = set().union(*per_key) - set(ledger["batches_sent"])
        if extra:
            faults.append(f"INVENTED batch {sorted(extra)[:5]} in run {run}")
    for path, sent in ledger["files_sent"].items() if files else ():
        acked = ledger["files"].get(path)
        status, data = conn.call("GET", ARTIFACTS + path)
        if status == 404 and acked is None:
            continue
        digest = hashlib.sha256(data).hexdigest()
        # The acknowledged one, or one sent later whose answer never came.
        allowed = {d for n, d in sent if acked is None or n >= acked}
        if status != 200:
            faults.append(f"LOST artifact {path}: {status} {data[:200]!r}")
        elif digest not in allowed:
            older = digest in {d for _, d in sent}
            faults.append(f"{'LOST (an older one is there)' if older else 'TORN'} artifact {path}")


def snapshot(client, run):
    with client.lock:
        led = client.runs[run]
        return {k: (v if isinstance(v, (str, int)) else
                    {p: list(x) for p, x in v.items()} if k == "files_sent" else
                    v.copy()) for k, v in led.items()}


def all_runs(conn, experiment, view="ACTIVE_ONLY"):
    """What `info` says of each."""
    runs, token = [], None
    while True:
        body = {"experiment_ids": [experiment], "max_results": 1000, "run_view_type": view}
        if token:
            body["page_token"] = token
        answer = conn.ask("POST", "/api/2.0/mlflow/runs/search", body)
        runs += [r["info"] for r in answer.get("runs", [])]
        token = answer.get("next_page_token")
        if not token:
            return runs


def check_all(conn, writers, faults):
    """Every run of every writer, and no others in the experiment; how many there are."""
    known = {run for w in writers for run in w.runs}
    sent_names = {name for w in writers for name in w.sent_names}
    present = {r["run_id"]: r["run_name"] for r in all_runs(conn, "0")}
    faults += [f"INVENTED run {run} {name}" for run, name in present.items() if name not in sent_names]
    faults += [f"LOST run {run} in the search" for run in known - set(present)]
    for w in writers:
        for run, ledger in w.runs.items():
            check_run(conn, run, ledger, faults)
    return len(present)
