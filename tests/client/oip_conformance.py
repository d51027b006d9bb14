# SPDX-License-Identifier: Apache-2.0
"""The Open Inference Protocol as a table: each row is a request, the status and what the answer holds."""
import gzip
import json
import os
import struct
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import numpy as np

from quern import Server, wait_until
from wire_models import T, TYPES, deploy, echo, library, sums, walk

INFER = "/v2/models/sums/infer"
A = {"name": "A", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
B = {"name": "B", "shape": [1, 3], "datatype": "FP32", "data": [10, 20, 30]}
S = {"name": "S", "shape": [1, 3], "datatype": "FP32", "data": [11, 22, 33]}
D = {"name": "D", "shape": [1, 3], "datatype": "FP32", "data": [-9, -18, -27]}


def get(name, path, status, want):
    return (name, "GET", path, None, None, status, want)


def post(name, body, status, want, path=INFER, headers=None):
    return (name, "POST", path, headers, body, status, want)


def without(t, key):
    return {k: v for k, v in t.items() if k != key}


def one(model, datatype, data, shape=None):
    return {"inputs": [{"name": "X", "shape": shape or [len(data)], "datatype": datatype, "data": data}]}


def binary(header, raw, **more):
    text = json.dumps(header).encode()
    return text + raw, {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream", **more}


def questions(s):
    extensions = ["classification", "model_repository", "model_configuration", "binary_tensor_data", "parameters", "statistics"]
    specs = [{"name": n, "datatype": "FP32", "shape": [-1, 3]} for n in "AB"]
    walk(s, "questions", [
        get("server", "/v2", 200, {"name": "quern", "extensions": extensions}),
        get("live", "/v2/health/live", 200, {"live": True}),
        get("ready", "/v2/health/ready", 200, {"ready": True}),
        get("models", "/v2/models", 200, lambda r: {"sums", "e_FP32"} <= set(r.json["models"])),
        get("model", "/v2/models/sums", 200, {"name": "sums", "versions": ["1"], "platform": "onnxruntime_onnx", "inputs": specs}),
        get("version", "/v2/models/sums/versions/1", 200, {"name": "sums", "inputs": specs}),
        get("no such version", "/v2/models/sums/versions/2", 404, "serves version 1"),
        get("version is no number", "/v2/models/sums/versions/one", 404, "'one'"),
        get("no such model", "/v2/models/nobody", 404, "no endpoint 'nobody'"),
        get("model ready", "/v2/models/sums/ready", 200, {"name": "sums", "ready": True}),
        get("version ready", "/v2/models/sums/versions/1/ready", 200, {"ready": True}),
        get("version not ready", "/v2/models/sums/versions/7/ready", 404, "'7'"),
        get("nobody ready", "/v2/models/nobody/ready", 404, "no endpoint"),
        get("config", "/v2/models/sums/config", 200,
            {"name": "sums", "platform": "onnxruntime_onnx", "max_batch_size": 0,
             "input": [{"name": n, "data_type": "TYPE_FP32", "dims": [-1, 3]} for n in "AB"],
             "output": [{"name": n, "data_type": "TYPE_FP32", "dims": [-1, 3]} for n in "SD"]}),
        get("config of texts", "/v2/models/e_BYTES/versions/1/config", 200, {"input": [{"data_type": "TYPE_STRING", "dims": [-1]}]}),
        get("config of nobody", "/v2/models/nobody/config", 404, "no endpoint"),
        get("infer is POST", INFER, 405, "Allow"),
        post("metadata is GET", {}, 405, "Allow", path="/v2/models/sums"),
        post("ready is GET", {}, 405, "Allow", path="/v2/health/ready"),
        get("index is POST", "/v2/repository/index", 405, "Allow"),
        ("PUT of a model", "PUT", "/v2/models/sums", None, "{}", 405, "Allow"),
        get("shared memory", "/v2/systemsharedmemory/status", 404, "nothing at"),
        get("cuda memory", "/v2/cudasharedmemory/status", 404, "nothing at"),
        get("trace", "/v2/trace/setting", 404, "nothing at"),
        get("logging", "/v2/logging", 404, "nothing at"),
        get("percent-encoded", "/v2/models/s%75ms", 200, {"name": "sums"}),
    ])


def answers(s):
    both = {"inputs": [A, B]}
    nested = {"inputs": [{**A, "data": [[1, 2, 3]]}, B]}
    walk(s, "answers", [
        post("flat", both, 200, {"model_name": "sums", "model_version": "1", "outputs": [S, D]}),
        post("nested", nested, 200, {"outputs": [S, D]}),
        post("of a version", both, 200, {"outputs": [S, D]}, path="/v2/models/sums/versions/1/infer"),
        post("of no version", both, 404, "version '3'", path="/v2/models/sums/versions/3/infer"),
        post("inputs in another order", {"inputs": [B, A]}, 200, {"outputs": [S, D]}),
        post("id", {**both, "id": "a\"ü"}, 200, {"id": "a\"ü"}),
        post("empty id", {**both, "id": ""}, 200, {"id": ""}),
        post("no id", both, 200, lambda r: "id" not in r.json),
        post("outputs", {**both, "outputs": [{"name": "D"}]}, 200, {"outputs": [D]}),
        post("outputs in the asked order", {**both, "outputs": [{"name": "D"}, {"name": "S"}]}, 200, {"outputs": [D, S]}),
        post("no outputs is all", {**both, "outputs": []}, 200, {"outputs": [S, D]}),
        post("unknown members", {**both, "model_name": "x", "y": [{}]}, 200, {"outputs": [S, D]}),
        post("parameters", {**both, "parameters": {"a": 1, "b": "x", "c": True, "headers": {"x": "y"}, "content_type": "np"}},
             200, {"outputs": [S, D]}),
        post("sequence", {**both, "parameters": {"sequence_id": 7, "sequence_start": True, "sequence_end": False, "priority": 3}},
             200, {"outputs": [S, D]}),
        post("timeout", {**both, "parameters": {"timeout": 5_000_000}}, 200, {"outputs": [S, D]}),
        post("no content type", json.dumps(both), 200, {"outputs": [S, D]}, headers={"Content-Type": ""}),
        post("null is NaN, NaN is null", {"inputs": [{**A, "data": [None, 2, 3]}, B]}, 200, {"outputs": [{**S, "data": [None, 22, 33]}, {**D, "data": [None, -18, -27]}]}),
        post("empty batch", {"inputs": [{**A, "shape": [0, 3], "data": []}, {**B, "shape": [0, 3], "data": []}]}, 200,
             {"outputs": [{"shape": [0, 3], "data": []}, {"shape": [0, 3], "data": []}]}),
        post("many rows", {"inputs": [{**A, "shape": [20000, 3], "data": [1] * 60000}, {**B, "shape": [20000, 3], "data": [2] * 60000}]},
             200, lambda r: r.json["outputs"][0]["data"] == [3] * 60000),
        post("classification", {"inputs": [A, B], "outputs": [{"name": "S", "parameters": {"classification": 2}}]}, 200,
             {"outputs": [{"name": "S", "datatype": "BYTES", "shape": [1, 2], "data": ["33.0:2", "22.0:1"]}]}),
        post("more classes than there are", {"inputs": [A, B], "outputs": [{"name": "D", "parameters": {"classification": 50}}, {"name": "S"}]}, 200,
             {"outputs": [{"datatype": "BYTES", "shape": [1, 3], "data": ["-9.0:0", "-18.0:1", "-27.0:2"]}, S]}),
        post("classification of texts", {**one("e_BYTES", "BYTES", ["a"]), "outputs": [{"name": "Y", "parameters": {"classification": 1}}]}, 400,
             "output 'Y' is BYTES", path="/v2/models/e_BYTES/infer"),
        post("base64 texts", {"inputs": [{"name": "X", "shape": [2], "datatype": "BYTES", "data": ["aGk=", "w7w"], "parameters": {"content_type": "base64"}}]}, 200,
             {"outputs": [{"data": ["hi", "ü"]}]}, path="/v2/models/e_BYTES/infer"),
    ])


def refused(s):
    def ins(*items, **more):
        return {"inputs": list(items), **more}
    walk(s, "refused", [
        post("empty body", "", 400, "empty"),
        post("no JSON", "{", 400, "not JSON"),
        post("a list", "[]", 400, "an array"),
        post("no inputs", {}, 400, "no inputs"),
        post("inputs is an object", {"inputs": {}}, 400, "must be an array"),
        post("an input is a number", {"inputs": [1]}, 400, "must be an object"),
        post("nobody", ins(A, B), 404, "no endpoint 'nobody'", path="/v2/models/nobody/infer"),
        post("no name", ins(without(A, "name"), B), 400, "no name"),
        post("no shape", ins(without(A, "shape"), B), 400, "no shape"),
        post("no datatype", ins(without(A, "datatype"), B), 400, "no datatype"),
        post("no data", ins(without(A, "data"), B), 400, "neither data"),
        post("unknown datatype", ins({**A, "datatype": "FP99"}, B), 400, "'FP99'"),
        post("lower case datatype", ins({**A, "datatype": "fp32"}, B), 400, "'fp32'"),
        post("another datatype", ins({**A, "datatype": "FP64"}, B), 400, "input 'A' is FP64; the model wants FP32"),
        post("another rank", ins({**A, "shape": [3]}, B), 400, "input 'A'"),
        post("another width", ins({**A, "shape": [1, 2], "data": [1, 2]}, B), 400, "input 'A'"),
        post("missing input", ins(A), 400, "input 'B' (FP32) is missing"),
        post("unknown input", ins(A, B, {**A, "name": "C"}), 400, "'C'"),
        post("duplicate input", ins(A, B, A), 400, "'A'"),
        post("duplicate member", json.dumps(ins(A, B))[:-1] + ', "inputs": []}', 400, "twice"),
        post("rows differ", ins(A, {**B, "shape": [2, 3], "data": [1] * 6}), 200, None),  # a graph that broadcasts
        post("too few elements", ins({**A, "data": [1, 2]}, B), 400, "its shape wants 3"),
        post("too many elements", ins({**A, "data": [1, 2, 3, 4]}, B), 400, "more than the 3"),
        post("ragged", ins({**A, "shape": [2, 3], "data": [[1, 2, 3], [4, 5]]}, B), 400, "holds 2 elements"),
        post("half nested", ins({**A, "shape": [2, 3], "data": [[1, 2, 3], 4, 5, 6]}, B), 400, "neither flat nor nested"),
        post("negative size", ins({**A, "shape": [-1, 3]}, B), 400, "-1"),
        post("fractional size", ins({**A, "shape": [1.5, 3]}, B), 400, "no size"),
        post("huge shape", ins({**A, "shape": [4611686018427387904, 4611686018427387904]}, B), 400, "too large"),
        post("shape beyond the body", ins({**A, "shape": [1000000000, 3]}, B), 400, "more than the body can hold"),
        post("text for a number", ins({**A, "data": ["1", 2, 3]}, B), 400, "element 0 is a string"),
        post("boolean for a number", ins({**A, "data": [True, 2, 3]}, B), 400, "element 0 is a boolean"),
        post("NaN", json.dumps(ins(A, B)).replace("[1, 2, 3]", "[NaN, 2, 3]"), 400, "NaN"),
        post("Infinity", json.dumps(ins(A, B)).replace("[1, 2, 3]", "[Infinity, 2, 3]"), 400, "NaN and Infinity"),
        post("out of range", ins({**A, "data": [1e39, 2, 3]}, B), 400, "out of the range of FP32"),
        post("unknown output", ins(A, B, outputs=[{"name": "Q"}]), 400, "no output 'Q'"),
        post("classification is a text", ins(A, B, outputs=[{"name": "S", "parameters": {"classification": "2"}}]), 400, "classification is a string"),
        post("parameters is a list", ins(A, B, parameters=[]), 400, "parameters is an array"),
        post("timeout is a text", ins(A, B, parameters={"timeout": "1s"}), 400, "timeout is a string"),
        post("bad base64", {"inputs": [{"name": "X", "shape": [1], "datatype": "BYTES", "data": ["a*"], "parameters": {"content_type": "base64"}}]}, 400,
             "not base64", path="/v2/models/e_BYTES/infer"),
        post("unknown encoding", json.dumps(ins(A, B)), 415, lambda r: "gzip" in r.headers["Accept-Encoding"] and "br" in r.json["error"],
             headers={"Content-Encoding": "br"}),
        post("no gzip", json.dumps(ins(A, B)), 400, "gzip", headers={"Content-Encoding": "gzip"}),
        post("depth", "[" * 100000, 400, "an array"),
        post("deep member", '{"x":' + "[" * 100000, 400, "deep"),
    ])


NUMBERS = [("BOOL", [True, False], [1, 0, "true", None]), ("UINT8", [0, 255], [256, -1, 1.0, 1.5, "1", None]),
           ("UINT16", [0, 65535], [65536, -1]), ("UINT32", [0, 4294967295], [4294967296, -1]),
           ("UINT64", [0, 2**53 + 1, 2**64 - 1], [2**64, -1, 1e3]), ("INT8", [-128, 127], [128, -129]),
           ("INT16", [-32768, 32767], [32768]), ("INT32", [-2**31, 2**31 - 1], [2**31]),
           ("INT64", [-2**63, 2**53 + 1, 2**63 - 1], [2**63, -2**63 - 1, 1.0]), ("FP32", [0.1, -1e-30, 16777217], ["0.1", True]),
           ("FP64", [0.1, 1e308, 5e-324], ["x"]), ("BYTES", ["", "a\"b\\", "ü€😀"], [1, None, True])]


def datatypes(s):
    rows = []
    for kind, good, bad in NUMBERS:
        path = f"/v2/models/e_{kind}/infer"
        want = np.array(good, dtype=np.float32).tolist() if kind == "FP32" else good
        rows.append(post(f"{kind} values", one("X", kind, good), 200, lambda r, w=want, k=kind: (
            r.json["outputs"][0]["datatype"] == k and
            (np.array(r.json["outputs"][0]["data"], dtype=np.float32).tolist() == w if k == "FP32" else r.json["outputs"][0]["data"] == w)), path))
        for value in bad:
            rows.append(post(f"{kind} {value!r}", one("X", kind, [value]), 400, "input 'X': element 0 is", path))
    for kind in ("FP16", "BF16"):
        rows.append(post(f"{kind} in JSON", one("X", kind, [1]), 400, "cannot be told in JSON", "/v2/models/e_FP16/infer"))
    walk(s, "datatypes", rows)


def raw_bytes(kind, values):
    if kind == "BYTES":
        return b"".join(struct.pack("<I", len(v)) + v for v in values)
    return np.array(values, dtype=TYPES[kind][1]).tobytes()


def binary_tensors(s):
    rows = []
    for kind in TYPES:
        values = [b"", b"a\0b", b"\xff\xfe"] if kind == "BYTES" else [True, False] if kind == "BOOL" else [0, 1, 100]
        raw = raw_bytes(kind, values)
        head = {"inputs": [{"name": "X", "shape": [len(values)], "datatype": kind, "parameters": {"binary_data_size": len(raw)}}],
                "parameters": {"binary_data_output": True}}

        def same(r, raw=raw, kind=kind, n=len(values)):
            at = int(r.headers["Inference-Header-Content-Length"])
            o = json.loads(r.body[:at])["outputs"][0]
            return (r.headers["Content-Type"] == "application/octet-stream" and o["datatype"] == kind and o["shape"] == [n] and
                    o["parameters"]["binary_data_size"] == len(raw) and r.body[at:] == raw and "data" not in o)
        body, headers = binary(head, raw)
        rows.append(post(f"binary {kind}", body, 200, same, f"/v2/models/e_{kind}/infer", headers))
        # Compressed as a whole; the length is that of the JSON before compression.
        for name, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
            rows.append(post(f"{name} {kind}", pack(body), 200, same, f"/v2/models/e_{kind}/infer", {**headers, "Content-Encoding": name}))
        # The whole body is the input.
        if kind != "BYTES":
            rows.append(post(f"raw request {kind}", raw, 200, lambda r, raw=raw: r.body[int(r.headers["Inference-Header-Content-Length"]):] == raw,
                             f"/v2/models/e_{kind}/infer", {"Inference-Header-Content-Length": "0"}))
    f = np.array([1, 2, 3], dtype=np.float32).tobytes()
    a = {"name": "A", "shape": [1, 3], "datatype": "FP32", "parameters": {"binary_data_size": 12}}
    b = {**a, "name": "B"}

    def bad(name, says, header, raw, **more):
        body, headers = binary(header, raw, **more)
        rows.append(post(name, body, 400, says, headers=headers))

    def mixed(r):
        at = int(r.headers["Inference-Header-Content-Length"])
        head = json.loads(r.body[:at])
        return "data" not in head["outputs"][0] and head["outputs"][1]["data"] == [-9, -18, -27] and r.body[at:] == np.array([11, 22, 33], dtype=np.float32).tobytes()
    body, headers = binary({"inputs": [a, B], "outputs": [{"name": "S", "parameters": {"binary_data": True}}, {"name": "D"}]}, f)
    rows.append(post("one of each", body, 200, mixed, headers=headers))
    body, headers = binary({"inputs": [a, b], "parameters": {"binary_data_output": True},
                            "outputs": [{"name": "S", "parameters": {"binary_data": False}}]}, f + f)
    rows.append(post("no raw output: plain JSON", body, 200, lambda r: "Inference-Header-Content-Length" not in r.headers and
                     r.json["outputs"][0]["data"] == [2, 4, 6], headers=headers))
    body, headers = binary({"inputs": [{**a, "shape": [0, 3], "parameters": {"binary_data_size": 0}}, {**b, "shape": [0, 3], "parameters": {"binary_data_size": 0}}]}, b"")
    rows.append(post("empty tensors", body, 200, lambda r: r.json["outputs"][0]["shape"] == [0, 3], headers=headers))
    body, headers = binary({"inputs": [A, B], "outputs": [{"name": "S", "parameters": {"classification": 1, "binary_data": True}}]}, b"")
    rows.append(post("raw classes", body, 200, lambda r: r.body.endswith(b"\x06\0\0\x0033.0:2"), headers=headers))
    bad("bytes missing", "bytes are left", {"inputs": [a, b]}, f + f[:8])
    bad("bytes left over", "belong to no input", {"inputs": [a, b]}, f + f + b"x")
    bad("size is not the shape's", "want 12", {"inputs": [{**a, "parameters": {"binary_data_size": 8}}, b]}, f[:8] + f)
    bad("data and size", "both data", {"inputs": [{**A, "parameters": {"binary_data_size": 12}}, b]}, f + f)
    bad("negative size", "binary_data_size", {"inputs": [{**a, "parameters": {"binary_data_size": -12}}, b]}, f + f)
    bad("huge size", "bytes are left", {"inputs": [{**a, "parameters": {"binary_data_size": 2**63}}, b]}, f + f)
    bad("size is a text", "binary_data_size is a string", {"inputs": [{**a, "parameters": {"binary_data_size": "12"}}, b]}, f + f)
    text = json.dumps({"inputs": [a, b]}).encode() + f + f
    for value in ("-1", "x", str(len(text) + 1), "1e2", "18446744073709551616"):
        rows.append(post(f"length {value}", text, 400, "Inference-Header-Content-Length", headers={"Inference-Header-Content-Length": value}))
    rows.append(post("length within the JSON", text, 400, "", headers={"Inference-Header-Content-Length": "20"}))
    rows.append(post("raw request of two inputs", f, 400, "one input", headers={"Inference-Header-Content-Length": "0"}))
    rows.append(post("bool of 2", b"\x02", 400, "BOOL wants 0 or 1", "/v2/models/e_BOOL/infer", {"Inference-Header-Content-Length": "0"}))
    for raw, says in ((b"\xff\xff\xff\xffab", "longer"), (b"\x01\0\0\0", "longer"), (b"\x01\0\0\0ab", "follow its last")):
        body, headers = binary({"inputs": [{"name": "X", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}]}, raw)
        rows.append(post(f"texts {raw!r}", body, 400, says, "/v2/models/e_BYTES/infer", headers))
    walk(s, "binary tensors", rows)


def statistics(s):
    def stats(path="/v2/models/counted/stats"):
        return s.get(path).json["model_stats"]
    assert stats()[0]["inference_count"] == 0 and stats()[0]["last_inference"] == 0, stats()
    for rows in (1, 1, 2, 40):
        assert s.post("/v2/models/counted/infer", one("X", "FP32", [1] * rows)).status == 200
    assert s.post("/v2/models/counted/infer", one("X", "FP64", [1])).status == 400
    got, = stats()
    assert got["name"] == "counted" and got["version"] == "1", got
    assert got["inference_count"] == 44 and got["execution_count"] == 4, got
    assert abs(got["last_inference"] - time.time() * 1000) < 60000, got
    i = got["inference_stats"]
    assert {k: v["count"] for k, v in i.items()} == {"success": 4, "fail": 1, "queue": 4, "compute_input": 4, "compute_infer": 4,
                                                     "compute_output": 4, "cache_hit": 0, "cache_miss": 0}, i
    assert i["success"]["ns"] >= i["compute_input"]["ns"] + i["compute_infer"]["ns"] > 0, i
    assert [(b["batch_size"], b["compute_infer"]["count"]) for b in got["batch_stats"]] == [(1, 2), (2, 1), (64, 1)], got
    assert got["memory_usage"][0]["byte_size"] > 0, got
    assert stats("/v2/models/counted/versions/1/stats") == [got]
    assert {m["name"] for m in stats("/v2/models/stats")} >= {"counted", "sums"}
    # Requests that wait for their turn: the time is told, and is part of the whole.
    spec = {"target": "models:/counted/1", "limits": {"concurrency": 1, "queue": 50}}
    assert s.request("PUT", "/api/v1/endpoints/counted", spec).status in (200, 201)
    wait_until("the new limits", lambda: s.get("/v2/models/counted/ready").status == 200)
    before = stats()[0]["inference_stats"]
    body = one("X", "FP32", [1.5] * 50000)
    threads = [threading.Thread(target=s.post, args=("/v2/models/counted/infer", body)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    after = stats()[0]["inference_stats"]
    grown = {k: {m: after[k][m] - before[k][m] for m in ("count", "ns")} for k in after}
    assert grown["success"]["count"] == grown["queue"]["count"] == 8, grown
    assert grown["queue"]["ns"] > 8 * 1000, grown
    assert grown["success"]["ns"] >= sum(grown[k]["ns"] for k in ("queue", "compute_input", "compute_infer")), grown
    for path in ("/v2/models/counted/versions/9/stats", "/v2/models/nobody/stats"):
        assert s.get(path).status == 404, path
    print("ok statistics", flush=True)


def repository(s):
    def state(name="moved"):
        return next(i for i in s.post("/v2/repository/index", {}).json if i["name"] == name)
    assert state() == {"name": "moved", "version": "1", "state": "READY", "reason": ""}, state()
    assert all(i["state"] == "READY" for i in s.post("/v2/repository/index", {"ready": True}).json)
    verb = "/v2/repository/models/moved/"
    walk(s, "repository", [
        post("index of nothing said", "", 200, lambda r: len(r.json) > 5, "/v2/repository/index"),
        post("index is an array", [], 400, "", "/v2/repository/index"),
        post("unload", {}, 200, {"name": "moved"}, verb + "unload"),
        get("is not ready", "/v2/models/moved/ready", 503, "not ready"),
        post("does not answer", one("X", "FP32", [1]), 503, "not ready", "/v2/models/moved/infer"),
        post("index says so", {}, 200, lambda r: [i["state"] for i in r.json if i["name"] == "moved"] == ["UNAVAILABLE"], "/v2/repository/index"),
        post("only ready ones", {"ready": True}, 200, lambda r: "moved" not in [i["name"] for i in r.json], "/v2/repository/index"),
        post("unload again", "", 200, {"name": "moved"}, verb + "unload"),
        post("with dependents", {"parameters": {"unload_dependents": True}}, 200, {"name": "moved"}, verb + "unload"),
        post("load", {}, 200, {"name": "moved", "load": True}, verb + "load"),
        post("answers", one("X", "FP32", [1]), 200, {"outputs": [{"data": [1]}]}, "/v2/models/moved/infer"),
        post("load again", "", 200, {"name": "moved"}, verb + "load"),
        post("config", {"parameters": {"config": "{}"}}, 400, "config is not taken", verb + "load"),
        post("file", {"parameters": {"file:1/model.onnx": "AAAA"}}, 400, "file:... is not taken", verb + "load"),
        post("no JSON", "{", 400, "not JSON", verb + "load"),
        post("load nobody", {}, 404, "no endpoint 'nobody'", "/v2/repository/models/nobody/load"),
        post("unload nobody", {}, 404, "no endpoint 'nobody'", "/v2/repository/models/nobody/unload"),
        get("load is POST", verb + "load", 405, "Allow"),
    ])


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": library()}) as s:
        deploy(s, "sums", sums())
        for kind, (proto, _) in TYPES.items():
            deploy(s, f"e_{kind}", echo(proto))
        for name in ("counted", "moved"):
            deploy(s, name, echo(T.FLOAT))
        for part in (questions, answers, refused, datatypes, binary_tensors, statistics, repository):
            part(s)


if __name__ == "__main__":
    main()
