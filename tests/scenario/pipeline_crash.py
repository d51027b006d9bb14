# SPDX-License-Identifier: Apache-2.0
"""The daemon dies at each instant of a step's life (failpoints of sanitizer builds) and is started
again: every command has run exactly once, under its first attempt, and nothing is recorded twice.

Built-in steps (gate, register) are done again when the daemon died between their work and its record;
they are idempotent, so one version stands there all the same. The only case in which a command runs
twice is a `lost` one: its keeper vanished without leaving a status, which a death of the daemon never
brings about (scenario.pipeline, a_lost_keeper)."""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

# Instant and how often the daemon has been there: the first step, one of the parallel ones, ...
POINTS = [f"{name}:{n}" for name, turns in (
    ("launch-unwritten", (1, 2)),   # before transaction A
    ("launch-written", (1, 2)),     # after it
    ("spawned", (1, 3)),            # the keeper is born, nobody watches it yet
    ("running-unwritten", (1, 2)),  # before transaction B
    ("running-written", (1,)),      # after it
    ("ended", (1, 3)),              # the process has ended, nothing is collected
    ("collected", (1, 2)),          # outputs are blobs, before transaction C
    ("settled", (1, 3)),            # after it
    ("built-in-done", (1, 2, 3)),   # select, gate and register are done, before their transaction C
) for n in turns]

SCRIPT = """import json, os, sys
open(sys.argv[1], 'a').write('x\\n')
out = os.environ['QUERN_OUTPUTS']
os.mkdir(out + '/model')
open(out + '/model/MLmodel', 'w').write('# ' + sys.argv[1])
json.dump({'score': 0.5, 'of': sys.argv[1]}, open(out + '/m.json', 'w'))
"""
tmp = tempfile.mkdtemp(prefix="quern-crash-")


def definition(name):
    def step(counter, **more):
        return {"run": [sys.executable, "s.py", os.path.join(tmp, f"{name}-{counter}")], **more,
                "outputs": {"m": {"path": "m.json", "kind": "metrics"}, "model": {"path": "model", "kind": "model"}}}
    return {"name": name, "files": ["s.py"], "steps": {
        "first": step("first"),
        "both": step("both-${index}", foreach=[0, 1], inputs={"m": "first.m"}),
        "best": {"select": {"from": "both", "metric": "score"}},
        "gate": {"from": "best", "gate": ["score >= 0.4"]},
        "register": {"needs": "gate", "register": {"model": name, "from": "best", "alias": "champion"}}}}


def submit(s, name):
    body = {"definition": json.dumps(definition(name)),
            "files": {"s.py": base64.b64encode(SCRIPT.encode()).decode()}}
    try:
        a = s.post("/api/v1/pipeline-runs", body)
        assert a.status == 201, a
    except (OSError, urllib.error.URLError):
        pass  # it died before it could answer; the run is on record


def finished(s, name):
    end = time.monotonic() + 30
    while True:
        runs = s.get(f"/api/v1/pipeline-runs?pipeline={name}").json["runs"]
        assert len(runs) == 1, f"{name}: {len(runs)} runs on record"
        if runs[0]["state"] in ("succeeded", "failed", "cancelled"):
            return s.get(f"/api/v1/pipeline-runs/{runs[0]['id']}").json
        assert time.monotonic() < end, f"{name} does not end: {runs[0]}\n{s.log_text(3000)}"
        time.sleep(0.05)


def facts(s, run, name):
    """What must be the same wherever the daemon died."""
    executed = {}
    for counter in ("first", "both-0", "both-1"):
        path = os.path.join(tmp, f"{name}-{counter}")
        executed[counter] = len(open(path).readlines()) if os.path.exists(path) else 0
    graph = s.get(f"/api/v1/lineage?node=pipeline_run:{run['id']}&direction=downstream&depth=10").json
    edges = sorted((e["from"].split(":")[0], e["verb"], e["to"].split(":")[0]) for e in graph["edges"])
    versions = s.get(f"/api/2.0/mlflow/model-versions/search?filter=name%3D%27{name}%27")
    history = {}
    left = [folder for folder, _, _ in os.walk(os.path.join(s.data, "work", run["id"]))
            if os.path.basename(folder) in ("src", "in", "out")]
    for x in run["steps"]:
        if x.get("tracking_run_id") and x["kind"] == "run":
            a = s.get(f"/api/2.0/mlflow/metrics/get-history?run_id={x['tracking_run_id']}&metric_key=score")
            status = s.get(f"/api/2.0/mlflow/runs/get?run_id={x['tracking_run_id']}").json["run"]["info"]["status"]
            history[x["name"]] = (len(a.json.get("metrics", [])), status)
    return {"state": run["state"], "executed": executed, "edges": edges, "left": len(left),
            "versions": len(versions.json.get("model_versions", [])),
            "steps": [(x["name"], x["state"], x["attempts"], sorted(x.get("outputs", {})),
                       [h["state"] for h in x.get("attempt_history", [])]) for x in run["steps"]],
            "history": history}


def main():
    s = Server(data=os.path.join(tmp, "data"), args=["--pipeline-parallel", "2", "--log-level", "warn"])
    submit(s, "reference")
    run = finished(s, "reference")
    time.sleep(0.1)
    wanted = facts(s, run, "reference")
    assert wanted["state"] == "succeeded" and wanted["versions"] == 1 and wanted["left"] == 0, wanted
    assert set(wanted["executed"].values()) == {1} and len(wanted["edges"]) > 8, wanted
    s.stop()
    for point in sys.argv[1:] or POINTS:
        began = time.monotonic()
        name = "at-" + point.replace(":", "-")
        s.env = {"QUERN_FAILPOINT": point}
        s.start()
        submit(s, name)
        try:
            code = s.process.wait(30)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon never came to {point}: {finished(s, name)}") from None
        assert code == -signal.SIGKILL, f"{point}: exit code {code}\n{s.log_text()}"
        s.env = {}
        s.start()
        run = finished(s, name)
        time.sleep(0.1)  # the last step's folder is tidied behind its record
        got = facts(s, run, name)
        for key, value in wanted.items():
            assert got[key] == value, f"{point}: {key} is\n  {got[key]}\nwanted\n  {value}\n{s.log_text(3000)}"
        assert s.stop() == 0, s.log_text()
        print(f"ok   {point} {time.monotonic() - began:.1f} s", flush=True)


try:
    main()
finally:
    shutil.rmtree(tmp, ignore_errors=True)
