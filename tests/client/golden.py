# SPDX-License-Identifier: Apache-2.0
"""Golden cases of model versions: put, logged beside the model, recorded, checked; a version that
does not give what they want takes no traffic and the one before goes on."""
import json
import os
import sys

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from serving import LIBRARY, Lab, infer, tensor
from serving_faults import X, add
from quern import Server


def path(name, version, verb=""):
    return f"/api/v1/models/{name}/versions/{version}/golden{verb}"


def case(name, x, y, **more):
    return {"name": name, "inputs": [{**X, "data": [x]}],
            "outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [y]}], **more}


def refuses(lab):
    """A version whose cases do not hold is refused with a sentence; the one before still serves."""
    s = lab.server
    one, two = lab.register_file("sum", add(1)), lab.register_file("sum", add(2))
    r = s.request("PUT", path("sum", one), {"cases": [case("small", 1, 2), case("large", 1e6, 1e6 + 1)]})
    assert r.status == 200 and r.json["kept"] == "put" and len(r.json["sha256"]) == 64, r
    again = s.get(path("sum", one))
    assert again.json["cases"] == r.json["cases"] and again.json["cases"][0]["name"] == "small", again
    e = lab.deploy("sum", f"models:/sum/{one}")
    assert e["state"] == "ready" and e["reason"] == "" and e["arms"][0]["golden"] == 2, e
    r = s.request("PUT", path("sum", two), {"cases": [case("small", 1, 3), case("wrong", 5, 6)]})
    assert r.status == 200, r
    e = lab.deploy("sum", f"models:/sum/{two}")
    for words in ("golden case 'wrong'", "output 'Y'", "element 0", "got 7", "wants 6", f"version {one} still serves"):
        assert words in e["reason"], (words, e)
    assert e["version"] == one and e["state"] == "ready", e
    assert infer(s, "sum", [X])["outputs"][0]["data"] == [2.0]
    # Corrected, and bound again: it is tried again.
    assert s.request("PUT", path("sum", two), {"cases": [case("right", 5, 7)]}).status == 200
    e = lab.deploy("sum", f"models:/sum/{two}")
    assert e["reason"] == "" and e["version"] == two and e["arms"][0]["golden"] == 1, e
    # Taken away: nothing is replayed.
    assert s.request("DELETE", path("sum", two)).status == 200 and s.get(path("sum", two)).status == 404
    assert s.request("DELETE", path("sum", two)).status == 404
    e = lab.deploy("plain", f"models:/sum/{two}")
    assert e["state"] == "ready" and "golden" not in e["arms"][0], e


def tolerances(lab):
    s = lab.server
    v = lab.register_file("tol", add(0.1))

    def verdict(c):
        assert s.request("PUT", path("tol", v), {"cases": [c]}).status == 200, c
        r = s.post(path("tol", v, ":check"))
        assert r.status == 200 and r.json["cases"] == 1, r
        return r.json
    assert verdict(case("a", 1, 1.1))["passed"]
    bad = verdict(case("a", 1, 1.101))
    assert not bad["passed"] and "got 1.1" in bad["reason"] and "wants 1.101" in bad["reason"], bad
    assert verdict(case("a", 1, 1.101, rtol=1e-2))["passed"]
    assert verdict(case("a", 1, 1.101, atol=0.002))["passed"]
    assert not verdict(case("a", 1, 1.1, max_ms=1e-9))["passed"]
    assert verdict(case("a", 1, 1.1, max_ms=60000))["passed"]
    nan = case("a", 1, None)
    nan["inputs"][0]["data"] = [None]
    assert verdict(nan)["passed"], "null stands for NaN"
    rows = [({"shape": [2]}, "shape"), ({"datatype": "FP64"}, "FP64"), ({"name": "Z"}, "no output 'Z'"),
            ({"data": [1.1, 1.1]}, "1 elements"), ({"data": ["1.1"]}, "got 1.1"), ({"data": []}, "elements")]
    for change, words in rows:
        c = case("form", 1, 1.1)
        c["outputs"][0].update(change)
        said = verdict(c)
        assert not said["passed"] and words in said["reason"], (change, said)
    c = case("input", 1, 1.1)
    c["inputs"][0]["name"] = "W"
    said = verdict(c)
    assert not said["passed"] and "golden case 'input'" in said["reason"] and "W" in said["reason"], said


def records(lab):
    """A forest with class labels: recorded from one version, replayed against another."""
    s = lab.server
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    y = np.array(["yes", "no", "perhaps"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 1)]
    first = to_onnx(RandomForestClassifier(10, random_state=1).fit(x, y), x[:1])
    other = to_onnx(RandomForestClassifier(10, random_state=2).fit(x[:100], y[:100]), x[:1])
    a, b, c = (lab.register_file("forest", m.SerializeToString()) for m in (first, other, first))
    cases = [{"name": f"rows {i}", "inputs": [tensor("X", x[i * 8:i * 8 + 8])]} for i in range(4)]
    r = s.post(path("forest", a, ":record"), {"cases": cases})
    assert r.status == 200 and r.json["kept"] == "put" and len(r.json["cases"]) == 4, r
    outputs = {o["name"]: o for o in r.json["cases"][0]["outputs"]}
    assert outputs["output_label"]["datatype"] == "BYTES" and outputs["output_label"]["shape"] == [8], outputs
    assert json.loads(outputs["output_probability"]["parameters"]["labels"]) == ["no", "perhaps", "yes"], outputs
    assert s.post(path("forest", a, ":check")).json["passed"]
    assert s.post(path("forest", c, ":check"), {"of": a}).json["passed"], "the same model under another number"
    said = s.post(path("forest", b, ":check"), {"of": a}).json
    assert not said["passed"] and "golden case 'rows" in said["reason"] and said["of"] == a, said
    assert s.post(path("forest", b, ":check")).status == 404, "it has none of its own"
    r = s.post(path("forest", b, ":record"), {"cases": cases[:1], "keep": False})
    assert r.status == 200 and r.json["kept"] == "no" and s.get(path("forest", b)).status == 404, r
    e = lab.deploy("forest", f"models:/forest/{a}")
    assert e["state"] == "ready" and e["arms"][0]["golden"] == 4, e
    # What was recorded is what the endpoint answers.
    got = infer(s, "forest", cases[2]["inputs"])
    assert {o["name"]: o["data"] for o in got["outputs"]} == \
        {o["name"]: o["data"] for o in s.get(path("forest", a)).json["cases"][2]["outputs"]}


def file(lab):
    """A file golden.json among the version's artifacts counts, and MLflow's example is used."""
    s = lab.server
    good = json.dumps({"cases": [case("from a file", 1, 2)]}).encode()
    v = lab.register_file("filed", add(1), more=[("golden.json", good)])
    r = s.get(path("filed", v))
    assert r.status == 200 and r.json["kept"] == "file" and r.json["cases"][0]["name"] == "from a file", r
    assert lab.deploy("filed", f"models:/filed/{v}")["arms"][0]["golden"] == 1
    bad = lab.register_file("filed", add(1), more=[("golden.json", json.dumps({"cases": [case("no", 1, 3)]}).encode())])
    e = lab.deploy("filed", f"models:/filed/{bad}")
    assert "golden case 'no'" in e["reason"] and e["version"] == v, e
    for content in (b"{", b"[]", b'{"cases": 3}', b'{"cases": []}', b"\xff\xfe", b"[" * 5000, b'{"cases": [{"name": "a"}]}'):
        v3 = lab.register_file("filed", add(1), more=[("golden.json", content)])
        e = lab.deploy("filed", f"models:/filed/{v3}")
        assert "golden cases are not usable" in e["reason"] and e["version"] == v, (content[:20], e)
    # What was put wins over the file.
    assert s.request("PUT", path("filed", bad), {"cases": [case("put", 1, 2)]}).status == 200
    assert lab.deploy("filed", f"models:/filed/{bad}")["version"] == bad
    example = b'{"dataframe_split": {"columns": ["X"], "data": [[1.0]]}}'
    for content in (example, b"nonsense", b'{"inputs": ["a"]}'):
        w = lab.register_file("example", add(1), more=[("serving_input_example.json", content)])
        assert lab.deploy("example", f"models:/example/{w}")["version"] == w, "an example never refuses"


def errors(lab):
    s = lab.server
    v = lab.register_file("err", add(1))
    ok = case("a", 1, 2)
    rows = [
        ({}, "cases"), ({"cases": []}, "1 to 256"), ({"cases": [ok, ok]}, "two cases are called 'a'"),
        ({"cases": [{**ok, "inputs": {}}]}, "cases/0/inputs"), ({"cases": [{**ok, "inputs": []}]}, "cases/0/inputs"),
        ({"cases": [ok, {"name": "b", "inputs": ok["inputs"]}]}, "cases/1/outputs"),
        ({"cases": [{**ok, "outputs": [{"data": [1]}]}]}, "cases/0/outputs/0/name"),
        ({"cases": [{**ok, "outputs": [{"name": "Y"}]}]}, "cases/0/outputs/0/data"),
        ({"cases": [{**ok, "outputs": [{"name": "Y", "shape": 1, "data": []}]}]}, "cases/0/outputs/0/shape"),
        ({"cases": [{**ok, "outputs": [{"name": "Y", "datatype": "REAL", "data": []}]}]}, "cases/0/outputs/0/datatype"),
        ({"cases": [{**ok, "rtol": -1}]}, "cases/0/rtol"), ({"cases": [{**ok, "tolerance": 1}]}, "tolerance"),
        ({"cases": [{**ok, "name": ""}]}, "name"), ({"cases": [{**ok, "name": "x" * 129}]}, "name"),
        ({"cases": [{**ok, "name": str(i)} for i in range(257)]}, "1 to 256"),
    ]
    for body, words in rows:
        r = s.request("PUT", path("err", v), body)
        assert r.status == 400 and words in r.text, (body, r)
    assert s.request("PUT", path("err", 99), {"cases": [ok]}).status == 404
    assert s.request("PUT", path("nobody", 1), {"cases": [ok]}).status == 404
    assert s.get(path("err", v)).status == 404
    r = s.request("PUT", path("err", v), {"cases": [{**ok, "inputs": [{"name": "X", "data": ["x" * ((4 << 20) + 1000)]}]}]})
    assert r.status == 413, r
    bad = lab.register_file("err", b"\x08\x08nonsense")
    r = s.post(path("err", bad, ":record"), {"cases": [{"name": "a", "inputs": [X]}]})
    assert r.status == 422, r
    r = s.post(path("err", v, ":record"), {"cases": [{"name": "a", "inputs": [{**X, "shape": [2]}]}]})
    assert r.status == 422 and "golden case 'a'" in r.text, r
    left = os.listdir(os.path.join(s.data, "serving"))
    assert left == [], f"nothing unpacked is left behind: {left}"


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        for check in (refuses, tolerances, records, file, errors):
            check(lab)
            print(check.__name__, "ok", flush=True)


if __name__ == "__main__":
    main()
