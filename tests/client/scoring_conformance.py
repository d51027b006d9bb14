# SPDX-License-Identifier: Apache-2.0
"""MLflow's scoring protocol and SageMaker's container contract as a table. How MLflow's own server answers
the same bodies is client.scoring_differential's business."""
import gzip
import json
import os
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from quern import Server
from wire_models import T, deploy, echo, library, model, walk
from onnx import helper

PLAIN = "/endpoints/line/invocations"
TABLE = "/endpoints/table/invocations"


def post(name, body, status, want, path=TABLE, headers=None):
    return (name, "POST", path, headers, body, status, want)


ROW = {"age": 30, "pay": 1.5, "city": "Köln", "vip": True}
COLUMNS = ["age", "pay", "city", "vip"]
VALUES = [30, 1.5, "Köln", True]
BACK = {f"{k}_out": v for k, v in ROW.items()}


def forms(s):
    csv = "text/csv"
    walk(s, "forms", [
        post("split", {"dataframe_split": {"columns": COLUMNS, "data": [VALUES]}}, 200, {"predictions": [BACK]}),
        post("split with index", {"dataframe_split": {"index": [7], "columns": COLUMNS, "data": [VALUES]}}, 200, {"predictions": [BACK]}),
        post("data before columns", {"dataframe_split": {"data": [VALUES], "columns": COLUMNS}}, 200, {"predictions": [BACK]}),
        post("another order", {"dataframe_split": {"columns": COLUMNS[::-1], "data": [VALUES[::-1]]}}, 200, {"predictions": [BACK]}),
        post("records", {"dataframe_records": [ROW, ROW]}, 200, {"predictions": [BACK, BACK]}),
        post("more columns", {"dataframe_records": [{"x": None, **ROW}]}, 200, {"predictions": [BACK]}),
        post("params", {"dataframe_records": [ROW], "params": {"a": [1, {"b": 2}]}}, 200, {"predictions": [BACK]}),
        post("null params", {"dataframe_records": [ROW], "params": None}, 200, {"predictions": [BACK]}),
        post("unknown members", {"dataframe_records": [ROW], "foo": [1]}, 200, {"predictions": [BACK]}),
        post("instances of objects", {"instances": [ROW]}, 200, {"predictions": {k: [[v]] for k, v in BACK.items()}}),
        post("inputs by name", {"inputs": {k: [v] for k, v in ROW.items()}}, 200, lambda r: list(r.json["predictions"]) == list(BACK)),
        post("inputs as rows", {"inputs": [VALUES]}, 200, lambda r: r.json["predictions"]["city_out"] == [["Köln"]]),
        post("csv", "age,pay,city,vip\n30,1.5,Köln,True\n", 200, {"predictions": [BACK]}, headers={"Content-Type": csv}),
        post("csv, quoted, crlf", 'city,vip,age,pay\r\n"Köln",true,30,1.5\r\n', 200, {"predictions": [BACK]}, headers={"Content-Type": csv + "; charset=utf-8"}),
        post("csv, byte order mark", "\ufeffage,pay,city,vip\n30,1.5,Köln,1\n", 200, {"predictions": [BACK]}, headers={"Content-Type": csv}),
        post("no content type", json.dumps({"dataframe_records": [ROW]}), 200, {"predictions": [BACK]}, headers={"Content-Type": ""}),
        post("upper case type", {"dataframe_records": [ROW]}, 200, {"predictions": [BACK]}, headers={"Content-Type": "Application/JSON; Charset=UTF-8"}),
        post("gzip", gzip.compress(json.dumps({"dataframe_records": [ROW]}).encode()), 200, {"predictions": [BACK]}, headers={"Content-Encoding": "gzip"}),
        post("deflate", zlib.compress(json.dumps({"dataframe_records": [ROW]}).encode()), 200, {"predictions": [BACK]}, headers={"Content-Encoding": "deflate"}),
        post("no rows", {"dataframe_split": {"columns": COLUMNS, "data": []}}, 200, {"predictions": []}),
        post("missing number", {"dataframe_records": [{**ROW, "pay": None}]}, 200, {"predictions": [{**BACK, "pay_out": None}]}),
        post("whole floats for integers", '{"dataframe_records": [{"age": 30.0, "pay": 1.5, "city": "Köln", "vip": true}]}', 200, {"predictions": [BACK]}),
        post("exact integers", {"dataframe_records": [{**ROW, "age": 2**53 + 1}]}, 200, {"predictions": [{**BACK, "age_out": 2**53 + 1}]}),
        post("tensor", {"inputs": [1, 2.5]}, 200, {"predictions": {"Y": [1, 2.5]}}, PLAIN),
        post("instances", {"instances": [1, 2.5]}, 200, {"predictions": {"Y": [1, 2.5]}}, PLAIN),
    ])


def refused(s):
    def row(**more):
        return {"dataframe_records": [{**ROW, **more}]}
    bad, invalid = {"error_code": "BAD_REQUEST"}, {"error_code": "INVALID_PARAMETER_VALUE"}

    def code(want, says):
        return lambda r: r.json["error_code"] == want["error_code"] and says in r.json["message"] and set(r.json) == {"error_code", "message"}
    rows = [post(name, body, 400, code(kind, says), path, headers) for name, body, kind, says, path, headers in [
        ("empty", "", bad, "empty", TABLE, None), ("no JSON", "{", bad, "not JSON", TABLE, None),
        ("a list", [ROW], bad, "an array", TABLE, None), ("a text", '"x"', bad, "a string", TABLE, None),
        ("null", "null", bad, "null", TABLE, None), ("nothing", {}, bad, "no input", TABLE, None),
        ("unknown alone", {"rows": []}, bad, "no input", TABLE, None),
        ("two forms", {"instances": [1], "inputs": [1]}, bad, "more than one", PLAIN, None),
        ("twice", '{"inputs": [1], "inputs": [1]}', bad, "more than one", PLAIN, None),
        ("signature_name", {"signature_name": "x", "inputs": [1]}, bad, "signature_name is not taken", PLAIN, None),
        ("params is a list", {"inputs": [1], "params": []}, bad, "params is an array", PLAIN, None),
        ("column missing", {"dataframe_records": [{"age": 1}]}, invalid, "column 'pay' is missing", TABLE, None),
        ("column twice", '{"dataframe_records": [{"age": 1, "age": 2}]}', bad, "column 'age' twice", TABLE, None),
        ("split, too many values", {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, bad, "1 columns", TABLE, None),
        ("split, ragged", {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [1]]}}, bad, "same length", TABLE, None),
        ("split without data", {"dataframe_split": {"columns": COLUMNS}}, bad, "no data", TABLE, None),
        ("columns of unequal length", {"inputs": {"age": [1, 2], "pay": [1]}}, bad, "rows", TABLE, None),
        ("ragged", {"inputs": [[1], [1, 2]]}, bad, "same length", PLAIN, None),
        ("wrong rank", {"inputs": [[1, 2]]}, invalid, "shape [1,2]", PLAIN, None),
        ("a single value", {"inputs": 5}, bad, "a number", PLAIN, None),
        ("text for a number", row(age="x"), bad, "column 'age', row 0 is a string", TABLE, None),
        ("fraction for an integer", row(age=1.5), bad, "1.5", TABLE, None),
        ("beyond 2^63", row(age=2**63), bad, "in its range", TABLE, None),
        ("missing integer", row(age=None), bad, "must not be missing", TABLE, None),
        ("number for a text", row(city=5), bad, "wants a string", TABLE, None),
        ("number for a boolean", row(vip=2), bad, "wants true or false", TABLE, None),
        ("list in a column", row(age=[1, 2]), invalid, "shape", TABLE, None),
        ("object in a column", row(age={"a": 1}), bad, "an object stands", TABLE, None),
        ("NaN", '{"inputs": [NaN]}', bad, "NaN", PLAIN, None),
        ("csv, ragged", "age,pay\n1\n", bad, "1 fields", TABLE, {"Content-Type": "text/csv"}),
        ("csv, quote open", 'age\n"1', bad, "does not end", TABLE, {"Content-Type": "text/csv"}),
        ("csv, empty", "", bad, "empty", TABLE, {"Content-Type": "text/csv"}),
        ("csv, no UTF-8", b"age\n\xff", bad, "UTF-8", TABLE, {"Content-Type": "text/csv"}),
        ("no gzip", "x", bad, "gzip", PLAIN, {"Content-Encoding": "gzip"}),
    ]]

    def plain(r):
        return r.headers["Content-Type"].startswith("text/plain") and r.text.strip() and "{" not in r.text
    rows += [post(f"type {kind}", {"inputs": [1]}, 415, plain, PLAIN, {"Content-Type": kind})
             for kind in ("application/xml", "application/json; charset=latin1", "application/json; q=1", "text/csv; header=present",
                          "application/vnd.apache.parquet", "multipart/form-data; boundary=x")]
    rows += [post("unknown encoding", {"inputs": [1]}, 415, plain, PLAIN, {"Content-Encoding": "br"}),
             post("nobody", {"inputs": [1]}, 404, "no endpoint 'nobody'", "/endpoints/nobody/invocations"),
             ("GET", "GET", "/invocations", None, None, 405, "Allow")]
    walk(s, "refused", rows)


def which(s):
    """How an endpoint is named at /invocations, and what SageMaker's headers do."""
    line, two = {"inputs": [1]}, {"predictions": {"Y": [1]}}
    x = "X-Amzn-SageMaker-"

    def back(r):
        return (r.headers[x + "Inference-Id"] == "id-1" and r.headers[x + "Custom-Attributes"] == "trace=7" and
                r.headers["X-Amzn-Invoked-Production-Variant"] == "main" and r.json == two)
    walk(s, "which endpoint", [
        post("several, none named", line, 400, "name one", "/invocations"),
        post("by header", line, 200, two, "/invocations", {"X-Quern-Endpoint": "line"}),
        post("by query", line, 200, two, "/invocations?endpoint=line"),
        post("by Target-Model", line, 200, two, "/invocations", {x + "Target-Model": "line"}),
        post("by the file of a model", line, 200, two, "/invocations", {x + "Target-Model": "line.tar.gz"}),
        post("no such Target-Model", line, 404, "no endpoint 'gone'", "/invocations", {x + "Target-Model": "gone"}),
        post("Target-Variant", line, 200, lambda r: r.json == two and r.headers["X-Amzn-Invoked-Production-Variant"] == "main",
             PLAIN, {x + "Target-Variant": "main"}),
        post("no such variant", line, 404, "no arm 'blue'", PLAIN, {x + "Target-Variant": "blue"}),
        post("what comes back", line, 200, back, PLAIN, {x + "Inference-Id": "id-1", x + "Custom-Attributes": "trace=7"}),
        post("nothing without", line, 200, lambda r: "X-Amzn-Invoked-Production-Variant" not in r.headers, PLAIN),
        post("attributes too long", line, 400, "at most 1024 bytes", PLAIN, {x + "Custom-Attributes": "a" * 1025}),
        ("ping", "GET", "/ping", None, None, 200, lambda r: r.body == b"\n" and r.headers["Content-Type"] == "application/json"),
        ("health", "GET", "/health", None, None, 200, None),
        ("version", "GET", "/version", None, None, 200, lambda r: r.text.strip() and "{" not in r.text),
    ])


def main():
    kinds = {"age": T.INT64, "pay": T.FLOAT, "city": T.STRING, "vip": T.BOOL}
    table = model([helper.make_node("Identity", [k], [f"{k}_out"]) for k in kinds], [(k, t, [None, 1]) for k, t in kinds.items()],
                  [(f"{k}_out", t, [None, 1]) for k, t in kinds.items()])
    with Server(env={"QUERN_ONNX_LIBRARY": library()}) as s:
        assert s.get("/ping").status == 404
        deploy(s, "line", echo(T.FLOAT))
        walk(s, "the only endpoint", [post("needs no name", {"inputs": [1]}, 200, {"predictions": {"Y": [1]}}, "/invocations")])
        deploy(s, "table", table)
        forms(s)
        refused(s)
        which(s)


if __name__ == "__main__":
    main()
