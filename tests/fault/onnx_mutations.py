# SPDX-License-Identifier: Apache-2.0
"""Mutated model files: truncated, bit-flipped, overwritten, grown, shuffled. Each is registered and an
endpoint is bound to it. Either it loads, or the endpoint says why and the version before goes on; the
daemon neither ends nor grows, and answers all the while. COUNT sets how many (default 60)."""
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench"))
import glob

import model
from quern import Server

COUNT = int(os.environ.get("COUNT", "60"))
SEED = int(os.environ.get("SEED", "20260"))
X = {"name": "X", "datatype": "FP32", "shape": [1, 30], "data": [0.5] * 30}


def library():
    for place in os.environ["QUERN_ONNX_PLACES"].split(":"):
        for path in sorted(glob.glob(place)):
            return path
    print("no ONNX Runtime here: skipped")
    sys.exit(77)


def mutate(r, data):
    """(what was done, bytes)"""
    b = bytearray(data)
    kind = r.choice(["cut", "flip", "flips", "zero", "ones", "insert", "repeat", "swap", "length"])
    at = r.randrange(len(b))
    n = r.choice([1, 2, 8, 64, 300])
    if kind == "cut":
        del b[at:]
    elif kind == "flip":
        b[at] ^= 1 << r.randrange(8)
    elif kind == "flips":
        for _ in range(n):
            b[r.randrange(len(b))] ^= 1 << r.randrange(8)
    elif kind == "zero":
        b[at:at + n] = bytes(len(b[at:at + n]))
    elif kind == "ones":
        b[at:at + n] = b"\xff" * len(b[at:at + n])
    elif kind == "insert":
        b[at:at] = r.randbytes(n)
    elif kind == "repeat":
        b[at:at] = b[at:at + n] * r.choice([1, 50, 1000])
    elif kind == "swap":
        to = r.randrange(len(b))
        b[at], b[to] = b[to], b[at]
    else:  # a length or a size that promises far more than there is
        b[at:at + 5] = b"\xff\xff\xff\xff\x07"
    return f"{kind} at {at} of {len(data)}, {n}", bytes(b)


class Registry:
    def __init__(self, s):
        self.s = s
        self.json("POST", "/api/2.0/mlflow/registered-models/create", {"name": "m"})
        self.run = self.json("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
        self.n = 0

    def json(self, method, path, body=None):
        r = self.s.request(method, path, body)
        assert r.status in (200, 201), (path, r)
        return r.json

    def version(self, data):
        self.n += 1
        r = self.s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{self.run}/artifacts/m{self.n}/model.onnx", data, raw=True)
        assert r.status == 200, r
        v = self.json("POST", "/api/2.0/mlflow/model-versions/create",
                      {"name": "m", "run_id": self.run, "source": f"mlflow-artifacts:/0/{self.run}/artifacts/m{self.n}"})
        return v["model_version"]["version"]

    def bind(self, version):
        self.json("PUT", "/api/v1/endpoints/m", {"target": f"models:/m/{version}"})
        end = time.monotonic() + 150
        while time.monotonic() < end:
            e = self.s.get("/api/v1/endpoints/m").json
            if e["state"] in ("ready", "failed"):
                return e
            time.sleep(0.01)
        raise AssertionError(f"version {version} did not settle: {e}")


def memory(s):
    with open(f"/proc/{s.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def main():
    r = random.Random(SEED)
    bases = [model.linear()] + ([model.forest()] if hasattr(model, "forest") else [])
    loaded, refused, before = 0, {}, None
    with Server(env={"QUERN_ONNX_LIBRARY": library()}) as s:
        registry = Registry(s)
        good = registry.version(bases[0])
        assert registry.bind(good)["state"] == "ready"
        pid = s.process.pid
        for i in range(COUNT):
            what, data = mutate(r, r.choice(bases))
            v = registry.version(data)
            e = registry.bind(v)
            assert e["state"] == "ready", (what, e)  # the good one before it goes on
            if e["version"] == int(v):
                loaded += 1
                registry.bind(good)
            else:
                assert f"version {v} of 'm' was not loaded" in e["reason"] and len(e["reason"]) > 60, (what, e)
                refused[what.split()[0]] = refused.get(what.split()[0], 0) + 1
            a = s.post("/v2/models/m/infer", {"inputs": [X]})
            assert a.status == 200, (what, a)
            if i == COUNT // 4:
                before = memory(s)
        after = memory(s)
        assert s.process.pid == pid and s.process.poll() is None
        # Freed memory is kept back for a while by a sanitizer; leaks themselves it tells.
        assert after < before + 300, f"{before:.0f} MB became {after:.0f} MB"
    print(json.dumps({"loaded": loaded, "refused": refused, "rss_mb": [round(before), round(after)]}))
    assert sum(refused.values()) > COUNT // 4


if __name__ == "__main__":
    main()
