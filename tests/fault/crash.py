# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon (SIGKILL) again and again under writing clients and looks for every write that
it acknowledged. usage: crash.py [CYCLES] [CLIENTS]

Each client keeps a ledger of what it sent and what was answered with 200. A write without an answer
may or may not be there; a write that was answered must be there, whole; nothing else may be there."""
import hashlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

CYCLES = int(sys.argv[1]) if len(sys.argv) > 1 else 100
CLIENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 16
SEED = int(os.environ.get("CRASH_SEED", str(int(time.time()))))
BATCH = 8
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


def content(name, size):
    """Bytes that follow from the name, so that any torn or mixed object shows."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Lost(Exception):
    """No answer: the outcome is unknown."""


class Connection:
    def __init__(self, port, timeout=30):
        self.port, self.timeout, self.http = port, timeout, None

    def call(self, method, path, body=None, raw=False):
        headers = {}
        if body is not None and not raw:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            self.http.request(method, path, body=body, headers=headers)
            r = self.http.getresponse()
            data = r.read()
            if r.will_close:
                self.close()
            return r.status, data
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise Lost(repr(e)) from e

    def close(self):
        if self.http is not None:
            self.http.close()
            self.http = None


class Client:
    def __init__(self, number, port, life, stop):
        self.number, self.life, self.stop_now = number, life, stop
        self.conn = Connection(port)
        self.random = random.Random(f"{SEED}-{number}")
        self.runs = {}        # run id -> ledger of acknowledged creation
        self.sent_names = set()
        self.run = None
        self.count = 0
        self.acked = 0
        self.unknown = 0
        self.refused = []     # answers that were neither 200 nor a plain "busy"
        self.lock = threading.Lock()

    def send(self, method, path, body=None, raw=False):
        """The answer's bytes when acknowledged, None when refused; raises Lost."""
        status, data = self.conn.call(method, path, body, raw)
        if status == 200:
            return data
        if status not in (429, 503):
            self.refused.append(f"{method} {path}: {status} {data[:300]!r}")
        return None

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
                                  "batches_sent": set(), "files": {}, "files_sent": {}, "next": 0}
            self.run = run
            self.acked += 1

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
                self.acked += 1
        elif kind < 0.85:
            with self.lock:
                ledger["batches_sent"].add(n)
            metrics = [{"key": f"b{i}", "value": n + i, "timestamp": 1000 + n, "step": n}
                       for i in range(BATCH)]
            if self.send("POST", "/api/2.0/mlflow/runs/log-batch",
                         {"run_id": run, "metrics": metrics,
                          "params": [{"key": f"p{n}", "value": str(n)}],
                          "tags": [{"key": f"t{n}", "value": str(n)}]}) is not None:
                with self.lock:
                    ledger["batches"].add(n)
                self.acked += 1
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
                self.acked += 1

    def run_loop(self):
        """Writes while the daemon is up; after a lost answer waits for its next life."""
        life = 0
        while not self.stop_now.is_set():
            if not self.life.wait_beyond(life):
                continue
            current = self.life.number
            self.conn.close()
            try:
                while not self.stop_now.is_set() and self.life.number == current:
                    self.one()
            except Lost:
                self.unknown += 1
            life = current


class Life:
    """Counts the daemon's starts."""

    def __init__(self):
        self.number, self.changed = 0, threading.Condition()

    def begin(self):
        with self.changed:
            self.number += 1
            self.changed.notify_all()

    def wait_beyond(self, number):
        with self.changed:
            return self.changed.wait_for(lambda: self.number > number, timeout=0.1)


def history(conn, run, key):
    points, token = [], ""
    while True:
        path = f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key={key}&max_results=20000"
        status, data = conn.call("GET", path + (f"&page_token={token}" if token else ""))
        assert status == 200, f"get-history: {status} {data[:300]!r}"
        answer = json.loads(data)
        points += [(int(m["step"]), float(m["value"])) for m in answer.get("metrics", [])]
        token = answer.get("next_page_token", "")
        if not token:
            return points


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
        per_key = [{s for s, _ in history(conn, run, f"b{i}")} for i in range(BATCH)]
        params = {p["key"] for p in got["data"].get("params", [])}
        tags = {t["key"] for t in got["data"].get("tags", [])}
        for n in ledger["batches_sent"]:
            parts = [n in s for s in per_key] + [f"p{n}" in params, f"t{n}" in tags]
            if n in ledger["batches"] and not all(parts):
                faults.append(f"LOST batch {n} of run {run}: {parts}")
            elif any(parts) and not all(parts):
                faults.append(f"TORN batch {n} of run {run}: {parts}")
        extra = set().union(*per_key) - ledger["batches_sent"]
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


def all_run_names(conn):
    names, token = [], None
    while True:
        body = {"experiment_ids": ["0"], "max_results": 1000}
        if token:
            body["page_token"] = token
        status, data = conn.call("POST", "/api/2.0/mlflow/runs/search", body)
        assert status == 200, f"runs/search: {status} {data[:300]!r}"
        answer = json.loads(data)
        names += [(r["info"]["run_id"], r["info"]["run_name"]) for r in answer.get("runs", [])]
        token = answer.get("next_page_token")
        if not token:
            return names


def stop_with(faults, server):
    print(f"seed {SEED}; data kept in {server.data}, log in {server.log_path}")
    for f in faults[:40]:
        print(f)
    print(f"{len(faults)} faults")
    if server.process.poll() is None:
        server.kill9()
    sys.exit(1)


def main():
    rng = random.Random(SEED)
    server = quern.Server()
    life, stop = Life(), threading.Event()
    clients = [Client(i, server.port, life, stop) for i in range(CLIENTS)]
    threads = [threading.Thread(target=c.run_loop, daemon=True) for c in clients]
    for t in threads:
        t.start()
    began = time.monotonic()
    restarts, sampled = [], 0
    for cycle in range(CYCLES):
        life.begin()
        # Early and late kills: in the first writes after a start, and amid checkpoints.
        time.sleep(rng.uniform(0.002, 0.042) if cycle % 3 == 0 else rng.uniform(0.05, 0.4))
        server.kill9()
        faults = []
        t0 = time.monotonic()
        try:
            server.start()
        except RuntimeError as e:
            stop_with([f"cycle {cycle}: no restart: {e}"], server)
        restarts.append(time.monotonic() - t0)
        conn = Connection(server.port)
        pairs = [(c, r) for c in clients for r in list(c.runs)[-1:]]
        for c, r in rng.sample(pairs, min(3, len(pairs))):
            check_run(conn, r, snapshot(c, r), faults)
            sampled += 1
        conn.close()
        if faults:
            stop_with([f"after cycle {cycle}:"] + faults, server)
    stop.set()
    for t in threads:
        t.join(60)
    faults = [f"refused: {r}" for c in clients for r in c.refused]
    conn = Connection(server.port, timeout=120)
    known = {r for c in clients for r in c.runs}
    sent_names = {n for c in clients for n in c.sent_names}
    present = all_run_names(conn)
    for run, name in present:
        if name not in sent_names:
            faults.append(f"INVENTED run {run} {name}")
    lost = known - {r for r, _ in present}
    faults += [f"LOST run {r} in the search" for r in lost]
    files = 0
    for c in clients:
        for run, ledger in c.runs.items():
            check_run(conn, run, ledger, faults)
            files += len(ledger["files_sent"])
    conn.close()
    acked, unknown = sum(c.acked for c in clients), sum(c.unknown for c in clients)
    if acked < CYCLES * 20:
        faults.append(f"only {acked} writes were acknowledged: this tested nothing")
    if faults:
        stop_with(faults, server)
    code = server.stop()
    assert code == 0, f"exit code {code} on SIGTERM:\n{server.log_text()}"
    doctor = subprocess.run([quern.BIN, "doctor", "--data", server.data], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=300)
    if doctor.returncode != 0:
        stop_with(["quern doctor: " + doctor.stdout.decode() + doctor.stderr.decode()], server)
    print(f"seed {SEED}: {CYCLES} kills under {CLIENTS} clients in {time.monotonic() - began:.0f} s: "
          f"{acked} acknowledged writes, {unknown} without an answer, {len(present)} runs, "
          f"{files} artifacts; 0 lost, 0 torn, 0 invented; {sampled} runs sampled on the way; restart "
          f"median {sorted(restarts)[len(restarts) // 2] * 1000:.0f} ms, "
          f"most {max(restarts) * 1000:.0f} ms; doctor: healthy")
    text = server.log_text(1 << 24)
    assert "Sanitizer" not in text and "runtime error:" not in text, text[-4000:]
    shutil.rmtree(server.data, ignore_errors=True)
    os.unlink(server.log_path)


if __name__ == "__main__":
    main()
