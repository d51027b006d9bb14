#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the model of this bundle, without a network and without the server that made it.

  python3 run.py [check] [--key HEX]            checks files, signature and golden cases
  python3 run.py predict [--key HEX] < rows.csv rows of CSV to rows of CSV
  python3 run.py predict --json < request.json  an Open Inference Protocol request to its answer

Needs numpy and onnxruntime. Every start checks all of it first; exit code 3 says that the bundle is
not what was made. Without --key the signature is compared with the key that the bundle itself names."""
import argparse
import csv
import hashlib
import json
import math
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


class Broken(Exception):
    """The bundle is not what was made."""


# ---- Ed25519 (RFC 8032): points in extended coordinates, verification alone

def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m, n = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    k, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = n - m, d - k, d + k, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    out = (0, 1, 1, 0)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def same(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def unpack(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def signed(key, data, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r, s = unpack(key), unpack(signature[:32]), int.from_bytes(signature[32:], "little")
    if not a or not r or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + data).digest(), "little") % L
    base = unpack((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    return same(times(s, base), add(r, times(h, a)))


# ---- files

def read(name):
    with open(os.path.join(HERE, *name.split("/")), "rb") as f:
        return f.read()


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            h.update(block)
    return h.hexdigest()


def check_files(key):
    try:
        text, signature = read("manifest.json"), bytes.fromhex(read("manifest.sig").decode())
        manifest = json.loads(text)
        named = manifest["public_key"]
        if not signed(bytes.fromhex(key or named), text, signature):
            raise Broken("the signature of manifest.json is not one of key " + (key or named))
        if manifest["format"] != "quern-bundle-1":
            raise Broken("the format is " + str(manifest["format"]))
        listed = {f["path"]: f for f in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Broken(f"manifest.json or manifest.sig: {e}") from None
    for path, f in listed.items():
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise Broken(f"{path} is no path of a bundle")
        full = os.path.join(HERE, *path.split("/"))
        if os.path.islink(full) or not os.path.isfile(full):
            raise Broken(f"{path} is missing")
        if os.path.getsize(full) != f["size"] or digest(full) != f["sha256"]:
            raise Broken(f"{path} was changed")
    for folder, folders, files in os.walk(HERE):
        folders[:] = [d for d in folders if d != "__pycache__"]
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), HERE).replace(os.sep, "/")
            if path not in listed and path not in ("manifest.json", "manifest.sig"):
                raise Broken(f"{path} does not belong to the bundle")
    return manifest


# ---- the model

DTYPES = {"BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
          "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
          "BYTES": "object"}
ONNX = {"tensor(bool)": "BOOL", "tensor(uint8)": "UINT8", "tensor(uint16)": "UINT16", "tensor(uint32)": "UINT32",
        "tensor(uint64)": "UINT64", "tensor(int8)": "INT8", "tensor(int16)": "INT16", "tensor(int32)": "INT32",
        "tensor(int64)": "INT64", "tensor(float16)": "FP16", "tensor(float)": "FP32", "tensor(double)": "FP64",
        "tensor(string)": "BYTES"}


def flat(data):
    return [v for item in data for v in flat(item)] if isinstance(data, list) else [data]


class Model:
    def __init__(self, manifest):
        import numpy
        import onnxruntime
        self.np = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = os.path.join(HERE, *manifest["onnx"].split("/"))
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.features = manifest["features"]
        self.inputs = {i.name: i for i in self.session.get_inputs()}

    def array(self, datatype, shape, data):
        values = flat(data)
        if datatype.startswith("FP"):
            values = [math.nan if v is None else v for v in values]
        return self.np.array(values, dtype=DTYPES[datatype]).reshape(shape)

    def run(self, feeds):
        """{name: (datatype, array, labels)}; a sequence of maps is a matrix with labels."""
        out = {}
        for info, value in zip(self.session.get_outputs(), self.session.run(None, feeds)):
            labels = None
            if isinstance(value, list) and value and isinstance(value[0], dict):
                labels = list(value[0])
                value = self.np.array([[row[k] for k in labels] for row in value], dtype="float32")
                labels = [str(k) for k in labels]
            if isinstance(value, list):
                for i, one in enumerate(value):
                    out[f"{info.name}_{i}"] = (self.datatype(one), one, None)
            else:
                out[info.name] = (self.datatype(value), value, labels)
        return out

    def datatype(self, array):
        return next((k for k, v in DTYPES.items() if v == array.dtype.name), "BYTES")

    def request(self, inputs):
        return self.run({i["name"]: self.array(i["datatype"], i["shape"], i["data"]) for i in inputs})


def element(v):
    v = v.item() if hasattr(v, "item") else v
    return None if isinstance(v, float) and not math.isfinite(v) else v


def mismatch(want, got, rtol, atol):
    """None, or what is wrong with an output."""
    name = want["name"]
    if name not in got:
        return f"the model has no output '{name}'"
    datatype, array, labels = got[name]
    if want.get("datatype", datatype) != datatype:
        return f"output '{name}' is {datatype}, the case wants {want['datatype']}"
    if want.get("shape", list(array.shape)) != list(array.shape):
        return f"output '{name}' has shape {list(array.shape)}, the case wants {want['shape']}"
    if labels and "labels" in want.get("parameters", {}) and json.loads(want["parameters"]["labels"]) != labels:
        return f"output '{name}' has other class labels"
    values, wanted = [element(v) for v in array.reshape(-1)], flat(want["data"])
    if len(values) != len(wanted):
        return f"output '{name}' has {len(values)} elements, the case wants {len(wanted)}"
    for i, (g, w) in enumerate(zip(values, wanted)):
        close = g == w and isinstance(g, bool) == isinstance(w, bool)
        if datatype.startswith("FP") and g is not None and isinstance(w, (int, float)) and not isinstance(w, bool):
            close = abs(g - w) <= atol + rtol * abs(w)
        if not close:
            return f"output '{name}', element {i}: got {g}, the case wants {w}"
    return None


def check_golden(model):
    if not os.path.exists(os.path.join(HERE, "golden.json")):
        return 0
    cases = json.loads(read("golden.json"))["cases"]
    for case in cases:
        got = model.request(case["inputs"])
        for want in case["outputs"]:
            wrong = mismatch(want, got, case.get("rtol", 1e-5), case.get("atol", 1e-6))
            if wrong:
                raise Broken(f"golden case '{case['name']}': {wrong}")
    return len(cases)


# ---- predicting

def columns(model, names, rows):
    """The model's inputs from columns of text."""
    np = model.np

    def typed(values, info):
        datatype = ONNX[info.type]
        if datatype == "BYTES":
            return np.array(values, dtype=object)
        if datatype == "BOOL":
            return np.array([v.lower() in ("true", "1") for v in values])
        return np.array([v if v.strip() else "nan" for v in values]).astype(DTYPES[datatype])
    at = {name: i for i, name in enumerate(names)}
    if len(model.inputs) == 1:
        (name, info), = model.inputs.items()
        order = model.features if model.features else list(names)
        missing = [c for c in order if c not in at]
        if missing:
            raise ValueError(f"column '{missing[0]}' is missing")
        array = typed([row[at[c]] for row in rows for c in order], info)
        return {name: array if len(info.shape) == 1 else array.reshape(len(rows), len(order))}
    missing = [c for c in model.inputs if c not in at]
    if missing:
        raise ValueError(f"column '{missing[0]}' is missing")
    return {name: typed([row[at[name]] for row in rows], info).reshape((-1, 1) if len(info.shape) == 2 else (-1,))
            for name, info in model.inputs.items()}


def predict_csv(model, source, sink):
    table = [row for row in csv.reader(source) if row]
    if not table:
        raise ValueError("the input must begin with a line of column names")
    names, rows = table[0], table[1:]
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {i} has {len(row)} fields, not {len(names)}")
    writer = csv.writer(sink, lineterminator="\n")
    got = model.run(columns(model, names, rows)) if rows else {}
    head, parts = ["row"], []
    for name, (_, array, labels) in got.items():
        array = array.reshape(len(rows), -1)
        width = array.shape[1]
        head += [f"{name}_{k}" for k in (labels or range(width))] if labels or width > 1 else [name]
        parts.append(array)
    writer.writerow(head)
    for i in range(len(rows)):
        writer.writerow([i] + ["" if element(v) is None else element(v) for part in parts for v in part[i]])


def predict_json(model, manifest, source, sink):
    got = model.request(json.load(source)["inputs"])
    outputs = []
    for name, (datatype, array, labels) in got.items():
        one = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if labels:
            one["parameters"] = {"labels": json.dumps(labels, ensure_ascii=False, separators=(",", ":"))}
        outputs.append({**one, "data": [element(v) for v in array.reshape(-1)]})
    json.dump({"model_name": manifest["model"], "model_version": str(manifest["version"]), "outputs": outputs}, sink)
    sink.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["check", "predict"], default="check")
    parser.add_argument("--key", help="public key that must have signed, 64 hex digits (quern bundle --public-key)")
    parser.add_argument("--json", action="store_true", help="an Open Inference Protocol request instead of CSV")
    args = parser.parse_args()
    try:
        manifest = check_files(args.key)
        model = Model(manifest)
        cases = check_golden(model)
    except Broken as e:
        print(f"run.py: refused: {e}", file=sys.stderr)
        return 3
    if args.what == "check":
        print(f"{manifest['model']} version {manifest['version']}: {len(manifest['files'])} files, {cases} golden cases, "
              f"signed by {args.key or manifest['public_key']}")
        return 0
    try:
        if args.json:
            predict_json(model, manifest, sys.stdin, sys.stdout)
        else:
            predict_csv(model, sys.stdin, sys.stdout)
    except (ValueError, KeyError, TypeError) as e:
        print(f"run.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
