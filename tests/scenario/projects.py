# SPDX-License-Identifier: Apache-2.0
"""Two projects that use the same names. Nothing that a principal of one can list, search, read, fetch,
predict or trace shows anything of the other; ids of the other's things name nothing; a step's token
writes its own run and nothing else. The calls come from the server's own OpenAPI document, so a new
route is tried the moment it exists."""
import glob
import json
import os
import re
import sys
import time
import urllib.parse

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import Server

HERE = os.path.dirname(os.path.abspath(__file__))
problems = []


def complain(what, answer):
    problems.append(f"{what}: {answer}")


# ---- a model file by hand: one node, y = op(x), enough to tell the projects' answers apart

def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def onnx_model(op):
    shape = field(1, field(2, "N")) + field(1, field(1, 1))
    kind = field(1, field(1, 1) + field(2, shape))
    node = field(1, "x") + field(2, "y") + field(4, op)
    graph = (field(1, node) + field(2, "g") + field(11, field(1, "x") + field(2, kind))
             + field(12, field(1, "y") + field(2, kind)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def onnx_library():
    found = [os.environ.get("QUERN_ONNX_LIB", "")]
    found += sorted(glob.glob(os.path.join(HERE, "../../build/lib/libonnxruntime.so*")))
    return next((f for f in found if f and os.path.exists(f)), None)


class Caller:
    def __init__(self, server, token, project):
        self.server, self.project = server, project
        self.headers = {"Authorization": "Bearer " + token}
        if project:
            self.headers["X-Quern-Project"] = project

    def __call__(self, method, path, body=None, want=200, raw=False, more=None):
        headers = {**self.headers, **(more or {})}
        if isinstance(body, (dict, list)):
            headers.setdefault("Content-Type", "application/json")
        a = self.server.request(method, path, body, headers=headers, raw=raw)
        if want:
            assert a.status in (want if isinstance(want, tuple) else (want,)), (method, path, a)
        return a

    def mlflow(self, name, body=None, method="POST", want=200):
        return self(method, "/api/2.0/mlflow/" + name, body, want)


def wait(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError("waited in vain for " + what)


PIPELINE = """
name: {name}
description: {mark}
steps:
  - name: work
    run: [sh, work.sh]
    outputs:
      note: {{kind: artifact, path: note.txt}}
"""


def populate(call, mark, op, serving):
    """The same names in each project, `mark` in everything that can hold a text; and once more with
    names that only this project has."""
    own = {"mark": mark}
    script = f"echo {mark}-log; echo {mark}-output > \"$QUERN_OUTPUTS/note.txt\"\n"
    import base64
    source = {"work.sh": base64.b64encode(script.encode()).decode()}
    for name in ("same", "only-" + mark.lower()):
        e = call.mlflow("experiments/create", {"name": name, "tags": [
            {"key": "note", "value": mark}]}).json["experiment_id"]
        call.mlflow("experiments/set-experiment-tag",
                    {"experiment_id": e, "key": "more", "value": mark})
        run = call.mlflow("runs/create", {
            "experiment_id": e, "run_name": "run " + mark, "start_time": 1,
            "tags": [{"key": "note", "value": mark}]}).json["run"]["info"]
        r = run["run_id"]
        call.mlflow("runs/log-batch", {
            "run_id": r, "metrics": [{"key": "m-" + mark, "value": 1, "timestamp": 1, "step": 0},
                                     {"key": "loss", "value": 1 if mark == "AAAA" else 2,
                                      "timestamp": 1, "step": 0}],
            "params": [{"key": "p", "value": mark}], "tags": [{"key": "t", "value": mark}]})
        call.mlflow("runs/log-inputs", {"run_id": r, "datasets": [{
            "tags": [{"key": "mlflow.data.context", "value": mark}],
            "dataset": {"name": "data " + mark, "digest": "d" + mark, "source_type": "local",
                        "source": mark}}]})
        root = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
        proxy = "/api/2.0/mlflow-artifacts/artifacts/"
        call("PUT", f"{proxy}{root}/note.txt", (mark + " bytes").encode(), raw=True)
        call("PUT", f"{proxy}same/path.txt", (mark + " same").encode(), raw=True)
        call("PUT", f"{proxy}{root}/model/model.onnx", onnx_model(op), raw=True)
        sha = call("GET", f"{proxy}{root}/note.txt").headers["ETag"].strip('"').split(":")[1]
        m = call.mlflow("logged-models", {
            "experiment_id": e, "name": "logged", "source_run_id": r,
            "params": [{"key": "p", "value": mark}],
            "tags": [{"key": "t", "value": mark}]}).json["model"]["info"]
        call("PUT", proxy + m["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/MLmodel",
             mark.encode(), raw=True)
        call.mlflow("logged-models/" + m["model_id"], {"status": "LOGGED_MODEL_READY"}, "PATCH")
        call.mlflow("registered-models/create", {"name": name, "description": mark,
                                                 "tags": [{"key": "t", "value": mark}]})
        call.mlflow("model-versions/create", {
            "name": name, "source": run["artifact_uri"] + "/model", "run_id": r,
            "description": mark})
        call.mlflow("registered-models/alias", {"name": name, "alias": "prod", "version": "1"})
        call("PUT", "/api/v1/endpoints/" + name, {"target": f"models:/{name}@prod"}, (200, 201))
        if serving:
            wait("the endpoint", lambda: call("GET", "/api/v1/endpoints/" + name).json["state"]
                 in ("ready", "failed"))
            state = call("GET", "/api/v1/endpoints/" + name).json
            assert state["state"] == "ready", state
        text = PIPELINE.format(name=name, mark=mark)
        call("PUT", "/api/v1/pipelines/" + name, {"definition": text, "files": source}, (200, 201))
        p = call("POST", f"/api/v1/pipelines/{name}/runs", {}, 201).json["id"]
        wait("the pipeline", lambda: call("GET", "/api/v1/pipeline-runs/" + p).json["state"]
             in ("succeeded", "failed"))
        done = call("GET", "/api/v1/pipeline-runs/" + p).json
        assert done["state"] == "succeeded", done
        own[name] = {"experiment": e, "run": r, "root": root, "sha": sha, "model": m["model_id"],
                     "pipeline_run": p, "name": name,
                     "output": done["steps"][0]["outputs"]["note"]["sha256"],
                     "file": done["files"][0]["sha256"]}
    return own


# ---- every operation, filled with the other project's ids

RUN_EVENTS = "/api/v1/runs/{run_id}/events"


def operations(doc):
    for path, item in doc["paths"].items():
        for method, op in item.items():
            # A stream of one's own run never ends; that of another project's is asked for below.
            if method in ("get", "post", "put", "patch", "delete") and path != RUN_EVENTS:
                yield method.upper(), path, op


def values_of(b):
    """What a field of this name can be filled with to name something of the other project."""
    name, root = b["name"], b["root"]
    ref = ["run:" + b["run"], f"model_version:{name}/1", "model:" + name, "endpoint:" + name,
           "logged_model:" + b["model"], "pipeline_run:" + b["pipeline_run"]]
    return {
        "run_id": [b["run"]], "run_uuid": [b["run"]], "run_ids": [b["run"]],
        "source_run_id": [b["run"]], "experiment_id": [b["experiment"]],
        "experiment_ids": [b["experiment"]], "model_id": [b["model"]], "name": [name],
        "experiment_name": [name], "new_name": ["renamed"], "version": ["1"], "alias": ["prod"],
        "key": ["t"], "value": ["x"], "tag_key": ["t"], "id": [b["pipeline_run"]],
        "step": ["work"], "sha256": [b["sha"], b["output"], b["file"]],
        "endpoint": [name], "model": [name],
        "path": [f"{root}/note.txt", root, "note.txt", "same/path.txt", ""],
        "artifact_path": ["note.txt", ""], "artifact_directory_path": [""],
        "artifact_file_path": ["MLmodel"], "node": ref, "metric_key": ["loss"],
        "target": [f"models:/{name}@prod"], "source": [f"runs:/{b['run']}/model",
                                                       f"mlflow-artifacts:/{root}/model",
                                                       "models:/" + b["model"]],
        "arm": ["main"], "monitor": ["m"], "revision": ["1"],
        "pipeline": [name], "stage": ["Production"], "q": [b["run"][:8], name],
        "role": ["admin"], "principal": ["bob"], "serialized_scorer": ["{}"], "description": ["d"],
    }


def resolve(schema, doc):
    while schema and "$ref" in schema:
        schema = doc["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema or {}


def fill(name, schema, values, which):
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if name in values:
        one = values[name][which % len(values[name])]
        if kind == "array":
            return [one]
        if kind in ("integer", "number"):
            return int(one) if one.isdigit() else 1
        return one
    return None


def attempts(doc, values):
    """Yields (operation, method, target, body) with everything that can be named named."""
    for method, path, op in operations(doc):
        params = [(p["name"], p["in"], resolve(p.get("schema"), doc))
                  for p in op.get("parameters", [])]
        content = op.get("requestBody", {}).get("content", {})
        properties = resolve(content.get("application/json", {}).get("schema"), doc).get(
            "properties", {})
        names = [n for n, _, _ in params] + list(properties)
        tries = max([len(values.get(n, [])) for n in names] + [1])
        for i in range(tries):
            target, query = path, {}
            for name, where, schema in params:
                v = fill(name, schema, values, i)
                if where == "path":
                    v = urllib.parse.quote(str(v or "nonesuch"), safe="/" if name == "path" else "")
                    target = target.replace("{" + name + "...}", v).replace("{" + name + "}", v)
                elif v is not None:
                    query[name] = v
            if query:
                target += "?" + urllib.parse.urlencode(query, doseq=True)
            body = None
            if method not in ("GET", "DELETE") or properties:
                body = {n: v for n, s in properties.items()
                        if (v := fill(n, resolve(s, doc), values, i)) is not None}
            yield op, method, target, body


# Operations whose success under the own project is right whatever ids they were given: they make
# something new of their own or tell of the caller's own project.
OWN = re.compile(r"^(ops\.(system|metrics)|access\.(whoami|principals\.list)|serving\.bundle\.key|tfs\.models|inference\.(models|stats|"
                 r"index)|.*\.search|.*\.search_get|.*search_datasets|.*\.list|lineage\.nodes|"
                 r"tracking\.server_info|artifact\.proxy\.(delete|upload|list)|"
                 r"tracking\.metrics\.history.*|artifact\.proxy\.(mpu-create|presigned)|side_door\..*|"
                 # Lists of what is found, links of no traces; what is not there is deleted already.
                 r"tracking\.(runs\.find|experiments\.runs)|trace\.(search_v2|batch|batch_infos|link_run)|datasets\.delete|"
                 r"access\.(users|user-permissions)\.current)$")
# Making something of a name that the other project uses, too, is anybody's right; a step may make
# the model whose version it registers.
CREATES = ("tracking.experiments.create", "registry.models.create")


def cross(doc, caller, other, where):
    """The caller, in its own project, names the other project's things."""
    tried = 0
    for key, b in other.items():
        if key == "mark" or key == "same":
            continue
        a = caller("GET", RUN_EVENTS.replace("{run_id}", b["run"]), want=None)
        if a.status != 404:
            complain(f"{where} events of {b['run']}", a)
        for op, method, target, body in attempts(doc, values_of(b)):
            name = op["operationId"]
            if name in CREATES or op["x-quern-permission"] in ("public", "system"):
                continue
            a = caller(method, target, body, want=None)
            tried += 1
            if other["mark"] in a.text:
                complain(f"{where} {name} {target} {body} shows the other project", a)
            if a.status >= 500 and a.status != 501 and "workspaces" not in name:
                complain(f"{where} {name} {target}", a)
            if a.status < 400 and not OWN.match(name):
                complain(f"{where} {name} {target} {body} succeeds", a)
    return tried


def foreign_names_of(a, other, own):
    """Ids of the other project that stand in an answer."""
    ids = [v for k, b in other.items() if k != "mark" for n, v in b.items()
           if n in ("run", "model", "pipeline_run")]
    ids += ["only-" + other["mark"].lower()]
    mine = json.dumps(own)
    return [i for i in ids if i in a.text and i not in mine]


def listings(doc, caller, own, other, where):
    """Everything that lists or searches, asked for as much as it gives; and the own things of the
    shared names: only the own side shows."""
    calls = 0
    values = values_of(own["same"])
    for op, method, target, body in attempts(doc, values):
        if method == "DELETE" or op["x-quern-permission"] not in ("public", "read"):
            continue
        a = caller(method, target, body, want=None)
        calls += 1
        if other["mark"] in a.text or foreign_names_of(a, other, own):
            complain(f"{where} {op['operationId']} {target} {body} shows the other project", a)
    for name, body in (("experiments/search", {"max_results": 1000, "view_type": "ALL"}),
                       ("runs/search", {"experiment_ids": [other["same"]["experiment"],
                                                           own["same"]["experiment"]],
                                        "run_view_type": "ALL"}),
                       ("logged-models/search", {"experiment_ids": [other["same"]["experiment"],
                                                                    own["same"]["experiment"]]})):
        a = caller.mlflow(name, body, want=None)
        calls += 1
        if other["mark"] in a.text or foreign_names_of(a, other, own):
            complain(f"{where} {name} shows the other project", a)
        if a.status == 200 and own["mark"] not in a.text:
            complain(f"{where} {name} does not show the own", a)
    for kind in ("registered-models/search", "model-versions/search"):
        a = caller("GET", "/api/2.0/mlflow/" + kind + "?max_results=1000")
        if other["mark"] in a.text or own["mark"] not in a.text:
            complain(f"{where} {kind}", a)
    for ref in values["node"]:
        for direction in ("upstream", "downstream", "both"):
            a = caller("GET", "/api/v1/lineage?" + urllib.parse.urlencode(
                {"node": ref, "direction": direction}), want=None)
            calls += 1
            if foreign_names_of(a, other, own) or other["mark"] in a.text:
                complain(f"{where} lineage of {ref}", a)
    return calls


def snapshot(call, own):
    """All that the owner sees of its project, but for clocks."""
    out = []
    for name, b in own.items():
        if name == "mark":
            continue
        for method, path in (
                ("GET", "/api/2.0/mlflow/experiments/get?experiment_id=" + b["experiment"]),
                ("GET", "/api/2.0/mlflow/runs/get?run_id=" + b["run"]),
                ("GET", "/api/2.0/mlflow/logged-models/" + b["model"]),
                ("GET", "/api/2.0/mlflow/registered-models/get?name=" + name),
                ("GET", f"/api/2.0/mlflow/model-versions/get?name={name}&version=1"),
                ("GET", f"/api/2.0/mlflow/registered-models/alias?name={name}&alias=prod"),
                ("GET", "/api/2.0/mlflow-artifacts/artifacts?path=" + b["root"]),
                ("GET", "/api/2.0/mlflow-artifacts/artifacts/same/path.txt"),
                ("GET", "/api/v1/endpoints/" + name),
                ("GET", "/api/v1/pipelines/" + name),
                ("GET", "/api/v1/pipeline-runs/" + b["pipeline_run"]),
                ("GET", "/api/v1/lineage?node=run:" + b["run"])):
            out.append((path, call(method, path).text))
    return out


def predictions(call, want):
    a = call("POST", "/v2/models/same/infer", {"inputs": [
        {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [4]}]})
    got = a.json["outputs"][0]["data"][0]
    if abs(got - want) > 1e-6:
        complain(f"prediction {got} instead of {want}", a)
    call("POST", "/v2/models/only-bbbb/infer", {"inputs": []}, 404 if want < 0 else 400)


def metrics(call, own, other, serving):
    a = call("GET", "/metrics")
    if serving and f'endpoint="only-{own["mark"].lower()}"' not in a.text:
        complain("metrics do not name the own endpoint", a)
    if "only-" + other["mark"].lower() in a.text:
        line = next(x for x in a.text.splitlines() if "only-" + other["mark"].lower() in x)
        complain("metrics name the other project's endpoint", line)
    assert "quern_http_requests_total" in a.text


# ---- run tokens

def run_token(s, root, project, keep):
    """A step hands out its token and lives on until the file `keep` is gone."""
    import base64
    out = keep + ".token"
    script = (f'printf "%s %s" "$MLFLOW_TRACKING_TOKEN" "$MLFLOW_RUN_ID" > {out}.tmp; '
              f'mv {out}.tmp {out}; while [ -e {keep} ]; do sleep 0.1; done\n')
    text = "name: holder\nsteps:\n  - name: hold\n    run: [sh, hold.sh]\n    cache: false\n"
    open(keep, "w").close()
    run = root("POST", "/api/v1/pipeline-runs", {
        "definition": text, "files": {"hold.sh": base64.b64encode(script.encode()).decode()}},
        201).json["id"]
    wait("the step's token", lambda: os.path.exists(out))
    token, tracking = open(out).read().split(" ")
    os.unlink(out)
    assert token.startswith("qn_") and len(tracking) == 32, (token[:3], tracking)
    return Caller(s, token, project), tracking, run


def tokens_of_runs(s, doc, root, own, other):
    keep = os.path.join(s.data, "..", f"quern-keep-{os.getpid()}")
    keep = os.path.abspath(keep)
    step, tracking, pipeline_run = run_token(s, root, None, keep)
    try:
        me = step("GET", "/api/v1/whoami").json
        assert me["kind"] == "run", me
        # its own run: yes
        step.mlflow("runs/log-metric", {"run_id": tracking, "key": "k", "value": 1, "timestamp": 1})
        step.mlflow("runs/set-tag", {"run_id": tracking, "key": "k", "value": "v"})
        info = step("GET", "/api/2.0/mlflow/runs/get?run_id=" + tracking).json["run"]["info"]
        path = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        step("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}/own.txt", b"own", raw=True)
        lm = step.mlflow("logged-models", {"experiment_id": info["experiment_id"], "name": "own",
                                           "source_run_id": tracking}).json["model"]["info"]
        step("PUT", "/api/2.0/mlflow-artifacts/artifacts/"
             + lm["artifact_uri"].removeprefix("mlflow-artifacts:/") + "/MLmodel", b"x", raw=True)
        span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": "s", "startTimeUnixNano": "1"}
        spans = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        headers = {"Content-Type": "application/json", "x-mlflow-experiment-id": info["experiment_id"]}
        a = s.request("POST", "/v1/traces", spans, {**step.headers, **headers}, raw=True)
        if a.status != 200:
            complain("a run's token may not trace in its experiment", a)
        a = s.request("POST", "/v1/traces", spans.replace(b"cdcd", b"cdce"), {**step.headers, **headers, "x-mlflow-run-id": own["same"]["run"]}, raw=True)
        if a.status != 403:
            complain("a run's token links traces to another run", a)
        datasets = "/api/3.0/mlflow/datasets/"
        made = step("POST", datasets + "create", {"name": "d", "experiment_ids": [info["experiment_id"]]}).json["dataset"]["dataset_id"]
        step("POST", datasets + made + "/records", {"records": '[{"inputs": {"q": 1}}]'})
        traced = {"trace": {"trace_info": {"trace_id": "tr-" + "ab" * 16, "trace_metadata": {"mlflow.sourceRun": own["same"]["run"]}, "trace_location": {
            "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": info["experiment_id"]}}}}}
        for method, path, body in (("POST", "/api/3.0/mlflow/traces", traced),
                                   ("POST", "/api/2.0/mlflow/traces", {"experiment_id": info["experiment_id"], "timestamp_ms": 1,
                                                                       "request_metadata": [{"key": "mlflow.sourceRun", "value": own["same"]["run"]}]}),
                                   ("POST", "/api/3.0/mlflow/traces/delete-traces", {"experiment_id": info["experiment_id"], "max_timestamp_millis": 1}),
                                   ("POST", datasets + made + "/remove-experiments", {"experiment_ids": [info["experiment_id"]]}),
                                   ("DELETE", datasets + made, None), ("DELETE", datasets + made + "/records", {"dataset_record_ids": ["x"]})):
            a = step(method, path, body, want=None)
            if a.status != 403:
                complain(f"a run's token may {method} {path} {body}", a)
        traced["trace"]["trace_info"]["trace_metadata"]["mlflow.sourceRun"] = tracking
        step("POST", "/api/3.0/mlflow/traces", traced)
        for b in (own, other):
            for experiments in ([b[k]["experiment"] for k in b if k != "mark"], []):
                a = step("POST", datasets + "create", {"name": "d", "experiment_ids": experiments}, want=None)
                if a.status < 400:
                    complain(f"a run's token makes a dataset of {experiments}", a)
                if b is other:
                    continue
                theirs = root("POST", datasets + "create", {"name": "d", "experiment_ids": experiments}).json["dataset"]["dataset_id"]
                for method, path, body in (("DELETE", "", None), ("PATCH", "/tags", {"tags": "{}"}), ("POST", "/records", {"records": "[]"})):
                    a = step(method, datasets + theirs + path, body, want=None)
                    if a.status != 403:
                        complain(f"a run's token may {method} {path} of a dataset of {experiments}", a)
            for k in b:
                if k == "mark":
                    continue
                a = s.request("POST", "/v1/traces", spans.replace(b"abab", b"abac"), {**step.headers, **headers, "x-mlflow-experiment-id": b[k]["experiment"]}, raw=True)
                if a.status < 400:
                    complain(f"a run's token traces in {b[k]['experiment']}", a)
        before = snapshot(root, own)
        # anything else of the same project, and of another: no
        tried = 0
        for target in (own, other):
            for name, b in target.items():
                if name == "mark":
                    continue
                for op, method, path, body in attempts(doc, values_of(b)):
                    if op["x-quern-permission"] in ("public", "read"):
                        continue
                    if "artifact.proxy.mpu" in op["operationId"] or op["operationId"] in (*CREATES, "datasets.delete"):
                        continue
                    a = step(method, path, body, want=None)
                    tried += 1
                    if a.status < 400:
                        complain(f"a run's token may {op['operationId']} {path} {body}", a)
                proxy = "/api/2.0/mlflow-artifacts/artifacts/"
                e, m = b["experiment"], b["model"]
                for method, path in (("PUT", f"{e}/models/{m}/artifacts/MLmodel"),
                                     ("PUT", f"{e}/models/{m}/artifacts/new.py"),
                                     ("DELETE", f"{e}/models/{m}/artifacts/MLmodel"),
                                     ("DELETE", f"{e}/models/{m}"), ("DELETE", f"{e}/models"),
                                     ("PUT", b["root"] + "/x"), ("DELETE", b["root"]),
                                     ("DELETE", e), ("PUT", "x")):
                    a = step(method, proxy + path, b"evil" if method == "PUT" else None, None, True)
                    tried += 1
                    if a.status < 400:
                        complain(f"a run's token may {method} {path}", a)
        for path, was in before:
            now = root("GET", path, want=None).text
            if now != was:
                complain(f"a run's token changed {path}", f"{was[:300]} -> {now[:300]}")
        foreign = Caller(s, step.headers["Authorization"][7:], "beta")
        a = foreign.mlflow("runs/get?run_id=" + other["same"]["run"], method="GET", want=None)
        if a.status < 400:
            complain("a run's token reads another project", a)
    finally:
        os.unlink(keep)
    wait("the end of the step", lambda: root("GET", "/api/v1/pipeline-runs/" + pipeline_run)
         .json["state"] in ("succeeded", "failed"))
    a = step.mlflow("runs/log-metric", {"run_id": tracking, "key": "k", "value": 2,
                                        "timestamp": 2}, want=None)
    if a.status != 401:
        complain("a step's token outlives the step", a)
    return tried


def main():
    library = onnx_library()
    args = ["--onnx-library", library] if library else []
    with Server(args=args) as s:
        first = s.post("/api/v1/tokens", {"principal": "root", "system": True}).json["token"]
        root = Caller(s, first, None)
        for p in ("alpha", "beta"):
            root("POST", "/api/v1/projects", {"name": p})
        callers = {}
        for who, project in (("alice", "alpha"), ("bob", "beta")):
            t = Caller(s, first, project)("POST", "/api/v1/tokens", {
                "principal": who, "role": "admin"}).json["token"]
            callers[project] = Caller(s, t, project)
        alice, bob = callers["alpha"], callers["beta"]
        doc = root("GET", "/openapi.json").json
        a = populate(alice, "AAAA", "Neg", library)
        b = populate(bob, "BBBB", "Sqrt", library)
        d = populate(root, "DDDD", "Abs", library)

        # The wrong project's name does not help, and tells nothing.
        stranger = Caller(s, alice.headers["Authorization"][7:], "beta")
        nowhere = Caller(s, alice.headers["Authorization"][7:], "nowhere")
        for op, method, target, body in attempts(doc, values_of(b["only-bbbb"])):
            if op["x-quern-permission"] == "public":
                continue
            got = stranger(method, target, body, want=None)
            # Accounts are the installation's: one may ask for one's own from anywhere.
            own = re.match(r"access\.(users|user-permissions)\.", op["operationId"]) and "bob" not in got.text
            if got.status != 403 and not own or "BBBB" in got.text:
                complain(f"alice in beta: {op['operationId']}", got)
        x, y = stranger("GET", "/api/v1/whoami", want=403), nowhere("GET", "/api/v1/whoami", want=403)
        if re.sub(r"[0-9a-f]{32}", "", x.text) != re.sub(r"[0-9a-f]{32}", "", y.text):
            complain("a project that exists looks unlike one that does not", f"{x} {y}")
        anonymous = s.request("GET", "/api/v1/whoami", headers={"X-Quern-Project": "beta"})
        missing = s.request("GET", "/api/v1/whoami", headers={"X-Quern-Project": "nowhere"})
        assert anonymous.status == missing.status == 401, (anonymous, missing)

        before = snapshot(bob, b), snapshot(alice, a)
        tried = cross(doc, alice, b, "alice names bob's:")
        if snapshot(bob, b) != before[0]:
            for (path, was), (_, now) in zip(before[0], snapshot(bob, b)):
                if was != now:
                    complain(f"alice changed bob's {path}", f"{was[:300]} -> {now[:300]}")
        tried += cross(doc, bob, a, "bob names alice's:")
        tried += cross(doc, root, b, "the default project names bob's:")
        calls = listings(doc, alice, a, b, "alice:") + listings(doc, bob, b, a, "bob:")
        if library:
            predictions(alice, -4)
            predictions(bob, 2)
        metrics(alice, a, b, library)
        metrics(bob, b, a, library)
        steps = tokens_of_runs(s, doc, root, d, b)
        print(f"{tried} calls with the other project's ids, {calls} listings, "
              f"{steps} calls by a step's token, serving {'tried' if library else 'left out'}")


main()
for p in problems[:80]:
    print(p)
print(f"{len(problems)} problems")
sys.exit(1 if problems else 0)
