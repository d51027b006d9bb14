# SPDX-License-Identifier: Apache-2.0
"""The whole line, checked from outside as a user would: starts quern, runs the pipeline, asks for
predictions with curl, compares them with scikit-learn's own, asks where the model came from, reruns,
fails a gate on purpose, and kills the daemon in the middle of a training step. Leaves the server
running unless --once is given. Exit code 0: every check held."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier

HERE = os.path.dirname(os.path.abspath(__file__))
PIPELINE = os.path.join(HERE, "pipeline.yaml")
NAME = "breast-cancer"

p = argparse.ArgumentParser()
p.add_argument("--quern", required=True, help="the built program")
p.add_argument("--data", default="./quern-data")
p.add_argument("--port", type=int, default=7780)
p.add_argument("--once", action="store_true", help="stop the server at the end")
a = p.parse_args()
URL = f"http://127.0.0.1:{a.port}"
PID_FILE = os.path.join(a.data, "quickstart.pid")
LOG_FILE = os.path.join(a.data, "quickstart.log")
failed = []


def check(what, held, seen=""):
    mark = "\033[32mok\033[0m  " if held else "\033[31mFAIL\033[0m"
    print(f"  {mark} {what}" + (f": {seen}" if seen != "" else ""), flush=True)
    if not held:
        failed.append(what)
    return held


def title(text):
    print(f"\n\033[1m{text}\033[0m", flush=True)


# ---- the daemon

def get(path):
    with urllib.request.urlopen(URL + path, timeout=60) as f:
        return f.read().decode()


def get_json(path):
    return json.loads(get(path))


def ready():
    try:
        return get("/readyz").rstrip().endswith("ready")
    except (OSError, urllib.error.URLError):
        return False


def start_server():
    os.makedirs(a.data, exist_ok=True)
    # The steps say "python": they find this environment's first.
    env = {**os.environ, "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]}
    with open(LOG_FILE, "ab") as log:
        server = subprocess.Popen(
            [a.quern, "serve", "--listen", f"127.0.0.1:{a.port}", "--data", a.data],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True)
    began = time.monotonic()
    while not ready():
        if server.poll() is not None or time.monotonic() - began > 60:
            sys.exit(f"quern did not start; the end of {LOG_FILE}:\n" +
                     "".join(open(LOG_FILE).readlines()[-5:]))
        time.sleep(0.005)
    with open(PID_FILE, "w") as f:
        f.write(str(server.pid))
    return server, time.monotonic() - began


def stop_earlier():
    """A server that an earlier quickstart left running on this data directory."""
    try:
        pid = int(open(PID_FILE).read())
        name = os.readlink(f"/proc/{pid}/exe")
    except (OSError, ValueError):
        return
    if os.path.basename(name.removesuffix(" (deleted)")) == "quern":
        os.kill(pid, signal.SIGTERM)
        for _ in range(600):
            if not os.path.exists(f"/proc/{pid}"):
                return
            time.sleep(0.05)


def quern(*args, **kw):
    return subprocess.run([a.quern, *args, "--url", URL], capture_output=True, text=True, **kw)


def run_pipeline(*params):
    """Returns the exit code and the finished run."""
    options = [x for q in params for x in ("--param", q)]
    # Progress goes to standard error, as it comes; the finished run to standard output.
    r = subprocess.run([a.quern, "run", PIPELINE, "--wait", "--json", *options, "--url", URL],
                       stdout=subprocess.PIPE, text=True)
    try:
        return r.returncode, json.loads(r.stdout)
    except ValueError:
        sys.exit(f"quern run gave no JSON (exit code {r.returncode}): {r.stdout[:2000]}")


def steps_of(run):
    return {s["name"]: s for s in run["steps"]}


def show(run):
    for s in run["steps"]:
        took = s.get("duration_ms")
        took = f"{took / 1000:7.2f} s" if took is not None else ""
        reason = s.get("reason") or ""
        print(f"    {s['name']:<12} {s['state']:<10} {took:>10}  {reason}")


def curl(*args):
    r = subprocess.run(["curl", "-s", "--fail-with-body", *args], capture_output=True, text=True)
    return r.returncode, r.stdout


# ---- the line

def predictions(holdout):
    """Class-1 probabilities of every hold-out row over both protocols, with plain curl."""
    x = holdout.drop(columns="target")
    rows = x.to_numpy(dtype=np.float32)
    meta = get_json(f"/v2/models/{NAME}")
    oip = {"inputs": [{"name": meta["inputs"][0]["name"], "datatype": "FP32",
                       "shape": list(rows.shape), "data": rows.ravel().tolist()}]}
    code, text = curl(f"{URL}/v2/models/{NAME}/infer", "--json", json.dumps(oip))
    if not check("curl gets predictions over the Open Inference Protocol", code == 0, text[:60] + "…"):
        return None, None
    outputs = {o["name"]: o for o in json.loads(text)["outputs"]}
    proba = outputs["output_probability"]
    by_oip = np.array(proba["data"], dtype=float).reshape(proba["shape"])[:, 1]
    split = {"dataframe_split": {"columns": list(x.columns), "data": rows.tolist()}}
    code, text = curl(f"{URL}/endpoints/{NAME}/invocations", "--json", json.dumps(split))
    if not check("curl gets predictions over MLflow's scoring protocol", code == 0, text[:60] + "…"):
        return by_oip, None
    answer = json.loads(text)["predictions"]
    return by_oip, np.array([class_one(answer, i) for i in range(len(rows))])


def class_one(answer, i):
    rows = answer["output_probability"] if isinstance(answer, dict) else [
        r["output_probability"] for r in answer]
    row = rows[i]
    return row["1"] if isinstance(row, dict) else row[1]


def sklearn_truth(run, folder):
    """The same model trained again here, from the run's own artifacts and parameters."""
    steps = steps_of(run)
    train = pd.read_csv(fetch(steps["split"], "train", folder))
    holdout = pd.read_csv(fetch(steps["split"], "holdout", folder))
    best = steps["best"]["outputs"]["selected"] if "selected" in steps["best"].get("outputs", {}) \
        else steps["best"]
    setting = best["item"]
    y = train.pop("target").to_numpy()
    model = GradientBoostingClassifier(
        n_estimators=setting["trees"], max_depth=setting["depth"], learning_rate=setting["rate"],
        random_state=run["params"]["seed"]).fit(train.to_numpy(dtype=np.float32), y)
    x = holdout.drop(columns="target").to_numpy(dtype=np.float32)
    return holdout, model.predict_proba(x)[:, 1]


def fetch(step, output, folder):
    path = os.path.join(folder, output + ".csv")
    with open(path, "w") as f:
        f.write(get(f"/api/v1/blobs/{step['outputs'][output]['sha256']}"))
    return path


def metric(name, **labels):
    for line in get("/metrics").splitlines():
        if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def main():
    stop_earlier()
    title("Starting quern")
    server, seconds = start_server()
    check("ready", True, f"{seconds * 1000:.0f} ms after it was started, {URL}")

    title("Running the pipeline: ingest, split, train three at once, judge, gate, register, deploy")
    code, run = run_pipeline()
    if not check("the run succeeded", code == 0 and run["state"] == "succeeded", run["state"]):
        return server  # nothing of what follows could hold
    gate = steps_of(run)["gate"]
    for rule in gate.get("gate", []):
        check(f"gate: {rule['rule']}", rule["passed"], rule.get("value", rule.get("note", "")))

    title("Predictions")
    with tempfile.TemporaryDirectory() as folder:
        holdout, truth = sklearn_truth(run, folder)
    by_oip, by_scoring = predictions(holdout)
    for what, got in (("Open Inference", by_oip), ("scoring", by_scoring)):
        if got is not None:
            worst = float(np.abs(got - truth).max())
            check(f"{len(truth)} hold-out rows over {what} equal scikit-learn's predict_proba",
                  worst <= 1e-5, f"largest difference {worst:.2e}")
    seen = metric("quern_predictions_total", endpoint=NAME, outcome="ok")
    check("/metrics counts the predictions", seen >= 2, seen)

    title("Lineage")
    up = get_json(f"/api/v1/lineage?node=endpoint:{NAME}&direction=upstream")
    kinds = {n["kind"] for n in up["nodes"]}
    want = {"model_version", "run", "artifact", "pipeline_run"}
    if run.get("git", {}).get("commit"):
        want.add("git")
    check(f"upstream of endpoint {NAME}", want <= kinds, ", ".join(sorted(kinds)))
    data = "artifact:" + steps_of(run)["ingest"]["outputs"]["data"]["sha256"]
    check("the data's digest is among them", data in {n["ref"] for n in up["nodes"]}, data[:25] + "…")
    down = get_json(f"/api/v1/lineage?node={data}&direction=downstream")
    check("downstream of this data lies the endpoint",
          f"endpoint:{NAME}" in {n["ref"] for n in down["nodes"]},
          f"{len(down['nodes'])} nodes")

    title("Running it again: what did not change comes from the cache")
    code, again = run_pipeline()
    states = {s["name"]: s["state"] for s in again["steps"]}
    cached = [n for n, s in states.items() if s == "cached"]
    work = [n for n in states if n.split("[")[0] in ("ingest", "split", "train", "evaluate")]
    check("every command step came from the cache", code == 0 and set(work) <= set(cached),
          ", ".join(cached))

    title("A bar that no model passes: nothing is deployed")
    before = get_json(f"/api/v1/endpoints/{NAME}")
    code, bad = run_pipeline("min_auc=0.99999")
    states = {s["name"]: s["state"] for s in bad["steps"]}
    check("the gate failed with a reason", code == 3 and states["gate"] == "failed",
          steps_of(bad)["gate"].get("reason"))
    check("register and deploy did not run",
          states["register"] not in ("succeeded", "cached") and
          states["deploy"] not in ("succeeded", "cached"),
          f"register {states['register']}, deploy {states['deploy']}")
    after = get_json(f"/api/v1/endpoints/{NAME}")
    check("the endpoint serves what it served", before["version"] == after["version"],
          f"version {after['version']}")

    title("SIGKILL in the middle of training")
    # The pause is part of the command: a new one is never in the cache, and the model comes out the
    # same, so that the comparison with the champion holds.
    pause = 4 + time.time() % 1
    r = quern("run", PIPELINE, "--json", "--param", f"pause={pause:.6f}")
    run_id = json.loads(r.stdout)["id"]
    deadline = time.monotonic() + 120
    training = []
    while time.monotonic() < deadline and not training:
        now = get_json(f"/api/v1/pipeline-runs/{run_id}")
        training = [s for s in now["steps"] if s["name"].startswith("train")
                    and s["state"] == "running"]
        time.sleep(0.1)
    check("training is under way", bool(training), ", ".join(s["name"] for s in training))
    server.send_signal(signal.SIGKILL)
    server.wait()
    server, seconds = start_server()
    check("the daemon is back", True, f"{seconds * 1000:.0f} ms")
    while time.monotonic() < deadline + 180:
        run = get_json(f"/api/v1/pipeline-runs/{run_id}")
        if run["state"] in ("succeeded", "failed", "cancelled"):
            break
        time.sleep(0.2)
    show(run)
    trained = [s for s in run["steps"] if s["name"].startswith("train")]
    check("the run completed", run["state"] == "succeeded", run["state"])
    check("each training ran once",
          all(s["state"] == "succeeded" and s["attempts"] == 1 for s in trained),
          ", ".join(f"{s['name']} {s['attempts']}" for s in trained))
    check("the endpoint answers", curl(f"{URL}/v2/models/{NAME}/ready")[0] == 0)
    return server


def where_next():
    row = "[" + ",".join(["14.2", "19.3", "92.1", "630"] + ["0.1"] * 26) + "]"
    title("Where to look next")
    print(f"""  {URL}/                      the guide, in a browser too
  curl -s {URL}/
  curl -s {URL}/api/v1/pipeline-runs
  curl -s {URL}/v2/models/{NAME}
  curl -s {URL}/endpoints/{NAME}/invocations --json '{{"inputs": [{row}]}}'
  curl -s '{URL}/api/v1/lineage?node=endpoint:{NAME}&direction=upstream&format=dot'
  export MLFLOW_TRACKING_URI={URL}
  the log: {LOG_FILE}      stop it: kill $(cat {PID_FILE})""")


try:
    server = main()
except BaseException:
    stop_earlier()
    raise
if a.once:
    title("Stopping")
    server.send_signal(signal.SIGTERM)
    check("the server stopped cleanly", server.wait(60) == 0)
elif not failed:
    where_next()
print(f"\n{'every check held' if not failed else str(len(failed)) + ' checks failed: ' + '; '.join(failed)}")
sys.exit(1 if failed else 0)
