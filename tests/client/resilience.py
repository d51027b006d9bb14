# SPDX-License-Identifier: Apache-2.0
"""What an endpoint declares for bad days, through a real daemon: limits, deadlines, batches, kept answers,
rules for inputs and outputs, last good answers; in each protocol's words, with what is counted."""
import json
import os
import re
import sys
import threading
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import onnx
from mlflow.types.schema import ColSpec, Schema
from mlflow.models import ModelSignature
from onnx import TensorProto, helper

from arms import put as arms_put
from serving import LIBRARY, Lab, small_graph
from serving_faults import add
from quern import Server

ROWS = (TensorProto.FLOAT, [None, 2])


def put(lab, name, spec):
    e = arms_put(lab, name, spec)
    assert e["state"] == "ready" and not e["reason"], e
    time.sleep(0.1)  # a spec whose models are the same is taken up without a change of state
    return e


def metric(s, name, **labels):
    """The sum over all lines of that name whose labels fit."""
    total = 0.0
    for line in s.get("/metrics").text.splitlines():
        m = re.match(r"^(\w+)(?:\{(.*)\})? ([^ ]+)", line)
        if m and m[1] == name and all(f'{k}="{v}"' in (m[2] or "") for k, v in labels.items()):
            total += float(m[3])
    return total


def oip(s, name, rows, headers=None, parameters=None):
    a = np.asarray(rows, dtype=np.float32)
    body = {"inputs": [{"name": "X", "datatype": "FP32", "shape": list(a.shape),
                        "data": [None if np.isnan(v) else float(v) for v in a.reshape(-1)]}]}
    if parameters:
        body["parameters"] = parameters
    return s.post(f"/v2/models/{name}/infer", body, headers=headers or {})


def counted(lab, name):
    """A model [n,2] -> sum of each row, that takes long: a loop of many rounds before it."""
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["a"], ["ao"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                              helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("a", *ROWS)],
                             [helper.make_tensor_value_info("co", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("ao", *ROWS)])
    model = small_graph([helper.make_node("Loop", ["M", "", "X"], ["L"], body=body),
                         helper.make_node("ReduceSum", ["L", "axes"], ["Y"], keepdims=0)], ROWS, (TensorProto.FLOAT, [None]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(ROUNDS, dtype=np.int64), "M"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"))
    return lab.register_file(name, model.SerializeToString())


ROUNDS = 60000  # tens of milliseconds


def together(n, call):
    """n calls at the same time; their answers in order."""
    out = [None] * n
    gate = threading.Barrier(n)

    def run(i):
        gate.wait()
        out[i] = call(i)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def limits(lab):
    """One runs, two wait, the others are told to come back."""
    s = lab.server
    v = counted(lab, "slow")
    put(lab, "few", {"target": f"models:/slow/{v}", "limits": {"concurrency": 1, "queue": 2}})
    answers = together(8, lambda i: oip(s, "few", [[i, 1]]))
    good = [r for r in answers if r.status == 200]
    shed = [r for r in answers if r.status == 503]
    assert len(good) == 3 and len(shed) == 5, [r.status for r in answers]
    for i, r in enumerate(answers):
        if r.status == 200:
            assert r.json["outputs"][0]["data"] == [i + 1.0], (i, r.json)
    for r in shed:
        assert 1 <= int(r.headers["Retry-After"]) <= 60, r.headers
        assert set(r.json) == {"error"} and "busy" in r.json["error"], r.json
    assert metric(s, "quern_predictions_shed_total", endpoint="few", reason="full") == 5
    assert metric(s, "quern_prediction_queue_seconds_count", endpoint="few") == 3
    assert metric(s, "quern_predictions_in_flight", endpoint="few") == 0
    # In MLflow's words.
    answers = together(8, lambda i: s.post("/endpoints/few/invocations", {"inputs": [[i, 1]]}))
    shed = [r for r in answers if r.status == 503]
    assert len(shed) == 5 and shed[0].json["error_code"] == "TEMPORARILY_UNAVAILABLE", [(r.status, r.text) for r in answers]
    # In TensorFlow Serving's.
    answers = together(8, lambda i: s.post("/v1/models/few:predict", {"instances": [[i, 1]]}))
    shed = [r for r in answers if r.status == 503]
    assert len(shed) == 5 and set(shed[0].json) == {"error"} and int(shed[0].headers["Retry-After"]) >= 1, [(r.status, r.text) for r in answers]
    # A wider gate, without a restart; nobody is turned away.
    put(lab, "few", {"target": f"models:/slow/{v}", "limits": {"concurrency": 2, "queue": 20}})
    assert [r.status for r in together(8, lambda i: oip(s, "few", [[i, 1]]))] == [200] * 8


def deadlines(lab):
    s = lab.server
    v = counted(lab, "slow2")
    put(lab, "late", {"target": f"models:/slow2/{v}", "limits": {"concurrency": 1, "queue": 50}})
    base = min(timed(lambda: oip(s, "late", [[1, 1]]))[1] for _ in range(3))
    # The caller's bound, while it waits and while it runs.
    answers = together(10, lambda i: timed(lambda: oip(s, "late", [[i, 1]], headers={"X-Request-Timeout-Ms": str(int(base * 2500))})))
    late = [(r, t) for r, t in answers if r.status == 504]
    assert late and any(r.status == 200 for r, _ in answers), [(r.status, t) for r, t in answers]
    assert all(t < base * 2.5 + 1.0 for _, t in late), (base, [t for _, t in late])
    assert set(late[0][0].json) == {"error"}, late[0][0].json
    assert metric(s, "quern_predictions_shed_total", endpoint="late", reason="deadline") > 0
    # A chain answers in time what could not be run in time.
    put(lab, "intime", {"target": f"models:/slow2/{v}", "limits": {"concurrency": 1, "queue": 50}, "degrade": [
        {"outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [-1]}], "when": ["deadline"]}]})
    answers = together(8, lambda i: oip(s, "intime", [[i, 1]], headers={"X-Request-Timeout-Ms": str(int(base * 2500))}))
    assert [r.status for r in answers] == [200] * 8, [r.text for r in answers]
    constants = [r for r in answers if r.json["outputs"][0]["data"] == [-1]]
    assert constants and all("failure=deadline" in r.headers["X-Quern-Served-By"] for r in constants)
    r, took = timed(lambda: oip(s, "late", [[1, 1]], parameters={"timeout": 2000}))  # microseconds
    assert r.status == 504 and took < base + 0.5, (r.status, took, base)
    # The endpoint's own.
    put(lab, "late", {"target": f"models:/slow2/{v}", "limits": {"timeout_ms": 5}})
    assert oip(s, "late", [[1, 1]]).status == 504
    assert s.post("/endpoints/late/invocations", {"inputs": [[1, 1]]}).status == 504
    assert s.post("/v1/models/late:predict", {"instances": [[1, 1]]}).status == 504
    assert oip(s, "late", [[1, 1]], headers={"X-Request-Timeout-Ms": "60000"}).status == 504, "longer than the endpoint's is no longer"
    for bad in ("0", "-1", "1.5", "soon", "99999999999"):
        r = oip(s, "late", [[1, 1]], headers={"X-Request-Timeout-Ms": bad})
        assert r.status == 400 and "X-Request-Timeout-Ms" in r.json["error"], (bad, r)
    # A model of a single thread's speed, without limits: the bound holds there as well.
    put(lab, "late", {"target": f"models:/slow2/{v}"})
    r, took = timed(lambda: oip(s, "late", [[1, 1]], headers={"X-Request-Timeout-Ms": "3"}))
    assert r.status == 504, (r.status, took)


def timed(call):
    began = time.monotonic()
    r = call()
    return r, time.monotonic() - began


def batches(lab):
    s = lab.server
    v = counted(lab, "slow3")
    spec = {"target": f"models:/slow3/{v}"}
    put(lab, "alone", {**spec, "limits": {"concurrency": 1, "queue": 100}})
    put(lab, "joined", {**spec, "batching": {"max_rows": 16}})
    _, alone = timed(lambda: together(24, lambda i: oip(s, "alone", [[i, 1]])))
    answers, joined = timed(lambda: together(24, lambda i: oip(s, "joined", [[i, 1], [i, 2]] if i % 3 == 0 else [[i, 1]])))
    for i, r in enumerate(answers):
        assert r.status == 200, r
        want = [i + 1.0, i + 2.0] if i % 3 == 0 else [i + 1.0]
        assert r.json["outputs"][0]["data"] == want, (i, r.json)
    runs = metric(s, "quern_prediction_batch_rows_count", endpoint="joined")
    rows = metric(s, "quern_prediction_batch_rows_sum", endpoint="joined")
    assert rows == 32 and runs < 16, (rows, runs)
    assert joined < alone, (joined, alone)
    stats = s.get("/v2/models/joined/stats").json["model_stats"][0]
    assert stats["inference_count"] == 32, stats
    assert sum(b["compute_infer"]["count"] for b in stats["batch_stats"]) == runs, stats["batch_stats"]
    print(f"    24 requests at once: {alone:.2f} s one by one, {joined:.2f} s in {runs:.0f} runs")
    # A delay: two requests at once are one run, one alone waits it out.
    put(lab, "patient", {**spec, "batching": {"max_rows": 4, "max_delay_us": 300000, "preferred": [2]}})
    _, once = timed(lambda: oip(s, "patient", [[1, 1]]))
    assert once > 0.3, once
    before = metric(s, "quern_prediction_batch_rows_count", endpoint="patient")
    assert [r.status for r in together(2, lambda i: oip(s, "patient", [[i, 1]]))] == [200, 200]
    assert metric(s, "quern_prediction_batch_rows_count", endpoint="patient") == before + 1
    # One whose answer has no rows is found out and answers all the same.
    whole = small_graph([helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=0)], ROWS, (TensorProto.FLOAT, []))
    w = lab.register_file("whole", whole.SerializeToString())
    put(lab, "whole", {"target": f"models:/whole/{w}", "batching": {"max_rows": 16, "max_delay_us": 20000}})
    for i, r in enumerate(together(8, lambda i: oip(s, "whole", [[i, 1]]))):
        assert r.status == 200 and r.json["outputs"][0]["data"] == [i + 1.0], (i, r)


def cache(lab):
    s = lab.server
    v = counted(lab, "slow4")
    put(lab, "kept", {"target": f"models:/slow4/{v}", "cache": {"bytes": 1 << 20, "ttl_ms": 60000}})
    r, slow = timed(lambda: oip(s, "kept", [[3, 4]]))
    assert r.status == 200 and r.headers["X-Quern-Cache"] == "miss", r.headers
    again, fast = timed(lambda: oip(s, "kept", [[3, 4]]))
    assert again.headers["X-Quern-Cache"] == "hit" and again.json["outputs"] == r.json["outputs"], again.json
    assert fast < slow, (fast, slow)
    mlflow_door = s.post("/endpoints/kept/invocations", {"inputs": [[3, 4]]})  # the same tensors by another door
    assert mlflow_door.headers["X-Quern-Cache"] == "hit" and mlflow_door.json["predictions"] == {"Y": [7.0]}, mlflow_door
    assert oip(s, "kept", [[3, 4.5]]).headers["X-Quern-Cache"] == "miss"
    assert metric(s, "quern_prediction_cache_total", endpoint="kept", outcome="hit") == 2
    assert metric(s, "quern_prediction_cache_total", endpoint="kept", outcome="miss") == 2
    assert 0 < metric(s, "quern_prediction_cache_bytes", endpoint="kept") <= 1 << 20
    stats = s.get("/v2/models/kept/stats").json["model_stats"][0]["inference_stats"]
    assert stats["cache_hit"]["count"] == 2 and stats["cache_miss"]["count"] == 2, stats
    # A spec that agrees on the cache keeps it.
    put(lab, "kept", {"target": f"models:/slow4/{v}", "cache": {"bytes": 1 << 20, "ttl_ms": 60000}, "limits": {"queue": 5}})
    assert oip(s, "kept", [[3, 4]]).headers["X-Quern-Cache"] == "hit"
    put(lab, "kept", {"target": f"models:/slow4/{v}", "cache": {"bytes": 1 << 20, "ttl_ms": 100}})
    assert oip(s, "kept", [[3, 4]]).headers["X-Quern-Cache"] == "miss"
    time.sleep(0.15)
    assert oip(s, "kept", [[3, 4]]).headers["X-Quern-Cache"] == "miss", "past its time"
    put(lab, "kept", {"target": f"models:/slow4/{v}"})
    assert "X-Quern-Cache" not in oip(s, "kept", [[3, 4]]).headers


def division():
    """[n,2] -> X / 1 with a second output: 1 / X."""
    model = small_graph([helper.make_node("Div", ["one", "X"], ["Y"])], ROWS, ROWS)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], dtype=np.float32), "one"))
    return model.SerializeToString()


def input_checks(lab):
    s = lab.server
    signature = ModelSignature(Schema([ColSpec("long", "age"), ColSpec("double", "fare")]))
    model = onnx.load_from_string(division())
    v = lab.register("checked", model, signature)
    spec = {"target": f"models:/checked/{v}", "checks": {"signature": True, "unknown": "reject", "inputs": [
        {"name": "age", "min": 0, "max": 120, "nan": "reject"}, {"name": "fare", "max": 500.5}]}}
    put(lab, "checked", spec)
    frame = lambda rows, columns=("age", "fare"): s.post(
        "/endpoints/checked/invocations", {"dataframe_split": {"columns": list(columns), "data": rows}})
    assert frame([[1, 2], [120, 500.5]]).status == 200
    for rows, says in (([[1, 2], [121, 2]], "column 'age', row 1: 121 is above the maximum of 120"),
                       ([[-1, 2]], "column 'age', row 0: -1 is below the minimum of 0"),
                       ([[1, 501]], "column 'fare', row 0: 501 is above the maximum of 500.5"),
                       ([[None, 2]], "column 'age', row 0: nan is not accepted")):
        r = frame(rows)
        assert r.status == 400 and r.json == {"error_code": "INVALID_PARAMETER_VALUE", "message": says}, (rows, r)
    r = frame([[1, 2, 3]], ("age", "fare", "colour"))
    assert r.status == 400 and r.json["message"] == "the model takes no column 'colour'", r
    r = oip(s, "checked", [[1, 2], [1, 600]])
    assert r.status == 400 and r.json == {"error": "column 'fare', row 1: 600 is above the maximum of 500.5"}, r
    r = s.post("/v1/models/checked:predict", {"instances": [[1, 2], [1, 600]]})
    assert r.status == 400 and r.json == {"error": "column 'fare', row 1: 600 is above the maximum of 500.5"}, r
    assert metric(s, "quern_check_violations_total", endpoint="checked", kind="above") == 4
    assert metric(s, "quern_check_violations_total", endpoint="checked", kind="unknown") == 1
    # From the signature alone: a long is whole.
    put(lab, "checked", {"target": f"models:/checked/{v}", "checks": {"signature": True}})
    r = frame([[1.5, 2]])
    assert r.status == 400 and "not a whole number" in r.json["message"], r
    assert frame([[500, None]]).status == 200
    # Categories of texts.
    t = small_graph([helper.make_node("Identity", ["X"], ["Y"])], (TensorProto.STRING, [None, 1]), (TensorProto.STRING, [None, 1]))
    tv = lab.register_file("texts", t.SerializeToString())
    put(lab, "texts", {"target": f"models:/texts/{tv}", "checks": {"inputs": [{"name": "X", "categories": ["red", "blue"]}]}})
    say = lambda *w: s.post("/v2/models/texts/infer", {"inputs": [{"name": "X", "datatype": "BYTES", "shape": [len(w), 1], "data": list(w)}]})
    assert say("red", "blue").status == 200
    r = say("red", "hunter2")
    assert r.status == 400 and "row 1" in r.json["error"] and "hunter2" not in r.text, r


def output_checks(lab):
    s = lab.server
    v = lab.register_file("ratio", division())
    rule = lambda **more: {"target": f"models:/ratio/{v}", "checks": {"outputs": [{"name": "Y", **more}]}}
    put(lab, "ratio", rule(nan="error"))
    assert oip(s, "ratio", [[1, 2]]).status == 200
    r = oip(s, "ratio", [[1, 2], [0, 1]])
    assert r.status == 422 and r.json == {"error": "output 'Y', row 1, element 0: inf is no number that can be used"}, r
    r = s.post("/v1/models/ratio:predict", {"instances": [[0, 1]]})
    assert r.status == 422 and "output 'Y', row 0" in r.json["error"], r
    r = s.post("/endpoints/ratio/invocations", {"inputs": [[0, 1]]})
    assert r.status == 422 and "output 'Y'" in r.json["message"], r
    put(lab, "ratio", rule(max=1, min=0.25))
    assert oip(s, "ratio", [[1, 4]]).status == 200
    assert oip(s, "ratio", [[1, 5]]).status == 422
    put(lab, "ratio", rule(sum_to=1, tolerance=0.01))
    assert oip(s, "ratio", [[2, 2]]).status == 200
    r = oip(s, "ratio", [[2, 2], [1, 2]])
    assert r.status == 422 and "row 1: does not add up to 1" in r.json["error"], r
    put(lab, "ratio", rule(nan="null"))
    assert oip(s, "ratio", [[0, 2]]).json["outputs"][0]["data"] == [None, 0.5]
    # A chain is gone down where a rule says so, and nowhere else.
    constant = [{"outputs": [{"name": "Y", "datatype": "FP32", "shape": [1, 2], "data": [0, 0]}]}]
    put(lab, "ratio", {**rule(nan="degrade"), "degrade": constant})
    r = oip(s, "ratio", [[0, 2]])
    assert r.status == 200 and r.json["outputs"][0]["data"] == [0, 0] and "failure=output" in r.headers["X-Quern-Served-By"], (r, r.headers)
    put(lab, "ratio", {**rule(nan="error"), "degrade": constant})
    assert oip(s, "ratio", [[0, 2]]).status == 422
    assert metric(s, "quern_check_violations_total", endpoint="ratio", kind="output_nan") >= 4


def last_answers(lab):
    """A customer whose request the model cannot answer gets what he got before."""
    s = lab.server
    v = lab.register_file("ratio2", division())
    put(lab, "lastgood", {"target": f"models:/ratio2/{v}", "last": {"key": {"header": "X-Customer"}},
                          "checks": {"outputs": [{"name": "Y", "nan": "degrade"}]}, "degrade": [{"last": True}]})
    ask = lambda who, a: oip(s, "lastgood", [a], headers={"X-Customer": who} if who else {})
    assert ask("anna", [2, 4]).json["outputs"][0]["data"] == [0.5, 0.25]
    assert ask("bert", [1, 1]).json["outputs"][0]["data"] == [1, 1]
    r = ask("anna", [0, 1])
    assert r.status == 200 and r.json["outputs"][0]["data"] == [0.5, 0.25], r
    by = r.headers["X-Quern-Served-By"]
    assert "last=?1" in by and "degraded=1" in by and f"version={v}" in by and r.json["model_version"] == str(v), by
    assert ask("carl", [0, 1]).status == 422 and ask(None, [0, 1]).status == 422
    assert ask("bert", [0, 1]).json["outputs"][0]["data"] == [1, 1]
    # Without a key the inputs must be the same; of those that were shed as well.
    w = counted(lab, "slow6")
    put(lab, "same", {"target": f"models:/slow6/{w}", "limits": {"concurrency": 1, "queue": 0}, "degrade": [{"last": True}]})
    assert oip(s, "same", [[1, 2]]).status == 200
    answers = together(6, lambda i: oip(s, "same", [[1, 2 + i % 2]]))
    assert all(r.json["outputs"][0]["data"] == [3 + i % 2] for i, r in enumerate(answers) if r.status == 200), [r.text for r in answers]
    assert all(answers[i].status == 200 for i in (0, 2, 4)) and {answers[i].status for i in (1, 3, 5)} <= {200, 503}, [r.text for r in answers]
    assert metric(s, "quern_predictions_shed_total", endpoint="same", reason="full") >= 3
    # Full: what was shed gets it as well.
    w = counted(lab, "slow5")
    put(lab, "full", {"target": f"models:/slow5/{w}", "limits": {"concurrency": 1, "queue": 0}, "degrade": [{"last": True}],
                      "last": {"key": {"field": "X"}}})
    assert oip(s, "full", [[7, 1]]).status == 200
    answers = together(6, lambda i: oip(s, "full", [[7, 1]]))
    assert [r.status for r in answers] == [200] * 6, [(r.status, r.text) for r in answers]
    assert any("failure=unavailable" in r.headers["X-Quern-Served-By"] for r in answers)
    assert all(r.json["outputs"][0]["data"] == [8] for r in answers)


def changes(lab):
    """The document and the version change under load: every answer is right, whichever of them gave it."""
    s = lab.server
    plain = lambda n: small_graph([helper.make_node("Mul", ["X", "k"], ["M"]), helper.make_node("ReduceSum", ["M", "axes"], ["Y"], keepdims=0)],
                                  ROWS, (TensorProto.FLOAT, [None]))
    versions = []
    for k in (1, 10):
        model = plain(k)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([k], dtype=np.float32), "k"))
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], dtype=np.int64), "axes"))
        versions.append(lab.register_file("changing", model.SerializeToString()))
    factor = {str(v): k for v, k in zip(versions, (1, 10))}
    extras = [{}, {"batching": {"max_rows": 8, "max_delay_us": 1000}}, {"cache": {"bytes": 65536}}, {"checks": {"inputs": [{"name": "X", "max": 1e6}]}},
              {"limits": {"concurrency": 2, "queue": 1}}, {"degrade": [{"last": True}], "last": {"bytes": 65536}},
              {"batching": {"max_rows": 4, "preferred": [2]}, "cache": {"bytes": 1 << 20, "ttl_ms": 5}, "checks": {"outputs": [{"name": "Y", "nan": "error"}]}}]
    put(lab, "changing", {"target": f"models:/changing/{versions[0]}"})
    over, wrong, seen = threading.Event(), [], {}

    def ask(me):
        i = 0
        while not over.is_set():
            i += 1
            a, b = me * 100 + i % 7, i % 3
            r = oip(s, "changing", [[a, b]] * (1 + i % 2))
            seen[r.status] = seen.get(r.status, 0) + 1
            if r.status == 200:
                want = [float((a + b) * factor[r.json["model_version"]])] * (1 + i % 2)
                if r.json["outputs"][0]["data"] != want:
                    wrong.append((a, b, want, r.json, dict(r.headers)))
            elif r.status != 503:
                wrong.append((r.status, r.text))
    threads = [threading.Thread(target=ask, args=(t,)) for t in range(6)]
    for t in threads:
        t.start()
    end, n = time.monotonic() + 6, 0
    while time.monotonic() < end:
        r = s.request("PUT", "/api/v1/endpoints/changing", {"target": f"models:/changing/{versions[n // 3 % 2]}", **extras[n % len(extras)]})
        assert r.status == 200, r
        n += 1
        time.sleep(0.04)
    over.set()
    for t in threads:
        t.join()
    assert not wrong, (len(wrong), wrong[0], seen)
    assert seen.get(200, 0) > 200 and n > 30, (seen, n)
    print(f"    {n} changes under {sum(seen.values())} requests: {seen}")


def bad_specs(lab):
    s = lab.server
    v = lab.register_file("plain", add(1))
    for more, field in (({"limits": {"concurrency": 0}}, "limits/concurrency"), ({"limits": {"que": 1}}, "limits"),
                        ({"batching": {}}, "batching/max_rows"), ({"batching": {"max_rows": 8, "preferred": [9]}}, "batching/preferred"),
                        ({"cache": {"bytes": 10}}, "cache/bytes"), ({"checks": {"inputs": [{"name": "X", "min": "1"}]}}, "checks/inputs/0/min"),
                        ({"checks": {"outputs": [{"name": "Y", "nan": "maybe"}]}}, "checks/outputs/0/nan"),
                        ({"last": {"key": {"header": "a", "field": "b"}}}, "last/key")):
        r = s.request("PUT", "/api/v1/endpoints/plain", {"target": f"models:/plain/{v}", **more})
        assert r.status == 400 and field in json.dumps(r.json), (more, r)
    assert s.get("/api/v1/endpoints/plain").status == 404


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as s:
        lab = Lab(s)
        for test in [t for t in (bad_specs, limits, deadlines, batches, cache, input_checks, output_checks, last_answers, changes) if not sys.argv[1:] or t.__name__ in sys.argv[1:]]:
            test(lab)
            print("ok  ", test.__name__, flush=True)


if __name__ == "__main__":
    main()
