# SPDX-License-Identifier: Apache-2.0
"""MLflow's own scoring server and this daemon over the same models and the same calls. What must be equal
is compared; where they differ, the row says how and the reason stands in docs/serving.md."""
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, Schema, TensorSpec
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from quern import Server, free_port
from serving import LIBRARY, Lab

iris = load_iris()
IX = iris.data.astype(np.float32)
NAMES = ["sl", "sw", "pl", "pw"]
JSON = "application/json"


class Genuine:
    def __init__(self, path):
        self.port = free_port()
        self.log = tempfile.TemporaryFile()
        env = {**os.environ, "__pyfunc_model_path__": path, "MLFLOW_TRACKING_URI": "sqlite:////dev/null"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "error",
             "mlflow.pyfunc.scoring_server.app:app"], env=env, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/ping", timeout=2).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.log.seek(0)
        raise RuntimeError("the scoring server did not start: " + self.log.read()[-3000:].decode())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait(30)


def ask(url, body, kind=JSON):
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"Content-Type": kind} if kind is not None else {}
    r = urllib.request.Request(url, data=data, headers=headers, method="POST")
    if kind is None:
        r.add_unredirected_header("Content-Type", "")
    try:
        with urllib.request.urlopen(r, timeout=60) as f:
            return f.status, f.headers.get_content_type(), f.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers.get_content_type(), e.read()


def near(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(near(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(near, a, b))
    if isinstance(a, float) or isinstance(b, float):
        if a is None or b is None:
            return a is b or (isinstance(a or b, float) and math.isnan(a or b))
        return isinstance(a, (int, float)) and isinstance(b, (int, float)) and (a == b or abs(a - b) <= 1e-5 * max(1, abs(a), abs(b)))
    return type(a) is type(b) and a == b


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return None


def compare(ours, genuine, name, body, kind, differs):
    """`differs` None: equal. Else (status here, status there): known and documented."""
    us, them = ask(ours, body, kind), ask(genuine, body, kind)
    a, b = parsed(us[2]), parsed(them[2])
    if os.environ.get("SHOW"):
        print(f"{name:34} us {us[0]} {us[2][:150]!r}\n{'':34} it {them[0]} {str(b and b.get('message') or them[2][:150])[:170]!r} {b and b.get('error_code')}")
        return
    if differs:
        assert (us[0], them[0]) == differs, f"{name}: here {us[0]}, there {them[0]}, expected {differs}: {us[2][:300]} {them[2][:300]}"
        return
    assert us[0] == them[0], f"{name}: here {us[0]} {us[2][:300]}, there {them[0]} {them[2][:600]}"
    if us[0] == 200:
        assert near(a, b), f"{name}: here {us[2][:400]}, there {them[2][:400]}"
    elif us[0] != 415:
        assert a["error_code"] == b["error_code"], f"{name}: here {a}, there {b}"
        assert "stack_trace" not in a, a


def save(folder, name, graph, signature):
    path = os.path.join(folder, name)
    mlflow.onnx.save_model(graph, path, signature=signature)
    return path


def forest(folder):
    model = RandomForestClassifier(20, random_state=1).fit(IX, iris.target)
    graph = to_onnx(model, IX[:1], options={id(model): {"zipmap": True}})
    frame = pd.DataFrame(IX[:6].astype(np.float64), columns=NAMES)
    sig = infer_signature(frame)
    rows = frame.to_dict(orient="records")
    split = frame.to_dict(orient="split")
    five = IX[:5].tolist()
    return graph, sig, [
        ("split", {"dataframe_split": split}, JSON, None),
        ("split without index", {"dataframe_split": {"columns": NAMES, "data": five}}, JSON, None),
        ("records", {"dataframe_records": rows}, JSON, None),
        ("csv", frame.to_csv(index=False), "text/csv", None),
        ("charset", {"dataframe_records": rows}, JSON + "; charset=utf-8", None),
        ("columns in another order", {"dataframe_split": {"columns": NAMES[::-1], "data": [r[::-1] for r in five]}}, JSON, None),
        ("more columns", {"dataframe_records": [{**r, "note": 1} for r in rows]}, JSON, None),
        ("integers for doubles", {"dataframe_records": [{k: 1 for k in NAMES}]}, JSON, None),
        ("params without schema", {"dataframe_records": rows, "params": {"a": 1}}, JSON, None),
        ("a column is missing", {"dataframe_records": [{"sl": 1.0, "sw": 1.0, "pl": 1.0}]}, JSON, None),
        ("a text for a double", {"dataframe_records": [{**rows[0], "sl": "x"}]}, JSON, None),
        ("two members", {"dataframe_split": split, "dataframe_records": rows}, JSON, None),
        ("no member", {}, JSON, None),
        ("unknown member", {"rows": rows}, JSON, None),
        ("instances and inputs", {"instances": five, "inputs": five}, JSON, None),
        ("signature_name", {"signature_name": "x", "instances": five}, JSON, (400, 400)),
        ("signature_name of objects", {"signature_name": "x", "instances": rows}, JSON, (400, 200)),
        ("unknown member beside", {"instances": rows, "foo": 1}, JSON, None),
        ("a list at top level", json.dumps(rows), JSON, None),
        ("a number at top level", "5", JSON, None),
        ("null", "null", JSON, None),
        ("no JSON", "{", JSON, None),
        ("nothing", "", JSON, None),
        ("params is a list", {"dataframe_records": rows, "params": [1]}, JSON, (400, 200)),
        ("split is a list", {"dataframe_split": []}, JSON, None),
        ("records is an object", {"dataframe_records": {"sl": 1}}, JSON, None),
        ("split without data", {"dataframe_split": {"columns": NAMES}}, JSON, None),
        ("rows too long", {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, JSON, None),
        ("xml", "<a/>", "application/xml", None),
        ("latin1", {"dataframe_records": rows}, JSON + "; charset=latin1", None),
        ("another parameter", {"dataframe_records": rows}, JSON + "; q=1", None),
        ("csv with parameter", frame.to_csv(index=False), "text/csv; header=present", None),
        ("csv, ragged", "sl,sw,pl,pw\n1,2,3,4,5\n1,2,3,4\n", "text/csv", (400, 200)),
        ("csv, a text", "sl,sw,pl,pw\n1,2,3,x\n", "text/csv", None),
        ("csv, only names", "sl,sw,pl,pw\n", "text/csv", None),
        ("no rows", {"dataframe_split": {"columns": NAMES, "data": []}}, JSON, None),
        ("a missing number", {"dataframe_records": [{**rows[0], "sl": None}]}, JSON, None),
        ("NaN", '{"dataframe_records": [{"sl": NaN, "sw": 1.0, "pl": 1.0, "pw": 1.0}]}', JSON, (400, 200)),
        ("instances", {"instances": five}, JSON, (200, 400)),
        ("instances of objects", {"instances": rows}, JSON, None),
        ("inputs", {"inputs": five}, JSON, (200, 400)),
        ("inputs by column", {"inputs": frame.to_dict(orient="list")}, JSON, None),
        ("inputs of unequal length", {"inputs": {"sl": [1.0, 2.0], "sw": [1.0], "pl": [1.0], "pw": [1.0]}}, JSON, (400, 400)),
    ]


def tensors(folder):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IX, iris.target)
    graph = to_onnx(model, IX[:1], options={"zipmap": False})
    sig = ModelSignature(Schema([TensorSpec(np.dtype(np.float32), (-1, 4))]))
    five = IX[:5].tolist()
    return graph, sig, [
        ("t inputs", {"inputs": five}, JSON, None),
        ("t instances", {"instances": five}, JSON, None),
        ("t wrong width", {"inputs": [[1.0, 2.0]]}, JSON, None),
        ("t ragged", {"inputs": [[1.0, 2.0, 3.0, 4.0], [1.0]]}, JSON, None),
        ("t texts", {"inputs": [["a", "b", "c", "d"]]}, JSON, None),
        ("t scalar", {"inputs": 5}, JSON, (400, 400)),
        ("t rank 1", {"inputs": [1.0, 2.0, 3.0, 4.0]}, JSON, None),
        ("t integers", {"inputs": [[1, 2, 3, 4]]}, JSON, None),
        ("t split", {"dataframe_split": {"columns": NAMES, "data": five}}, JSON, None),
        ("t csv", pd.DataFrame(IX[:3], columns=NAMES).to_csv(index=False), "text/csv", (200, 400)),
    ]


def columns(folder):
    rng = np.random.default_rng(3)
    n = 60
    frame = pd.DataFrame({"age": rng.integers(18, 80, n).astype(np.int64), "income": rng.normal(3e4, 8e3, n).astype(np.float32),
                          "city": rng.choice(["Bern", "Köln", "Oslo"], n)})
    y = np.where((frame.income > 3e4) ^ (frame.city == "Oslo"), "yes", "no")
    model = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["age"]), ("m", StandardScaler(), ["income"]),
                                             ("c", OneHotEncoder(handle_unknown="ignore"), ["city"])]), LogisticRegression()).fit(frame, y)
    graph = to_onnx(model, frame[:1])
    sig = infer_signature(frame, params={"threshold": 0.5, "top": 3, "who": "x"})
    part = frame[:4]
    rows = json.loads(part.to_json(orient="records"))
    def with_params(p):
        return {"dataframe_records": rows, "params": p}
    return graph, sig, [
        ("c split", {"dataframe_split": json.loads(part.to_json(orient="split"))}, JSON, (200, 400)),
        ("c records", {"dataframe_records": rows}, JSON, (200, 400)),
        ("c csv", part.to_csv(index=False), "text/csv", (200, 400)),
        ("c instances", {"instances": rows}, JSON, (200, 400)),
        ("c inputs", {"inputs": json.loads(part.to_json(orient="split"))["data"]}, JSON, (200, 400)),
        ("c inputs by column", {"inputs": {k: [r[k] for r in rows] for k in part}}, JSON, (200, 400)),
        ("c params", with_params({"threshold": 0.25, "top": 1, "who": "y"}), JSON, (200, 400)),
        ("c some params", with_params({"top": 1}), JSON, (200, 400)),
        ("c unknown params", with_params({"nobody": 1}), JSON, (200, 400)),
        ("c integer for a double", with_params({"threshold": 1}), JSON, (200, 400)),
        ("c text for a number", with_params({"threshold": "high"}), JSON, None),
        ("c double for an integer", with_params({"top": 1.5}), JSON, None),
        ("c number for a text", with_params({"who": 5}), JSON, None),
        ("c list for a number", with_params({"top": [1]}), JSON, None),
        ("c null params", with_params(None), JSON, (200, 400)),
        ("c fraction for an integer", {"dataframe_records": [{**rows[0], "age": 1.5}]}, JSON, None),
        ("c text for an integer", {"dataframe_records": [{**rows[0], "age": "old"}]}, JSON, None),
        ("c number for a text column", {"dataframe_records": [{**rows[0], "city": 5}]}, JSON, None),
        ("c missing integer", {"dataframe_records": [{**rows[0], "age": None}]}, JSON, None),
        ("c missing text", {"dataframe_records": [{**rows[0], "city": None}]}, JSON, None),
        ("c beyond 2^53", {"dataframe_records": [{**rows[0], "age": 2**53 + 1}]}, JSON, (200, 400)),
        ("c beyond 2^63", {"dataframe_records": [{**rows[0], "age": 2**63}]}, JSON, None),
        ("c lists in a column", {"dataframe_records": [{**rows[0], "age": [1, 2]}]}, JSON, (400, 400)),
        ("c record lacks a column", {"dataframe_records": [rows[0], {"age": 1, "city": "Bern"}]}, JSON, (200, 400)),
    ]


def binary_column(server, lab):
    """A binary column comes as base64; the graph gives the bytes back. MLflow's own flavour flattens such
    frames, so there is nothing to compare with."""
    from onnx import TensorProto, helper
    g = helper.make_graph([helper.make_node("Identity", ["blob"], ["text"])], "g", [helper.make_tensor_value_info("blob", TensorProto.STRING, [None, 1])],
                          [helper.make_tensor_value_info("text", TensorProto.STRING, [None, 1])])
    lab.serve("blobs", helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              signature=ModelSignature(Schema([ColSpec("binary", "blob")])))
    url = f"{server.url}/endpoints/blobs/invocations"
    status, _, body = ask(url, {"dataframe_records": [{"blob": "aGk="}, {"blob": "w7\nw=\n"}]})
    assert status == 200 and json.loads(body)["predictions"] == [{"text": "hi"}, {"text": "ü"}], body
    status, _, body = ask(url, {"dataframe_records": [{"blob": "aGk="}, {"blob": "*"}]})
    assert status == 400 and "column 'blob', row 1 is no base64" in body.decode(), body


def client(port):
    """MLflow's own client of scoring servers, unmodified, against the only endpoint."""
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    c = ScoringServerClient("127.0.0.1", port)
    c.wait_server_ready(timeout=5)
    c.ping()
    assert c.get_version(), "a version"
    frame = pd.DataFrame(IX[:6].astype(np.float64), columns=NAMES)
    got = c.invoke(frame).get_predictions()
    assert list(got.columns) == ["output_label", "output_probability"] and len(got) == 6, got
    assert c.invoke(frame, params={"a": 1}).get_predictions().equals(got)
    got = c.invoke(IX[:3]).get_predictions()
    assert len(got) == 3, got
    try:
        c.invoke(frame[["sl"]])
    except Exception as e:
        assert "column 'sw' is missing" in str(e), e
    else:
        raise AssertionError("a frame that lacks columns was taken")


def main():
    with tempfile.TemporaryDirectory() as folder, Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        total = 0
        for make in (forest, tensors, columns):
            graph, signature, rows = make(folder)
            name = make.__name__
            lab.serve(name, graph, signature=signature)
            if total == 0:
                client(server.port)
            with Genuine(save(folder, name, graph, signature)) as genuine:
                for row in rows:
                    compare(f"{server.url}/endpoints/{name}/invocations", genuine.url + "/invocations", *row)
                total += len(rows)
        binary_column(server, lab)
        print(f"{total} calls: as MLflow's scoring server answers, or as documented")


if __name__ == "__main__":
    main()
