# SPDX-License-Identifier: Apache-2.0
"""Serving as its users meet it: models made by scikit-learn and skl2onnx, registered with the MLflow
client, deployed to endpoints, asked over the Open Inference Protocol and MLflow's scoring protocol,
compared with scikit-learn and with ONNX Runtime in Python. Then the unfriendly part: aliases that
move under load, files that are no models, models that hurt."""
import glob
import json
import os
import struct
import sys
import tempfile
import threading
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import http.client

import mlflow
import numpy as np
import onnx
import onnxruntime
import pandas as pd
from mlflow.models import infer_signature
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from quern import Server

LIBRARY = os.environ.get("QUERN_ONNX_LIB") or sorted(glob.glob(
    os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*")))[-1]
EPS = 1e-5
iris = load_iris()
IX = iris.data.astype(np.float32)


class Lab:
    """Registers models and deploys them."""

    def __init__(self, server):
        self.server = server
        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        self.client = mlflow.MlflowClient(server.url, server.url)
        mlflow.set_experiment("serving")
        self.folder = tempfile.mkdtemp(prefix="quern-serving-")

    def register_file(self, name, content, file_name="model.onnx", more=()):
        """A plain file as a model version, without any flavour."""
        with mlflow.start_run() as run:
            for leaf, data in [(file_name, content), *more]:
                path = os.path.join(self.folder, leaf)
                with open(path, "wb") as f:
                    f.write(data)
                mlflow.log_artifact(path, "m")
            source = f"{run.info.artifact_uri}/m"
        try:
            self.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException:
            pass
        return int(self.client.create_model_version(name, source, run.info.run_id).version)

    def register(self, name, model, signature=None):
        """As a data scientist does it: the onnx flavour."""
        with mlflow.start_run():
            info = mlflow.onnx.log_model(model, name="model", signature=signature,
                                         registered_model_name=name)
        return int(info.registered_model_version)

    def deploy(self, endpoint, target, wait=True):
        r = self.server.request("PUT", f"/api/v1/endpoints/{endpoint}", {"target": target})
        assert r.status in (200, 201), r
        return self.settled(endpoint) if wait else r.json

    def settled(self, endpoint, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            e = self.server.get(f"/api/v1/endpoints/{endpoint}").json
            if e["state"] in ("ready", "failed"):
                return e
            time.sleep(0.02)
        raise AssertionError(f"endpoint {endpoint} did not settle: {e}")

    def serve(self, name, model, signature=None, plain=False):
        version = (self.register_file(name, model.SerializeToString()) if plain
                   else self.register(name, model, signature))
        e = self.deploy(name, f"models:/{name}/{version}")
        assert e["state"] == "ready" and e["reason"] == "", e
        assert e["version"] == version and e["model"] == name, e
        return e


def tensor(name, array, datatype=None):
    kinds = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "bool": "BOOL", "object": "BYTES"}
    a = np.asarray(array)
    return {"name": name, "shape": list(a.shape), "datatype": datatype or kinds[a.dtype.name],
            "data": a.reshape(-1).tolist()}


def infer(server, name, inputs, status=200, **more):
    r = server.post(f"/v2/models/{name}/infer", {"inputs": inputs, **more})
    assert r.status == status, (r.status, r.text[:600])
    return r.json


def output(answer, name):
    o = next(o for o in answer["outputs"] if o["name"] == name)
    values = [np.nan if v is None else v for v in o["data"]]
    return np.array(values).reshape(o["shape"]), o


def near(got, want, what):
    got, want = np.asarray(got, dtype=np.float64), np.asarray(want, dtype=np.float64)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, want {want.shape}"
    worst = (np.abs(got - want) / np.maximum(1, np.abs(want))).max() if got.size else 0
    assert worst <= EPS, f"{what}: off by {worst}"


def invoke(server, name, body, content_type="application/json", status=200):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    r = server.request("POST", f"/endpoints/{name}/invocations", data,
                       headers={"Content-Type": content_type}, raw=True)
    assert r.status == status, (r.status, r.text[:600])
    return r.json["predictions"] if status == 200 else r.json


# ---- models that must work ----

def zipmap_forest(lab):
    """skl2onnx's default export: labels and a sequence of maps."""
    s = lab.server
    model = RandomForestClassifier(30, random_state=1).fit(IX, iris.target)
    graph = to_onnx(model, IX[:1], options={id(model): {"zipmap": True}})
    lab.serve("forest", graph)
    meta = s.get("/v2/models/forest").json
    assert meta["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}], meta
    assert [o["name"] for o in meta["outputs"]] == ["output_label", "output_probability"], meta
    want = model.predict_proba(IX)
    a = infer(s, "forest", [tensor("X", IX)], id="abc-1")
    assert a["model_name"] == "forest" and a["model_version"] == "1" and a["id"] == "abc-1", a
    got, o = output(a, "output_probability")
    near(got, want, "zipmap probabilities")
    assert json.loads(o["parameters"]["labels"]) == ["0", "1", "2"], o
    label, _ = output(a, "output_label")
    assert (label == model.predict(IX)).all()
    # One output, nested data, members in another order.
    nested = {"data": IX[:3].tolist(), "datatype": "FP32", "shape": [3, 4], "name": "X"}
    a = infer(s, "forest", [nested], outputs=[{"name": "output_label"}])
    assert [o["name"] for o in a["outputs"]] == ["output_label"], a
    assert a["outputs"][0]["data"] == model.predict(IX[:3]).tolist(), a
    # The scoring protocol, every form.
    frame = pd.DataFrame(IX[:5], columns=["a", "b", "c", "d"])
    split = frame.to_dict(orient="split")
    for body, kind in [({"dataframe_split": split}, "application/json"),
                       ({"dataframe_records": frame.to_dict(orient="records")}, "application/json; charset=utf-8"),
                       (frame.to_csv(index=False), "text/csv")]:
        p = invoke(s, "forest", body, kind)
        assert [r["output_label"] for r in p] == model.predict(IX[:5]).tolist(), p
        near([[r["output_probability"][k] for k in "012"] for r in p], want[:5], f"records {kind}")
    for body in ({"instances": IX[:5].tolist()}, {"inputs": IX[:5].tolist()},
                 {"inputs": {"X": IX[:5].tolist()}}, {"instances": [{"X": r} for r in IX[:5].tolist()]}):
        p = invoke(s, "forest", body)
        assert p["output_label"] == model.predict(IX[:5]).tolist(), p
        near([[r[k] for k in "012"] for r in p["output_probability"]], want[:5], str(list(body)))
    return model


def plain_arrays(lab):
    """zipmap off: two tensors."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IX, iris.target)
    graph = to_onnx(model, IX[:1], options={"zipmap": False})
    lab.serve("logistic", graph, signature=infer_signature(pd.DataFrame(IX, columns=["w", "x", "y", "z"])))
    want = model.predict_proba(IX)
    a = infer(lab.server, "logistic", [tensor("X", IX)])
    near(output(a, "probabilities")[0], want, "probabilities")
    # Columns by the names of the signature, whatever order they come in; more are ignored.
    rows = [{"z": r[3], "y": r[2], "note": "n", "x": r[1], "w": r[0]} for r in IX[:7].tolist()]
    p = invoke(lab.server, "logistic", {"dataframe_records": rows})
    near([r["probabilities"] for r in p], want[:7], "by feature name")
    e = invoke(lab.server, "logistic", {"dataframe_records": [{"w": 1, "x": 2, "z": 3}]}, status=400)
    assert "column 'y' is missing" in e["message"] and e["error_code"] == "INVALID_PARAMETER_VALUE", e


def regressor(lab):
    d = load_diabetes()
    x = d.data.astype(np.float64)
    model = LinearRegression().fit(x, d.target)
    graph = to_onnx(model, x[:1])
    lab.serve("diabetes", graph)
    meta = lab.server.get("/v2/models/diabetes/versions/1").json
    assert meta["inputs"][0]["datatype"] == "FP64", meta
    a = infer(lab.server, "diabetes", [tensor("X", x)])
    got, _ = output(a, "variable")
    near(got, model.predict(x).reshape(-1, 1), "regressor")
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    assert (got == session.run(None, {"X": x})[0]).all(), "doubles must arrive exactly"
    p = invoke(lab.server, "diabetes", {"dataframe_split": pd.DataFrame(x[:3]).to_dict(orient="split")})
    near([r["variable"] for r in p], model.predict(x[:3]), "records of a regressor")


def frame_columns(lab):
    """A model made from a data frame: one input per column, numbers and strings."""
    rng = np.random.default_rng(3)
    n = 200
    frame = pd.DataFrame({"age": rng.integers(18, 80, n).astype(np.int64),
                          "income": rng.normal(3e4, 8e3, n).astype(np.float32),
                          "city": rng.choice(["Bern", "Köln", "Oslo"], n),
                          "plan": rng.choice(["a", "b"], n)})
    y = np.where((frame.income > 3e4) ^ (frame.city == "Oslo"), "yes", "no")
    model = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["age"]), ("m", StandardScaler(), ["income"]),
                           ("c", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"])]),
        LogisticRegression()).fit(frame, y)
    graph = to_onnx(model, frame[:1])
    lab.serve("columns", graph, signature=infer_signature(frame))
    s = lab.server
    meta = {i["name"]: i for i in s.get("/v2/models/columns").json["inputs"]}
    assert meta["city"] == {"name": "city", "datatype": "BYTES", "shape": [-1, 1]}, meta
    assert meta["age"]["datatype"] == "INT64" and meta["income"]["datatype"] == "FP32", meta
    want = model.predict_proba(frame)
    part = frame[:50]
    inputs = [tensor(k, part[k].to_numpy(dtype=object if k in ("city", "plan") else None).reshape(-1, 1))
              for k in part]
    got, o = output(infer(s, "columns", inputs), "output_probability")
    near(got, want[:50], "columns over OIP")
    assert json.loads(o["parameters"]["labels"]) == ["no", "yes"], o
    for body, kind in [({"dataframe_split": part.to_dict(orient="split")}, "application/json"),
                       ({"dataframe_records": part.to_dict(orient="records")}, "application/json"),
                       (part.to_csv(index=False), "text/csv")]:
        p = invoke(s, "columns", body, kind)
        near([[r["output_probability"]["no"], r["output_probability"]["yes"]] for r in p], want[:50], kind)
        assert [r["output_label"] for r in p] == model.predict(part).tolist()
    p = invoke(s, "columns", {"inputs": part.to_dict(orient="list")})
    assert [r["output_label"] for r in p] == model.predict(part).tolist(), "the signature makes a frame of it"
    p = invoke(s, "columns", {"instances": part.to_numpy().tolist()})
    assert p["output_label"] == model.predict(part).tolist()
    for body, says in [
            ({"dataframe_records": [{"age": "old", "income": 1, "city": "x", "plan": "a"}]}, "column 'age', row 0 is a string"),
            ({"dataframe_records": [{"age": 1.5, "income": 1, "city": "x", "plan": "a"}]}, "column 'age', row 0 is 1.5"),
            ({"dataframe_records": [{"age": 1, "income": 1, "city": 5, "plan": "a"}]}, "column 'city', row 0 is 5"),
            ({"dataframe_records": [{"age": None, "income": 1, "city": "x", "plan": "a"}]}, "column 'age', row 0 is null"),
            ({"dataframe_split": {"columns": ["age"], "data": [[1]]}}, "column 'income' is missing"),
            ({"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}, "1 columns"),
            ({"inputs": {"age": [1, 2], "income": [1]}}, "rows"),
            ({"instances": [[1, 2], [3]]}, "same length"),
            ({"instances": [], "inputs": []}, "more than one"),
            ({"rows": []}, "no input"), ({}, "no input"), ("[1]", "array"), ("", "empty"), ("{\"inputs\": [NaN]}", "NaN"),
            ({"instances": 5}, "a number")]:
        e = invoke(s, "columns", body, status=400)
        assert says in e["message"], (says, e)
    for kind in ("application/xml", "text/csv; header=present", "application/json; charset=latin1"):
        assert s.request("POST", "/endpoints/columns/invocations", b"{}", headers={"Content-Type": kind},
                         raw=True).status == 415, kind


def multi_output(lab):
    """Probabilities of several labels: a sequence of tensors."""
    x = IX[:, :4]
    y = np.stack([iris.target, (iris.target > 0).astype(np.int64)], axis=1)
    model = MultiOutputClassifier(DecisionTreeClassifier(max_depth=3, random_state=0)).fit(x, y)
    graph = to_onnx(model, x[:1], options={id(model): {"zipmap": False}})
    lab.serve("multi", graph, plain=True)
    a = infer(lab.server, "multi", [tensor("X", x)])
    want = model.predict_proba(x)
    for i in range(2):
        near(output(a, f"probabilities_{i}")[0], want[i], f"label {i}")
    assert len(lab.server.get("/v2/models/multi").json["outputs"]) == 3


def external_tensors(lab):
    """Weights in a file of their own, as large models keep them; not found elsewhere on the disk."""
    w = np.arange(4000, dtype=np.float32).reshape(4, 1000)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])], "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 1000])],
        [onnx.numpy_helper.from_array(w, "W")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = os.path.join(lab.folder, "big.onnx")
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    content, weights = open(path, "rb").read(), open(os.path.join(lab.folder, "weights.bin"), "rb").read()
    v = lab.register_file("external", content, more=[("weights.bin", weights)])
    e = lab.deploy("external", f"models:/external/{v}")
    assert e["state"] == "ready", e
    got, _ = output(infer(lab.server, "external", [tensor("X", IX[:3])]), "Y")
    near(got, (IX[:3] @ w), "external weights")
    v = lab.register_file("external-lost", content)
    e = lab.deploy("external-lost", f"models:/external-lost/{v}")
    assert e["state"] == "failed" and "weights.bin" in e["reason"], e
    for i, place in enumerate(["/etc/passwd", "../../../quern.db", "a/../../x"]):
        bad = onnx.load(path, load_external_data=False)
        for item in bad.graph.initializer[0].external_data:
            if item.key == "location":
                item.value = place
        v = lab.register_file(f"external-bad{i}", bad.SerializeToString())
        e = lab.deploy(f"external-bad{i}", f"models:/external-bad{i}/{v}")
        assert e["state"] == "failed" and "plain relative" in e["reason"], e
    bad.graph.initializer[0].external_data[0].value = "model.onnx"
    v = lab.register_file("external-self", bad.SerializeToString())
    e = lab.deploy("external-self", f"models:/external-self/{v}")
    assert e["state"] == "failed" and "which is its own" in e["reason"], e
    lab.server.request("DELETE", "/api/v1/endpoints/external-lost")


def small_graph(nodes, x=(TensorProto.FLOAT, [None, 2]), y=(TensorProto.FLOAT, None)):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("X", *x)],
                              [helper.make_tensor_value_info("Y", *y)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dtypes(lab):
    """An identity per element type: what goes in comes out."""
    kinds = {"FLOAT": ("FP32", [0.1, -1.5e-7, 3.4028234663852886e38, 1e-45, 0.0]),
             "DOUBLE": ("FP64", [0.1, 5e-324, 1.7976931348623157e308, -2.5, 1 / 3]),
             "INT8": ("INT8", [-128, 127, 0, 1, 2]), "UINT8": ("UINT8", [0, 255, 1, 2, 3]),
             "INT16": ("INT16", [-32768, 32767, 0, 1, 2]), "UINT16": ("UINT16", [0, 65535, 1, 2, 3]),
             "INT32": ("INT32", [-2**31, 2**31 - 1, 0, 1, 2]), "UINT32": ("UINT32", [0, 2**32 - 1, 1, 2, 3]),
             "INT64": ("INT64", [-2**63, 2**63 - 1, 0, 1, 2]), "UINT64": ("UINT64", [0, 2**64 - 1, 1, 2, 3]),
             "BOOL": ("BOOL", [True, False, True, True, False]),
             "STRING": ("BYTES", ["", "a\"\\\n", "ü€😀", "x" * 3000, "\t"])}
    for kind, (oip, values) in kinds.items():
        name = f"id-{kind.lower()}"
        t = getattr(TensorProto, kind)
        graph = small_graph([helper.make_node("Identity", ["X"], ["Y"])], (t, [None]), (t, [None]))
        lab.serve(name, graph, plain=True)
        a = infer(lab.server, name, [{"name": "X", "datatype": oip, "shape": [5], "data": values}])
        got = a["outputs"][0]["data"]
        if kind == "FLOAT":
            assert np.array_equal(np.float32(got), np.float32(values)), got
        else:
            assert got == values, (kind, got)
        assert a["outputs"][0]["shape"] == [5] and a["outputs"][0]["datatype"] == oip
    a = infer(lab.server, "id-float", [{"name": "X", "datatype": "FP32", "shape": [2], "data": [None, 1]}])
    assert a["outputs"][0]["data"] == [None, 1.0], a
    a = infer(lab.server, "id-float", [{"name": "X", "datatype": "FP32", "shape": [0], "data": []}])
    assert a["outputs"][0]["data"] == [] and a["outputs"][0]["shape"] == [0], a
    half = small_graph([helper.make_node("Identity", ["X"], ["Y"])], (TensorProto.FLOAT16, [None]), (TensorProto.FLOAT16, [None]))
    lab.serve("id-half", half, plain=True)
    e = infer(lab.server, "id-half", [{"name": "X", "datatype": "FP16", "shape": [1], "data": [1]}], 400)
    assert "FP16" in e["error"] and "binary" in e["error"], e


def errors(lab):
    s = lab.server
    row = IX[:1].tolist()[0]
    good = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": row}
    for change, says in [
            ({"name": "x"}, "no input 'x'"), ({"datatype": "FP64"}, "input 'X' is FP64; the model wants FP32"),
            ({"shape": [4]}, "[4]"), ({"shape": [1, 5], "data": row + [1]}, "[1,5]"),
            ({"data": row[:3]}, "3 elements"), ({"data": row + [1]}, "more than the 4"),
            ({"data": [1, 2, "3", 4]}, "element 2 is a string"), ({"data": [1, 2, True, 4]}, "element 2 is a boolean"),
            ({"shape": [-1, 4]}, "-1"), ({"shape": [2**62, 4]}, "too large"), ({"shape": [2**40, 4]}, "more than the body can hold"),
            ({"datatype": "FLOAT"}, "datatype 'FLOAT'"), ({"data": 5}, "data is a number"),
            ({"data": [1e39, 0, 0, 0]}, "range of FP32"), ({"data": [[1, 2, 3, 4], [1, 2, 3, 4]]}, "more than 1 entries")]:
        e = infer(s, "forest", [{**good, **change}], 400)
        assert says in e["error"], (says, e)
    for lack in good:
        e = infer(s, "forest", [{k: v for k, v in good.items() if k != lack}], 400)
        assert ("data" if lack == "data" else lack) in e["error"], e
    for body, says in [(b"", "empty"), (b"[]", "array"), (b"{", "ends"), (b'{"inputs":[]}', "'X'"), (b"{}", "no inputs"),
                       (b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[NaN,1,2,3]}]}', "NaN"),
                       (b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[1,2,3,04]}]}', "number"),
                       (b'{"inputs":[' + b"[" * 5000, "object"), (b'{"id":5,"inputs":[]}', "id"),
                       (b'{"id":"\xff","inputs":[]}', "UTF-8"), (b'{"inputs":[{}],"inputs":[]}', "")]:
        r = s.request("POST", "/v2/models/forest/infer", body, raw=True)
        assert r.status == 400 and says in r.json["error"], (body[:60], r)
    e = infer(s, "forest", [good], 400, outputs=[{"name": "nope"}])
    assert "no output 'nope'" in e["error"], e
    assert "no endpoint 'nobody'" in infer(s, "nobody", [good], 404)["error"]
    r = s.post("/v2/models/forest/versions/7/infer", {"inputs": [good]})
    assert r.status == 404 and "serves version 1" in r.json["error"], r
    assert s.post("/v2/models/forest/versions/1/infer", {"inputs": [good]}).status == 200
    assert s.get("/v2/models/forest/infer").status == 405
    r = s.request("PUT", "/api/v1/endpoints/no-such", {"target": "models:/nobody@champion"})
    assert r.status == 404 and "nobody" in r.json["detail"], r
    r = s.request("PUT", "/api/v1/endpoints/.x", {"target": "models:/forest/1"})
    assert r.status == 400 and r.json["field"] == "name", r
    r = s.request("PUT", "/api/v1/endpoints/x", {"target": "file:///etc/passwd"})
    assert r.status == 400 and r.json["field"] == "target", r
    assert s.get("/api/v1/endpoints/no-such").status == 404


def health(lab):
    s = lab.server
    assert s.get("/v2/health/live").json == {"live": True}
    assert s.get("/v2/health/ready").json["ready"] is True
    assert s.get("/v2/models/forest/ready").json == {"name": "forest", "ready": True}
    assert s.get("/v2/models/forest/versions/1/ready").status == 200
    assert s.get("/v2/models/forest/versions/2/ready").status == 404
    assert s.get("/v2").json["name"] == "quern"
    assert {"forest", "columns"} <= set(s.get("/v2/models").json["models"])
    index = {m["name"]: m for m in s.post("/v2/repository/index", {}).json}
    assert index["forest"] == {"name": "forest", "version": "1", "state": "READY", "reason": ""}, index
    assert s.request("POST", "/v2/repository/index", b"", raw=True).status == 200
    assert s.get("/ping").status == 200 and s.get("/ping").text == "\n"
    r = s.post("/invocations", {"inputs": IX[:1].tolist()})
    assert r.status == 400 and "X-Quern-Endpoint" in r.json["message"], r
    body = {"inputs": IX[:1].tolist()}
    for path, headers in [("/invocations?endpoint=forest", {}), ("/invocations", {"X-Quern-Endpoint": "forest"})]:
        assert s.post(path, body, headers=headers).status == 200
    metrics = s.get("/metrics").text
    assert 'quern_predictions_total{endpoint="forest",version="1",outcome="ok"}' in metrics, metrics[-3000:]
    assert 'quern_prediction_rows_total{endpoint="forest",version="1",arm="main"}' in metrics
    edges = s.get("/api/v1/lineage?node=endpoint:forest&direction=upstream").text
    assert "model_version:forest/1" in edges, edges


def binary(lab):
    """The binary tensor extension by hand: header length, raw tensors behind the JSON."""
    s = lab.server
    raw = IX[:2].tobytes()
    q = json.dumps({"parameters": {"binary_data_output": True}, "inputs": [
        {"name": "X", "datatype": "FP32", "shape": [2, 4], "parameters": {"binary_data_size": len(raw)}}]}).encode()
    r = s.request("POST", "/v2/models/forest/infer", q + raw, raw=True,
                  headers={"Inference-Header-Content-Length": str(len(q))})
    assert r.status == 200, r
    n = int(r.headers["Inference-Header-Content-Length"])
    head = json.loads(r.body[:n])
    sizes = [o["parameters"]["binary_data_size"] for o in head["outputs"]]
    assert sizes == [16, 24] and len(r.body) == n + 40, head
    labels = struct.unpack("<2q", r.body[n:n + 16])
    assert labels == (0, 0), labels
    r = s.request("POST", "/v2/models/forest/infer", IX[:1].tobytes(), raw=True,
                  headers={"Inference-Header-Content-Length": "0"})
    assert r.status == 200 and "Inference-Header-Content-Length" in r.headers, r
    for body, length in [(q + raw[:-1], len(q)), (q + raw + b"x", len(q)), (q, len(q)), (q + raw, len(q) + 99), (b"12345", 0)]:
        r = s.request("POST", "/v2/models/forest/infer", body, raw=True,
                      headers={"Inference-Header-Content-Length": str(length)})
        assert r.status == 400 and r.json["error"], r


# ---- switching and bad models ----

def switch_under_load(lab):
    """The alias moves to and fro while clients ask without pause: no request fails, and every answer
    is wholly of one version."""
    s = lab.server
    fits = {}
    for seed in (1, 2):
        model = KNeighborsClassifier(seed * 2).fit(IX, (iris.target + seed) % 3)
        v = lab.register("switch", to_onnx(model, IX[:1], options={"zipmap": False}))
        fits[str(v)] = model.predict(IX[:1]).tolist()
    lab.client.set_registered_model_alias("switch", "champion", "1")
    e = lab.deploy("switch", "models:/switch@champion")
    assert e["state"] == "ready" and e["version"] == 1, e
    stop, failures, seen = threading.Event(), [], {}
    body = json.dumps({"inputs": [tensor("X", IX[:1])]})

    def ask():
        c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
        while not stop.is_set():
            c.request("POST", "/v2/models/switch/infer", body)
            r = c.getresponse()
            text = r.read()
            if r.status != 200:
                failures.append((r.status, text[:200]))
                return
            a = json.loads(text)
            label = next(o for o in a["outputs"] if o["name"] == "label")["data"]
            if label != fits[a["model_version"]]:
                failures.append((a["model_version"], label))
            seen[a["model_version"]] = seen.get(a["model_version"], 0) + 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(6):
        version = 2 - i % 2
        lab.client.set_registered_model_alias("switch", "champion", str(version))
        end = time.monotonic() + 60
        while s.get("/api/v1/endpoints/switch").json["version"] != version:
            assert time.monotonic() < end, s.get("/api/v1/endpoints/switch")
            time.sleep(0.02)
        time.sleep(0.05)
    stop.set()
    for t in threads:
        t.join()
    assert not failures, failures[:5]
    assert seen.get("1", 0) > 0 and seen.get("2", 0) > 0, seen
    print(f"   {sum(seen.values())} predictions over 6 switches, none failed: {seen}")


def bad_models(lab):
    """Files that are no models, or hurt: the daemon lives, the reason can be read, what served serves."""
    s = lab.server
    deep = b""
    for _ in range(3000):  # graph in node attribute in graph ...
        size = lambda b: (lambda n: bytes([n & 127 | 128, n >> 7 & 127 | 128, n >> 14]) if n > 16383 else
                          bytes([n & 127 | 128, n >> 7]) if n > 127 else bytes([n]))(len(b))
        deep = b"\x32" + size(deep) + deep
        deep = b"\x2a" + size(deep) + deep
        deep = b"\x0a" + size(deep) + deep
    huge = small_graph([helper.make_node("ConstantOfShape", ["S"], ["Z"]), helper.make_node("ReduceSum", ["Z"], ["T"], keepdims=0),
                        helper.make_node("Add", ["X", "T"], ["Y"])])
    huge.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 << 42], dtype=np.int64), "S"))
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["a"], ["ao"])], "body",
                             [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                              helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
                             [helper.make_tensor_value_info("co", TensorProto.BOOL, []),
                              helper.make_tensor_value_info("ao", TensorProto.FLOAT, None)])
    endless = small_graph([helper.make_node("Loop", ["", "T", "X"], ["Y"], body=body)])
    endless.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "T"))
    unknown = small_graph([helper.make_node("Nonsense", ["X"], ["Y"], domain="evil.example")])
    unknown.opset_import.append(helper.make_opsetid("evil.example", 1))
    model = DecisionTreeClassifier().fit(IX, iris.target)
    good = to_onnx(model, IX[:1])
    whole = good.SerializeToString()
    cases = [("empty", b"", "empty"), ("text", b"this is no model\n" * 20, "not an ONNX model"),
             ("noise", os.urandom(5000), "model"), ("cut", whole[:len(whole) // 2], "model"),
             ("deep", b"\x08\x08\x3a" + size(deep) + deep, "nested too deep"),
             ("unknown-op", unknown.SerializeToString(), "evil.example"),
             ("endless", endless.SerializeToString(), "")]  # processor time, or the clock
    if b"__asan_init" not in open(os.environ["QUERN_BIN"], "rb").read():
        cases.append(("huge", huge.SerializeToString(), ""))
    lab.register_file("mixed", whole)
    lab.client.set_registered_model_alias("mixed", "champion", "1")
    e = lab.deploy("mixed", "models:/mixed@champion")
    assert e["state"] == "ready" and e["version"] == 1, e
    for name, content, says in cases:
        v = lab.register_file("mixed", content)
        began = time.monotonic()
        lab.client.set_registered_model_alias("mixed", "champion", str(v))
        end = time.monotonic() + 150
        while True:
            e = s.get("/api/v1/endpoints/mixed").json
            if e["state"] == "ready" and f"version {v} " in e["reason"]:
                break
            assert time.monotonic() < end, (name, e)
            infer(s, "mixed", [tensor("X", IX[:2])])
            time.sleep(0.05)
        assert e["version"] == 1 and "version 1 still serves" in e["reason"] and says in e["reason"], (name, e)
        assert s.data not in e["reason"], f"a path is told: {e}"
        infer(s, "mixed", [tensor("X", IX[:2])])
        print(f"   {name}: {time.monotonic() - began:.1f} s: {e['reason'][:150]}")
    v = lab.register_file("mixed", b"x", file_name="model.pkl")
    lab.client.set_registered_model_alias("mixed", "champion", str(v))
    while f"version {v} " not in (e := s.get("/api/v1/endpoints/mixed").json)["reason"]:
        time.sleep(0.05)
    assert "no .onnx file" in e["reason"] and "model.pkl" in e["reason"], e
    # A first deployment that fails has nothing to fall back to.
    v = lab.register_file("broken", b"nothing")
    e = lab.deploy("broken", f"models:/broken/{v}")
    assert e["state"] == "failed" and "not an ONNX model" in e["reason"], e
    r = infer(s, "broken", [tensor("X", IX[:1])], 503)
    assert "not an ONNX model" in r["error"], r
    assert s.get("/v2/models/broken/ready").status == 503
    # Back to the good one: the reason goes away.
    lab.client.set_registered_model_alias("mixed", "champion", "1")
    end = time.monotonic() + 30
    while (e := s.get("/api/v1/endpoints/mixed").json)["reason"] and time.monotonic() < end:
        time.sleep(0.05)
    assert e["state"] == "ready" and e["reason"] == "", e


def restart(lab):
    """What was deployed comes back by itself; an alias that was moved to a broken version meanwhile
    leaves the last good one in service."""
    s = lab.server
    lab.client.set_registered_model_alias("mixed", "champion", "2")
    while "version 2" not in s.get("/api/v1/endpoints/mixed").json["reason"]:
        time.sleep(0.05)
    s.kill9()
    s.start()
    e = lab.settled("mixed")
    assert e["state"] == "ready" and e["version"] == 1 and "version 2" in e["reason"], e
    infer(s, "mixed", [tensor("X", IX[:1])])
    assert lab.settled("forest")["state"] == "ready"
    infer(s, "forest", [tensor("X", IX[:1])])
    end = time.monotonic() + 60
    while s.get("/v2/health/ready").status != 200:
        assert time.monotonic() < end, s.get("/v2/health/ready")
        time.sleep(0.05)
    assert not os.listdir(os.path.join(s.data, "serving")), os.listdir(os.path.join(s.data, "serving"))


def deletion(lab):
    s = lab.server
    assert s.request("DELETE", "/api/v1/endpoints/diabetes").status == 200
    assert s.get("/api/v1/endpoints/diabetes").status == 404
    assert s.request("DELETE", "/api/v1/endpoints/diabetes").status == 404
    end = time.monotonic() + 20
    while s.get("/v2/models/diabetes").status != 404 and time.monotonic() < end:
        time.sleep(0.02)
    assert s.get("/v2/models/diabetes").status == 404
    assert "diabetes" not in [e["name"] for e in s.get("/api/v1/endpoints").json["endpoints"]]
    e = lab.deploy("diabetes", "models:/diabetes/1")
    assert e["state"] == "ready", e


def main():
    print(f"ONNX Runtime: {LIBRARY}")
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        for step in (zipmap_forest, plain_arrays, regressor, frame_columns, multi_output, external_tensors, dtypes,
                     errors, health, binary, switch_under_load, bad_models, restart, deletion):
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
