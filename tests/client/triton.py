# SPDX-License-Identifier: Apache-2.0
"""The genuine tritonclient, unmodified, against an endpoint: health, metadata, repository index, JSON
and binary tensors, strings, errors. The driver runs on plain Python; the client has an environment
of its own, made on first use."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
VENVS = os.environ.get("QUERN_VENVS", os.path.join(HERE, "..", "..", "build", "venv"))

MODELS = """
import sys, onnx
from onnx import helper, TensorProto as T
def model(nodes, ins, outs):
    g = helper.make_graph(nodes, "g", [helper.make_tensor_value_info(*i) for i in ins],
                          [helper.make_tensor_value_info(*o) for o in outs])
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.save(model([helper.make_node("Add", ["A", "B"], ["S"]), helper.make_node("Sub", ["A", "B"], ["D"])],
                [("A", T.FLOAT, [None, 3]), ("B", T.FLOAT, [None, 3])],
                [("S", T.FLOAT, [None, 3]), ("D", T.FLOAT, [None, 3])]), sys.argv[1] + "/sums.onnx")
onnx.save(model([helper.make_node("Identity", ["X"], ["Y"])], [("X", T.STRING, [None])], [("Y", T.STRING, [None])]),
          sys.argv[1] + "/texts.onnx")
onnx.save(model([helper.make_node("Identity", ["X"], ["Y"])], [("X", T.FLOAT16, [None])], [("Y", T.FLOAT16, [None])]),
          sys.argv[1] + "/halves.onnx")
"""


def client(url):
    import numpy as np
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException

    c = triton.InferenceServerClient(url, verbose=False)
    assert c.is_server_live() and c.is_server_ready()
    assert c.is_model_ready("sums") and c.is_model_ready("sums", "1")
    assert not c.is_model_ready("sums", "2") and not c.is_model_ready("nobody")
    assert c.get_server_metadata()["name"] == "quern"
    m = c.get_model_metadata("sums")
    assert m["inputs"][0] == {"name": "A", "datatype": "FP32", "shape": [-1, 3]}, m
    index = c.get_model_repository_index()
    assert {"sums", "texts", "halves"} <= {i["name"] for i in index if i["state"] == "READY"}, index

    a = np.array([[1.5, np.nan, 3], [4, 5, 1e-30]], dtype=np.float32)
    b = np.array([[0.1, 2, 3], [4, 5, 6]], dtype=np.float32)
    for binary_in in (True, False):
        for outputs in (None, True, False):
            ins = [triton.InferInput(n, [2, 3], "FP32") for n in "AB"]
            if not binary_in:
                a[0, 1] = 7  # JSON has no NaN
            for i, v in zip(ins, (a, b)):
                i.set_data_from_numpy(v, binary_data=binary_in)
            wanted = outputs is not None and [triton.InferRequestedOutput(n, binary_data=outputs) for n in "DS"] or None
            r = c.infer("sums", ins, outputs=wanted, request_id="r-1")
            np.testing.assert_array_equal(r.as_numpy("S"), a + b)
            np.testing.assert_array_equal(r.as_numpy("D"), a - b)
            assert r.get_response()["id"] == "r-1" and r.get_response()["model_version"] == "1"
            if outputs is not None:
                assert [o["name"] for o in r.get_response()["outputs"]] == ["D", "S"], r.get_response()
    mixed = [triton.InferInput(n, [2, 3], "FP32") for n in "AB"]
    mixed[0].set_data_from_numpy(a, binary_data=False)
    mixed[1].set_data_from_numpy(b, binary_data=True)
    np.testing.assert_array_equal(c.infer("sums", mixed).as_numpy("S"), a + b)

    words = np.array(["", "a\"b", "ü€", "x" * 5000], dtype=object)
    for binary in (True, False):
        i = triton.InferInput("X", [4], "BYTES")
        i.set_data_from_numpy(words, binary_data=binary)
        r = c.infer("texts", [i], outputs=[triton.InferRequestedOutput("Y", binary_data=binary)])
        got = [w.decode() if isinstance(w, bytes) else w for w in r.as_numpy("Y")]
        assert got == list(words), got

    half = np.array([1, -2.5, 65504, np.inf], dtype=np.float16)
    i = triton.InferInput("X", [4], "FP16")
    i.set_data_from_numpy(half)
    np.testing.assert_array_equal(c.infer("halves", [i]).as_numpy("Y"), half)

    def refused(part, call):
        try:
            call()
        except InferenceServerException as e:
            assert part in e.message(), e
        else:
            raise AssertionError(f"not refused: {part}")

    short = triton.InferInput("A", [2, 3], "FP32")
    short.set_data_from_numpy(a)
    refused("input 'B' (FP32) is missing", lambda: c.infer("sums", [short]))
    refused("no endpoint 'nobody'", lambda: c.infer("nobody", [short]))
    refused("serves version 1", lambda: c.infer("sums", mixed, model_version="9"))
    refused("no output 'Q'", lambda: c.infer("sums", mixed, outputs=[triton.InferRequestedOutput("Q")]))
    wide = triton.InferInput("X", [4], "FP64")
    wide.set_data_from_numpy(half.astype(np.float64))
    refused("input 'X' is FP64; the model wants FP16", lambda: c.infer("halves", [wide]))
    # Classification: the best of each row as texts.
    r = c.infer("sums", mixed, outputs=[triton.InferRequestedOutput("S", class_count=2),
                                        triton.InferRequestedOutput("D", class_count=1, binary_data=False)])
    best = [[w.decode() if isinstance(w, bytes) else w for w in row] for row in r.as_numpy("S")]
    want = a + b
    assert [[float(w.split(":")[0]) for w in row] for row in best] == [sorted(row.tolist(), reverse=True)[:2] for row in want], best
    assert [[int(w.split(":")[1]) for w in row] for row in best] == np.argsort(-want, axis=1)[:, :2].tolist(), best
    assert r.as_numpy("D").shape == (2, 1), r.get_response()

    # Parameters of requests, and times in microseconds.
    r = c.infer("sums", mixed, sequence_id=5, sequence_start=True, sequence_end=True, priority=1, timeout=10_000_000,
                parameters={"user": "u1", "weight": 0.5, "vip": True})
    np.testing.assert_array_equal(r.as_numpy("S"), a + b)

    # Compressed both ways, JSON and binary; answers long enough to be worth it.
    wide_a = np.tile(np.arange(3, dtype=np.float32), (500, 1))
    for how in ("gzip", "deflate"):
        for binary in (True, False):
            ins = [triton.InferInput(n, [500, 3], "FP32") for n in "AB"]
            for i in ins:
                i.set_data_from_numpy(wide_a, binary_data=binary)
            r = c.infer("sums", ins, outputs=[triton.InferRequestedOutput("S", binary_data=binary)],
                        request_compression_algorithm=how, response_compression_algorithm=how)
            np.testing.assert_array_equal(r.as_numpy("S"), wide_a * 2)

    config = c.get_model_config("sums")
    assert config["max_batch_size"] == 0 and config["input"][0]["data_type"] == "TYPE_FP32", config
    stats = c.get_inference_statistics("sums", "1")["model_stats"][0]
    assert stats["inference_stats"]["success"]["count"] >= 10 and stats["inference_count"] > 2000, stats
    assert {m["name"] for m in c.get_inference_statistics()["model_stats"]} >= {"sums", "texts"}

    c.unload_model("halves")
    assert not c.is_model_ready("halves") and c.is_model_ready("sums")
    refused("not ready", lambda: c.infer("halves", [i]))
    c.load_model("halves")
    assert c.is_model_ready("halves")
    refused("models come from the registry", lambda: c.load_model("halves", config="{}"))
    refused("models come from the registry", lambda: c.load_model("halves", config="{}", files={"file:1/model.onnx": b"x"}))
    refused("no endpoint", lambda: c.load_model("nobody"))
    refused("nothing at", lambda: c.get_system_shared_memory_status())
    refused("nothing at", lambda: c.get_trace_settings())
    refused("nothing at", lambda: c.get_log_settings())

    pending = [c.async_infer("sums", mixed) for _ in range(50)]
    for p in pending:
        np.testing.assert_array_equal(p.get_result().as_numpy("S"), a + b)
    print("tritonclient: all as it should be")


def venv():
    python = os.path.join(VENVS, "triton", "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", os.path.join(VENVS, "triton")], check=True)
    if subprocess.run([python, "-c", "import tritonclient.http"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                        "tritonclient[http]==2.73.0"], check=True)
    return python


def library():
    import glob
    places = [os.environ.get("QUERN_ONNX_LIB", ""), os.path.join(VENVS, "..", "lib", "libonnxruntime.so*"),
              os.path.join(VENVS, "mlflow3", "lib", "python3*", "site-packages", "onnxruntime", "capi",
                           "libonnxruntime.so.*")]
    return next(f for p in places if p for f in sorted(glob.glob(p)))


def deploy(server, name, content):
    """A model version by plain REST: run, artifact, version, endpoint."""
    run = server.mlflow("runs/create", {"experiment_id": "0", "start_time": 1}).json["run"]["info"]
    path = run["artifact_uri"].split(":/", 1)[1].lstrip("/")
    r = server.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}/m/model.onnx", content, raw=True)
    assert r.status == 200, r
    assert server.mlflow("registered-models/create", {"name": name}).status == 200
    r = server.mlflow("model-versions/create", {"name": name, "source": run["artifact_uri"] + "/m", "run_id": run["run_id"]})
    assert r.status == 200, r
    assert server.request("PUT", f"/api/v1/endpoints/{name}", {"target": f"models:/{name}/1"}).status == 201
    import time
    for _ in range(2000):
        e = server.get(f"/api/v1/endpoints/{name}").json
        if e["state"] in ("ready", "failed"):
            break
        time.sleep(0.02)
    assert e["state"] == "ready", e


def main():
    import tempfile
    from quern import Server
    python = venv()
    with tempfile.TemporaryDirectory() as folder, Server(env={"QUERN_ONNX_LIBRARY": library()}) as server:
        subprocess.run([os.path.join(VENVS, "mlflow3", "bin", "python"), "-c", MODELS, folder], check=True)
        for name in ("sums", "texts", "halves"):
            with open(f"{folder}/{name}.onnx", "rb") as f:
                deploy(server, name, f.read())
        subprocess.run([python, __file__, f"127.0.0.1:{server.port}"], check=True)


if __name__ == "__main__":
    client(sys.argv[1]) if len(sys.argv) > 1 else main()
