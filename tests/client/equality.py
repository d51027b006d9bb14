# SPDX-License-Identifier: Apache-2.0
"""The same numbers as ONNX Runtime's Python package: models of every kind that people train, asked on random
rows over binary tensors, JSON, TensorFlow Serving's and MLflow's forms, and compared element by element with
a session in this process that uses the same library. Nothing is lost on the way in or out: equality is exact,
to the last bit, for texts too."""
import glob
import json
import os
import struct
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
warnings.filterwarnings("ignore")

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from onnx import TensorProto as T, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from quern import Server
from triton import deploy

LIBRARY = sorted(glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*")))[-1]
KINDS = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "int32": "INT32", "int8": "INT8", "uint8": "UINT8", "bool": "BOOL",
         "float16": "FP16", "object": "BYTES"}
TYPES = {v: k for k, v in KINDS.items()}
RNG = np.random.default_rng(11)
ROWS = 257
X = RNG.normal(size=(400, 8)).astype(np.float32)
Y3 = (X[:, 0] * 2 + X[:, 1] ** 2 + RNG.normal(scale=.3, size=400) > np.array([[-.5], [1.5]])).sum(axis=0)
YR = (X @ np.arange(8) + np.sin(X[:, 0])).astype(np.float64)


def rows(*shape):
    """Ordinary numbers, and some that are awkward to write as text."""
    x = RNG.normal(size=shape).astype(np.float32)
    flat = x.reshape(-1)
    flat[:: 37] *= np.float32(1e-30)
    flat[5:: 41] *= np.float32(1e20)
    flat[7:: 53] = -0.0
    return x


def plain(model, **options):
    return to_onnx(model, X[:1], target_opset={"": 17, "ai.onnx.ml": 3}, **options), {"X": rows(ROWS, 8)}


def sklearn_models():
    forest = RandomForestClassifier(40, random_state=1).fit(X, Y3)
    yield "forest", *plain(forest, options={"zipmap": False})
    yield "forest-zipmap", *plain(forest, options={id(forest): {"zipmap": True}})
    yield "forest-regressor", *plain(RandomForestRegressor(30, random_state=1).fit(X, YR))
    yield "linear", *plain(LinearRegression().fit(X, YR))
    yield "logistic", *plain(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y3), options={"zipmap": False})
    yield "gradient-boosting", *plain(GradientBoostingClassifier(n_estimators=30).fit(X, Y3), options={"zipmap": False})
    yield "boosting-regressor", *plain(GradientBoostingRegressor(n_estimators=30).fit(X, YR))
    yield "neural-net", *plain(MLPClassifier((16, 8), max_iter=300, random_state=1).fit(X, Y3), options={"zipmap": False})
    svc = SVC(probability=False).fit(X, Y3)
    yield "svc", *plain(svc, options={id(svc): {"zipmap": False}})
    d = X.astype(np.float64)
    yield "doubles", to_onnx(LinearRegression().fit(d, YR), d[:1], target_opset={"": 17, "ai.onnx.ml": 3}), \
        {"X": RNG.normal(size=(ROWS, 8)) * 10.0 ** RNG.integers(-200, 200, (ROWS, 8))}


def frames():
    n = 300
    frame = pd.DataFrame({"age": RNG.integers(18, 80, n), "income": RNG.normal(3e4, 8e3, n).astype(np.float32),
                          "city": RNG.choice(["Bern", "Köln", "Oslo", "S\"ão Paulo"], n), "plan": RNG.choice(["a", "b"], n)})
    y = np.where((frame.income > 3e4) ^ (frame.city == "Oslo"), "yes", "no")
    model = make_pipeline(ColumnTransformer([("n", StandardScaler(), ["age"]), ("m", StandardScaler(), ["income"]),
                                             ("c", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"])]), LogisticRegression()).fit(frame, y)
    graph = to_onnx(model, frame[:1], target_opset={"": 17, "ai.onnx.ml": 3}, options={"zipmap": False})
    part = frame.sample(ROWS, random_state=1)
    yield "strings-one-hot", graph, {k: part[k].to_numpy(dtype=object if k in ("city", "plan") else None).reshape(-1, 1) for k in part}


def texts():
    words = ["good", "bad", "fine", "awful", "great", "poor", "service", "food", "the", "was", "very", "not"]
    def lines(n):
        return [" ".join(RNG.choice(words, RNG.integers(3, 12))) for _ in range(n)]
    train = lines(300)
    y = np.array([("good" in t or "great" in t) for t in train]).astype(np.int64)
    model = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(train, y)
    graph = to_onnx(model, initial_types=[("text", StringTensorType([None]))], target_opset={"": 17, "ai.onnx.ml": 3}, options={"zipmap": False})
    yield "tf-idf", graph, {"text": np.array(lines(ROWS), dtype=object)}


def boosters():
    try:
        import lightgbm
        import xgboost
        from onnxmltools.convert import convert_lightgbm, convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType
    except ImportError as e:
        print(f"left out XGBoost and LightGBM: {e}")
        return
    kind = [("X", FloatTensorType([None, 8]))]
    x = {"X": rows(ROWS, 8)}
    yield "xgboost", convert_xgboost(xgboost.XGBClassifier(n_estimators=20, max_depth=4).fit(X, Y3), initial_types=kind, target_opset=15), x
    yield "xgboost-regressor", convert_xgboost(xgboost.XGBRegressor(n_estimators=20).fit(X, YR), initial_types=kind, target_opset=15), x
    yield "lightgbm", convert_lightgbm(lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(X, Y3), initial_types=kind, target_opset=15, zipmap=False), x
    yield "lightgbm-regressor", convert_lightgbm(lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(X, YR), initial_types=kind, target_opset=15), x


def network():
    def weights(n, *shape):
        return onnx.numpy_helper.from_array(RNG.normal(scale=.4, size=shape).astype(np.float32), n)
    g = helper.make_graph(
        [helper.make_node("MatMul", ["X", "W"], ["h"]), helper.make_node("Add", ["h", "b"], ["i"]), helper.make_node("Relu", ["i"], ["j"]),
         helper.make_node("MatMul", ["j", "V"], ["k"]), helper.make_node("Softmax", ["k"], ["P"], axis=1)], "g",
        [helper.make_tensor_value_info("X", T.FLOAT, [None, 8])], [helper.make_tensor_value_info("P", T.FLOAT, [None, 3])],
        [weights("W", 8, 32), weights("b", 32), weights("V", 32, 3)])
    return helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def small_ones():
    x = {"X": RNG.normal(size=(ROWS, 8)).astype(np.float32)}
    yield "network", network(), x
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as e:
        print(f"left out the quantised model: {e}")
    else:
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(network(), f"{folder}/a.onnx")
            quantize_dynamic(f"{folder}/a.onnx", f"{folder}/b.onnx", weight_type=QuantType.QUInt8)
            quantised = onnx.load(f"{folder}/b.onnx")
        assert any("Integer" in n.op_type or "Quantize" in n.op_type for n in quantised.graph.node), "nothing was quantised"
        yield "quantised", quantised, x
    half = helper.make_graph([helper.make_node("Mul", ["X", "X"], ["Y"])], "g", [helper.make_tensor_value_info("X", T.FLOAT16, [None, 2])],
                             [helper.make_tensor_value_info("Y", T.FLOAT16, [None, 2])])
    yield "halves", helper.make_model(half, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), \
        {"X": RNG.normal(size=(ROWS, 2)).astype(np.float16)}


def flat(value):
    """A runtime's output as an array; a list of maps as its values in the maps' order."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return np.array([[row[k] for k in sorted(row)] for row in value], dtype=np.float32)
    return np.asarray(value)


def same(got, want, what):
    assert got.shape == want.shape, f"{what}: shape {got.shape}, want {want.shape}"
    if want.dtype == object or want.dtype.kind in "US":
        assert got.tolist() == want.tolist(), what
        return
    assert got.dtype == want.dtype, f"{what}: {got.dtype}, want {want.dtype}"
    a, b = got.reshape(-1), want.reshape(-1)
    if want.dtype.kind == "f":
        number = ~np.isnan(b)
        assert (np.isnan(a) == ~number).all(), f"{what}: NaN elsewhere"
        a, b = a[number], b[number]
    wrong = np.nonzero(a != b)[0]
    assert not len(wrong), f"{what}: {len(wrong)} of {len(b)} differ, first {a[wrong[0]]!r}, want {b[wrong[0]]!r}"


def raw(a):
    if a.dtype == object:
        return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in a.reshape(-1))
    return a.tobytes()


def unpack(kind, shape, data):
    if kind != "BYTES":
        return np.frombuffer(data, dtype=TYPES[kind]).reshape(shape)
    items, at = [], 0
    while at < len(data):
        n = struct.unpack_from("<I", data, at)[0]
        items.append(data[at + 4:at + 4 + n].decode())
        at += 4 + n
    return np.array(items, dtype=object).reshape(shape)


def by_binary(s, name, feeds):
    head = {"inputs": [{"name": k, "shape": list(v.shape), "datatype": KINDS[v.dtype.name], "parameters": {"binary_data_size": len(raw(v))}}
                       for k, v in feeds.items()], "parameters": {"binary_data_output": True}}
    text = json.dumps(head).encode()
    r = s.request("POST", f"/v2/models/{name}/infer", text + b"".join(raw(v) for v in feeds.values()), raw=True,
                  headers={"Inference-Header-Content-Length": str(len(text))})
    assert r.status == 200, (name, r)
    at = int(r.headers["Inference-Header-Content-Length"])
    out = {}
    for o in json.loads(r.body[:at])["outputs"]:
        n = o["parameters"]["binary_data_size"]
        out[o["name"]] = unpack(o["datatype"], o["shape"], r.body[at:at + n])
        at += n
    return out


def by_json(s, name, feeds):
    r = s.post(f"/v2/models/{name}/infer", {"inputs": [{"name": k, "shape": list(v.shape), "datatype": KINDS[v.dtype.name],
                                                        "data": v.reshape(-1).tolist()} for k, v in feeds.items()]})
    assert r.status == 200, (name, r)
    return {o["name"]: np.array([np.nan if v is None else v for v in o["data"]], dtype=TYPES[o["datatype"]]).reshape(o["shape"])
            for o in r.json["outputs"]}


def by_rows(s, name, feeds, wants):
    """TensorFlow Serving's columns."""
    r = s.post(f"/v1/models/{name}:predict", {"inputs": {k: v.tolist() for k, v in feeds.items()}})
    assert r.status == 200, (name, r)
    got = r.json["outputs"] if len(wants) > 1 else {next(iter(wants)): r.json["outputs"]}
    def numbers(v):
        return [numbers(i) for i in v] if isinstance(v, list) else np.nan if v is None else v
    return {k: np.array(numbers(v), dtype=object if wants[k].dtype.kind in "OUS" else wants[k].dtype) for k, v in got.items()}


def check(s, session, name, feeds):
    wants = dict(zip([o.name for o in session.get_outputs()], map(flat, session.run(None, feeds))))
    asked = [("binary", by_binary)]
    if "float16" not in [v.dtype.name for v in feeds.values()]:
        asked += [("JSON", by_json), ("columns", lambda *a: by_rows(*a, wants))]
    for how, ask in asked:
        got = ask(s, name, feeds)
        assert list(got) == list(wants) or how == "columns", (name, how, list(got))
        for k, want in wants.items():
            if want.dtype.kind in "US":
                want = want.astype(object)
            same(got[k], want, f"{name}, {how}, output {k}")
    return sum(w.size for w in wants.values()) * len(asked)


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as s:
        total = models = 0
        for make in (sklearn_models, frames, texts, boosters, small_ones):
            for name, graph, feeds in make():
                content = graph.SerializeToString()
                deploy(s, name, content)
                session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
                n = check(s, session, name, feeds)
                one = {k: v[:1] for k, v in feeds.items()}
                n += check(s, session, name, one)
                print(f"ok {name}: {n} values", flush=True)
                total, models = total + n, models + 1
        print(f"{models} models, {total} values: equal to the last bit")


if __name__ == "__main__":
    main()
