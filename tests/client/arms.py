# SPDX-License-Identifier: Apache-2.0
"""Arms of an endpoint: the spec and its errors, versions by path, the chain of what answers in place
of an arm that failed, models that leave memory and come back."""
import os
import sys
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import onnx
from onnx import TensorProto, helper

from serving import LIBRARY, Lab, infer, small_graph
from serving_faults import X, add
from quern import Server

FLOATS = (TensorProto.FLOAT, [None])


def breaks():
    """Loads and runs on one element, fails on three."""
    model = small_graph([helper.make_node("Reshape", ["X", "S"], ["R"]), helper.make_node("Identity", ["R"], ["Y"])], FLOATS, FLOATS)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "S"))
    return model.SerializeToString()


def put(lab, name, spec, status=(200, 201)):
    r = lab.server.request("PUT", f"/api/v1/endpoints/{name}", spec)
    assert r.status in status, r
    return lab.settled(name) if r.status < 300 else r.json


def values(n):
    return [{"name": "X", "datatype": "FP32", "shape": [n], "data": [1.0] * n}]


def ask(s, name, n=1, headers=None, status=200):
    r = s.request("POST", f"/v2/models/{name}/infer", {"inputs": values(n)}, headers=headers)
    assert r.status == status, r
    return r


def spec_errors(lab):
    v = lab.register_file("plain", add(1))
    t = f"models:/plain/{v}"
    arm = {"name": "a", "target": t}
    rows = [
        ({}, "target", "give target"),
        ({"target": t, "arms": [arm]}, "target", "not both"),
        ({"target": "iris"}, "target", "models:/NAME"),
        ({"arms": [arm, arm]}, "arms/1/name", "two arms are called 'a'"),
        ({"arms": [{**arm, "name": "a b"}]}, "arms/0/name", "letters"),
        ({"arms": [{**arm, "weight": -1}]}, "arms/0/weight", "from 0 on"),
        ({"arms": [{**arm, "wieght": 1}]}, "wieght", ""),
        ({"arms": [{**arm, "name": f"a{i}"} for i in range(17)]}, "arms", "at most 16"),
        ({"arms": [{"name": "a"}]}, "target", ""),
        ({"target": t, "degrade": [{}]}, "degrade/0", "one of arm, last"),
        ({"target": t, "degrade": [{"arm": "b"}]}, "degrade/0/arm", "no arm 'b'"),
        ({"target": t, "degrade": [{"arm": "main", "when": ["rain"]}]}, "degrade/0/when", "no kind of failure"),
        ({"target": t, "degrade": [{"outputs": []}]}, "degrade/0/outputs", "a list of outputs"),
        ({"target": t, "degrade": [{"outputs": [{"name": "Y", "datatype": "FP32", "shape": [2], "data": [1, 2]}]}]}, "degrade/0/outputs", "one row"),
        ({"target": t, "degrade": [{"outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": ["x"]}]}]}, "degrade/0/outputs", "element 0"),
        ({"target": t, "warm": "hot"}, "warm", "pinned"),
        ({"target": t, "shadow": []}, "shadow", ""),
    ]
    for spec, field, words in rows:
        r = lab.server.request("PUT", "/api/v1/endpoints/bad", spec)
        text = r.body.decode()
        assert r.status == 400 and field in text and words in text, (spec, r)
    assert lab.server.get("/api/v1/endpoints/bad").status == 404
    r = lab.server.request("PUT", "/api/v1/endpoints/bad", {"arms": [arm, {"name": "b", "target": "models:/plain/99"}]})
    assert r.status == 404 and "99" in r.body.decode(), r


def arms(lab):
    """Two versions of one model; a version in the path chooses the arm; the header tells who answered."""
    s = lab.server
    one, two = lab.register_file("sum", add(1)), lab.register_file("sum", add(10))
    e = put(lab, "sum", {"arms": [{"name": "stable", "target": f"models:/sum/{one}"},
                                  {"name": "next", "target": f"models:/sum/{two}"}]})
    assert e["state"] == "ready" and [a["name"] for a in e["arms"]] == ["stable", "next"], e
    assert [a["weight"] for a in e["arms"]] == [1, 0] and all(a["loaded"] and a["bytes"] > 0 for a in e["arms"]), e
    assert e["version"] == one and e["spec"]["arms"][1]["target"] == f"models:/sum/{two}", e
    r = ask(s, "sum")
    assert r.json["outputs"][0]["data"] == [2.0] and r.json["model_version"] == str(one), r
    assert r.headers["X-Quern-Served-By"].startswith(f'stable; model="sum"; version={one}; reason='), r.headers
    r = s.post(f"/v2/models/sum/versions/{two}/infer", {"inputs": [X]})
    assert r.json["outputs"][0]["data"] == [11.0] and "reason=forced" in r.headers["X-Quern-Served-By"], r
    r = s.post("/v2/models/sum/versions/77/infer", {"inputs": [X]})
    assert r.status == 404 and "77" in r.json["error"], r
    # An arm that cannot be loaded is told by name and leaves the other alone.
    bad = lab.register_file("sum", b"\x08\x08nonsense")
    e = put(lab, "sum", {"arms": [{"name": "stable", "target": f"models:/sum/{one}"},
                                  {"name": "next", "target": f"models:/sum/{bad}"}]})
    assert e["state"] == "ready" and e["reason"].startswith("arm next: "), e
    assert ask(s, "sum").json["outputs"][0]["data"] == [2.0]
    assert [a["version"] for a in e["arms"]] == [one, two], "the version before goes on"
    # Back to one arm, then the other's name again: nothing of before is left.
    e = put(lab, "sum", {"target": f"models:/sum/{two}"})
    assert [a["name"] for a in e["arms"]] == ["main"] and ask(s, "sum").json["outputs"][0]["data"] == [11.0], e
    up = s.get("/api/v1/lineage?node=endpoint:sum&direction=upstream").json
    assert f"model_version:sum/{two}" in str(up) and f"model_version:sum/{one}" not in str(up), up


def chain(lab):
    """The arm that fails is replaced down the declared chain; the request's own faults are not."""
    s = lab.server
    b, ok = lab.register_file("chain", breaks()), lab.register_file("chain", add(1))
    constant = {"outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [-1]}]}
    two = [{"name": "new", "target": f"models:/chain/{b}"}, {"name": "old", "target": f"models:/chain/{ok}"}]
    put(lab, "chain", {"arms": two})
    r = ask(s, "chain", 3, status=422)
    assert "the model failed" in r.json["error"], r
    put(lab, "chain", {"arms": two, "degrade": [{"arm": "old"}, constant]})
    r = ask(s, "chain")
    assert r.json["outputs"][0]["data"] == [1.0] and "degraded" not in r.headers["X-Quern-Served-By"], r
    r = ask(s, "chain", 3)
    assert r.json["outputs"][0]["data"] == [2.0] * 3 and r.json["model_version"] == str(ok), r
    assert r.headers["X-Quern-Served-By"].endswith("degraded=1; failure=failed"), r.headers
    put(lab, "chain", {"arms": two, "degrade": [{"arm": "old", "when": ["deadline"]}, constant]})
    r = ask(s, "chain", 3)
    assert r.json["outputs"][0]["data"] == [-1.0] * 3 and r.json["model_version"] == "constant", r
    assert "degraded=2" in r.headers["X-Quern-Served-By"], r.headers
    r = s.post("/endpoints/chain/invocations", {"inputs": [1.0, 1.0, 1.0]})
    assert r.status == 200 and r.json == {"predictions": {"Y": [-1.0] * 3}}, r
    r = s.post("/v2/models/chain/infer", {"inputs": [{**X, "name": "Z"}]})
    assert r.status == 400 and "Z" in r.json["error"], "a wrong request is refused, not degraded"
    metrics = s.request("GET", "/metrics", raw=True).body.decode()
    assert 'quern_predictions_degraded_total{endpoint="chain",step="1",failure="failed"} 1' in metrics, metrics
    rehearsal(s)
    # An endpoint without any model that answers: the constant does.
    bad = lab.register_file("chain", b"nothing")
    put(lab, "empty", {"target": f"models:/chain/{bad}", "degrade": [constant]})
    r = ask(s, "empty", 2)
    assert r.json["outputs"][0]["data"] == [-1.0] * 2 and "failure=unavailable" in r.headers["X-Quern-Served-By"], r
    assert s.get("/v2/models/empty/ready").status == 503 and s.get("/v2/models/empty").status == 503


def rehearsal(s):
    """Each step is tried, and nobody's figures move."""
    before = s.request("GET", "/metrics", raw=True).body.decode()
    r = s.post("/api/v1/endpoints/chain:rehearse", {})
    assert r.status == 200 and r.json["arm"] == "new" and r.json["answered_by"] == 2, r
    one, two = r.json["steps"]
    assert one["kind"] == "arm" and one["arm"] == "old" and not one["applies"] and one["answers"], one
    assert one["outputs"][0]["data"] == [1.0] and two["kind"] == "outputs" and two["version"] == "constant", r
    r = s.post("/api/v1/endpoints/chain:rehearse", {"failure": "deadline", "inputs": values(3)})
    assert r.json["answered_by"] == 1 and r.json["steps"][0]["outputs"][0]["data"] == [2.0] * 3, r
    r = s.post("/api/v1/endpoints/chain:rehearse", {"failure": "rain"})
    assert r.status == 400 and "failure" in r.body.decode(), r
    r = s.post("/api/v1/endpoints/chain:rehearse", {"inputs": [{"name": "X"}]})
    assert r.status == 400 and "shape" in r.body.decode(), r
    assert s.post("/api/v1/endpoints/nobody:rehearse", {}).status == 404
    after = s.request("GET", "/metrics", raw=True).body.decode()

    def of(text):
        return sorted(x for x in text.splitlines() if x.startswith(("quern_predictions_total", "quern_predictions_degraded")))

    assert of(before) == of(after) and 'quern_rehearsals_total{endpoint="chain",outcome="answered"} 2' in after


def memory():
    """Beyond serving.memory models leave; the next request brings one back. Pinned ones stay."""
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY, "QUERN_SERVING_MEMORY": "1"}) as s:
        lab = Lab(s)
        for i in range(4):
            v = lab.register_file(f"m{i}", add(i))
            put(lab, f"m{i}", {"target": f"models:/m{i}/{v}", **({"warm": "pinned"} if i == 0 else {})})
        time.sleep(1.1)  # what was used within the last second stays
        v = lab.register_file("last", add(50))
        put(lab, "last", {"target": f"models:/last/{v}"})

        def loaded(name):
            return s.get(f"/api/v1/endpoints/{name}").json["arms"][0]["loaded"]

        assert loaded("m0") and not any(loaded(f"m{i}") for i in (1, 2, 3)), [loaded(f"m{i}") for i in range(4)]
        for i in (1, 2, 3):
            assert s.get(f"/api/v1/endpoints/m{i}").json["state"] == "ready"
            assert s.get(f"/v2/models/m{i}/ready").status == 200
            assert infer(s, f"m{i}", [X])["outputs"][0]["data"] == [1.0 + i]
        r = s.post("/endpoints/m1/invocations", {"inputs": [1.0]})
        assert r.json == {"predictions": {"Y": [2.0]}}, r
        data, s.own_data = s.data, False
    with Server(data=data, env={"QUERN_ONNX_LIBRARY": LIBRARY, "QUERN_SERVING_MEMORY": "1"}) as s:
        while s.get("/v2/health/ready").status != 200:
            time.sleep(0.02)
        for i in range(4):
            assert infer(s, f"m{i}", [X])["outputs"][0]["data"] == [1.0 + i], i
        assert infer(s, "last", [X])["outputs"][0]["data"] == [51.0]


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        for step in (spec_errors, arms, chain):
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    memory()
    print("ok memory")


if __name__ == "__main__":
    main()
