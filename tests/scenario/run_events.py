# SPDX-License-Identifier: Apache-2.0
"""Server-sent events of a run: state first, then every change after its commit, until the end; a
watcher that does not read holds nobody up and is told what it lost."""
import http.client
import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def new_run(s):
    return ok(s.mlflow("runs/create", {"experiment_id": "0"}))["run"]["info"]["run_id"]


class Watch:
    """Reads a stream on its own thread; events is a list of (name, data)."""

    def __init__(self, s, run_id):
        self.events, self.closed = [], False
        self.conn = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
        self.conn.request("GET", f"/api/v1/runs/{run_id}/events", headers={"Accept": "text/event-stream"})
        self.answer = self.conn.getresponse()
        same((self.answer.status, self.answer.headers["Content-Type"]), (200, "text/event-stream"))
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        name = None
        for line in self.answer:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                self.events.append((name, json.loads(line[6:])))
        self.closed = True

    def named(self, name):
        return [d for n, d in self.events if n == name]


def life(s):
    rid = new_run(s)
    ok(s.mlflow("runs/log-metric", {"run_id": rid, "key": "before", "value": 1, "timestamp": 1}))
    w, v = Watch(s, rid), Watch(s, rid)
    wait_until("the state", lambda: w.named("run") and v.named("run"))
    same(w.named("run")[0]["data"]["metrics"][0]["key"], "before")
    point = {"key": "m", "value": "NaN", "timestamp": 5, "step": 2}
    ok(s.mlflow("runs/log-metric", {"run_id": rid, **point}))
    ok(s.mlflow("runs/log-batch", {"run_id": rid, "metrics": [{**point, "value": i, "step": i} for i in range(3)],
                                   "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "ü"}]}))
    ok(s.mlflow("runs/log-parameter", {"run_id": rid, "key": "q", "value": "2"}))
    ok(s.mlflow("runs/set-tag", {"run_id": rid, "key": "u", "value": "3"}))
    ok(s.mlflow("runs/delete-tag", {"run_id": rid, "key": "u"}))
    refused = s.mlflow("runs/log-batch", {"run_id": rid, "metrics": [point], "params": [{"key": "p", "value": "9"}]})
    same(refused.status, 400, "a batch that is undone tells nothing")
    ok(s.mlflow("runs/log-metric", {"run_id": new_run(s), "key": "other", "value": 1, "timestamp": 1}))
    ok(s.mlflow("runs/update", {"run_id": rid, "status": "FINISHED", "end_time": 77}))
    for x in (w, v):
        wait_until("the end", lambda: x.closed)
        same([n for n, _ in x.events], ["run", "metrics", "metrics", "params", "tags", "params", "tags",
                                        "untags", "status", "end"])
        same(x.named("metrics")[0], [point])
        same([m["value"] for m in x.named("metrics")[1]], [0.0, 1.0, 2.0])
        same(x.named("tags")[0], [{"key": "t", "value": "ü"}])
        same((x.named("status")[0]["status"], x.named("status")[0]["end_time"]), ("FINISHED", 77))
    late = Watch(s, rid)
    wait_until("the end of a run that has ended", lambda: late.closed)
    same([n for n, _ in late.events], ["run", "end"])
    same(s.get("/api/v1/runs/none/events").status, 404)
    same(s.mlflow("runs/log-metric", {"run_id": new_run(s), "key": "k", "value": 1, "timestamp": 1}).status, 200)


def nothing_lost(s):
    """Watches that open amid writes: what the state lacks comes as an event, never in neither."""
    rid = new_run(s)
    stop = threading.Event()
    written = [0]

    def write():
        while not stop.is_set():
            written[0] += 1
            ok(s.mlflow("runs/log-metric", {"run_id": rid, "key": f"k{written[0]}", "value": 1, "timestamp": 1}))

    t = threading.Thread(target=write)
    t.start()
    watches = []
    for _ in range(10):
        time.sleep(0.05)
        watches.append(Watch(s, rid))
    time.sleep(0.3)
    stop.set()
    t.join()
    ok(s.mlflow("runs/update", {"run_id": rid, "status": "FAILED"}))
    for w in watches:
        wait_until("the end", lambda: w.closed)
        keys = {m["key"] for m in w.named("run")[0]["data"].get("metrics", [])}
        keys |= {m["key"] for e in w.named("metrics") for m in e}
        same({f"k{i + 1}" for i in range(written[0])} - keys, set(), "neither in the state nor told")


def slow_reader(s):
    rid = new_run(s)
    raw = socket.create_connection(("127.0.0.1", s.port))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.sendall(f"GET /api/v1/runs/{rid}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    time.sleep(0.3)
    batch = [{"key": "k" * 100, "value": i, "timestamp": i, "step": i} for i in range(1000)]
    for i in range(120):
        ok(s.mlflow("runs/log-batch", {"run_id": rid, "metrics": [{**m, "timestamp": i} for m in batch]}))
    ok(s.mlflow("runs/update", {"run_id": rid, "status": "KILLED"}))
    raw.settimeout(20)
    got = b""
    while b"event: end" not in got:
        part = raw.recv(1 << 20)
        assert part, got[-300:]
        got += part
    raw.close()
    assert b"event: lagged" in got and b'"lost":' in got, "16 MB of events were kept for a reader that slept"
    assert len(got) < 6 << 20, len(got)


def main():
    with Server() as s:
        life(s)
        nothing_lost(s)
        slow_reader(s)
    print("run events: ok")


if __name__ == "__main__":
    main()
