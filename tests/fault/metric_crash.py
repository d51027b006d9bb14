# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon (SIGKILL) while batches of points fill tails and blocks: every acknowledged batch
is there to the last point, an unanswered one wholly or not at all, in order and once.
usage: metric_crash.py [CYCLES]"""
import http.client
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

CYCLES = int(sys.argv[1]) if len(sys.argv) > 1 else 8
WRITERS = 4


class Series:
    """One run's key with what was sent: number of the batch to (points, acknowledged)."""

    def __init__(self, s, name, draw):
        self.run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
        self.name, self.draw, self.batches = name, draw, {}

    def batch(self):
        number = len(self.batches)
        late = self.draw.random() < 0.2  # from the past: blocks overlap
        at = self.draw.randrange(number + 1) if late else number
        # The step names the batch; times of neighbours overlap.
        points = [(at * 1000 + self.draw.randrange(1500), number, self.draw.random())
                  for _ in range(self.draw.choice((1, 2, 40, 300, 1000)))]
        self.batches[number] = [points, False]
        return number, {"run_id": self.run, "metrics": [
            {"key": self.name, "timestamp": t, "step": n, "value": v} for t, n, v in points]}

    def check(self, s):
        got, token = {}, ""
        last = None
        while True:
            page = s.mlflow(f"metrics/get-history?run_id={self.run}&metric_key={self.name}&max_results=20000" + token,
                            method="GET")
            assert page.status == 200, page
            for p in page.json.get("metrics", []):
                one = (p["timestamp"], p["step"], p["value"])
                assert last is None or last < one, f"{one} behind {last}"
                last = one
                got.setdefault(p["step"], []).append(one)
            if "next_page_token" not in page.json:
                break
            token = "&page_token=" + page.json["next_page_token"]
        kept = 0
        for number, (points, acknowledged) in self.batches.items():
            there = got.pop(number, [])
            assert there == sorted(set(points)) or (not there and not acknowledged), \
                f"batch {number} (answered: {acknowledged}) has {len(there)} of {len(points)} points"
            kept += bool(there)
        assert not got, f"points that nobody sent: {list(got)[:5]}"
        return kept


def write(s, series, stop):
    http_ = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
    try:
        while not stop.is_set():
            number, body = series.batch()
            http_.request("POST", "/api/2.0/mlflow/runs/log-batch", json.dumps(body), {"Content-Type": "application/json"})
            answer = http_.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            series.batches[number][1] = True
    except (OSError, http.client.HTTPException):
        pass  # killed: the outcome of the last batch is unknown


def main():
    seed = int(os.environ.get("CRASH_SEED", str(int(time.time()))))
    draw, unanswered = random.Random(seed), 0
    s = quern.Server()
    with s:
        all_series = [Series(s, f"m{i}", random.Random(seed + i)) for i in range(WRITERS)]
        for _ in range(CYCLES):
            stop = threading.Event()
            threads = [threading.Thread(target=write, args=(s, one, stop)) for one in all_series]
            for t in threads:
                t.start()
            time.sleep(0.2 + draw.random() * 0.6)
            s.kill9()
            stop.set()
            for t in threads:
                t.join()
            s.start()
            for one in all_series:
                one.check(s)
                unanswered += sum(not a for _, a in one.batches.values())
        kept = sum(one.check(s) for one in all_series)
        points = sum(len(p) for one in all_series for p, _ in one.batches.values())
    print(f"seed {seed}: {CYCLES} kills, {kept} batches kept of {points} points sent; "
          f"{unanswered} times a batch without an answer; none torn")
    assert kept > CYCLES, "too little was written to tell"


if __name__ == "__main__":
    main()
