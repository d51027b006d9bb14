# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Serving's REST protocol and KServe's first one as a table; then Vertex AI's containers."""
import base64
import gzip
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import numpy as np
from onnx import helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

from quern import Server
from wire_models import T, deploy, echo, library, model, sums, walk

IRIS = load_iris()
IX = IRIS.data.astype(np.float32)
M = "/v1/models/"
OPSETS = {"": 17, "ai.onnx.ml": 3}


def get(name, path, status, want):
    return (name, "GET", M + path, None, None, status, want)


def post(name, path, body, status, want, headers=None):
    return (name, "POST", M + path, headers, body, status, want)


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def status(s):
    available = [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]
    both = {"model_version_status": available, "name": "sums", "ready": True}
    spec = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}], "unknown_rank": False}}
    meta = {"model_spec": {"name": "sums", "signature_name": "", "version": "1"},
            "metadata": {"signature_def": {"signature_def": {"serving_default": {
                "inputs": {"A": spec, "B": spec}, "outputs": {"S": spec, "D": spec}, "method_name": "tensorflow/serving/predict"}}}}}
    walk(s, "status", [
        ("models", "GET", "/v1/models", None, None, 200, lambda r: "sums" in r.json["models"]),
        get("model", "sums", 200, both), get("version", "sums/versions/1", 200, both), get("label", "sums/labels/main", 200, both),
        get("no version", "sums/versions/2", 404, "version '2'"), get("no label", "sums/labels/canary", 404, "no label 'canary'"),
        get("nobody", "nobody", 404, "no endpoint"),
        get("metadata", "sums/metadata", 200, meta), get("of a version", "sums/versions/1/metadata", 200, meta),
        get("of a label", "sums/labels/main/metadata", 200, meta), get("of no version", "sums/versions/9/metadata", 404, "'9'"),
        get("of no label", "sums/labels/x/metadata", 404, "'x'"), get("of nobody", "nobody/metadata", 404, "no endpoint"),
        get("texts", "texts/metadata", 200, lambda r: "DT_STRING" in r.text),
        get("predict is POST", "sums:predict", 404, "no endpoint"), post("status is GET", "sums", {}, 405, "Allow"),
        post("no such verb", "sums:explain", {}, 405, "Allow"),
    ])


def predictions(s):
    rows = {"instances": [{"A": [1, 2, 3], "B": [10, 20, 30]}, {"A": [0, 0, 0], "B": [1, 1, 1]}]}
    rows_want = {"predictions": [{"S": [11, 22, 33], "D": [-9, -18, -27]}, {"S": [1, 1, 1], "D": [-1, -1, -1]}]}
    columns = {"inputs": {"A": [[1, 2, 3]], "B": [[10, 20, 30]]}}
    columns_want = {"outputs": {"S": [[11, 22, 33]], "D": [[-9, -18, -27]]}}
    walk(s, "predictions", [
        post("rows", "sums:predict", rows, 200, rows_want),
        post("of a version", "sums/versions/1:predict", rows, 200, rows_want),
        post("of a label", "sums/labels/main:predict", rows, 200, rows_want),
        post("signature", "sums:predict", {**rows, "signature_name": "serving_default"}, 200, rows_want),
        post("signature behind", "sums:predict", json.dumps(rows)[:-1] + ', "signature_name": ""}', 200, rows_want),
        post("columns", "sums:predict", columns, 200, columns_want),
        post("gzip", "sums:predict", gzip.compress(json.dumps(columns).encode()), 200, columns_want, {"Content-Encoding": "gzip"}),
        post("any content type", "sums:predict", columns, 200, columns_want, {"Content-Type": "text/plain"}),
        post("one input, plain values", "line:predict", {"instances": [1, 2.5, -3]}, 200, {"predictions": [1, 2.5, -3]}),
        post("one input, by name", "line:predict", {"instances": [{"X": 1}, {"X": 2}]}, 200, {"predictions": [1, 2]}),
        post("one input, columns", "line:predict", {"inputs": [1, 2]}, 200, {"outputs": [1, 2]}),
        post("one input, named columns", "line:predict", {"inputs": {"X": [1, 2]}}, 200, {"outputs": [1, 2]}),
        post("matrix", "grid:predict", {"instances": [[[1, 2], [3, 4]]]}, 200, {"predictions": [[[1, 2], [3, 4]]]}),
        post("texts", "texts:predict", {"instances": ["a", "ü\"\n"]}, 200, {"predictions": ["a", "ü\"\n"]}),
        post("bytes in", "texts:predict", {"instances": [b64(b"hi"), "plain"]}, 200, {"predictions": ["hi", "plain"]}),
        post("bytes in and out", "image:predict", {"instances": [{"image_bytes": b64(b"\xff\0\xfe")}, {"image_bytes": b64(b"")}]}, 200,
             {"predictions": [b64(b"\xff\0\xfe"), b64(b"")]}),
        post("bytes in columns", "image:predict", {"inputs": {"image_bytes": [b64(b"\0")]}}, 200, {"outputs": [b64(b"\0")]}),
        post("bytes without a name", "image:predict", {"instances": [b64(b"\xff")]}, 200, {"predictions": [b64(b"\xff")]}),
        post("NaN and infinities", "line:predict", '{"instances": [NaN, Infinity, -Infinity, 1]}', 200, {"predictions": [None, None, None, 1]}),
        post("exact integers", "longs:predict", {"instances": [2**53 + 1, -2**63]}, 200, {"predictions": [2**53 + 1, -2**63]}),
        post("no instances", "line:predict", {"instances": []}, 200, {"predictions": []}),
        post("Vertex", "line:predict", {"instances": [1], "parameters": {"top": 3}}, 200, {"predictions": [1]}),
        post("KServe's members", "line:predict", {"instances": [1], "name": "x"}, 200, {"predictions": [1]}),
    ])


def refused(s):
    a = [{"A": [1, 2, 3], "B": [1, 2, 3]}]
    walk(s, "refused", [
        post("nobody", "nobody:predict", {"instances": []}, 404, "no endpoint 'nobody'"),
        post("no version", "sums/versions/5:predict", {"instances": a}, 404, "version '5'"),
        post("no label", "sums/labels/gone:predict", {"instances": a}, 404, "no label 'gone'"),
        post("empty", "sums:predict", "", 400, "nothing"), post("no JSON", "sums:predict", "{", 400, "not JSON"),
        post("a list", "sums:predict", [], 400, "an array"), post("no data", "sums:predict", {}, 400, "neither instances nor inputs"),
        post("both", "line:predict", {"instances": [1], "inputs": [1]}, 400, "either instances or inputs"),
        post("twice", "line:predict", '{"instances": [1], "instances": [1]}', 400, "twice"),
        post("unknown signature", "line:predict", {"instances": [1], "signature_name": "other"}, 400, "signature 'other'"),
        post("signature is a number", "line:predict", {"instances": [1], "signature_name": 1}, 400, "must be a string"),
        post("instances is an object", "line:predict", {"instances": {"X": [1]}}, 400, "must be a list"),
        post("instances is a number", "line:predict", {"instances": 1}, 400, "must be a list"),
        post("input missing", "sums:predict", {"instances": [{"A": [1, 2, 3]}]}, 400, "'B' is missing"),
        post("row lacks an input", "sums:predict", {"instances": [a[0], {"A": [1, 2, 3]}]}, 400, ""),
        post("no name, two inputs", "sums:predict", {"instances": [[1, 2, 3]]}, 400, "2 inputs"),
        post("ragged", "grid:predict", {"instances": [[[1, 2], [3]]]}, 400, "same length"),
        post("wrong shape", "grid:predict", {"instances": [[1, 2]]}, 400, "input 'X' has shape"),
        post("a text for a number", "line:predict", {"instances": ["1"]}, 400, "wants a number"),
        post("a number for a text", "texts:predict", {"instances": [1]}, 400, "wants a string"),
        post("a fraction for an integer", "longs:predict", {"instances": [1.5]}, 400, "wants an integer"),
        post("beyond 2^63", "longs:predict", {"instances": [2**63]}, 400, "in its range"),
        post("out of range", "line:predict", {"instances": [1e39]}, 400, "in its range"),
        post("bad base64", "texts:predict", {"instances": [{"b64": "a*b="}]}, 400, "no base64"),
        post("bad base64 by name", "image:predict", {"instances": [{"image_bytes": {"b64": "a"}}]}, 400, "no base64"),
        post("an object for a value", "line:predict", {"inputs": [{"X": {"y": 1}}]}, 400, "an object stands"),
        post("bytes for a number", "line:predict", {"instances": [b64(b"1")]}, 400, "wants a number"),
        post("columns of unequal length", "sums:predict", {"inputs": {"A": [[1, 2, 3]], "B": []}}, 400, ""),
        post("unknown encoding", "line:predict", {"instances": [1]}, 415, "'br'", {"Content-Encoding": "br"}),
        post("rows that are none", "total:predict", {"instances": [1, 2]}, 400, "not one entry for each instance"),
        post("columns of it", "total:predict", {"inputs": [1, 2]}, 200, {"outputs": [3]}),
    ])


def classify_and_regress(s, classes, line):
    def features(r):
        return {f"f{i}": float(v) for i, v in enumerate(r)}
    want = classes.predict_proba(IX[:3])

    def scored(r):
        got = r.json["result"]
        return [[l for l, _ in row] for row in got] == [["0", "1", "2"]] * 3 and np.allclose([[v for _, v in row] for row in got], want, atol=1e-5)
    rows = [{"X": [float(v) for v in r]} for r in IX[:3]]
    walk(s, "classify and regress", [
        post("classify", "classes:classify", {"examples": rows}, 200, scored),
        post("of a version", "classes/versions/1:classify", {"examples": rows}, 200, scored),
        post("of a label", "classes/labels/main:classify", {"examples": rows, "signature_name": "serving_default"}, 200, scored),
        post("regress", "value:regress", {"examples": [{"X": [float(v) for v in r]} for r in IX[:4]]}, 200,
             lambda r: np.allclose(r.json["result"], line.predict(IX[:4]), atol=1e-4)),
        post("columns as features", "pair:regress", {"examples": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}, 200, {"result": [3, 7]}),
        post("context", "pair:regress", {"context": {"b": 10}, "examples": [{"a": 1}, {"a": 2}]}, 200, {"result": [11, 12]}),
        post("context behind", "pair:regress", {"examples": [{"a": 1}, {"a": 2}], "context": {"b": [10]}}, 200, {"result": [11, 12]}),
        post("an example's own value wins", "pair:regress", {"context": {"b": 10, "a": 5}, "examples": [{"a": 1}]}, 200, {"result": [11]}),
        post("context is a list", "pair:regress", {"context": [], "examples": [{"a": 1, "b": 2}]}, 400, "context is an array"),
        post("a context too large", "pair:regress", {"context": {"b": [1] * 100000}, "examples": [{"a": 1}] * 100}, 400, "too large for 100 examples"),
        post("no examples", "pair:regress", {"instances": [{"a": 1, "b": 2}]}, 400, "no examples"),
        post("examples without features", "value:regress", {"examples": [[1, 2, 3, 4]]}, 400, "must be objects"),
        post("no scores", "texts:classify", {"examples": [{"X": "a"}]}, 400, "no output with a score"),
        post("no numbers", "texts:regress", {"examples": [{"X": "a"}]}, 400, "no output with one number"),
        post("feature missing", "pair:regress", {"examples": [{"a": 1}]}, 400, "'b' is missing"),
    ])


def main():
    classes = LogisticRegression(max_iter=500).fit(IX, IRIS.target)
    line = LinearRegression().fit(IX, IRIS.target)
    pair = model([helper.make_node("Add", ["a", "b"], ["y"])], [(n, T.FLOAT, [None, 1]) for n in "ab"], [("y", T.FLOAT, [None, 1])])
    total = model([helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=1)], [("X", T.FLOAT, [None])], [("Y", T.FLOAT, [1])])
    with Server(env={"QUERN_ONNX_LIBRARY": library()}) as s:
        for name, content in [("sums", sums()), ("line", echo(T.FLOAT)), ("longs", echo(T.INT64)), ("texts", echo(T.STRING)),
                              ("grid", echo(T.FLOAT, (None, 2, 2))), ("pair", pair), ("total", total),
                              ("image", echo(T.STRING, source="image_bytes", target="out_bytes")),
                              ("classes", to_onnx(classes, IX[:1], target_opset=OPSETS).SerializeToString()),
                              ("value", to_onnx(line, IX[:1], target_opset=OPSETS).SerializeToString())]:
            deploy(s, name, content)
        status(s)
        predictions(s)
        refused(s)
        classify_and_regress(s, classes, line)
        assert s.post("/v2/repository/models/line/unload").status == 200
        walk(s, "unloaded", [get("ends", "line", 200, {"model_version_status": [{"state": "END", "status": {"error_code": "UNAVAILABLE"}}], "ready": False}),
                             post("does not answer", "line:predict", {"instances": [1]}, 503, "not ready")])


if __name__ == "__main__":
    main()
