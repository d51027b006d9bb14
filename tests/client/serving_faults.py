# SPDX-License-Identifier: Apache-2.0
"""Serving when something hurts: predictions without an end, models whose vetting has none, names that
are deleted and made anew, bodies that are compressed."""
import gzip
import json
import os
import sys
import threading
import time
import zlib

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import onnx
from onnx import TensorProto, helper

from serving import LIBRARY, Lab, infer, small_graph
from quern import Server

FLOATS = (TensorProto.FLOAT, [None])


def loop(times=None):
    """Goes round `times` times; without it as often as input M says."""
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["a"], ["ao"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                              helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("a", *FLOATS)],
                             [helper.make_tensor_value_info("co", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("ao", *FLOATS)])
    model = small_graph([helper.make_node("Loop", ["M", "", "X"], ["Y"], body=body)], FLOATS, FLOATS)
    if times is None:
        model.graph.input.append(helper.make_tensor_value_info("M", TensorProto.INT64, []))
    else:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(times, dtype=np.int64), "M"))
    return model.SerializeToString()


def add(number):
    model = small_graph([helper.make_node("Add", ["X", "B"], ["Y"])], FLOATS, FLOATS)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([number], dtype=np.float32), "B"))
    return model.SerializeToString()


X = {"name": "X", "datatype": "FP32", "shape": [1], "data": [1]}


def rounds(n):
    return [X, {"name": "M", "datatype": "INT64", "shape": [], "data": [n]}]


def answer(s, name):
    return infer(s, name, [X])["outputs"][0]["data"]


def deploy(lab, endpoint, content, **more):
    v = lab.register_file(endpoint, content)
    return lab.deploy(endpoint, f"models:/{endpoint}/{v}", **more)


def deadline(lab):
    """A prediction that would not end is answered 504 in its dialect; a switch meanwhile succeeds."""
    s = lab.server
    assert deploy(lab, "rounds", loop())["state"] == "ready"
    assert deploy(lab, "plus", add(1))["state"] == "ready"
    assert infer(s, "rounds", rounds(1000))["outputs"][0]["data"] == [1.0]
    seen = {}

    def ask():
        began = time.monotonic()
        seen["answer"] = s.post("/v2/models/rounds/infer", {"inputs": rounds(2**62)})
        seen["took"] = time.monotonic() - began

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    e = deploy(lab, "plus", add(2))
    assert e["version"] == 2 and not e["reason"], e
    thread.join()
    assert seen["answer"].status == 504 and "too long" in seen["answer"].json["error"], seen
    assert 2.5 <= seen["took"] < 15, seen
    r = s.post("/endpoints/rounds/invocations", {"inputs": {"X": [1], "M": [2**62]}})
    assert r.status == 504 and r.json["error_code"] == "DEADLINE_EXCEEDED", r
    assert infer(s, "rounds", rounds(1000))["outputs"][0]["data"] == [1.0], "the thread goes on"
    metrics = s.request("GET", "/metrics", raw=True)
    assert b'quern_predictions_total{endpoint="rounds",version="1",outcome="failed"} 2' in metrics.body, metrics


def slow_leaves(lab):
    """Once a request has shown a model to be slow, its next ones leave the network threads: others
    are answered meanwhile, as many of them as there are network threads at once."""
    s = lab.server
    infer(s, "rounds", rounds(300000))
    threads = [threading.Thread(target=lambda: s.post("/v2/models/rounds/infer", {"inputs": rounds(2**62)})) for _ in range(6)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    began = time.monotonic()
    for _ in range(20):
        assert answer(s, "plus") == [3.0]
    took = time.monotonic() - began
    assert took < 2, f"20 quick answers took {took:.1f} s beside six endless ones"
    for t in threads:
        t.join()


def slow_vet(lab):
    """One model whose trial does not end (since the step before) holds up its own endpoint only."""
    s = lab.server
    began = time.monotonic()
    e = deploy(lab, "quick", add(3))
    took = time.monotonic() - began
    assert e["state"] == "ready", e
    e = s.get("/api/v1/endpoints/endless").json
    assert e["state"] == "loading" and took < 15, (e, took)
    # Bound to something else while it is tried; then deleted while it is tried.
    v = lab.register_file("other", add(4))
    assert lab.deploy("endless", f"models:/other/{v}", wait=False)["state"] == "pending"
    deploy(lab, "gone", loop(2**62), wait=False)
    time.sleep(0.5)
    assert s.request("DELETE", "/api/v1/endpoints/gone").status == 200
    e = lab.settled("endless")
    assert e["state"] == "ready" and e["model"] == "other" and answer(s, "endless") == [5.0], e
    assert s.get("/v2/models/gone").status == 404


def made_anew(lab):
    """A deleted endpoint's model does not come back under its name, though the loader be slow to look."""
    s = lab.server
    v = lab.register_file("no-model", b"nothing")
    assert deploy(lab, "twice", add(10))["state"] == "ready"
    assert answer(s, "twice") == [11.0]
    deploy(lab, "endless", loop(2**62), wait=False)
    time.sleep(1)
    assert s.request("DELETE", "/api/v1/endpoints/twice").status == 200
    assert s.request("PUT", "/api/v1/endpoints/twice", {"target": f"models:/no-model/{v}"}).status == 201
    e = lab.settled("twice")
    assert e["state"] == "failed" and "still serves" not in e["reason"], e
    r = s.post("/v2/models/twice/infer", {"inputs": [X]})
    assert r.status == 503, r


def compressed(lab):
    s = lab.server
    for path, body, key in [("/v2/models/plus/infer", {"inputs": [X]}, "error"),
                            ("/endpoints/plus/invocations", {"inputs": [1]}, "message")]:
        plain = json.dumps(body).encode()
        for name, packed, status, says in [
                ("gzip", gzip.compress(plain), 200, ""), ("deflate", zlib.compress(plain), 200, ""),
                ("br", plain, 415, "'br'"), ("gzip", plain, 400, "gzip"), ("deflate", zlib.compress(plain)[:-2], 400, "ends")]:
            r = s.request("POST", path, packed, raw=True,
                          headers={"Content-Type": "application/json", "Content-Encoding": name})
            assert r.status == status and (status == 200 or says in r.text), (path, name, r)
            assert status != 415 or "gzip" in r.headers["Accept-Encoding"], r.headers
        r = s.request("POST", path, json.dumps(body).encode(), raw=True,
                      headers={"Content-Type": "application/json", "Content-Encoding": "identity"})
        assert r.status == 200, (path, r)


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY, "QUERN_SERVING_TIMEOUT": "3s"}) as server:
        lab = Lab(server)
        for step in (deadline, slow_leaves, compressed, made_anew, slow_vet):
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
