# SPDX-License-Identifier: Apache-2.0
"""Bundles: the same bytes each time, run by their own runner without the server, refused when a byte
was changed, and the command line over bundles and batch jobs."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from batch import Forest, csv_text
from serving import LIBRARY, Lab, infer, tensor
from serving_faults import X, add
from quern import BIN, Server


tarfile.RECORDSIZE = tarfile.BLOCKSIZE  # as bundles are: no padding behind the end


def quern(s, *args, code=0, stdin=None):
    p = subprocess.run([BIN, *args], capture_output=True, text=True, input=stdin, timeout=120,
                       env={**os.environ, "QUERN_URL": s.url if s else "http://127.0.0.1:1"})
    assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
    return p


def fetch(s, name, version):
    r = s.get(f"/api/v1/models/{name}/versions/{version}/bundle")
    assert r.status == 200 and r.headers["Content-Type"] == "application/gzip", r
    return r.body


def unpack(data, to):
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        t.extractall(to, filter="data")
    return to


def run(folder, *args, stdin=None, code=0):
    p = subprocess.run([sys.executable, "-I", os.path.join(folder, "run.py"), *args], input=stdin, capture_output=True,
                       text=True, timeout=120, env={"PATH": "/usr/bin:/bin"})
    assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
    return p.stdout if code == 0 else p.stderr


def forest(lab, work):
    """A forest with golden cases: bundled twice, checked, run offline, compared with the endpoint."""
    s = lab.server
    f = Forest(lab)
    x = f.rows(50)
    cases = [{"name": f"rows {i}", "inputs": [tensor("X", x[i * 10:i * 10 + 10])]} for i in range(3)]
    r = s.post(f"/api/v1/models/forest/versions/{f.version}/golden:record", {"cases": cases})
    assert r.status == 200, r
    data = fetch(s, "forest", f.version)
    assert data == fetch(s, "forest", f.version), "the same version gives the same bytes"
    key = s.get("/api/v1/bundle-key").json["public_key"]
    folder = unpack(data, os.path.join(work, "forest"))
    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    assert manifest["model"] == "forest" and manifest["golden"] == 3 and manifest["public_key"] == key, manifest
    for one in manifest["files"]:
        with open(os.path.join(folder, one["path"]), "rb") as h:
            content = h.read()
        assert hashlib.sha256(content).hexdigest() == one["sha256"] and len(content) == one["size"], one
    assert {"golden.json", "run.py", "model/model.onnx"} <= {o["path"] for o in manifest["files"]}, manifest
    with tarfile.open(fileobj=io.BytesIO(data)) as t:
        names = [m.name for m in t.getmembers()]
        assert all(m.mtime == 0 and m.uid == 0 and m.uname == "" and m.mode == 0o644 for m in t.getmembers())
        assert names[:2] == ["manifest.json", "manifest.sig"] and names[2:] == sorted(names[2:]), names
    assert "3 golden cases" in run(folder, "check", "--key", key)
    out = run(folder, "predict", "--key", key, stdin=csv_text(x))
    lab.deploy("forest", f.target)
    job = s.post("/api/v1/batches", {"target": f.target, "input": {"data": csv_text(x)}}).json["id"]
    from batch import done
    done(s, job)
    ours = pd.read_csv(io.StringIO(s.get(f"/api/v1/batches/{job}/output").text))
    theirs = pd.read_csv(io.StringIO(out))
    assert list(ours.columns) == list(theirs.columns) and (ours["output_label"] == theirs["output_label"]).all()
    assert np.allclose(ours.iloc[:, 2:], theirs.iloc[:, 2:], atol=1e-6)
    answer = json.loads(run(folder, "predict", "--json", stdin=json.dumps({"inputs": cases[0]["inputs"]})))
    live = infer(s, "forest", cases[0]["inputs"])
    assert [o["name"] for o in answer["outputs"]] == [o["name"] for o in live["outputs"]]
    for a, b in zip(answer["outputs"], live["outputs"]):
        assert (a["datatype"], a["shape"], a.get("parameters")) == (b["datatype"], b["shape"], b.get("parameters")), (a, b)
        assert a["data"] == b["data"] or np.allclose(a["data"], b["data"], atol=1e-6)
    assert "fields" in run(folder, "predict", stdin="a,b,c,d\n1\n", code=1)
    return data, key, folder


def signed_columns(lab, work):
    """MLflow's own model with a signature: columns by name, in any order."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(100, 3)).astype(np.float32), columns=["u", "v", "w"])
    y = (frame.u > frame.w).astype(int)
    model = to_onnx(RandomForestClassifier(5, random_state=1).fit(frame.values, y), frame.values[:1], options={"zipmap": False})
    v = lab.register("signed", model, infer_signature(frame, y))
    folder = unpack(fetch(lab.server, "signed", v), os.path.join(work, "signed"))
    manifest = json.load(open(os.path.join(folder, "manifest.json")))
    assert manifest["features"] == ["u", "v", "w"] and "model/MLmodel" in str(manifest["files"]), manifest
    plain = run(folder, "predict", stdin=frame.to_csv(index=False))
    turned = run(folder, "predict", stdin=frame[["w", "u", "v"]].assign(id=1).to_csv(index=False))
    assert plain == turned and len(plain.splitlines()) == 101
    assert "column 'v' is missing" in run(folder, "predict", stdin="u,w\n1,2\n", code=1)


def tampered(data, key, work):
    """A changed byte, a file more or less, another key, another order: refused by both."""
    def refuse(change, words, resign=None):
        folder = unpack(data, os.path.join(work, "bad"))
        change(folder)
        text = run(folder, "check", "--key", resign or key, code=3)
        assert "refused" in text and words in text, text
        out = io.BytesIO()
        names = sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, files in os.walk(folder) for f in files)
        names.sort(key=lambda n: (n != "manifest.json", n != "manifest.sig", n))
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as t:
            for n in names:
                t.add(os.path.join(folder, n), n)
        path = os.path.join(work, "bad.tar.gz")
        with open(path, "wb") as f:
            f.write(out.getvalue())
        p = quern(None, "bundle", "verify", path, "--key", resign or key, code=1)
        assert words.split("(")[0].strip() in p.stderr or "signature" in p.stderr, p.stderr
        shutil.rmtree(folder)

    def flip(name, at=-1):
        def change(folder):
            path = os.path.join(folder, name)
            with open(path, "r+b") as f:
                content = bytearray(f.read())
                content[at] ^= 1
                f.seek(0)
                f.write(content)
        return change
    for name in ("model/model.onnx", "golden.json"):
        refuse(flip(name, 40), f"{name} was changed")
    refuse(flip("manifest.json", 30), "signature")
    refuse(flip("manifest.sig", 5), "")
    refuse(lambda d: os.unlink(os.path.join(d, "golden.json")), "golden.json is missing")
    refuse(lambda d: open(os.path.join(d, "more"), "w").close(), "more")
    refuse(lambda d: None, "signature", resign="0" * 63 + "1")
    # The archive itself.
    good = os.path.join(work, "good.tar.gz")
    with open(good, "wb") as f:
        f.write(data)
    p = quern(None, "bundle", "verify", good, "--key", key)
    assert "3 golden cases" in p.stdout and key in p.stdout, p.stdout
    raw = gzip.decompress(data)
    rng = np.random.default_rng(0)
    for i in range(60):
        bad = bytearray(raw)
        if i < 50:
            bad[int(rng.integers(len(raw) - 1024))] ^= 1 << int(rng.integers(8))
        elif i < 55:
            bad = bad[:int(rng.integers(len(raw) - 512))]
        else:
            bad += b"\0" * 512 if i % 2 else b"more"
        path = os.path.join(work, "bad.tar.gz")
        with open(path, "wb") as f:
            f.write(gzip.compress(bytes(bad), 1))
        quern(None, "bundle", "verify", path, "--key", key, code=1)
    for content in (b"", b"no archive", data[:100], gzip.compress(b"")):
        with open(path, "wb") as f:
            f.write(content)
        quern(None, "bundle", "verify", path, "--key", key, code=1)
    quern(None, "bundle", "verify", os.path.join(work, "nothing"), "--key", key, code=4)
    quern(None, "bundle", "verify", good, "--key", "xyz", code=1)


def command(lab, work, key):
    s = lab.server
    assert quern(s, "bundle", "--public-key").stdout.strip() == key
    lab.client.set_registered_model_alias("forest", "edge", "1")
    to = os.path.join(work, "edge.tar.gz")
    assert quern(s, "bundle", "forest@edge", "-o", to).stdout.strip() == to
    assert "forest version 1" in quern(s, "bundle", "verify", to).stdout
    quern(s, "bundle", "forest@nobody", "-o", to, code=1)
    quern(s, "bundle", "forest/9", "-o", os.path.join(work, "no.tar.gz"), code=4)
    assert not os.path.exists(os.path.join(work, "no.tar.gz.part")) and not os.path.exists(os.path.join(work, "no.tar.gz"))
    quern(s, "bundle", "forest", code=2)
    assert s.get("/api/v1/models/nobody/versions/1/bundle").status == 404
    v = lab.register_file("textual", b"no model", file_name="model.txt")
    assert s.get(f"/api/v1/models/textual/versions/{v}/bundle").status == 422
    # Batch jobs.
    rows = os.path.join(work, "rows.csv")
    with open(rows, "w") as f:
        f.write("id,p,q,r,s\n" + "".join(f"{i},{i},1,2,3\n" for i in range(20)) + "20,x,1,2,3\n")
    out = os.path.join(work, "out.csv")
    chosen = [a for c in "pqrs" for a in ("--column", c)]
    p = quern(s, "batch", "submit", "models:/forest@edge", rows, "--keep", "id", *chosen, "--wait", "-o", out)
    assert "succeeded: 100 %, 21 rows, 1 failed" in p.stderr, p.stderr
    with open(out) as f:
        lines = f.read().splitlines()
    assert len(lines) == 21 and lines[0].startswith("row,id,output_label") and lines[3].startswith("2,2,"), lines
    id = quern(s, "batch", "submit", "forest", rows, "--keep", "id", *chosen).stdout.strip()
    quern(s, "batch", "watch", id)
    assert quern(s, "batch", "fetch", id).stdout.splitlines() == lines
    assert json.loads(quern(s, "batch", "fetch", id, "--errors").stdout)["row"] == 20
    table = quern(s, "batch").stdout
    assert id in table and "100 %" in table and "forest/1" in table, table
    quern(s, "batch", "cancel", id, code=5)
    quern(s, "batch", "watch", "0" * 32, code=4)
    quern(s, "batch", "dance", code=2)
    p = quern(s, "batch", "submit", "models:/forest@edge", rows, "--wait", code=1)
    assert "no row could be predicted" in p.stderr, p.stderr


def main():
    work = tempfile.mkdtemp(prefix="quern-bundle-")
    try:
        with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
            lab = Lab(server)
            data, key, _ = forest(lab, work)
            print("forest ok", flush=True)
            signed_columns(lab, work)
            print("signed_columns ok", flush=True)
            command(lab, work, key)
            print("command ok", flush=True)
        tampered(data, key, work)
        print("tampered ok", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
