# SPDX-License-Identifier: Apache-2.0
"""Small models for the tables of the protocols, their deployment, and the walk over such a table."""
import json
import time

import numpy as np
import onnx
from onnx import TensorProto as T, helper

from triton import deploy, library  # noqa: F401

TYPES = {"BOOL": (T.BOOL, np.bool_), "UINT8": (T.UINT8, np.uint8), "UINT16": (T.UINT16, np.uint16),
         "UINT32": (T.UINT32, np.uint32), "UINT64": (T.UINT64, np.uint64), "INT8": (T.INT8, np.int8),
         "INT16": (T.INT16, np.int16), "INT32": (T.INT32, np.int32), "INT64": (T.INT64, np.int64),
         "FP16": (T.FLOAT16, np.float16), "FP32": (T.FLOAT, np.float32), "FP64": (T.DOUBLE, np.float64),
         "BYTES": (T.STRING, np.object_)}


def model(nodes, ins, outs, constants=()):
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(*i) for i in ins],
                          [helper.make_tensor_value_info(*o) for o in outs],
                          [onnx.numpy_helper.from_array(a, n) for n, a in constants])
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def echo(kind, shape=(None,), source="X", target="Y"):
    return model([helper.make_node("Identity", [source], [target])], [(source, kind, list(shape))],
                 [(target, kind, list(shape))])


def sums():
    return model([helper.make_node("Add", ["A", "B"], ["S"]), helper.make_node("Sub", ["A", "B"], ["D"])],
                 [("A", T.FLOAT, [None, 3]), ("B", T.FLOAT, [None, 3])],
                 [("S", T.FLOAT, [None, 3]), ("D", T.FLOAT, [None, 3])])


def has(answer, part):
    """Every member of `part` is in the answer; lists are equal in length."""
    if isinstance(part, dict):
        return isinstance(answer, dict) and all(k in answer and has(answer[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(answer, list) and len(answer) == len(part) and all(map(has, answer, part))
    return answer == part and isinstance(answer, bool) == isinstance(part, bool)


def check(server, row):
    """(name, method, path, headers, body, status, want): `want` is a part of the JSON answer, a text
    within the error's message, or a function of the answer."""
    name, method, path, headers, body, status, want = row
    data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    r = server.request(method, path, data, headers={"Content-Type": "application/json", **(headers or {})}, raw=True)
    assert r.status == status, f"{name}: {r.status}, want {status}: {r.text[:500]}"
    if callable(want):
        assert want(r), f"{name}: {r.headers} {r.body[:500]}"
    elif isinstance(want, str):
        assert r.headers["Content-Type"].startswith("application/json"), f"{name}: {r.headers}"
        text = r.json.get("error", r.json.get("message")) if isinstance(r.json, dict) else None
        assert text is not None and want in text, f"{name}: {text!r} has no {want!r}"
    elif want is not None:
        assert has(r.json, want), f"{name}: {r.text[:500]}\nwant {want}"


def walk(server, what, rows):
    began = time.monotonic()
    for row in rows:
        check(server, row)
    print(f"ok {what}: {len(rows)} rows ({time.monotonic() - began:.1f} s)", flush=True)
