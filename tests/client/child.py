# SPDX-License-Identifier: Apache-2.0
"""Endpoints whose arms are child servers, as users meet them: commands of the standard library that
behave or do not, over all doors; and `mlflow models serve` itself, where this Python or the one that
QUERN_MLFLOW names can run it (that part is skipped otherwise)."""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
import mlflow
import numpy as np

from quern import Server, wait_until

SCRIPT = os.path.join(HERE, "..", "children", "server.py")


def full():
    """A Python that can run mlflow's scoring server: the one that is named, else this one."""
    for python in filter(None, [os.environ.get("QUERN_MLFLOW"), sys.executable]):
        p = subprocess.run([python, "-c", "import fastapi, uvicorn, skops, mlflow.sklearn, "
                            "mlflow.pyfunc.scoring_server"], capture_output=True)
        if p.returncode == 0:
            return python
    return None


FULL = full()


class Lab:
    def __init__(self, server):
        self.server = server
        mlflow.set_tracking_uri(server.url)
        mlflow.set_registry_uri(server.url)
        self.client = mlflow.MlflowClient(server.url, server.url)
        mlflow.set_experiment("children")

    def register(self, name, files):
        with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
            for leaf, data in files.items():
                path = os.path.join(folder, leaf)
                with open(path, "wb") as f:
                    f.write(data)
                mlflow.log_artifact(path, "m")
            source = f"{run.info.artifact_uri}/m"
        try:
            self.client.create_registered_model(name)
        except mlflow.exceptions.MlflowException:
            pass
        return int(self.client.create_model_version(name, source, run.info.run_id).version)

    def put(self, name, spec, state="ready", seconds=60):
        r = self.server.request("PUT", f"/api/v1/endpoints/{name}", spec)
        assert r.status in (200, 201), r
        revision = r.json["revision"]
        end = time.monotonic() + seconds
        while True:
            e = self.server.get(f"/api/v1/endpoints/{name}").json
            if e["revision"] >= revision and e["state"] in ("ready", "failed"):
                break
            assert time.monotonic() < end, e
            time.sleep(0.05)
        assert e["state"] == state, e
        return e


def arm(mode, protocol, version=1, name="main", **more):
    """One arm; {socket} instead of {port} with socket=True."""
    place = "{socket}" if more.pop("socket", False) else "{port}"
    runtime = {"kind": "child", "protocol": protocol,
               "command": [sys.executable, "server.py", mode, protocol, place], **more}
    return {"name": name, "target": f"models:/doubler/{version}", "runtime": runtime}


def oip(server, name, rows, **kw):
    x = np.asarray(rows, dtype=np.float64)
    return server.post(f"/v2/models/{name}/infer", {"inputs": [
        {"name": "x", "datatype": "FP64", "shape": list(x.shape), "data": x.ravel().tolist()}]}, **kw)


def doors(lab, server):
    rows = [[1.0, 2.0], [3.0, 4.5]]
    for mode, more in [("good", {}), ("binary", {}), ("good", {"socket": True})]:
        e = lab.put("d", {"arms": [arm(mode, "oip", **more)]})
        assert e["arms"][0]["version"] == 1 and len(e["arms"][0]["sha256"]) == 64, e
        r = oip(server, "d", rows)
        assert r.status == 200, r
        out = r.json["outputs"][0]
        assert (out["name"], out["datatype"], out["shape"]) == ("y", "FP64", [2, 2]), out
        assert out["data"] == [2, 4, 6, 9], out
        assert 'model="doubler"; version=1' in r.headers["X-Quern-Served-By"], dict(r.headers)
    child = server.get("/api/v1/endpoints/d").json["arms"][0]["child"]
    assert child["state"] == "ready" and child["starts"] == 1 and child["ready_ms"] > 0, child
    r = server.get("/api/v1/endpoints/d/arms/main/log")
    assert r.status == 200 and "e serving on " in r.text, r
    assert server.get("/api/v1/endpoints/d/arms/none/log").status == 404
    meta = server.get("/v2/models/d").json
    assert meta["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}], meta
    r = server.post("/endpoints/d/invocations", {"inputs": rows})
    assert r.status == 200 and r.json["predictions"]["y"] == [[2, 4], [6, 9]], r
    for body, words in [
            ({"inputs": []}, "input 'x' is missing"),
            ({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}]}, "FP64"),
            ({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}]}, "axis 1"),
            ({"inputs": [{"name": "z", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]}, "'x'")]:
        r = server.post("/v2/models/d/infer", body)
        assert r.status == 400 and words in r.json["error"], (body, r)
    for protocol in ("mlflow", "sagemaker", "vertex"):
        lab.put("s", {"arms": [arm("good", protocol)]})
        r = server.post("/endpoints/s/invocations", {"inputs": rows})
        assert r.status == 200 and r.json["predictions"]["predictions"] == [3.0, 7.5], (protocol, r)


def params(lab, server):
    """Parameters of a request reach a child, and neither the cache nor a batch mixes them up."""
    for more in ({}, {"cache": {"bytes": 1 << 20, "ttl_ms": 60000}}, {"batching": {"max_rows": 8}}):
        lab.put("s", {"arms": [arm("good", "mlflow")], **more})
        for scale in (2, 3, None, 2):
            body = {"inputs": [[1.0, 2.0]], **({"params": {"scale": scale}} if scale else {})}
            r = server.post("/endpoints/s/invocations", body)
            want = 3.0 * (scale or 1)
            assert r.status == 200 and list(r.json["predictions"].values()) == [[want]], (more, scale, r)


def liars(lab, server):
    """A wrong answer is a 502 with a sentence; the daemon and its other endpoints go on."""
    # A child that answers rubbish to the first try never serves; one that is refused stays out.
    for mode, words in [("lie-shape", "output 'y'"), ("rubbish", "wrong"), ("flood", "more than"),
                        ("cut", "not usable"), ("exit", "does not want to"), ("twice", "twice")]:
        e = lab.put("liar", {"arms": [arm(mode, "oip", answer_bytes=1 << 20, start_ms=5000)]}, "failed")
        assert words in e["reason"], (mode, e["reason"])
        assert oip(server, "liar", [[1, 2]]).status == 503
        server.request("DELETE", "/api/v1/endpoints/liar")
    # One that serves, then hangs: 504 within its timeout, started again, and serves once more.
    lab.put("h", {"arms": [arm("hang", "oip", timeout_ms=700)]})
    assert oip(server, "h", [[1, 2]]).status == 200
    began = time.monotonic()
    r = oip(server, "h", [[1, 2]])
    assert r.status == 504 and time.monotonic() - began < 3, r
    wait_until("a restart", lambda: oip(server, "h", [[1, 2]]).status == 200, 30)
    r = lab.put("h", {"arms": [arm("refuse", "oip")]})  # refuses zeros as well: still serves
    r = oip(server, "h", [[1, 2]])
    assert r.status == 422 and "x must be positive" in r.json["error"], r


def degrade(lab, server):
    """A child that dies on every prediction: the chain answers."""
    lab.put("g", {"arms": [arm("hang", "oip", timeout_ms=500), arm("good", "oip", name="spare")],
                  "degrade": [{"arm": "spare"}]})
    oip(server, "g", [[1, 2]])
    r = oip(server, "g", [[1, 2]])
    assert r.status == 200 and "degraded=1" in r.headers["X-Quern-Served-By"], (r, dict(r.headers))


def refusals(lab, server):
    def refused(spec, field):
        r = server.request("PUT", "/api/v1/endpoints/x", spec)
        assert r.status == 400 and field in json.dumps(r.json), (spec, r)

    base = arm("good", "oip")
    refused({"arms": [{**base, "runtime": {"kind": "child"}}]}, "arms/0/runtime/command")
    refused({"arms": [{**base, "runtime": {"kind": "docker"}}]}, "kind")
    refused({"arms": [{**base, "runtime": {**base["runtime"], "health": "x y"}}]}, "health")
    refused({"arms": [{**base, "runtime": {**base["runtime"], "concurrency": 0}}]}, "concurrency")
    refused({"arms": [{**base, "runtime": {**base["runtime"], "shell": True}}]}, "shell")
    refused({"arms": [{**base, "runtime": {"kind": "onnx", "command": ["x"]}}]}, "command")
    e = lab.put("p", {"arms": [{**base, "runtime": {"kind": "mlflow"}}]}, "failed")
    assert "serving.pyfunc-command" in e["reason"], e


def marked(mark):
    n = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                n += f"CHILD_TEST_MARK={mark}".encode() in f.read()
        except OSError:
            pass
    return n


def swaps(lab, server):
    """Another version or runtime under load: no failed request, and the old command is gone."""
    version = lab.register("doubler", {"server.py": open(SCRIPT, "rb").read(), "more": b"2"})
    env = {"CHILD_TEST_MARK": f"swap-{os.getpid()}"}
    lab.put("w", {"arms": [arm("good", "oip", env=env)]})
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            r = oip(server, "w", [[1, 2]])
            seen.append((r.status, r.headers.get("X-Quern-Served-By", r.text)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    lab.put("w", {"arms": [arm("good", "oip", version, env=env)]})
    lab.put("w", {"arms": [arm("binary", "oip", version, env=env)]})
    time.sleep(0.3)
    stop.set()
    for t in threads:
        t.join()
    assert {s for s, _ in seen} == {200}, [s for s in seen if s[0] != 200][:3]
    assert {h.split("version=")[1].split(";")[0] for _, h in seen} == {"1", str(version)}, seen[-1]
    wait_until("the old commands' end", lambda: marked(env["CHILD_TEST_MARK"]) == 1, 20)
    server.request("DELETE", "/api/v1/endpoints/w")
    wait_until("the last command's end", lambda: marked(env["CHILD_TEST_MARK"]) == 0, 20)


def killed():
    """kill -9 of the daemon leaves no process of any child, and the next start serves again."""
    env = {"CHILD_TEST_MARK": f"kill-{os.getpid()}"}
    with Server() as server:
        lab = Lab(server)
        lab.register("doubler", {"server.py": open(SCRIPT, "rb").read()})
        lab.put("f", {"arms": [arm("family", "oip", env=env)]})
        assert marked(env["CHILD_TEST_MARK"]) == 3
        server.kill9()
        wait_until("an empty house", lambda: marked(env["CHILD_TEST_MARK"]) == 0, 20)
        server.start()
        wait_until("the endpoint", lambda: oip(server, "f", [[1, 2]]).status == 200, 30)
        server.stop()
        assert marked(env["CHILD_TEST_MARK"]) == 0


def stopped():
    """A daemon that ends does not wait for a child that will not answer."""
    with Server() as server:
        lab = Lab(server)
        lab.register("doubler", {"server.py": open(SCRIPT, "rb").read()})
        lab.put("h", {"arms": [arm("hang", "oip", timeout_ms=600000)]})
        assert oip(server, "h", [[1, 2]]).status == 200
        seen = []

        def ask():
            try:
                seen.append(oip(server, "h", [[1, 2]], timeout=300).status)
            except OSError as e:  # nobody is there to answer any more
                seen.append(e)

        t = threading.Thread(target=ask)
        t.start()
        wait_until("a prediction under way", lambda: server.get("/api/v1/endpoints/h").json["arms"][0]["child"]["in_flight"] == 1, 30)
        server.stop(timeout=60)  # far below the child's own time
        t.join(30)
        assert not t.is_alive() and seen[0] != 200, seen


def unloaded(lab, server):
    """What is unloaded while it is being loaded stays away until it is asked back."""
    mark = {"CHILD_TEST_MARK": f"unload-{os.getpid()}"}
    slow = "import os, sys, time; time.sleep(3); os.execv(sys.executable, [sys.executable] + sys.argv[1:])"
    spec = arm("good", "oip", env=mark)
    command = spec["runtime"]["command"]
    spec["runtime"]["command"] = [command[0], "-c", slow] + command[1:]
    r = server.request("PUT", "/api/v1/endpoints/away", {"arms": [spec]})
    assert r.status in (200, 201), r
    wait_until("the command's start", lambda: marked(mark["CHILD_TEST_MARK"]) > 0, 60)
    r = server.post("/v2/repository/models/away/unload", {})
    assert r.status == 200, r
    wait_until("its end", lambda: marked(mark["CHILD_TEST_MARK"]) == 0, 60)
    assert oip(server, "away", [[1, 2]]).status == 503
    wait_until("its return", lambda: server.post("/v2/repository/models/away/load", {}).status == 200, 60)
    wait_until("an answer", lambda: oip(server, "away", [[1, 2]]).status == 200, 60)
    server.request("DELETE", "/api/v1/endpoints/away")


SKLEARN = """
import sys, mlflow, pandas as pd
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])
mlflow.set_experiment("genuine")
import inspect
TRUST = ({"skops_trusted_types": ["sklearn.tree._tree.Tree"]} if "skops_trusted_types" in
         inspect.signature(mlflow.sklearn.log_model).parameters else {})
d = load_iris(as_frame=True)
m = RandomForestClassifier(n_estimators=10, random_state=0).fit(d.data, d.target)
with mlflow.start_run():
    mlflow.sklearn.log_model(m, name="model", registered_model_name="irises", **TRUST,
                             input_example=d.data[:2],
                             signature=mlflow.models.infer_signature(d.data, m.predict(d.data)))
print(m.predict(d.data).tolist())
"""


def genuine():
    """A scikit-learn model that knows nothing of ONNX, through mlflow's own server."""
    if not FULL:
        print("skipped: no Python with what mlflow models serve needs")
        return
    command = [FULL, "-m", "mlflow", "models", "serve", "-m", "{model}", "-h", "127.0.0.1", "-p",
               "{port}", "--env-manager", "local"]
    mark = f"mlflow-{os.getpid()}"
    with Server(args=["--serving-pyfunc-command", json.dumps(command), "--serving-env",
                      "PATH,HOME,CHILD_TEST_MARK"],
                env={"CHILD_TEST_MARK": mark,  # mlflow looks for uvicorn in PATH
                     "PATH": os.path.dirname(FULL) + ":" + os.environ["PATH"]}) as server:
        p = subprocess.run([FULL, "-c", SKLEARN, server.url], capture_output=True, text=True,
                           env={**os.environ, "CHILD_TEST_MARK": ""})
        assert p.returncode == 0, p.stderr[-3000:]
        want = json.loads(p.stdout.splitlines()[-1])
        lab = Lab(server)
        began = time.monotonic()
        e = lab.put("iris", {"arms": [{"name": "main", "target": "models:/irises/1",
                                       "runtime": {"kind": "mlflow"}}]}, seconds=120)
        print(f"mlflow models serve is ready after {time.monotonic() - began:.1f} s")
        meta = server.get("/v2/models/iris").json
        assert [t["name"] for t in meta["inputs"]][0] == "sepal length (cm)", meta
        from sklearn.datasets import load_iris
        d = load_iris(as_frame=True).data
        body = {"dataframe_split": {"columns": list(d.columns), "data": d.values.tolist()}}
        began = time.monotonic()
        r = server.post("/endpoints/iris/invocations", body)
        print(f"150 rows in {(time.monotonic() - began) * 1000:.0f} ms")
        assert r.status == 200, r
        p = r.json["predictions"]
        got = [row["predictions"] for row in p] if isinstance(p[0], dict) else p
        assert got == want, (got[:5], want[:5])
        inputs = [{"name": c, "datatype": "FP64", "shape": [3], "data": d[c][:3].tolist()} for c in d.columns]
        r = server.post("/v2/models/iris/infer", {"inputs": inputs})
        assert r.status == 200 and r.json["outputs"][0]["data"] == want[:3], r
        # MLflow's own refusal comes through as one.
        r = server.post("/endpoints/iris/invocations", {"dataframe_split": {"columns": ["a"], "data": [[1]]}})
        assert r.status == 400, r
        assert marked(mark) >= 2
        server.stop()
        assert marked(mark) == 0, "mlflow's processes are left"


def main():
    only = sys.argv[1:]
    with Server(args=["--serving-env", "PATH,HOME"]) as server:
        lab = Lab(server)
        lab.register("doubler", {"server.py": open(SCRIPT, "rb").read()})
        for test in (doors, params, liars, degrade, refusals, swaps, unloaded):
            if not only or test.__name__ in only:
                began = time.monotonic()
                test(lab, server)
                print(f"ok {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    for test in (killed, stopped, genuine):
        if not only or test.__name__ in only:
            began = time.monotonic()
            test()
            print(f"ok {test.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


main()
