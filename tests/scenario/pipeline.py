# SPDX-License-Identifier: Apache-2.0
"""Pipelines against the real daemon: what a step sees, fan-out, retries, timeouts, cancel, the cache,
gates, conditions, logs, kills of the daemon, and hostile input. Steps are plain Python scripts."""
import base64
import http.client
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

PY = sys.executable
ENDED = ("succeeded", "failed", "cancelled")
tmp = tempfile.mkdtemp(prefix="quern-pipeline-")


def b64(text):
    return base64.b64encode(text.encode()).decode()


def submit(s, definition, files=None, status=201, **more):
    text = definition if isinstance(definition, str) else json.dumps(definition)
    body = {"definition": text, "files": {k: b64(v) for k, v in (files or {}).items()}, **more}
    a = s.post("/api/v1/pipeline-runs", body)
    assert a.status == status, f"wanted {status}, got {a}"
    return a.json["id"] if status == 201 else a.json


def look(s, run_id):
    a = s.get(f"/api/v1/pipeline-runs/{run_id}")
    assert a.status == 200, a
    return a.json


def wait(s, run_id, state=None, seconds=60, until=None):
    end = time.monotonic() + seconds
    while True:
        run = look(s, run_id)
        if until(run) if until else run["state"] in ENDED:
            break
        assert time.monotonic() < end, f"no end after {seconds} s: {brief(run)}\n{s.log_text()}"
        time.sleep(0.03)
    assert state is None or run["state"] == state, f"wanted {state}: {brief(run)}\n{s.log_text(3000)}"
    return run


def brief(run):
    return run["state"], run.get("reason"), [(x["name"], x["state"], x["attempts"], x.get("reason"))
                                             for x in run["steps"]]


def steps(run):
    return {x["name"]: x for x in run["steps"]}


def run(s, definition, files=None, state="succeeded", **more):
    return wait(s, submit(s, definition, files, **more), state)


def log(s, run_id, step, **query):
    q = "&".join(f"{k}={v}" for k, v in query.items())
    a = s.get(f"/api/v1/pipeline-runs/{run_id}/steps/{step}/logs?stamps=false&{q}")
    assert a.status == 200, a
    return a.text


def count(name):
    """Lines in a file to which each execution of a step appends one."""
    try:
        with open(os.path.join(tmp, name)) as f:
            return len(f.readlines())
    except FileNotFoundError:
        return 0


COUNT = "import os,sys,time,json\nopen(sys.argv[1],'a').write('x\\n')\n"


def a_step_sees_its_world(s):
    script = """
import json, os, sys
e = os.environ
assert json.load(open(e["QUERN_PARAMS"])) == {"rate": 0.1, "n": 3}, open(e["QUERN_PARAMS"]).read()
assert e["PARAM_rate"] == "0.1" and e["PARAM_n"] == "3" and "PARAM_secret" not in e
assert e["FIXED"] == "one" and e["MINE"] == "n is 3" and "DAEMON_ONLY" not in e
assert sys.argv[1:] == ["0.1", "3", "demo"], sys.argv
assert open(os.path.join(e["QUERN_INPUTS"], "table.csv")).read() == "a,b\\n1,2\\n"
assert sys.stdin.read() == ""
assert e["MLFLOW_RUN_ID"] and e["MLFLOW_TRACKING_URI"] == e["QUERN_URL"]
import urllib.request
r = urllib.request.Request(e["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric", method="POST",
    data=json.dumps({"run_id": e["MLFLOW_RUN_ID"], "key": "score", "value": 0.75, "timestamp": 1}).encode(),
    headers={"Authorization": "Bearer " + e["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"})
urllib.request.urlopen(r).read()
open(e["TOKEN_FILE"], "w").write(e["MLFLOW_TRACKING_TOKEN"])
os.makedirs(os.environ["QUERN_OUTPUTS"] + "/model/sub")
open(os.environ["QUERN_OUTPUTS"] + "/model/sub/w", "w").write("w")
open(os.environ["QUERN_OUTPUTS"] + "/model/MLmodel", "w").write("flavors: {}")
"""
    r = run(s, {
        "name": "demo", "params": {"rate": 0.1, "n": 3, "secret": "no"}, "env": {"FIXED": "one"},
        "files": ["*.py"],
        "steps": {
            "make": {"run": [PY, "-c", "open('t.csv','w').write('a,b\\n1,2\\n')"],
                     "outputs": {"t": "t.csv"}},
            "use": {"run": [PY, "look.py", "${params.rate}", "${params.n}", "${pipeline.name}"],
                    "inputs": {"table": "make.t"}, "env": {"MINE": "n is ${params.n}", "TOKEN_FILE": os.path.join(tmp, "token")},
                    "outputs": {"m": {"path": "model", "kind": "model"}}},
            "read": {"run": [PY, "-c", "import os,sys; print(sorted(os.listdir(sys.argv[1])), "
                                       "open(sys.argv[1] + '/sub/w').read())", "${inputs.m}"],
                     "inputs": {"m": "use.m"}},
            "gate": {"gate": ["score >= 0.7"], "from": "use"},  # a metric of the tracking run
        }}, {"look.py": script})
    assert log(s, r["id"], "read").strip() == "['MLmodel', 'sub'] w", log(s, r["id"], "read")
    use = steps(r)["use"]
    assert use["outputs"]["m"]["folder"] and use["outputs"]["m"]["size"] == 12, use
    run_id = use["tracking_run_id"]
    t = s.mlflow(f"runs/get?run_id={run_id}", method="GET").json["run"]
    assert t["info"]["status"] == "FINISHED", t
    tags = {x["key"]: x["value"] for x in t["data"]["tags"]}
    assert tags["mlflow.parentRunId"] == r["tracking_run_id"] and tags["quern.step"] == "use", tags
    a = s.mlflow(f"artifacts/list?run_id={run_id}&path=m", method="GET").json
    assert {f["path"] for f in a["files"]} == {"m/MLmodel", "m/sub"}, a
    parent = s.mlflow(f"runs/get?run_id={r['tracking_run_id']}", method="GET").json["run"]
    assert parent["info"]["status"] == "FINISHED", parent
    with open(os.path.join(tmp, "token")) as f:
        token = f.read()
    a = s.post("/api/2.0/mlflow/runs/log-metric", {"run_id": run_id, "key": "late", "value": 1},
               headers={"Authorization": "Bearer " + token})  # it died with the step
    assert a.status == 401, a


def fan_out_and_select(s):
    metric = "import json,sys; json.dump({'auc': float(sys.argv[1])}, open(sys.argv[2], 'w')); print(sys.argv[1])"
    r = run(s, {
        "name": "fan", "params": {"values": [0.5, 0.9, 0.7]}, "steps": {
            "train": {"foreach": "${params.values}", "run": [PY, "-c", metric, "${item}", "${outputs.m}"],
                      "outputs": {"m": {"path": "m.json", "kind": "metrics"}}},
            "best": {"select": {"from": "train", "metric": "auc"}},
            "worst": {"select": {"from": "train", "metric": "auc", "mode": "min"}},
            "join": {"run": [PY, "-c", "import json,os; i = json.load(open(os.environ['QUERN_INPUTS'] + '/all/index.json'));"
                                       "print([(x['item'], x['metrics']['auc'], json.load(open(os.environ['QUERN_INPUTS'] + '/all/' + x['path']))['auc']) for x in i])"],
                     "inputs": {"all": "train.m"}},
            "one": {"run": ["cat", "${inputs.a}", "${inputs.b}"],
                    "inputs": {"a": "best.m", "b": {"from": "train.m", "select": {"metric": "auc", "mode": "min"}}}},
            "say": {"run": ["echo", "${steps.best.index}", "${steps.best.item}", "${steps.best.run_id}",
                            "${steps.train[2].metrics.auc}"]},
        }})
    x = steps(r)
    assert [x[f"train[{i}]"]["item"] for i in range(3)] == [0.5, 0.9, 0.7]
    assert x["best"]["item"] == 0.9 and x["worst"]["item"] == 0.5, x["best"]
    assert log(s, r["id"], "join").strip() == "[(0.5, 0.5, 0.5), (0.9, 0.9, 0.9), (0.7, 0.7, 0.7)]", log(s, r["id"], "join")
    assert log(s, r["id"], "one") == '{"auc": 0.9}{"auc": 0.5}\n', log(s, r["id"], "one")
    said = log(s, r["id"], "say").split()
    assert said == ["1", "0.9", x["train[1]"]["tracking_run_id"], "0.7"], said
    assert log(s, r["id"], "train.1") == "0.9\n" == log(s, r["id"], "train%5B1%5D")
    r = wait(s, submit(s, {"name": "fan2", "steps": {
        "t": {"foreach": [1, 0, 3], "run": [PY, "-c", "import sys; sys.exit(sys.argv[1] == '0')", "${item}"]},
        "after": {"run": ["true"], "needs": "t"}}}), "failed")
    assert [y["state"] for y in r["steps"]] == ["succeeded", "failed", "succeeded", "upstream_failed"], brief(r)
    assert r["reason"] == "step t[1] failed: exit code 1", r["reason"]


def retries(s):
    flaky = COUNT + "n = len(open(sys.argv[1]).readlines())\nprint('try', n)\nsys.exit(n < 3)\n"
    d = {"name": "retry", "files": ["f.py"], "steps": {
        "a": {"run": [PY, "f.py", os.path.join(tmp, "flaky")],
              "retry": {"count": 3, "backoff": "100ms", "jitter": 0}}}}
    r = run(s, d, {"f.py": flaky})
    a = steps(r)["a"]
    assert a["attempts"] == 3 and count("flaky") == 3, a
    history = a["attempt_history"]
    assert [h["state"] for h in history] == ["failed", "failed", "succeeded"], history
    assert [h.get("exit_code") for h in history] == [1, 1, 0], history
    assert len({h["tracking_run_id"] for h in history}) == 3
    waited = [history[i + 1]["started_ms"] - history[i]["ended_ms"] for i in range(2)]
    assert waited[0] >= 95 and waited[1] >= 195, waited
    said = [log(s, r["id"], "a", attempt=1), log(s, r["id"], "a")]
    assert said == ["try 1\n[keeper] exited with code 1\n", "try 3\n"], said
    d["name"], d["steps"]["a"]["run"][-1] = "retry2", os.path.join(tmp, "never")
    d["steps"]["a"]["retry"] = {"count": 1, "backoff": "50ms"}
    r = run(s, d, {"f.py": COUNT + "sys.exit(7)\n"}, "failed")
    assert count("never") == 2 and steps(r)["a"]["reason"] == "exit code 7", brief(r)


def timeouts(s):
    hold = "import signal,time,sys,os\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" \
           "if os.fork() == 0:\n  os.setsid()\n  if os.fork(): os._exit(0)\n" \
           "open(sys.argv[1],'a').write(str(os.getpid())+'\\n')\ntime.sleep(60)\n"
    path = os.path.join(tmp, "pids")
    start = time.monotonic()
    r = run(s, {"name": "slow", "files": ["h.py"], "steps": {
        "a": {"run": [PY, "h.py", path], "timeout": "1s", "grace": "300ms"},
        "b": {"run": ["true"], "needs": "a"}}}, {"h.py": hold}, "failed")
    assert "timed out after 1 s" in steps(r)["a"]["reason"], brief(r)
    assert steps(r)["b"]["state"] == "upstream_failed" and time.monotonic() - start < 15
    with open(path) as f:
        for pid in f.read().split():
            assert not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read(), pid


def cancels(s):
    r = submit(s, {"name": "c", "max_parallel": 1, "steps": {
        "a": {"run": [PY, "-c", "import time; print('on', flush=True); time.sleep(60)"], "grace": "500ms"},
        "b": {"run": ["true"], "needs": "a"}, "c": {"run": ["sleep", "60"]}}})
    wait(s, r, until=lambda x: steps(x)["a"]["state"] == "running")
    a = s.post(f"/api/v1/pipeline-runs/{r}/cancel")
    assert a.status == 202, a
    x = wait(s, r, "cancelled")
    assert {y["state"] for y in x["steps"]} == {"cancelled"}, brief(x)
    t = s.mlflow(f"runs/get?run_id={steps(x)['a']['tracking_run_id']}", method="GET").json["run"]
    assert t["info"]["status"] == "KILLED", t
    a = s.post(f"/api/v1/pipeline-runs/{r}/cancel")
    assert a.status == 409 and "ended already" in a.text, a


def caching(s):
    a, b = os.path.join(tmp, "ca"), os.path.join(tmp, "cb")
    d = {"name": "cache", "params": {"p": 1, "unused": 1}, "files": ["*.py"], "steps": {
        "a": {"run": [PY, "a.py", a, "${params.p}"], "outputs": {"o": "o.txt"}, "files": ["a.py"]},
        "b": {"run": [PY, "b.py", b], "inputs": {"i": "a.o"}, "files": ["b.py"]},
        "c": {"run": [PY, "-c", "1"], "cache": False}}}
    f = {"a.py": COUNT + "open('o.txt','w').write('constant')\n", "b.py": COUNT}
    first = run(s, d, f)
    second = run(s, d, f, params={"unused": 2})
    x = steps(second)
    assert x["a"]["state"] == x["b"]["state"] == "cached" and x["c"]["state"] == "succeeded", brief(second)
    assert x["a"]["cached_from"] == first["id"] + "/a", x["a"]
    assert x["a"]["outputs"] == steps(first)["a"]["outputs"] and (count("ca"), count("cb")) == (1, 1)
    assert x["a"]["tracking_run_id"] == steps(first)["a"]["tracking_run_id"]
    # A new parameter runs a again; its output is the same, so b need not run: early cut-off.
    x = steps(run(s, d, f, params={"p": 2}))
    assert (x["a"]["state"], x["b"]["state"]) == ("succeeded", "cached"), x
    # A changed script runs its own step only.
    x = steps(run(s, d, {**f, "b.py": COUNT + "# other\n"}, params={"p": 2}))
    assert (x["a"]["state"], x["b"]["state"]) == ("cached", "succeeded"), x
    assert (count("ca"), count("cb")) == (2, 2)
    x = steps(run(s, d, f, use_cache=False))
    assert x["a"]["state"] == x["b"]["state"] == "succeeded" and count("ca") == 3
    # Content that is gone is no hit.
    d["name"] = "cache3"
    d["steps"]["a"]["run"][2] = os.path.join(tmp, "cc")
    x = steps(run(s, d, {**f, "a.py": COUNT + "open('o.txt','w').write('will be lost')\n"}))
    sha = x["a"]["outputs"]["o"]["sha256"]
    os.unlink(os.path.join(s.data, "blobs", sha[:2], sha[2:]))
    x = steps(run(s, d, {**f, "a.py": COUNT + "open('o.txt','w').write('will be lost')\n"}))
    assert x["a"]["state"] == "succeeded" and count("cc") == 2, x["a"]
    # Two equal steps at once: one works, the other takes its result.
    d = {"name": "twin", "files": ["t.py"], "steps": {
        "t": {"foreach": ["same", "same"], "run": [PY, "t.py", os.path.join(tmp, "twin")]}}}
    x = steps(run(s, d, {"t.py": COUNT + "time.sleep(0.5)\n"}))
    assert sorted(y["state"] for y in x.values()) == ["cached", "succeeded"] and count("twin") == 1, x


def gates_and_registration(s):
    script = "import json,os,sys\njson.dump({'roc_auc': float(sys.argv[1]), 'slices': {'a': {'accuracy': 0.95}," \
             " 'b': {'accuracy': float(sys.argv[2])}}}, open('m.json','w'))\n" \
             "os.mkdir('model'); open('model/MLmodel','w').write('flavors: {}\\n# ' + sys.argv[1])\n"
    d = {"name": "line", "params": {"auc": 0.99, "slice": 0.93, "bar": 0.98}, "files": ["e.py"], "steps": {
        "train": {"foreach": [1], "run": [PY, "e.py", "${params.auc}", "${params.slice}"],
                  "outputs": {"metrics": {"path": "m.json", "kind": "metrics"},
                              "model": {"path": "model", "kind": "model"}}},
        "best": {"select": {"from": "train", "metric": "roc_auc"}},
        "gate": {"from": "best", "gate": [
            "roc_auc >= ${params.bar}", "slices.*.accuracy >= 0.9",
            {"better_than": {"model": "models:/${pipeline.name}@champion", "metric": "roc_auc"}}]},
        "register": {"register": {"model": "line", "from": "best", "alias": "champion"}, "needs": "gate"}}}
    f = {"e.py": script}
    first = run(s, d, f)
    rules = steps(first)["gate"]["gate"]
    assert [r["passed"] for r in rules] == [True] * 3 and rules[0]["value"] == 0.99, rules
    assert "no models:/line@champion yet" in rules[2]["reason"], rules[2]
    said = [r["rule"] for r in rules]
    assert said == ["roc_auc >= 0.98", "slices.*.accuracy >= 0.9", "roc_auc better than models:/line@champion"], said
    assert [v["metric"] for v in rules[1]["values"]] == ["slices.a.accuracy", "slices.b.accuracy"], rules
    assert steps(first)["register"]["outputs"]["version"] == 1, steps(first)["register"]
    # The same again: everything from the cache, the champion is itself, no second version.
    x = steps(run(s, d, f))
    assert x["train[0]"]["state"] == "cached" and "itself" in x["gate"]["gate"][2]["reason"], x["gate"]
    assert x["register"]["outputs"]["version"] == 1 and x["register"]["outputs"]["kept"], x["register"]
    for params, why in (({"bar": 0.995}, "roc_auc is 0.99, wanted >= 0.995"),
                        ({"slice": 0.5, "auc": 0.991}, "slices.b.accuracy is 0.5, wanted >= 0.9"),
                        ({"auc": 0.985}, "roc_auc is 0.985, not better than line/1 (0.99)")):
        r = run(s, d, f, "failed", params=params)
        x = steps(r)
        assert x["gate"]["state"] == "failed" and x["gate"]["attempts"] == 1, x["gate"]
        assert x["gate"]["reason"] == "gate: " + why and why in r["reason"], (x["gate"]["reason"], r["reason"])
        assert x["register"]["state"] == "upstream_failed", x["register"]
    x = steps(run(s, d, f, params={"auc": 0.999}))
    assert x["register"]["outputs"]["version"] == 2 and "line/1 has 0.99" in x["gate"]["gate"][2]["reason"], x
    a = s.request("GET", "/api/2.0/mlflow/registered-models/alias?name=line&alias=champion").json
    assert a["model_version"]["version"] == "2", a
    assert a["model_version"]["run_id"] == x["train[0]"]["tracking_run_id"], a
    up = s.get("/api/v1/lineage?node=model_version:line/2&direction=upstream").json
    kinds = {n["kind"] for n in up["nodes"]}
    assert {"run", "pipeline_run", "step", "pipeline"} <= kinds, kinds
    d["steps"]["gate"]["gate"] = ["nothing.* > 1"]
    r = run(s, d, f, "failed")
    assert "no metric matches nothing.*" in r["reason"], r["reason"]


def evaluated_elsewhere(s):
    """What a step measures is in its tracking run; a champion is compared by what its gate judged,
    not by what its training said, also when the gate stands further back."""
    write = "import json,os,sys\njson.dump(json.loads(sys.argv[1]), open('m.json','w'))\n" \
            "os.mkdir('model'); open('model/MLmodel','w').write(sys.argv[1])\n" \
            "e = os.environ\nif len(sys.argv) > 2:\n  import urllib.request as u\n" \
            "  for i, v in enumerate((3, 2)):\n    u.urlopen(u.Request(e['MLFLOW_TRACKING_URI'] + '/api/2.0/mlflow/runs/log-metric'," \
            " json.dumps({'run_id': e['MLFLOW_RUN_ID'], 'key': 'loss', 'value': v, 'step': i, 'timestamp': 1}).encode()," \
            " {'Authorization': 'Bearer ' + e['MLFLOW_TRACKING_TOKEN'], 'Content-Type': 'application/json'}))\n"
    metrics = {"m": {"path": "m.json", "kind": "metrics"}}
    d = {"name": "ev", "params": {"trained": 0.999, "judged": 0.9}, "files": ["w.py"], "steps": {
        "train": {"foreach": [1], "run": [PY, "w.py", '{"auc": ${params.trained}, "loss": 1}', "log"],
                  "outputs": {**metrics, "model": {"path": "model", "kind": "model"}}},
        "best": {"select": {"from": "train", "metric": "auc"}},
        "evaluate": {"needs": "best", "run": [PY, "w.py", '{"auc": ${params.judged}, "slices": {"a b": 1, "?": 2}, "ok": true}'],
                     "outputs": metrics},
        "data": {"from": "train_one", "gate": ["auc > 0"]},
        "train_one": {"run": [PY, "w.py", '{"auc": 0.1}'], "outputs": metrics},
        "gate": {"from": "evaluate", "needs": "data",
                 "gate": [{"better_than": {"model": "models:/ev@champion", "metric": "auc"}}]},
        "between": {"run": ["true"], "needs": ["gate"]},
        "last": {"from": "train_one", "needs": "between", "gate": ["auc > 0"]},
        "register": {"register": {"model": "ev", "from": "best", "alias": "champion"}, "needs": "last"},
        "again": {"register": {"model": "ev", "from": "best", "alias": "other"}, "needs": "last"}}}
    f = {"w.py": write}
    x = steps(run(s, d, f))

    def tracked(step):
        a = s.mlflow(f"runs/get?run_id={x[step]['tracking_run_id']}", method="GET").json
        return {m["key"]: (m["value"], m["step"]) for m in a["run"]["data"]["metrics"]}
    assert tracked("evaluate") == {"auc": (0.9, 0), "slices.a b": (1, 0), "ok": (1, 0)}, tracked("evaluate")
    assert tracked("train[0]") == {"auc": (0.999, 0), "loss": (2, 1)}, tracked("train[0]")  # loss is the script's own
    assert not x["register"]["outputs"]["kept"] or not x["again"]["outputs"]["kept"], x
    for number, more in ((1, {}), (2, {"trained": 0.998, "judged": 0.95})):
        r = run(s, d, f, params=more) if more else {"steps": list(x.values())}
        x = steps(r)
        assert {x["register"]["outputs"]["version"], x["again"]["outputs"]["version"]} == {number}, x
    why = x["gate"]["gate"][0]["reason"]
    assert why == "auc is 0.95, ev/1 has 0.9", why
    # Trained better than ever, judged worse than the champion.
    r = run(s, d, f, "failed", params={"trained": 1.0, "judged": 0.94})
    assert "auc is 0.94, not better than ev/2 (0.95)" in r["reason"], r["reason"]


def folders_go(s):
    """Of an attempt that ended well or was tried again the log stays; the last failed one is kept
    for looking into, of the 20 newest runs that failed."""
    def left(run_id, attempt):
        return sorted(os.listdir(os.path.join(s.data, "work", run_id, "a", str(attempt))))
    flag = os.path.join(tmp, "go")
    d = {"name": "left", "files": ["l.py"], "steps": {"a": {
        "run": [PY, "l.py", flag], "retry": {"count": 1, "backoff": "10ms"}, "cache": False, "outputs": {"o": "o"}}}}
    f = {"l.py": "import os,sys\nprint('tried', flush=True)\nopen('o','w').write('o')\nsys.exit(not os.path.exists(sys.argv[1]))\n"}
    first = run(s, d, f, "failed")["id"]
    time.sleep(0.1)
    assert (left(first, 1), left(first, 2)) == (["keeper"], ["in", "keeper", "out", "src"]), (left(first, 1), left(first, 2))
    open(flag, "w").close()
    assert s.post(f"/api/v1/pipeline-runs/{first}/retry").status == 202
    wait(s, first, "succeeded")
    time.sleep(0.1)
    assert [left(first, n) for n in (1, 2, 3)] == [["keeper"]] * 3, [left(first, n) for n in (1, 2, 3)]
    assert all(log(s, first, "a", attempt=n).startswith("tried") for n in (1, 2, 3))
    os.unlink(flag)
    d["steps"]["a"]["retry"] = 0
    failed = [run(s, d, f, "failed")["id"] for _ in range(22)]
    time.sleep(0.1)
    kept = [r for r in failed if "src" in left(r, 1)]
    assert kept == failed[2:], [left(r, 1) for r in failed]


def bombs(s):
    """A parameter named thousands of times fills neither memory nor a command line."""
    r = run(s, {"name": "bomb", "params": {"x": "y" * 500000}, "steps": {
        "a": {"run": ["echo", *["${params.x}"] * 3000]},
        "b": {"run": ["true"], "env": {f"E{i}": "${params.x}" for i in range(3000)}}}}, state="failed")
    for x in r["steps"]:
        assert "longer than 2 MiB together" in x["reason"], brief(r)[:300]
    with open(f"/proc/{s.process.pid}/status") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    assert peak < 700_000, f"{peak} kB"


def conditions(s):
    d = {"name": "when", "params": {"go": False, "n": 3}, "steps": {
        "a": {"run": [PY, "-c", "open('v.json','w').write('{\"rows\": 10, \"kind\": \"big\"}')"],
              "outputs": {"v": {"path": "v.json", "kind": "values"}}},
        "no": {"run": ["true"], "when": "params.go"},
        "behind": {"run": ["true"], "needs": "no"},
        "anyway": {"run": ["true"], "needs": "no", "after_skipped": "run"},
        "yes": {"run": ["echo", "${steps.a.outputs.v.kind}"],
                "when": "steps.a.outputs.v.rows > 5 and steps.a.outputs.v.kind in ['big', 'huge'] and not params.go"}}}
    r = run(s, d)
    x = steps(r)
    got = {k: v["state"] for k, v in x.items()}
    assert got == {"a": "succeeded", "no": "skipped", "behind": "skipped", "anyway": "succeeded",
                   "yes": "succeeded"}, got
    assert x["no"]["reason"] == "condition is false: params.go", x["no"]
    assert x["behind"]["reason"] == "step no was skipped" and log(s, r["id"], "yes") == "big\n"
    d["steps"]["yes"]["when"] = "steps.a.outputs.v.kind > 5"
    r = run(s, d, state="failed")
    assert "cannot order" in steps(r)["yes"]["reason"], steps(r)["yes"]


def logs_and_events(s):
    script = "import sys,time\nfor i in range(5):\n  print('line', i)\n  time.sleep(0.2)\nprint('err', file=sys.stderr)\n"
    r = submit(s, {"name": "log", "files": ["l.py"], "steps": {"a": {"run": [PY, "l.py"], "cache": False}}}, {"l.py": script})
    c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
    c.request("GET", f"/api/v1/pipeline-runs/{r}/steps/a/logs?follow=true")
    a = c.getresponse()
    assert a.status == 200 and a.getheader("content-type").startswith("text/plain"), a.getheaders()
    first = a.readline().decode()
    assert first.endswith(" o line 0\n"), first
    assert look(s, r)["state"] == "running"  # seen while it runs
    rest = a.read().decode().splitlines()
    assert [x[25:] for x in rest if x[25] != "k"] == [f"o line {i}" for i in range(1, 5)] + ["e err"], rest
    a = s.get(f"/api/v1/pipeline-runs/{r}/steps/a/logs?follow=true&stamps=false", headers={"Accept": "text/event-stream"})
    data = [x[6:] for x in a.text.splitlines() if x.startswith("data: ")]
    assert "line 3" in data and data[-1] == '{"state":"succeeded"}', data
    ids = [x[4:] for x in a.text.splitlines() if x.startswith("id: ")]
    a = s.get(f"/api/v1/pipeline-runs/{r}/steps/a/logs?follow=true", headers={
        "Accept": "text/event-stream", "Last-Event-ID": ids[-1]})
    assert "line" not in a.text and "event: end" in a.text, a.text
    # Pieces by offset, as a client that polls reads them.
    got, offset = "", 0
    while True:
        a = s.get(f"/api/v1/pipeline-runs/{r}/steps/a/log?offset={offset}&max_bytes=70")
        if not a.body:
            break
        got += a.text
        offset = int(a.headers["X-Quern-Next-Offset"])
    assert got.count("line") == 5, got
    events = s.get(f"/api/v1/pipeline-runs/{r}/events").text
    moves = [json.loads(x[6:]) for x in events.splitlines() if x.startswith("data: ")]
    path = [(m.get("step"), m["from"], m["to"]) for m in moves if "to" in m]
    assert path == [("a", "pending", "queued"), ("a", "queued", "launching"), (None, "queued", "running"),
                    ("a", "launching", "running"), ("a", "running", "succeeded"),
                    (None, "running", "succeeded")], path
    a = s.get(f"/api/v1/pipeline-runs/{r}/events", headers={"Last-Event-ID": str(moves[-2]["seq"])})
    assert a.text.startswith("event: end"), a.text
    # A follower of a step that has not begun waits for it.
    q = submit(s, {"name": "log2", "steps": {"a": {"run": ["sleep", "0.5"]}, "b": {"run": ["echo", "late"], "needs": "a"}}})
    assert log(s, q, "b", follow="true") == "late\n", log(s, q, "b")


def hostile_arguments(s):
    values = ["$(touch owned)", "`id`", "; rm -rf /", "a\nb", "\"'\\", "", "--flag", "${params.x}", "ü😀", "*", "%s%n"]
    d = {"name": "hostile", "params": {"v": values, "x": "seen"}, "steps": {
        "a": {"foreach": "${params.v}", "run": [PY, "-c", "import sys,json,os; print(json.dumps([sys.argv[1:], os.environ['V'], os.listdir('.')]))",
                                               "${item}", "<${item}>", "$${item}"], "env": {"V": "${item}"}}}}
    r = run(s, d)
    for i, v in enumerate(values):
        got = json.loads(log(s, r["id"], f"a.{i}"))
        assert got == [[v, f"<{v}>", "${item}"], v, []], (v, got)


def outputs_are_checked(s):
    def one(code, outputs, **more):
        r = run(s, {"name": "out", "steps": {"a": {"run": [PY, "-c", code], "outputs": outputs, **more}}}, state="failed")
        assert steps(r)["a"]["state"] == "failed" and "outputs" not in steps(r)["a"], steps(r)["a"]
        return steps(r)["a"]["reason"]
    out = "import os; o = os.environ['QUERN_OUTPUTS']; "
    why = one("pass", {"x": "x.csv"})
    assert why == "output x is missing: nothing at x.csv in the outputs folder (QUERN_OUTPUTS)", why
    why = one(out + "os.symlink('/etc/passwd', o + '/x')", {"x": "x"})
    assert "output x" in why, why
    why = one(out + "os.mkdir(o + '/x'); os.symlink('/etc/passwd', o + '/x/y')", {"x": "x"})
    assert "no regular file" in why, why
    why = one(out + "os.mkfifo(o + '/x')", {"x": "x"})
    assert "no regular file" in why, why
    why = one(out + "open(o + '/m', 'w').write('{\"a\": NaN')", {"m": {"path": "m", "kind": "metrics"}})
    assert "is not a JSON document" in why, why
    why = one(out + "open(o + '/m', 'w').write('{\"a\": \"b\"}')", {"m": {"path": "m", "kind": "metrics"}})
    assert "holds no number" in why, why
    # Names that artifacts cannot have, and a place that the step's own client took: told, not stuck.
    for name in ("a\\\\b", "a\\nb"):
        why = one(out + f"os.mkdir(o + '/x'); open(o + '/x/{name}', 'w').write('1')", {"x": "x"})
        assert "cannot be recorded" in why and "path" in why.lower(), why
    why = one("import os,urllib.request as u; e = os.environ; open(e['QUERN_OUTPUTS'] + '/x', 'w').write('1')\n"
              "u.urlopen(u.Request(e['QUERN_URL'] + '/api/2.0/mlflow-artifacts/artifacts/%s/%s/artifacts/x' % ("
              "e['MLFLOW_EXPERIMENT_ID'], e['MLFLOW_RUN_ID']), data=b'mine', method='PUT', headers={"
              "'Authorization': 'Bearer ' + e['MLFLOW_TRACKING_TOKEN']}))", {"x": "x"})
    assert "cannot be recorded" in why and "is a file" in why, why
    r = run(s, {"name": "opt", "steps": {"a": {"run": ["true"], "outputs": {"x": {"path": "x", "optional": True}}}}})
    assert "outputs" not in steps(r)["a"]
    r = run(s, {"name": "nocmd", "steps": {"a": {"run": ["/no/such/command"]}}}, state="failed")
    assert "/no/such/command" in steps(r)["a"]["reason"] or "No such file" in steps(r)["a"]["reason"], brief(r)


def refusals(s):
    a = submit(s, "name: p\nsteps:\n  a:\n    run: [x]\n    tiemout: 3s\n", status=400)
    assert a["detail"].startswith("line 5, column 5: \"tiemout\" is no key of a step; did you mean \"timeout\"?"), a
    assert a["field"] == "definition", a
    ok = "name: p\nparams: {n: 1}\nfiles: ['*.py']\nsteps: {a: {run: [x]}}\n"
    assert "no file sent matches" in submit(s, ok, status=400)["detail"]
    assert submit(s, ok, {"a.py": ""}, 400, params={"n": "x"})["field"] == "params.n"
    for path in ("../x.py", "/x.py", "a//x.py", "./x.py", "a\\x.py", "x\n.py", ""):
        a = submit(s, ok, {path: ""}, 400)
        assert "relative path" in a["detail"], (path, a)
    a = s.post("/api/v1/pipeline-runs", {"definition": ok, "files": [{"path": "a.py", "sha256": "0" * 64}]})
    assert a.status == 404 and "is not stored in this project" in a.text, a
    a = s.post("/api/v1/pipeline-runs", {"definition": ok, "files": {"a.py": "***"}})
    assert a.status == 400 and "not base64" in a.text, a
    a = s.post("/api/v1/pipeline-runs", {"definition": ok, "nonsense": 1})
    assert a.status == 400 and "nonsense" in a.text, a
    assert s.get("/api/v1/pipeline-runs?pipline=x").status == 400
    for path, status in (("pipeline-runs/x", 404), ("pipeline-runs/x/steps/a/logs", 404), ("pipelines/x", 404),
                         ("pipeline-runs?max_results=0", 400), ("pipeline-runs?state=odd", 400),
                         ("pipeline-runs?page_token=zz", 400)):
        a = s.get("/api/v1/" + path)
        assert a.status == status and a.headers["Content-Type"].startswith("application/problem+json"), (path, a)
    a = s.post("/api/v1/pipeline-runs/x/retry")
    assert a.status == 404, a
    # A step's token starts no pipelines.
    code = "import os,urllib.request,urllib.error,json\ne=os.environ\n" \
           "r=urllib.request.Request(e['QUERN_URL']+'/api/v1/pipeline-runs',method='POST'," \
           "data=json.dumps({'definition':'name: p\\nsteps: {a: {run: [x]}}'}).encode()," \
           "headers={'Authorization':'Bearer '+e['MLFLOW_TRACKING_TOKEN'],'Content-Type':'application/json'})\n" \
           "try:\n  print(urllib.request.urlopen(r).status)\nexcept urllib.error.HTTPError as x:\n  print(x.code)\n"
    r = run(s, {"name": "tok", "steps": {"a": {"run": [PY, "-c", code]}}})
    assert log(s, r["id"], "a") == "403\n", log(s, r["id"], "a")


def retry_from_failed(s):
    flag = os.path.join(tmp, "flag")
    d = {"name": "again", "files": ["*.py"], "steps": {
        "a": {"run": [PY, "a.py", os.path.join(tmp, "ra")], "outputs": {"o": "o"}, "cache": False},
        "b": {"run": [PY, "-c", f"import os,sys; sys.exit(not os.path.exists({flag!r}))"], "inputs": {"o": "a.o"}},
        "c": {"run": [PY, "a.py", os.path.join(tmp, "rc")], "needs": "b"}}}
    f = {"a.py": COUNT + "open('o','w').write('o')\n"}
    r = run(s, d, f, "failed")
    assert s.post(f"/api/v1/pipeline-runs/{r['id']}/retry").status == 202
    wait(s, r["id"], "failed")
    open(flag, "w").close()
    a = s.post(f"/api/v1/pipeline-runs/{r['id']}/retry")
    assert a.status == 202 and a.json["state"] == "queued", a
    r = wait(s, r["id"], "succeeded")
    assert count("ra") == 1 and count("rc") == 1 and steps(r)["b"]["attempts"] == 3, brief(r)
    assert s.post(f"/api/v1/pipeline-runs/{r['id']}/retry").status == 409


def stored(s):
    text = "name: kept\ndescription: First.\nparams: {n: 1}\nfiles: [k.py]\nsteps: {a: {run: [%s, k.py, '${params.n}']}}\n" % PY
    body = {"definition": text, "files": [{"path": "k.py", "content_base64": b64("import sys; print('n', sys.argv[1])")}]}
    a = s.request("PUT", "/api/v1/pipelines/kept", body)
    assert a.status == 201 and a.json["version"] == 1, a
    assert s.request("PUT", "/api/v1/pipelines/kept", body).status == 200
    body["definition"] = text.replace("First", "Second")
    sha = a.json["files"][0]["sha256"]
    body["files"] = [{"path": "k.py", "sha256": sha}]
    a = s.request("PUT", "/api/v1/pipelines/kept", body)
    assert a.status == 201 and a.json["version"] == 2 and len(a.json["versions"]) == 2, a
    assert s.request("PUT", "/api/v1/pipelines/other", body).status == 400
    a = s.post("/api/v1/pipelines/kept/runs", {"params": {"n": 7}})
    assert a.status == 201 and a.json["version"] == 2, a
    wait(s, a.json["id"], "succeeded")
    assert log(s, a.json["id"], "a") == "n 7\n"
    assert s.post("/api/v1/pipelines/kept/runs", {"version": 9}).status == 404
    assert s.get("/api/v1/pipelines/kept?version=1").json["description"] == "First."
    assert [p["name"] for p in s.get("/api/v1/pipelines").json["pipelines"]] == ["kept"]
    a = s.post("/api/v1/pipelines/validate", {"definition": text})
    assert a.json["valid"] and a.json["params"] == {"n": {"type": "int", "default": 1}}, a
    a = s.post("/api/v1/pipelines/validate", {"definition": "name: x\nsteps: [\n"})
    assert a.status == 400 and "line " in a.json["detail"], a
    assert s.get("/api/v1/pipelines/schema").json["title"] == "Quern pipeline"
    assert s.request("DELETE", "/api/v1/pipelines/kept").status == 200
    assert s.get("/api/v1/pipelines/kept").status == 404
    assert len(s.get("/api/v1/pipeline-runs?pipeline=kept").json["runs"]) == 1
    p = s.get("/api/v1/pipeline-runs?max_results=2").json
    q = s.get(f"/api/v1/pipeline-runs?max_results=2&page_token={p['next_page_token'].replace('=', '%3D')}").json
    assert len(p["runs"]) == len(q["runs"]) == 2 and {x["id"] for x in p["runs"]}.isdisjoint(x["id"] for x in q["runs"])


def limits(s):
    path = os.path.join(tmp, "par")
    script = "import os,sys,time\nd=sys.argv[1]\nopen(d+'/'+sys.argv[2],'w').close()\n" \
             "open(d+'.log','a').write(str(len(os.listdir(d)))+'\\n')\ntime.sleep(0.15)\nos.unlink(d+'/'+sys.argv[2])\n"
    for limit, most in ((1, 1), (0, 3)):
        os.makedirs(path, exist_ok=True)
        run(s, {"name": f"par{limit}", "max_parallel": limit, "files": ["p.py"], "steps": {
            "a": {"foreach": list(range(6)), "cache": False, "run": [PY, "p.py", path, "${item}"]}}}, {"p.py": script})
        with open(path + ".log") as f:
            seen = max(int(x) for x in f)
        os.unlink(path + ".log")
        assert seen == most, (limit, seen)


def kill_in_the_middle(data):
    """One step is at work when the daemon is killed; the run completes and the step ran once."""
    s = Server(data=data, args=["--pipeline-parallel", "3", "--log-level", "warn"])
    d = {"name": "kill", "files": ["k.py"], "steps": {
        "before": {"run": [PY, "k.py", os.path.join(tmp, "k0"), "0"]},
        "long": {"run": [PY, "k.py", os.path.join(tmp, "k1"), "3"], "needs": "before", "outputs": {"o": "o"}},
        "after": {"run": [PY, "k.py", os.path.join(tmp, "k2"), "0"], "inputs": {"o": "long.o"}}}}
    r = submit(s, d, {"k.py": COUNT + "time.sleep(float(sys.argv[2]))\nopen('o','w').write('done')\n"})
    wait(s, r, until=lambda x: steps(x)["long"]["state"] == "running" and count("k1") == 1)
    s.kill9()
    time.sleep(0.3)
    s.start()
    x = wait(s, r, "succeeded")
    assert [count(f"k{i}") for i in range(3)] == [1, 1, 1], brief(x)
    assert all(y["attempts"] == 1 for y in x["steps"]), brief(x)
    # It ends while the daemon is away.
    r = submit(s, {**d, "name": "kill2"}, {"k.py": COUNT + "time.sleep(1)\nopen('o','w').write('two')\n"})
    wait(s, r, until=lambda x: steps(x)["long"]["state"] == "running")
    s.kill9()
    time.sleep(2)
    s.start()
    x = wait(s, r, "succeeded")
    assert all(y["attempts"] == 1 for y in x["steps"]), brief(x)
    s.stop()


def a_lost_keeper(s):
    """A keeper that is killed takes its step along; the step is run again without costing a retry."""
    path = os.path.join(tmp, "lost")
    r = submit(s, {"name": "lost", "files": ["l.py"], "steps": {"a": {"run": [PY, "l.py", path], "outputs": {"o": "o"}}}},
               {"l.py": COUNT + "if len(open(sys.argv[1]).readlines()) < 3: time.sleep(60)\nopen('o','w').write('o')\n"})
    for n in (1, 2):
        wait(s, r, until=lambda x: count("lost") == n and steps(x)["a"]["state"] == "running")
        with open(os.path.join(s.data, "work", r, "a", str(n), "keeper", "keeper.json")) as f:
            os.kill(json.load(f)["pid"], signal.SIGKILL)
    x = wait(s, r, "succeeded")
    states = [h["state"] for h in steps(x)["a"]["attempt_history"]]
    assert states == ["lost", "lost", "succeeded"] and count("lost") == 3, (states, count("lost"))


def kill_at_random(data, kills=12):
    """Kills the daemon again and again while many short steps run: each step runs exactly once."""
    s = Server(data=data, args=["--pipeline-parallel", "4", "--log-level", "warn"])
    n, seed = 24, int(time.time())
    rng = random.Random(seed)
    d = {"name": "storm", "files": ["s.py"], "steps": {
        "a": {"foreach": list(range(n)), "cache": False, "outputs": {"o": "o"},
              "run": [PY, "s.py", os.path.join(tmp, "storm-${run.id}-${item}")]},
        "pick": {"run": ["cat", "${inputs.all}/index.json"], "inputs": {"all": "a.o"}},
        "end": {"run": [PY, "s.py", os.path.join(tmp, "storm-${run.id}-end")], "needs": "pick"}}}
    f = {"s.py": COUNT + "time.sleep(0.05)\nopen('o','w').write(sys.argv[1])\n"}
    runs = [submit(s, d, f)]
    for k in range(kills):
        time.sleep(rng.uniform(0.05, 0.9))
        s.kill9()
        s.start()
        if all(look(s, r)["state"] in ENDED for r in runs):
            runs.append(submit(s, d, f))
    for r in runs:
        x = wait(s, r, seconds=120)
        assert x["state"] == "succeeded", (seed, brief(x))
        for i in [*range(n), "end"]:
            got = count(f"storm-{r}-{i}")
            name = f"a[{i}]" if i != "end" else "end"
            assert got == 1, f"seed {seed}: step {name} of {r} ran {got} times: {steps(x)[name]}"
            assert steps(x)[name]["attempts"] == 1, (seed, steps(x)[name])
    s.stop()


try:
    names = sys.argv[1:]
    calls = [a_step_sees_its_world, fan_out_and_select, retries, timeouts, cancels, caching,
             gates_and_registration, evaluated_elsewhere, folders_go, bombs, conditions, logs_and_events, hostile_arguments,
             outputs_are_checked, refusals, retry_from_failed, stored, limits, a_lost_keeper]
    with Server(args=["--pipeline-parallel", "3", "--log-level", "warn"], env={"DAEMON_ONLY": "1"}) as server:
        for call in calls:
            if not names or call.__name__ in names:
                start = time.monotonic()
                call(server)
                print(f"ok   {call.__name__} {time.monotonic() - start:.1f} s", flush=True)
    for call in (kill_in_the_middle, kill_at_random):
        if not names or call.__name__ in names:
            start = time.monotonic()
            call(os.path.join(tmp, call.__name__))
            print(f"ok   {call.__name__} {time.monotonic() - start:.1f} s", flush=True)
finally:
    shutil.rmtree(tmp, ignore_errors=True)
