# SPDX-License-Identifier: Apache-2.0
"""Graphs of endpoints and models: a scaler, a forest and a child server joined by names of tensors,
compared with the same steps in Python; soft nodes, cycles, policies within, timing, restarts."""
import glob
import os
import sys
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import tempfile

import mlflow
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import StandardScaler

from quern import Server, wait_until

LIBRARY = os.environ.get("QUERN_ONNX_LIB") or sorted(glob.glob(
    os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*")))[-1]
SCRIPT = os.path.join(HERE, "..", "children", "server.py")
iris = load_iris()
X = iris.data.astype(np.float32)
scaler = StandardScaler().fit(X)
forest = RandomForestClassifier(n_estimators=20, random_state=0).fit(scaler.transform(X), iris.target)


def adder(value, name="y"):
    """x + value, FP64 [n, 2]."""
    node = helper.make_node("Add", ["x", "c"], [name])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 2])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 2])],
        [helper.make_tensor("c", TensorProto.DOUBLE, [], [float(value)])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString()


class Lab:
    def __init__(self, server):
        self.server = server
        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        self.client = mlflow.MlflowClient(server.url, server.url)
        mlflow.set_experiment("graphs")

    def register(self, name, files):
        with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
            for leaf, data in files.items():
                with open(os.path.join(folder, leaf), "wb") as f:
                    f.write(data)
                mlflow.log_artifact(os.path.join(folder, leaf), "m")
            source = f"{run.info.artifact_uri}/m"
        try:
            self.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException:
            pass
        return int(self.client.create_model_version(name, source, run.info.run_id).version)

    def put(self, name, spec, state="ready", seconds=60):
        r = self.server.request("PUT", f"/api/v1/endpoints/{name}", spec)
        assert r.status in (200, 201), r
        return self.settle(name, r.json["revision"], state, seconds)

    def settle(self, name, revision=0, state="ready", seconds=60):
        end = time.monotonic() + seconds
        while True:
            e = self.server.get(f"/api/v1/endpoints/{name}").json
            if e["revision"] >= revision and e["state"] in ("ready", "failed"):
                break
            assert time.monotonic() < end, e
            time.sleep(0.05)
        assert e["state"] == state, e
        return e


def infer(server, name, rows, dtype="FP64", tensor="x", **kw):
    x = np.asarray(rows)
    return server.post(f"/v2/models/{name}/infer", {"inputs": [
        {"name": tensor, "datatype": dtype, "shape": list(x.shape), "data": x.ravel().tolist()}], **kw})


def graph(nodes, outputs):
    return {"arms": [{"name": "main", "graph": {"nodes": nodes, "outputs": outputs}}]}


def sums(lab, server):
    lab.put("one", {"target": "models:/add/1"})
    lab.put("ten", {"target": "models:/add/2"})
    nodes = [  # not in order, and a diamond
        {"name": "last", "endpoint": "ten", "inputs": {"x": "b.y"}},
        {"name": "a", "endpoint": "one", "inputs": {"x": "request.x"}},
        {"name": "b", "model": "models:/add/2", "inputs": {"x": "a.y"}}]
    e = lab.put("sum", graph(nodes, {"total": "last.y", "first": "a.y", "was": "request.x"}))
    assert e["target"] == "graph:", e
    r = infer(server, "sum", [[1.0, 2.0], [3.0, 4.5]])
    assert r.status == 200, r
    out = {o["name"]: o["data"] for o in r.json["outputs"]}
    assert out == {"total": [22, 23, 24, 25.5], "first": [2, 3, 4, 5.5], "was": [1, 2, 3, 4.5]}, out
    timing = r.headers["Server-Timing"]
    assert [t.split(";")[0] for t in timing.split(", ")] == ["a", "b", "last"], timing
    r = infer(server, "sum", [[1.0, 2.0]], outputs=[{"name": "total"}])
    assert [o["name"] for o in r.json["outputs"]] == ["total"], r
    meta = server.get("/v2/models/sum").json
    assert meta["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}], meta
    assert [t["name"] for t in meta["outputs"]] == ["total", "first", "was"], meta
    stats = server.get("/v2/models/sum/stats").json["model_stats"][0]
    assert {n["name"]: n["execution_count"] for n in stats["nodes"]} == {"last": 2, "a": 2, "b": 2}, stats
    assert all(n["ns"] > 0 and n["failed"] == 0 for n in stats["nodes"]), stats
    # The endpoints within count what they were asked.
    assert server.get("/v2/models/one/stats").json["model_stats"][0]["inference_stats"]["success"]["count"] == 2
    # A graph of a graph, over MLflow's door as well.
    lab.put("outer", graph([{"name": "g", "endpoint": "sum", "inputs": {"x": "request.v"}},
                            {"name": "t", "endpoint": "one", "inputs": {"x": "g.total"}}], {"y": "t.y"}))
    r = infer(server, "outer", [[0.0, 0.5]], tensor="v")
    assert r.status == 200 and r.json["outputs"][0]["data"] == [22, 22.5], r
    r = server.post("/endpoints/outer/invocations", {"inputs": [[0.0, 0.5]]})
    assert r.status == 200 and r.json["predictions"]["y"] == [[22, 22.5]], r
    # What the caller does wrong is told as the caller's.
    r = infer(server, "outer", [[1.0]], tensor="v")
    assert r.status == 400 and "'v'" in r.json["error"], r
    r = infer(server, "outer", [[1.0, 2.0]])
    assert r.status == 400, r
    r = infer(server, "sum", [[1, 2]], outputs=[{"name": "none"}])
    assert r.status == 400 and "none" in r.json["error"], r


def fans(lab, server):
    """Graphs that ask graphs that ask: what would multiply without end is refused, soft or not."""
    for name, asked, tensor, kind, status in (("fan", "one", "y", "hard", 200), ("fans", "fan", "n63", "hard", 422),
                                              ("soft-fans", "fan", "n63", "soft", 422)):
        nodes = [{"name": f"n{i}", "endpoint": asked, "inputs": {"x": "request.x"}, "dependency": kind} for i in range(64)]
        lab.put(name, graph(nodes, {n["name"]: f"{n['name']}.{tensor}" for n in nodes}))
        r = infer(server, name, [[1.0, 2.0]])
        assert r.status == status and (status == 200 or "more than 4096 nodes" in r.json["error"]), (name, r)


def pipeline(lab, server):
    """The scaler and the forest as two models, equal to scikit-learn's pipeline."""
    files = [to_onnx(scaler, X[:1]).SerializeToString(),
             to_onnx(forest, X[:1], options={"zipmap": False}).SerializeToString()]
    lab.register("scaler", {"model.onnx": files[0]})
    lab.register("forest", {"model.onnx": files[1]})
    lab.put("scale", {"target": "models:/scaler/1"})
    nodes = [{"name": "pre", "endpoint": "scale", "inputs": {"X": "request.flower"}},
             {"name": "trees", "model": "models:/forest/1", "inputs": {"X": "pre.variable"}}]
    lab.put("iris", graph(nodes, {"label": "trees.label", "p": "trees.probabilities"}))
    r = infer(server, "iris", X, "FP32", "flower")
    assert r.status == 200, r
    out = {o["name"]: o for o in r.json["outputs"]}
    assert out["label"]["data"] == forest.predict(scaler.transform(X)).tolist()
    step = [onnxruntime.InferenceSession(f) for f in files]  # single precision, as the graph has it
    want = step[1].run(["probabilities"], {"X": step[0].run(None, {"X": X})[0]})[0]
    worst = np.abs(np.array(out["p"]["data"]).reshape(want.shape) - want).max()
    assert worst < 1e-6, worst
    body = {"dataframe_split": {"columns": [f"c{i}" for i in range(4)], "data": X[:3].tolist()}}
    r = server.post("/endpoints/iris/invocations", body)
    assert r.status == 200 and [row["label"] for row in r.json["predictions"]] == [0, 0, 0], r


def soft(lab, server):
    """A soft node may fail: another source takes its place, or its output is left out."""
    place = {"kind": "child", "command": [sys.executable, "server.py", "refuse", "oip", "{port}"]}
    lab.put("sour", {"arms": [{"name": "main", "target": "models:/doubler/1", "runtime": place}]})
    nodes = [{"name": "sour", "endpoint": "sour", "inputs": {"x": "request.x"}, "dependency": "soft"},
             {"name": "rule", "endpoint": "one", "inputs": {"x": "sour.y|request.x"}}]
    lab.put("kind", graph(nodes, {"y": "rule.y", "extra": "sour.y"}))
    r = infer(server, "kind", [[1.0, 2.0]])
    assert r.status == 200, r
    assert {o["name"]: o["data"] for o in r.json["outputs"]} == {"y": [2, 3]}, r
    assert "sour" in r.headers["Server-Timing"] and 'desc="failed"' in r.headers["Server-Timing"]
    r = infer(server, "kind", [[1.0, 2.0]], outputs=[{"name": "extra"}])
    assert r.status == 422 and "x must be positive" in r.json["error"], r
    nodes[0]["dependency"] = "hard"
    lab.put("kind", graph(nodes, {"y": "rule.y"}))
    r = infer(server, "kind", [[1.0, 2.0]])
    assert r.status == 422 and "node 'sour'" in r.json["error"], r
    # A child as a node, and the chain of the endpoint within.
    place = {**place, "command": place["command"][:2] + ["good", "oip", "{port}"]}
    lab.put("sour", {"arms": [{"name": "main", "target": "models:/doubler/1", "runtime": place}]})
    r = infer(server, "kind", [[1.0, 2.0]])
    assert r.status == 200 and r.json["outputs"][0]["data"] == [3, 5], r
    server.request("DELETE", "/api/v1/endpoints/sour")
    wait_until("the node's end", lambda: infer(server, "kind", [[1.0, 2.0]]).status == 503)


def refusals(lab, server):
    def refused(nodes, outputs, field, words=""):
        r = server.request("PUT", "/api/v1/endpoints/bad", graph(nodes, outputs))
        assert r.status == 400 and r.json["field"] == "arms/0/graph/" + field and words in r.json["detail"], r

    one = {"name": "a", "endpoint": "one", "inputs": {"x": "request.x"}}
    refused([], {"y": "request.x"}, "nodes")
    refused([one], {"y": "b.y"}, "outputs/y", "'b.y'")
    refused([one], {"y": "a"}, "outputs/y")
    refused([one], {"y": "a.y|"}, "outputs/y")
    refused([one], {}, "outputs")
    refused([one, one], {"y": "a.y"}, "nodes/1/name", "two nodes")
    refused([{**one, "name": "request"}], {"y": "a.y"}, "nodes/0/name")
    refused([{**one, "model": "models:/add/1"}], {"y": "a.y"}, "nodes/0/endpoint")
    refused([{"name": "a", "model": "models:/add@best", "inputs": {"x": "request.x"}}], {"y": "a.y"}, "nodes/0/model")
    refused([{**one, "endpoint": "nowhere"}], {"y": "a.y"}, "nodes/0/endpoint", "no endpoint")
    refused([{**one, "inputs": {"x": "a.y"}}], {"y": "a.y"}, "nodes/0/inputs", "itself")
    refused([{**one, "inputs": {"x": "b.y"}}, {**one, "name": "b", "inputs": {"x": "a.y"}}], {"y": "a.y"},
            "nodes/0/inputs", "itself")
    refused([{**one, "endpoint": "bad"}], {"y": "a.y"}, "nodes/0/endpoint", "itself")
    refused([{**one, "inputs": {}}], {"y": "a.y"}, "nodes/0/inputs")
    # A circle by way of another endpoint.
    lab.put("c1", graph([one], {"y": "a.y"}))
    lab.put("c2", graph([{**one, "endpoint": "c1"}], {"y": "a.y"}))
    r = server.request("PUT", "/api/v1/endpoints/c1", graph([{**one, "endpoint": "c2"}], {"y": "a.y"}))
    assert r.status == 400 and "ask itself" in r.json["detail"], r
    r = server.request("PUT", "/api/v1/endpoints/bad", {"arms": [
        {"name": "main", "target": "models:/add/1", "graph": graph([one], {"y": "a.y"})["arms"][0]["graph"]}]})
    assert r.status == 400, r
    # What only the models can tell is told by the state.
    for nodes, outputs, words in [
            ([{**one, "inputs": {"z": "request.x"}}], {"y": "a.y"}, "nothing feeds its input 'x'"),
            ([one], {"y": "a.z"}, "no tensor 'z'"),
            ([one, {"name": "b", "endpoint": "scale", "inputs": {"X": "a.y"}}], {"y": "b.variable"}, "FP32")]:
        e = lab.put("bad", graph(nodes, outputs), "failed")
        assert words in e["reason"], (words, e["reason"])
        server.request("DELETE", "/api/v1/endpoints/bad")


def restart(lab, server):
    server.kill9()
    server.start()
    began = time.monotonic()
    wait_until("the outer graph", lambda: infer(server, "outer", [[0.0, 0.5]], tensor="v").status == 200, 40)
    assert time.monotonic() - began < 5, server.log_text()
    r = infer(server, "outer", [[0.0, 0.5]], tensor="v")
    assert r.json["outputs"][0]["data"] == [22, 22.5], r
    # Models that were taken out of memory come back when a graph asks for them.
    assert server.post("/v2/repository/models/ten/unload").status == 200
    assert server.post("/v2/repository/models/ten/load").status == 200
    r = infer(server, "outer", [[0.0, 0.5]], tensor="v")
    assert r.status == 200, r


def main():
    only = sys.argv[1:]
    with Server(args=["--onnx-library", LIBRARY, "--serving-env", "PATH,HOME"]) as server:
        lab = Lab(server)
        lab.register("add", {"model.onnx": adder(1)})
        lab.register("add", {"model.onnx": adder(10)})
        lab.register("doubler", {"server.py": open(SCRIPT, "rb").read()})
        for test in (sums, fans, pipeline, soft, refusals, restart):
            if not only or test.__name__ in only:
                began = time.monotonic()
                test(lab, server)
                print(f"ok {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


main()
