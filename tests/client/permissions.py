# SPDX-License-Identifier: Apache-2.0
"""Every route that works on an experiment, a run, a model or a trace, against every permission that a
caller can hold on it. The table names what each route needs; the server's own OpenAPI document says
which routes there are, so a new one without a line here fails."""
import base64
import json
import sys
import urllib.parse

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import Server

PASSWORD = "a rather long secret"
LEVELS = ["NO_PERMISSIONS", "READ", "USE", "EDIT", "DELETE", "MANAGE"]
problems = []


def basic(name, password=PASSWORD):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def check(what, good, seen):
    if not good:
        problems.append(f"{what}: {seen}")


class Caller:
    def __init__(self, server, name, project=None):
        self.server, self.name = server, name
        self.headers = basic(name)
        if project:
            self.headers["X-Quern-Project"] = project

    def call(self, method, path, body=None, raw=False, headers=None):
        return self.server.request(method, path, body, {**self.headers, **(headers or {})}, raw=raw)

    def ok(self, method, path, body=None, **kw):
        a = self.call(method, path, body, **kw)
        assert a.status == 200, (self.name, method, path, a)
        return a


def q(**kw):
    return "?" + urllib.parse.urlencode(kw)


A2, A3 = "/api/2.0/mlflow/", "/api/3.0/mlflow/"


class Things:
    """One experiment and one registered model with something of every kind in them. The objects that
    permissions are on stay; what a call destroys is made anew by `fresh`."""

    def __init__(self, root):
        self.root = root
        self.n = 0
        self.exp = root.ok("POST", A2 + "experiments/create", {"name": "guarded"}).json["experiment_id"]
        self.model = "guarded"
        root.ok("POST", A2 + "registered-models/create", {"name": self.model})
        self.run = self.new_run()
        root.ok("POST", A2 + "runs/log-metric",
                {"run_id": self.run, "key": "m", "value": 1, "timestamp": 1, "step": 1})
        root.ok("POST", A2 + "runs/log-inputs", {"run_id": self.run, "datasets": [{"dataset": {
            "name": "d", "digest": "x", "source_type": "local", "source": "s"}}]})
        root.ok("PUT", self.file(), b"content", raw=True)
        self.sha = root.ok("GET", self.file()).headers["ETag"].strip('"').split(":")[1]
        self.version = self.new_version()
        self.logged = self.new_logged()
        root.ok("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{self.exp}/models/{self.logged}/artifacts/f",
                b"model", raw=True)
        self.trace = self.new_trace()
        self.new_scorer("guarded scorer")
        self.issue = root.ok("POST", A3 + "issues", {"experiment_id": self.exp, "name": "guarded",
                                                     "description": "d"}).json["issue"]["issue_id"]
        root.ok("POST", A2 + "registered-models/alias",
                {"name": self.model, "alias": "champion", "version": self.version})

    def file(self, name="f.txt"):
        return f"/api/2.0/mlflow-artifacts/artifacts/{self.exp}/{self.run}/artifacts/{name}"

    def new_run(self):
        return self.root.ok("POST", A2 + "runs/create",
                            {"experiment_id": self.exp, "start_time": 1}).json["run"]["info"]["run_id"]

    def new_version(self):
        return self.root.ok("POST", A2 + "model-versions/create", {
            "name": self.model, "run_id": self.run,
            "source": f"mlflow-artifacts:/{self.exp}/{self.run}/artifacts"}).json["model_version"]["version"]

    def new_logged(self):
        return self.root.ok("POST", A2 + "logged-models",
                            {"experiment_id": self.exp, "name": "lm"}).json["model"]["info"]["model_id"]

    def new_trace(self):
        self.n += 1
        info = {"trace_id": f"tr-{self.n}", "trace_location": {
            "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.exp}},
            "request_time": "2026-01-01T00:00:00Z", "state": "OK", "tags": {"k": "v"}}
        self.root.ok("POST", A3 + "traces", {"trace": {"trace_info": info}})
        return info["trace_id"]

    def new_dataset(self):
        made = self.root.ok("POST", A3 + "datasets/create", {"name": "d", "experiment_ids": [self.exp], "tags": '{"k": "v"}'})
        return made.json["dataset"]["dataset_id"]

    def new_scorer(self, name):
        self.root.ok("POST", A3 + "scorers/register",
                     {"experiment_id": self.exp, "name": name, "serialized_scorer": "{}"})
        return {"experiment_id": self.exp, "name": name}

    def new_assessment(self):
        return self.root.ok("POST", A3 + f"traces/{self.trace}/assessments", {
            "assessment": assessment()}).json["assessment"]["assessment_id"]

    def next(self, stem="x"):
        self.n += 1
        return f"{stem}{self.n}"


def assessment():
    return {"assessment_name": "good", "source": {"source_type": "HUMAN", "source_id": "me"},
            "feedback": {"value": True}}


def otlp(t):
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "%032x" % (1000 + t.n), "spanId": "%016x" % (1 + t.n), "name": t.next("s"),
        "startTimeUnixNano": "1", "endTimeUnixNano": "2"}]}]}]}


def tagged_run(t):
    run, key = t.new_run(), "k"
    t.root.ok("POST", A2 + "runs/set-tag", {"run_id": run, "key": key, "value": "v"})
    return {"run_id": run, "key": key}


def tagged(t, path, body):
    t.root.ok("POST", A2 + path, {**body, "value": "v"})
    return body


def aliased(t):
    t.root.ok("POST", A2 + "registered-models/alias",
              {"name": t.model, "alias": "gone", "version": t.version})
    return {"name": t.model, "alias": "gone"}


def gone_run(t):
    run = t.new_run()
    t.root.ok("POST", A2 + "runs/delete", {"run_id": run})
    return {"run_id": run}


def logged_with_tag(t):
    model = t.new_logged()
    t.root.ok("PATCH", A2 + f"logged-models/{model}/tags", {"tags": [{"key": "k", "value": "v"}]})
    return model


def trace_with_tag(t):
    trace = t.new_trace()
    return trace


def exp_back(t):
    t.root.call("POST", A2 + "experiments/restore", {"experiment_id": t.exp})


def exp_gone(t):
    t.root.call("POST", A2 + "experiments/delete", {"experiment_id": t.exp})
    return {"experiment_id": t.exp}


def mpu(t, step):
    path = f"/api/2.0/mlflow-artifacts/mpu/{step}/{t.exp}/{t.run}/artifacts"
    if step == "create":
        return "POST", path, {"path": "big.bin", "num_parts": 1}
    created = t.root.ok("POST", path.replace(step, "create"), {"path": t.next("big"), "num_parts": 1}).json
    name = f"big{t.n}"
    if step == "abort":
        return "POST", path, {"path": name, "upload_id": created["upload_id"]}
    url = urllib.parse.urlsplit(created["credentials"][0]["url"])
    part = t.root.call("PUT", url.path + "?" + url.query, b"part", raw=True)
    assert part.status == 200, part
    return "POST", path, {"path": name, "upload_id": created["upload_id"], "parts": [
        {"part_number": 1, "etag": part.headers["ETag"].strip('"')}]}


def v2_trace(t):
    return t.root.ok("POST", A2 + "traces", {"experiment_id": t.exp, "timestamp_ms": 1}).json[
        "trace_info"]["request_id"]


# id: (level needed, object, what to call). Objects: e the experiment, m the registered model.
X = {
    "tracking.experiments.get": ("READ", "e", lambda t: ("GET", A2 + "experiments/get" + q(experiment_id=t.exp))),
    "tracking.experiments.get_by_name": ("READ", "e", lambda t: ("GET", A2 + "experiments/get-by-name" + q(experiment_name="guarded"))),
    "tracking.experiments.update": ("EDIT", "e", lambda t: ("POST", A2 + "experiments/update", {"experiment_id": t.exp, "new_name": "guarded"})),
    "tracking.experiments.delete": ("DELETE", "e", lambda t: (exp_back(t), ("POST", A2 + "experiments/delete", {"experiment_id": t.exp}))[1], exp_back),
    "tracking.experiments.restore": ("DELETE", "e", lambda t: ("POST", A2 + "experiments/restore", exp_gone(t)), exp_back),
    "tracking.experiments.set_tag": ("EDIT", "e", lambda t: ("POST", A2 + "experiments/set-experiment-tag", {"experiment_id": t.exp, "key": "k", "value": "v"})),
    "tracking.experiments.delete_tag": ("EDIT", "e", lambda t: ("POST", A2 + "experiments/delete-experiment-tag", tagged(t, "experiments/set-experiment-tag", {"experiment_id": t.exp, "key": "k"}))),
    "tracking.experiments.columns": ("READ", "e", lambda t: ("GET", f"/api/v1/experiments/{t.exp}/columns")),
    "tracking.runs.create": ("EDIT", "e", lambda t: ("POST", A2 + "runs/create", {"experiment_id": t.exp, "start_time": 1})),
    "tracking.runs.get": ("READ", "e", lambda t: ("GET", A2 + "runs/get" + q(run_id=t.run))),
    "tracking.runs.update": ("EDIT", "e", lambda t: ("POST", A2 + "runs/update", {"run_id": t.run, "status": "RUNNING"})),
    "tracking.runs.delete": ("DELETE", "e", lambda t: ("POST", A2 + "runs/delete", {"run_id": t.new_run()})),
    "tracking.runs.restore": ("DELETE", "e", lambda t: ("POST", A2 + "runs/restore", gone_run(t))),
    "tracking.runs.set_tag": ("EDIT", "e", lambda t: ("POST", A2 + "runs/set-tag", {"run_id": t.run, "key": "k", "value": "v"})),
    "tracking.runs.delete_tag": ("EDIT", "e", lambda t: ("POST", A2 + "runs/delete-tag", tagged_run(t))),
    "tracking.runs.log_parameter": ("EDIT", "e", lambda t: ("POST", A2 + "runs/log-parameter", {"run_id": t.run, "key": t.next("p"), "value": "v"})),
    "tracking.runs.log_metric": ("EDIT", "e", lambda t: ("POST", A2 + "runs/log-metric", {"run_id": t.run, "key": "m", "value": 1, "timestamp": 1})),
    "tracking.runs.log_batch": ("EDIT", "e", lambda t: ("POST", A2 + "runs/log-batch", {"run_id": t.run, "tags": [{"key": "b", "value": "v"}]})),
    "tracking.runs.log_model": ("EDIT", "e", lambda t: ("POST", A2 + "runs/log-model", {"run_id": t.run, "model_json": json.dumps({"artifact_path": "m", "flavors": {}, "utc_time_created": "x", "run_id": t.run})})),
    "tracking.runs.log_inputs": ("EDIT", "e", lambda t: ("POST", A2 + "runs/log-inputs", {"run_id": t.run, "models": [{"model_id": t.logged}]})),
    "tracking.runs.outputs": ("EDIT", "e", lambda t: ("POST", A2 + "runs/outputs", {"run_id": t.run, "models": [{"model_id": t.logged, "step": 1}]})),
    "tracking.runs.events": ("READ", "e", lambda t: ("GET", f"/api/v1/runs/{ended(t)}/events")),
    "tracking.metrics.history": ("READ", "e", lambda t: ("GET", A2 + "metrics/get-history" + q(run_id=t.run, metric_key="m"))),
    "tracking.metrics.history_bulk": ("READ", "e", lambda t: ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk" + q(run_id=t.run, metric_key="m"))),
    "tracking.metrics.history_interval": ("READ", "e", lambda t: ("GET", A2 + "metrics/get-history-bulk-interval" + q(run_ids=t.run, metric_key="m"))),
    "tracking.metrics.sample": ("READ", "e", lambda t: ("GET", f"/api/v1/runs/{t.run}/metrics/m")),
    "tracking.artifacts.list": ("READ", "e", lambda t: ("GET", A2 + "artifacts/list" + q(run_id=t.run))),
    "tracking.artifacts.get": ("READ", "e", lambda t: ("GET", "/get-artifact" + q(run_id=t.run, path="f.txt"))),
    "tracking.artifacts.presigned_upload": ("EDIT", "e", lambda t: ("POST", A2 + "artifacts/presigned-upload-url", {"run_id": t.run, "path": "u.txt"})),
    "tracking.artifacts.presigned_download": ("READ", "e", lambda t: ("POST", A2 + "artifacts/presigned-download-url", {"run_id": t.run, "path": "f.txt"})),
    "tracking.artifacts.upload": ("EDIT", "e", lambda t: ("POST", "/ajax-api/2.0/mlflow/upload-artifact" + q(run_uuid=t.run, path="w.txt"), b"x")),
    "tracking.logged_models.create": ("EDIT", "e", lambda t: ("POST", A2 + "logged-models", {"experiment_id": t.exp, "name": "n"})),
    "tracking.logged_models.get": ("READ", "e", lambda t: ("GET", A2 + f"logged-models/{t.logged}")),
    "tracking.logged_models.finalize": ("EDIT", "e", lambda t: ("PATCH", A2 + f"logged-models/{t.logged}", {"model_id": t.logged, "status": "LOGGED_MODEL_READY"})),
    "tracking.logged_models.delete": ("DELETE", "e", lambda t: ("DELETE", A2 + f"logged-models/{t.new_logged()}")),
    "tracking.logged_models.set_tags": ("EDIT", "e", lambda t: ("PATCH", A2 + f"logged-models/{t.logged}/tags", {"tags": [{"key": "k", "value": "v"}]})),
    "tracking.logged_models.delete_tag": ("EDIT", "e", lambda t: ("DELETE", A2 + f"logged-models/{logged_with_tag(t)}/tags/k")),
    "tracking.logged_models.log_params": ("EDIT", "e", lambda t: ("POST", A2 + f"logged-models/{t.logged}/params", {"params": [{"key": "p", "value": "v"}]})),
    "tracking.logged_models.list": ("READ", "e", lambda t: ("GET", A2 + f"logged-models/{t.logged}/artifacts/directories")),
    "tracking.logged_models.file": ("READ", "e", lambda t: ("GET", f"/ajax-api/2.0/mlflow/logged-models/{t.logged}/artifacts/files" + q(artifact_file_path="f"))),

    "artifact.proxy.list": ("READ", "e", lambda t: ("GET", "/api/2.0/mlflow-artifacts/artifacts" + q(path=f"{t.exp}/{t.run}/artifacts"))),
    "artifact.proxy.download": ("READ", "e", lambda t: ("GET", t.file())),
    "artifact.proxy.upload": ("EDIT", "e", lambda t: ("PUT", t.file("new.txt"), b"new")),
    "artifact.proxy.delete": ("DELETE", "e", lambda t: (t.root.ok("PUT", t.file("old.txt"), b"o", raw=True), ("DELETE", t.file("old.txt")))[1]),
    "artifact.proxy.mpu-create": ("EDIT", "e", lambda t: mpu(t, "create")),
    "artifact.proxy.mpu-complete": ("EDIT", "e", lambda t: mpu(t, "complete")),
    "artifact.proxy.mpu-abort": ("EDIT", "e", lambda t: mpu(t, "abort")),
    "artifact.proxy.presigned": ("READ", "e", lambda t: ("GET", t.file().replace("/artifacts/", "/presigned/", 1))),
    "artifact.blobs.get": ("READ", "e404", lambda t: ("GET", "/api/v1/blobs/" + t.sha)),

    "trace.create": ("EDIT", "e", lambda t: ("POST", A3 + "traces", {"trace": {"trace_info": {"trace_id": t.next("tr-new"), "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": t.exp}}, "request_time": "2026-01-01T00:00:00Z", "state": "OK"}}})),
    "trace.info": ("READ", "e", lambda t: ("GET", A3 + f"traces/{t.trace}")),
    "trace.info_v2_in_v3": ("READ", "e", lambda t: ("GET", A2 + f"traces/{t.trace}")),
    "trace.info_v2": ("READ", "e", lambda t: ("GET", A2 + f"traces/{t.trace}/info")),
    "trace.get": ("READ", "e", lambda t: ("GET", A3 + "traces/get" + q(trace_id=spanned(t)))),
    "trace.delete": ("DELETE", "e", lambda t: ("POST", A3 + "traces/delete-traces", {"experiment_id": t.exp, "request_ids": [t.new_trace()]})),
    "trace.delete_v2": ("DELETE", "e", lambda t: ("POST", A2 + "traces/delete-traces", {"experiment_id": t.exp, "request_ids": [t.new_trace()]})),
    "trace.set_tag": ("EDIT", "e", lambda t: ("PATCH", A3 + f"traces/{t.trace}/tags", {"key": "k", "value": "v"})),
    "trace.set_tag_v2": ("EDIT", "e", lambda t: ("PATCH", A2 + f"traces/{t.trace}/tags", {"key": "k", "value": "v"})),
    "trace.delete_tag": ("EDIT", "e", lambda t: ("DELETE", A3 + f"traces/{trace_with_tag(t)}/tags", {"key": "k"})),
    "trace.delete_tag_v2": ("EDIT", "e", lambda t: ("DELETE", A2 + f"traces/{trace_with_tag(t)}/tags", {"key": "k"})),
    "trace.link_run": ("EDIT", "e", lambda t: ("POST", A2 + "traces/link-to-run", {"trace_ids": [t.trace], "run_id": t.run})),
    "trace.link_prompts": ("EDIT", "e", lambda t: ("POST", A2 + "traces/link-prompts", {"trace_id": t.trace, "prompt_versions": [{"name": "p", "version": "1"}]})),
    "trace.begin_v2": ("EDIT", "e", lambda t: ("POST", A2 + "traces", {"experiment_id": t.exp, "timestamp_ms": 1})),
    "trace.end_v2": ("EDIT", "e", lambda t: ("PATCH", A2 + f"traces/{v2_trace(t)}", {"timestamp_ms": 2, "status": "OK"})),
    "trace.artifact": ("READ", "e", lambda t: ("GET", "/ajax-api/3.0/mlflow/get-trace-artifact" + q(request_id=spanned(t)))),
    "trace.artifact_v2": ("READ", "e", lambda t: ("GET", "/ajax-api/2.0/mlflow/get-trace-artifact" + q(request_id=spanned(t)))),
    "trace.otlp": ("EDIT", "e", lambda t: ("POST", "/v1/traces", otlp(t), {"X-Mlflow-Experiment-Id": t.exp})),
    "trace.assessments.create": ("EDIT", "e", lambda t: ("POST", A3 + f"traces/{t.trace}/assessments", {"assessment": assessment()})),
    "trace.assessments.create_v2": ("EDIT", "e", lambda t: ("POST", A2 + f"traces/{t.trace}/assessments", {"assessment": assessment()})),
    "trace.assessments.get": ("READ", "e", lambda t: ("GET", A3 + f"traces/{t.trace}/assessments/{t.new_assessment()}")),
    "trace.assessments.update": ("EDIT", "e", lambda t: ("PATCH", A3 + f"traces/{t.trace}/assessments/{t.new_assessment()}", {"assessment": {"rationale": "r"}, "update_mask": "rationale"})),
    "trace.assessments.update_v2": ("EDIT", "e", lambda t: ("PATCH", A2 + f"traces/{t.trace}/assessments/{t.new_assessment()}", {"assessment": {"rationale": "r"}, "update_mask": "rationale"})),
    "trace.assessments.delete": ("EDIT", "e", lambda t: ("DELETE", A3 + f"traces/{t.trace}/assessments/{t.new_assessment()}")),
    "trace.assessments.delete_v2": ("EDIT", "e", lambda t: ("DELETE", A2 + f"traces/{t.trace}/assessments/{t.new_assessment()}")),

    "datasets.create": ("EDIT", "e", lambda t: ("POST", A3 + "datasets/create", {"name": "d", "experiment_ids": [t.exp]})),
    "datasets.get": ("READ", "e", lambda t: ("GET", A3 + f"datasets/{t.new_dataset()}")),
    "datasets.delete": ("DELETE", "e", lambda t: ("DELETE", A3 + f"datasets/{t.new_dataset()}")),
    "datasets.set_tags": ("EDIT", "e", lambda t: ("PATCH", A3 + f"datasets/{t.new_dataset()}/tags", {"tags": "{}"})),
    "datasets.delete_tag": ("EDIT", "e", lambda t: ("DELETE", A3 + f"datasets/{t.new_dataset()}/tags/k")),
    "datasets.add_experiments": ("EDIT", "e", lambda t: ("POST", A3 + f"datasets/{t.new_dataset()}/add-experiments", {"experiment_ids": [t.exp]})),
    "datasets.remove_experiments": ("EDIT", "e", lambda t: ("POST", A3 + f"datasets/{t.new_dataset()}/remove-experiments", {"experiment_ids": ["0"]})),
    "datasets.experiment_ids": ("READ", "e", lambda t: ("GET", A3 + f"datasets/{t.new_dataset()}/experiment-ids")),
    "datasets.upsert_records": ("EDIT", "e", lambda t: ("POST", A3 + f"datasets/{t.new_dataset()}/records", {"records": "[]"})),
    "datasets.records": ("READ", "e", lambda t: ("GET", A3 + f"datasets/{t.new_dataset()}/records")),
    "datasets.delete_records": ("EDIT", "e", lambda t: ("DELETE", A3 + f"datasets/{t.new_dataset()}/records", {"dataset_record_ids": []})),
    "scorers.register": ("EDIT", "e", lambda t: ("POST", A3 + "scorers/register", {"experiment_id": t.exp, "name": "s", "serialized_scorer": "{}"})),
    "scorers.versions": ("READ", "e", lambda t: ("GET", A3 + "scorers/versions" + q(experiment_id=t.exp, name="guarded scorer"))),
    "scorers.get": ("READ", "e", lambda t: ("GET", A3 + "scorers/get" + q(experiment_id=t.exp, name="guarded scorer"))),
    "scorers.delete": ("DELETE", "e", lambda t: ("DELETE", A3 + "scorers/delete", t.new_scorer("doomed"))),
    "issues.create": ("EDIT", "e", lambda t: ("POST", A3 + "issues", {"experiment_id": t.exp, "name": "n", "description": "d"})),
    "issues.get": ("READ", "e", lambda t: ("GET", A3 + "issues/" + t.issue)),
    "issues.update": ("EDIT", "e", lambda t: ("PATCH", A3 + "issues/" + t.issue, {"status": "resolved"})),

    "registry.models.get": ("READ", "m", lambda t: ("GET", A2 + "registered-models/get" + q(name=t.model))),
    "registry.models.update": ("EDIT", "m", lambda t: ("PATCH", A2 + "registered-models/update", {"name": t.model, "description": "d"})),
    "registry.models.rename": ("EDIT", "m", lambda t: ("POST", A2 + "registered-models/rename", {"name": t.model, "new_name": t.model})),
    "registry.models.latest": ("READ", "m", lambda t: ("POST", A2 + "registered-models/get-latest-versions", {"name": t.model})),
    "registry.models.latest-get": ("READ", "m", lambda t: ("GET", A2 + "registered-models/get-latest-versions" + q(name=t.model))),
    "registry.models.set-tag": ("EDIT", "m", lambda t: ("POST", A2 + "registered-models/set-tag", {"name": t.model, "key": "k", "value": "v"})),
    "registry.models.delete-tag": ("EDIT", "m", lambda t: ("DELETE", A2 + "registered-models/delete-tag", tagged(t, "registered-models/set-tag", {"name": t.model, "key": "k"}))),
    "registry.aliases.set": ("EDIT", "m", lambda t: ("POST", A2 + "registered-models/alias", {"name": t.model, "alias": "a", "version": t.version})),
    "registry.aliases.get": ("READ", "m", lambda t: ("GET", A2 + "registered-models/alias" + q(name=t.model, alias="champion"))),
    "registry.aliases.delete": ("DELETE", "m", lambda t: ("DELETE", A2 + "registered-models/alias", aliased(t))),
    "registry.versions.create": ("EDIT", "m", lambda t: ("POST", A2 + "model-versions/create", {"name": t.model, "source": "s3://bucket/m"})),
    "registry.versions.get": ("READ", "m", lambda t: ("GET", A2 + "model-versions/get" + q(name=t.model, version=t.version))),
    "registry.versions.update": ("EDIT", "m", lambda t: ("PATCH", A2 + "model-versions/update", {"name": t.model, "version": t.version, "description": "d"})),
    "registry.versions.delete": ("DELETE", "m", lambda t: ("DELETE", A2 + "model-versions/delete", {"name": t.model, "version": t.new_version()})),
    "registry.versions.transition": ("EDIT", "m", lambda t: ("POST", A2 + "model-versions/transition-stage", {"name": t.model, "version": t.version, "stage": "Staging"})),
    "registry.versions.download-uri": ("READ", "m", lambda t: ("GET", A2 + "model-versions/get-download-uri" + q(name=t.model, version=t.version))),
    "registry.versions.set-tag": ("EDIT", "m", lambda t: ("POST", A2 + "model-versions/set-tag", {"name": t.model, "version": t.version, "key": "k", "value": "v"})),
    "registry.versions.delete-tag": ("DELETE", "m", lambda t: ("DELETE", A2 + "model-versions/delete-tag", tagged(t, "model-versions/set-tag", {"name": t.model, "version": t.version, "key": "k"}))),
    "registry.versions.artifact": ("READ", "me", lambda t: ("GET", "/model-versions/get-artifact" + q(name=t.model, version=t.version, path="f.txt"))),
    "registry.models.delete": ("DELETE", "m", None),  # last, by itself

    "access.experiment-permissions.get": ("MANAGE", "e", lambda t: ("GET", A2 + "experiments/permissions/get" + q(experiment_id=t.exp, username="u_read"))),
    "access.experiment-permissions.create": ("MANAGE", "e", lambda t: ("POST", A2 + "experiments/permissions/create", {"experiment_id": t.exp, "username": t.fresh_user(), "permission": "READ"})),
    "access.experiment-permissions.update": ("MANAGE", "e", lambda t: ("PATCH", A2 + "experiments/permissions/update", {"experiment_id": t.exp, "username": "u_read", "permission": "READ"})),
    "access.experiment-permissions.delete": ("MANAGE", "e", lambda t: ("DELETE", A2 + "experiments/permissions/delete", {"experiment_id": t.exp, "username": t.granted_user("experiments", {"experiment_id": t.exp})})),
    "access.model-permissions.get": ("MANAGE", "m", lambda t: ("GET", A2 + "registered-models/permissions/get" + q(name=t.model, username="u_read"))),
    "access.model-permissions.create": ("MANAGE", "m", lambda t: ("POST", A2 + "registered-models/permissions/create", {"name": t.model, "username": t.fresh_user(), "permission": "READ"})),
    "access.model-permissions.update": ("MANAGE", "m", lambda t: ("PATCH", A2 + "registered-models/permissions/update", {"name": t.model, "username": "u_read", "permission": "READ"})),
    "access.model-permissions.delete": ("MANAGE", "m", lambda t: ("DELETE", A2 + "registered-models/permissions/delete", {"name": t.model, "username": t.granted_user("registered-models", {"name": t.model})})),
    "access.user-permissions.grant": ("MANAGE", "e", lambda t: ("POST", A3 + "users/permissions/grant", {"username": "u_read", "resource_type": "experiment", "resource_id": t.exp, "permission": "READ"})),
    "access.user-permissions.revoke": ("MANAGE", "m", lambda t: ("POST", A3 + "users/permissions/revoke", {"username": t.granted_user("registered-models", {"name": t.model}), "resource_type": "registered_model", "resource_id": t.model})),
    "access.user-permissions.get": ("MANAGE", "e", lambda t: ("GET", A3 + "users/permissions/get" + q(username="other", resource_type="experiment", resource_id=t.exp))),
}

# Answered 200 whatever one may read, with what one may not read left out.
SEARCHES = {
    "tracking.experiments.search": ("e", lambda t: ("POST", A2 + "experiments/search", {"max_results": 100}), "guarded"),
    "tracking.experiments.search_get": ("e", lambda t: ("GET", A2 + "experiments/search" + q(max_results=100)), "guarded"),
    "tracking.experiments.search_datasets": ("e", lambda t: ("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [t.exp]}), '"digest"'),
    "tracking.runs.search": ("e", lambda t: ("POST", A2 + "runs/search", {"experiment_ids": [t.exp]}), "run_id"),
    "tracking.runs.find": ("e", lambda t: ("POST", "/api/v1/runs/search", {"experiment_ids": [t.exp]}), "run_id"),
    "tracking.experiments.runs": ("e", lambda t: ("GET", f"/api/v1/experiments/{t.exp}/runs"), "run_id"),
    "tracking.logged_models.search": ("e", lambda t: ("POST", A2 + "logged-models/search", {"experiment_ids": [t.exp]}), "model_id"),
    "trace.search": ("e", lambda t: ("POST", A3 + "traces/search", {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": t.exp}}]}), "trace_id"),
    "trace.search_v2": ("e", lambda t: ("GET", A2 + "traces" + q(experiment_ids=t.exp)), "request_id"),
    "trace.metrics": ("e", lambda t: ("POST", A3 + "traces/metrics", {"experiment_ids": [t.exp], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}], "dimensions": ["trace_status"]}), "data_points"),
    "trace.correlation": ("e", lambda t: ("POST", A3 + "traces/calculate-filter-correlation", {"experiment_ids": [t.exp], "filter_string1": "status LIKE '%'", "filter_string2": "status LIKE '%'"}), "npmi"),
    "trace.batch": ("e", lambda t: ("GET", A3 + "traces/batchGet" + q(trace_ids=spanned(t))), "trace_id"),
    "trace.batch_infos": ("e", lambda t: ("POST", A3 + "traces/batchGetInfos", {"trace_ids": [t.trace]}), "trace_id"),
    "datasets.search": ("e", lambda t: (t.new_dataset(), ("POST", A3 + "datasets/search", {"experiment_ids": [t.exp]}))[1], "dataset_id"),
    "datasets.search_get": ("e", lambda t: (t.new_dataset(), ("GET", A3 + "datasets/search" + q(experiment_ids=t.exp)))[1], "dataset_id"),
    "scorers.list": ("e", lambda t: ("GET", A3 + "scorers/list" + q(experiment_ids=t.exp)), "guarded scorer"),
    "issues.search": ("e", lambda t: ("POST", A3 + "issues/search", {"experiment_id": t.exp}), "issue_id"),
    "registry.models.search": ("m", lambda t: ("GET", A2 + "registered-models/search"), "guarded"),
    "registry.versions.search": ("m", lambda t: ("GET", A2 + "model-versions/search"), "guarded"),
}
# Anybody of the project may; readers may not.
MAKES = {
    "tracking.experiments.create": lambda t: ("POST", A2 + "experiments/create", {"name": t.next("e")}),
    "registry.models.create": lambda t: ("POST", A2 + "registered-models/create", {"name": t.next("m")}),
}
# Rows without an object: each with its reason.
FREE = {
    "tracking.server_info": "tells of the server alone", "trace.unified": "declared and empty",
    "trace.online_details": "declared and empty", "artifact.gc": "administrators'",
    "artifact.proxy.part": "signed", "artifact.proxy.signed-get": "signed",
    "artifact.proxy.signed-put": "signed", "scorers.online_configs": "none is ever there",
}


def ended(t):
    run = t.new_run()
    t.root.ok("POST", A2 + "runs/update", {"run_id": run, "status": "FINISHED", "end_time": 2})
    return run


def spanned(t):
    body = otlp(t)
    t.root.ok("POST", "/v1/traces", body, headers={"X-Mlflow-Experiment-Id": t.exp})
    return "tr-" + body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"]


def fire(caller, made):
    method, path, body, headers = (list(made) + [None, None])[:4]
    return caller.call(method, path, body, raw=isinstance(body, bytes), headers=headers)


def main():
    with Server() as server:
        run(server)
    for p in problems:
        print(p)
    assert not problems, f"{len(problems)} problems"
    print("permissions: every route against every permission")


def datasets(root, callers, t):
    """Every experiment of a dataset has a say; where it has none, the role on the project."""
    free = t.root.ok("POST", A3 + "datasets/create", {"name": "free"}).json["dataset"]["dataset_id"]
    both = t.root.ok("POST", A3 + "datasets/create", {"name": "both", "experiment_ids": [t.exp, "0"]}).json["dataset"]["dataset_id"]
    reads = {"u_manage": 200, "u_none": 403, "writer": 200, "reader": 200, "writer_barred": 403}
    edits = {"u_manage": 403, "u_edit": 403, "writer": 200, "reader": 403, "writer_barred": 403, "padmin": 200}
    for name, want in reads.items():
        check(f"both read by {name}", callers[name][0].call("GET", A3 + f"datasets/{both}").status == want, want)
        seen = callers[name][0].ok("POST", A3 + "datasets/search", {"experiment_ids": ["0"]})
        check(f"both found by {name}", (both in json.dumps(seen.json)) == (want == 200), seen)
    for name, want in edits.items():
        a = callers[name][0].call("PATCH", A3 + f"datasets/{both}/tags", {"tags": "{}"})
        check(f"both edited by {name}", a.status == want, a)
    for name, read, edit in (("reader", 200, 403), ("writer", 200, 200), ("u_default", 200, 403), ("writer_barred", 200, 200), ("padmin", 200, 200)):
        a = callers[name][0].call("GET", A3 + f"datasets/{free}")
        check(f"free read by {name}", a.status == read, a)
        a = callers[name][0].call("PATCH", A3 + f"datasets/{free}/tags", {"tags": "{}"})
        check(f"free edited by {name}", a.status == edit, a)
        a = callers[name][0].call("POST", A3 + "datasets/create", {"name": "mine"})
        check(f"made by {name}", a.status == edit, a)
    # What only few could read does not open itself to all when its experiment is erased.
    gone = root.ok("POST", A2 + "experiments/create", {"name": "gone"}).json["experiment_id"]
    root.ok("POST", A2 + "experiments/permissions/create", {"experiment_id": gone, "username": "writer_barred", "permission": "NO_PERMISSIONS"})
    orphan = root.ok("POST", A3 + "datasets/create", {"name": "orphan", "experiment_ids": [gone]}).json["dataset"]["dataset_id"]
    two = root.ok("POST", A3 + "datasets/create", {"name": "two", "experiment_ids": [gone, "0"]}).json["dataset"]["dataset_id"]
    barred = callers["writer_barred"][0]
    check("barred before", barred.call("GET", A3 + f"datasets/{orphan}").status == 403, "")
    root.ok("POST", A2 + "experiments/delete", {"experiment_id": gone})
    root.ok("DELETE", f"/api/v1/trash/experiment/{gone}")
    for name, want in (("writer_barred", 403), ("writer", 403), ("u_default", 403), ("padmin", 200)):
        a = callers[name][0].call("GET", A3 + f"datasets/{orphan}")
        check(f"orphan read by {name}", a.status == want, a)
        seen = callers[name][0].ok("POST", A3 + "datasets/search", {"filter_string": "name = 'orphan'"})
        check(f"orphan found by {name}", (orphan in json.dumps(seen.json)) == (want == 200), seen)
        a = callers[name][0].call("GET", A3 + f"datasets/{two}")
        check(f"two read by {name}", a.status == 200, a)
    a = callers["padmin"][0].call("POST", A3 + f"datasets/{orphan}/add-experiments", {"experiment_ids": ["0"]})
    check("orphan joined anew", a.status == 200, a)
    a = callers["writer"][0].call("GET", A3 + f"datasets/{orphan}")
    check("orphan read by writer again", a.status == 200, a)
    root.ok("POST", A3 + f"datasets/{orphan}/remove-experiments", {"experiment_ids": ["0"]})
    a = callers["writer"][0].call("GET", A3 + f"datasets/{orphan}")
    check("left on purpose: the role decides", a.status == 200, a)
    for name, want in (("u_edit", 403), ("u_manage", 403), ("writer", 200), ("padmin", 200)):
        a = callers[name][0].call("POST", A3 + f"datasets/{t.new_dataset()}/remove-experiments", {"experiment_ids": [t.exp]})
        check(f"taken out of its last experiment by {name}", a.status == want, a)
    a = callers["u_manage"][0].call("POST", A3 + f"datasets/{t.new_dataset()}/add-experiments", {"experiment_ids": ["0"]})
    check("joined to what one may only read", a.status == 403, a)


def run(server):
    # The first user administers the installation and ends local mode.
    a = server.post(A2 + "users/create", {"username": "root", "password": PASSWORD})
    assert a.status == 200 and a.json["user"]["is_admin"] is True, a
    root = Caller(server, "root")
    t = Things(root)

    def user(name):
        root.ok("POST", A2 + "users/create", {"username": name, "password": PASSWORD})
        return name

    def fresh_user():
        return user(t.next("fresh"))

    def granted_user(kind, key):
        name = fresh_user()
        root.ok("POST", A2 + kind + "/permissions/create", {**key, "username": name, "permission": "READ"})
        return name
    # Making users costs a tenth of a second each: two are enough.
    pool = {"fresh": None}

    def cheap_fresh():
        if not pool["fresh"]:
            pool["fresh"] = fresh_user()
        for kind, key in (("experiments", {"experiment_id": t.exp}), ("registered-models", {"name": t.model})):
            root.call("DELETE", A2 + kind + "/permissions/delete", {**key, "username": pool["fresh"]})
        return pool["fresh"]

    def cheap_granted(kind, key):
        name = cheap_fresh()
        root.ok("POST", A2 + kind + "/permissions/create", {**key, "username": name, "permission": "READ"})
        return name
    t.fresh_user, t.granted_user = cheap_fresh, cheap_granted

    callers = {}
    for name, level in (("u_none", "NO_PERMISSIONS"), ("u_read", "READ"), ("u_use", "USE"),
                        ("u_edit", "EDIT"), ("u_manage", "MANAGE")):
        user(name)
        root.ok("POST", A2 + "experiments/permissions/create",
                {"experiment_id": t.exp, "username": name, "permission": level})
        root.ok("POST", A2 + "registered-models/permissions/create",
                {"name": t.model, "username": name, "permission": level})
        callers[name] = (Caller(server, name), level)
    callers["u_default"] = (Caller(server, user("u_default")), "READ")
    for name, role, level in (("reader", "reader", "READ"), ("writer", "writer", "DELETE"),
                              ("padmin", "admin", "MANAGE")):
        root.ok("POST", "/api/v1/principals", {"name": name, "password": PASSWORD, "role": role})
        callers[name] = (Caller(server, name), level)
    # A role that a grant takes away from, and adds to.
    for name, role, level in (("writer_barred", "writer", "NO_PERMISSIONS"),
                              ("reader_raised", "reader", "EDIT")):
        root.ok("POST", "/api/v1/principals", {"name": name, "password": PASSWORD, "role": role})
        root.ok("POST", A2 + "experiments/permissions/create",
                {"experiment_id": t.exp, "username": name, "permission": level})
        root.ok("POST", A2 + "registered-models/permissions/create",
                {"name": t.model, "username": name, "permission": level})
        callers[name] = (Caller(server, name), level)
    # Known to the installation, but not to the project.
    root.ok("POST", "/api/v1/principals", {"name": "stranger", "password": PASSWORD})
    root.ok("POST", "/api/v1/projects", {"name": "elsewhere"})
    other = Caller(server, "root", project="elsewhere")
    other.ok("POST", "/api/v1/principals", {"name": "other", "password": PASSWORD, "role": "admin"})
    callers["root"] = (root, "MANAGE")
    outside = {"stranger": Caller(server, "stranger"), "other": Caller(server, "other")}

    calls = 0
    for ident, row in X.items():
        need, kind, make = row[:3]
        if not make:
            continue
        for name, (caller, level) in callers.items():
            made = make(t)
            answer = fire(caller, made)
            calls += 1
            may = LEVELS.index(level) >= LEVELS.index(need)
            want = 200 if may else 404 if kind == "e404" else 403
            check(f"{ident} by {name} ({level}, needs {need})", answer.status == want, answer)
            if want == 403 and "/api/v1/" not in made[1]:
                check(f"{ident} by {name}: error code", answer.json.get("error_code") == "PERMISSION_DENIED", answer)
            if len(row) > 3:
                row[3](t)
        for name, caller in outside.items():
            answer = fire(caller, make(t))
            check(f"{ident} by {name}", answer.status == 403, answer)
            if len(row) > 3:
                row[3](t)
        there = Caller(server, "other", project="elsewhere")
        answer = fire(there, make(t))
        # In one's own project the other's object is not there: nothing of it may show.
        check(f"{ident} from another project", answer.status in (400, 404) or
              (answer.status == 200 and "guarded" not in answer.text and t.run not in answer.text), answer)
        if len(row) > 3:
            row[3](t)
    for ident, (kind, make, token) in SEARCHES.items():
        for name, (caller, level) in callers.items():
            answer = fire(caller, make(t))
            calls += 1
            check(f"{ident} by {name}", answer.status == 200, answer)
            check(f"{ident} by {name} ({level})", (token in answer.text) == (level != "NO_PERMISSIONS"), answer)
        for name, caller in outside.items():
            check(f"{ident} by {name}", fire(caller, make(t)).status == 403, name)
    for ident, make in MAKES.items():
        for name, (caller, level) in callers.items():
            answer = fire(caller, make(t))
            want = 403 if name in ("reader", "reader_raised") else 200
            check(f"{ident} by {name}", answer.status == want, answer)
        for name, caller in outside.items():
            check(f"{ident} by {name}", fire(caller, make(t)).status == 403, name)

    known = set(X) | set(SEARCHES) | set(MAKES) | set(FREE)
    routes = {o["operationId"] for ms in root.ok("GET", "/openapi.json").json["paths"].values()
              for o in ms.values() if isinstance(o, dict) and "operationId" in o}
    rooms = ("tracking.", "registry.", "artifact.", "trace.", "datasets.", "scorers.", "issues.")
    for ident in sorted(r for r in routes if r.startswith(rooms)):
        check(f"{ident}: not in the table", ident in known, "add a line")

    datasets(root, callers, t)
    pages(server, root, callers, t)
    creators(callers, t)
    holes(root, callers, t)
    users(server, root, callers)
    deletion(root, callers, t)
    print(calls, "calls")


def pages(server, root, callers, t):
    """Pages stay full while things are left out."""
    caller = callers["u_none"][0]
    for i in range(6):
        eid = root.ok("POST", A2 + "experiments/create", {"name": f"page{i}"}).json["experiment_id"]
        if i % 2:
            root.ok("POST", A2 + "experiments/permissions/create",
                    {"experiment_id": eid, "username": "u_none", "permission": "NO_PERMISSIONS"})
    seen, token = [], None
    while True:
        body = {"max_results": 2, "filter": "name LIKE 'page%'"}
        if token:
            body["page_token"] = token
        page = caller.ok("POST", A2 + "experiments/search", body).json
        seen.append([e["name"] for e in page.get("experiments", [])])
        token = page.get("next_page_token")
        if not token:
            break
    check("pages", sorted(sum(seen, [])) == ["page0", "page2", "page4"] and len(seen[0]) == 2, seen)
    # The root of the artifact proxy lists experiments: those that may not be read are left out.
    text = caller.ok("GET", "/api/2.0/mlflow-artifacts/artifacts").json
    check("root listing", t.exp not in [f["path"] for f in text.get("files", [])], text)
    text = callers["u_read"][0].ok("GET", "/api/2.0/mlflow-artifacts/artifacts").json
    check("root listing", t.exp in [f["path"] for f in text.get("files", [])], text)


def creators(callers, t):
    """Who makes a thing manages it; the next of the same number inherits nothing."""
    caller = callers["u_default"][0]
    eid = caller.ok("POST", A2 + "experiments/create", {"name": "own"}).json["experiment_id"]
    caller.ok("POST", A2 + "runs/create", {"experiment_id": eid})
    caller.ok("POST", A2 + "experiments/delete", {"experiment_id": eid})
    caller.ok("POST", A2 + "registered-models/create", {"name": "own"})
    mine = caller.ok("GET", A2 + "users/get" + q(username="u_default")).json["user"]
    check("creator", {"name": "own", "permission": "MANAGE"}.items() <= mine["registered_model_permissions"][-1].items()
          or any(m["name"] == "own" and m["permission"] == "MANAGE" for m in mine["registered_model_permissions"]), mine)
    caller.ok("DELETE", A2 + "registered-models/delete", {"name": "own"})
    callers["root"][0].ok("POST", A2 + "registered-models/create", {"name": "own"})
    a = caller.call("DELETE", A2 + "registered-models/delete", {"name": "own"})
    check("a new model of an old number", a.status == 403, a)


def holes(root, callers, t):
    """Ways around that genuine servers have had."""
    barred = callers["u_none"][0]
    # Artifacts at a place of the experiment's own choice are judged by it, whoever else names the place.
    apart = root.ok("POST", A2 + "experiments/create",
                    {"name": "apart", "artifact_location": "mlflow-artifacts://host:1/apart/deep/"}).json["experiment_id"]
    for name in ("u_none", "writer_barred"):
        root.ok("POST", A2 + "experiments/permissions/create",
                {"experiment_id": apart, "username": name, "permission": "NO_PERMISSIONS"})
    proxy = "/api/2.0/mlflow-artifacts/"
    root.ok("PUT", proxy + "artifacts/apart/deep/r/x.txt", b"hidden", raw=True)
    callers["writer"][0].ok("POST", A2 + "experiments/create",
                            {"name": "again", "artifact_location": "mlflow-artifacts:/apart/deep"})
    for name in ("u_none", "writer_barred"):
        one = callers[name][0]
        for method, path in (("GET", "artifacts/apart/deep/r/x.txt"), ("GET", "presigned/apart/deep/r/x.txt"),
                             ("GET", "artifacts?path=apart/deep/r"), ("PUT", "artifacts/apart/deep/r/x.txt"),
                             ("DELETE", "artifacts/apart/deep/r/x.txt")):
            a = one.call(method, proxy + path, b"mine" if method == "PUT" else None, raw=method == "PUT")
            check(f"{method} {path} by {name}", a.status == 403 and b"hidden" not in a.body, a)
    check("its writer", callers["writer"][0].call("GET", proxy + "artifacts/apart/deep/r/x.txt").body == b"hidden", "")
    # A version of one's own model that points into somebody else's experiment.
    barred.ok("POST", A2 + "registered-models/create", {"name": "mule"})
    a = barred.call("POST", A2 + "model-versions/create", {"name": "mule", "source": f"mlflow-artifacts:/{t.exp}/{t.run}/artifacts"})
    if a.status == 200:
        a = barred.call("GET", "/model-versions/get-artifact" + q(name="mule", version=1, path="f.txt"))
    check("a version as a way in", a.status in (403, 404) and b"content" not in a.body, a)
    a = barred.call("POST", A2 + "model-versions/create", {"name": "mule", "source": "runs:/x", "run_id": t.run})
    check("a version of a hidden run", a.status == 403, a)
    # A trace of one's own whose artifact tag points elsewhere.
    eid = barred.ok("POST", A2 + "experiments/create", {"name": "mule"}).json["experiment_id"]
    rid = barred.ok("POST", A2 + "traces", {"experiment_id": eid, "timestamp_ms": 1}).json["trace_info"]["request_id"]
    root.ok("PUT", t.file("traces.json"), b'{"secret":1}', raw=True)
    barred.ok("PATCH", A3 + f"traces/{rid}/tags", {"key": "mlflow.artifactLocation", "value": f"mlflow-artifacts:/{t.exp}/{t.run}/artifacts"})
    a = barred.call("GET", "/ajax-api/3.0/mlflow/get-trace-artifact" + q(request_id=rid))
    check("a trace's tag as a way in", b"secret" not in a.body, a)
    # A metric for somebody else's logged model, from one's own run.
    run = barred.ok("POST", A2 + "runs/create", {"experiment_id": eid}).json["run"]["info"]["run_id"]
    a = barred.call("POST", A2 + "runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1, "model_id": t.logged})
    check("a metric of a hidden model", a.status == 403, a)
    a = barred.call("POST", A2 + "runs/outputs", {"run_id": run, "models": [{"model_id": t.logged, "step": 1}]})
    check("an output that is a hidden model", a.status == 403, a)
    # GraphQL runs the same rows.
    body = {"query": 'query Q($d:MlflowGetRunInput!){mlflowGetRun(input:$d){run{info{runId}}}}',
            "variables": {"d": {"runId": t.run}}, "operationName": "Q"}
    a = barred.call("POST", "/graphql", body)
    check("graphql", t.run not in a.text, a)
    a = callers["u_read"][0].call("POST", "/graphql", body)
    check("graphql", a.status == 200 and t.run in a.text, a)
    graphql(root, callers, t)
    # A condition on a write asks the GET's question; it does not count as the handler's own.
    a = callers["u_read"][0].call("POST", A2 + "experiments/set-experiment-tag",
                                  {"experiment_id": t.exp, "key": "k", "value": "v"}, headers={"If-Match": "*"})
    check("If-Match by a reader", a.status == 403, a)
    a = callers["u_edit"][0].call("POST", A2 + "experiments/set-experiment-tag",
                                  {"experiment_id": t.exp, "key": "k", "value": "v"}, headers={"If-Match": "*"})
    check("If-Match by an editor", a.status == 200, a)


def graphql(root, callers, t):
    """Every field that leads to a thing asks for it, also below another thing."""
    run, exp = f'{{runId: "{t.run}"}}', f'{{experimentId: "{t.exp}"}}'
    fields = (
        ("query", f"mlflowGetExperiment(input: {exp}) {{experiment {{name}}}}", '"guarded"'),
        ("query", f"mlflowGetRun(input: {run}) {{run {{info {{runId}} experiment {{name}} data {{metrics {{key}}}}}}}}", t.run),
        ("query", f'mlflowGetMetricHistoryBulkInterval(input: {{runIds: ["{t.run}"], metricKey: "m"}}) {{metrics {{runId}}}}', t.run),
        ("query", f"mlflowListArtifacts(input: {run}) {{files {{path}}}}", '"f.txt"'),
        ("query", "mlflowSearchModelVersions(input: {filter: \"name='guarded'\"}) {modelVersions {name}}", '"guarded"'),
        ("query", f'mlflowSearchRuns(input: {{experimentIds: ["{t.exp}"]}}) {{runs {{info {{runId}} modelVersions {{name}}}}}}', t.run),
        ("mutation", f'mlflowSearchRuns(input: {{experimentIds: ["{t.exp}"]}}) {{runs {{info {{runId}}}}}}', t.run),
        ("mutation", f'mlflowSearchDatasets(input: {{experimentIds: ["{t.exp}"]}}) {{datasetSummaries {{digest}}}}', '"x"'))
    for kind, field, secret in fields:
        for name, shown in (("u_none", False), ("writer_barred", False), ("u_read", True)):
            a = callers[name][0].call("POST", "/graphql", {"query": kind + " {answer: " + field + "}"})
            check(f"graphql {field} by {name}", a.status == 200 and (secret in json.dumps(a.json["data"])) == shown, a)
    # Versions below a run that may be read, of a model that may not.
    below = {"query": f"{{mlflowGetRun(input: {run}) {{run {{info {{runId}} modelVersions {{name}}}}}}}}"}
    for level, shown in (("NO_PERMISSIONS", False), ("READ", True)):
        root.ok("PATCH", A2 + "registered-models/permissions/update",
                {"name": t.model, "username": "u_read", "permission": level})
        a = callers["u_read"][0].ok("POST", "/graphql", below)
        check(f"versions below a run with {level}", t.run in a.text and ("guarded" in a.text) == shown, a)


def users(server, root, callers):
    me = callers["u_default"][0]
    a = me.ok("GET", A2 + "users/current").json
    check("current", a["user"]["username"] == "u_default" and a["user"]["is_admin"] is False and a["is_basic_auth"], a)
    for method, path, body in (("POST", "users/create", {"username": "x1", "password": PASSWORD}),
                               ("GET", "users/list", None),
                               ("PATCH", "users/update-admin", {"username": "u_default", "is_admin": True}),
                               ("DELETE", "users/delete", {"username": "u_read"}),
                               ("GET", "users/get" + q(username="u_read"), None),
                               ("PATCH", "users/update-password", {"username": "u_read", "password": PASSWORD + "!"})):
        a = me.call(method, A2 + path, body)
        check(f"{path} by a user", a.status == 403, a)
    names = [u["username"] for u in root.ok("GET", A2 + "users/list").json["users"]]
    check("list", {"root", "u_read"} <= set(names), names)

    def refused(what, answer, code, text):
        check(what, answer.json.get("error_code") == code and text in answer.json["message"], answer)
    refused("taken", root.call("POST", A2 + "users/create", {"username": "u_read", "password": PASSWORD}),
            "RESOURCE_ALREADY_EXISTS", "User (username=u_read) already exists")
    refused("short", root.call("POST", A2 + "users/create", {"username": "x2", "password": "short"}),
            "INVALID_PARAMETER_VALUE", "Password must be at least 12 characters.")
    refused("common", root.call("POST", A2 + "users/create", {"username": "x2", "password": "password1234"}),
            "INVALID_PARAMETER_VALUE", "Everybody")
    refused("empty", root.call("POST", A2 + "users/create", {"username": "", "password": ""}),
            "INVALID_PARAMETER_VALUE", "Username and password cannot be empty.")
    refused("unknown", root.call("GET", A2 + "users/get" + q(username="nobody")),
            "RESOURCE_DOES_NOT_EXIST", "User with username=nobody not found")
    refused("bogus", root.call("POST", A2 + "experiments/permissions/create",
                               {"experiment_id": "0", "username": "u_read", "permission": "BOGUS"}),
            "INVALID_PARAMETER_VALUE", "Invalid permission 'BOGUS'. Valid permissions are: ('READ', 'USE', 'EDIT', 'MANAGE', 'NO_PERMISSIONS')")
    refused("missing", root.call("GET", A2 + "experiments/permissions/get" + q(experiment_id="0", username="u_read")),
            "RESOURCE_DOES_NOT_EXIST", "Experiment permission with experiment_id=0 and username=u_read not found")
    root.ok("POST", A2 + "experiments/permissions/create", {"experiment_id": "0", "username": "u_read", "permission": "READ"})
    refused("twice", root.call("POST", A2 + "experiments/permissions/create",
                               {"experiment_id": "0", "username": "u_read", "permission": "READ"}),
            "RESOURCE_ALREADY_EXISTS", "Experiment permission (experiment_id=0, username=u_read) already exists.")
    refused("signup", server.get("/signup"), "NOT_IMPLEMENTED", "no sign-up")
    refused("create-ui", server.post(A2 + "users/create-ui", {"username": "a"}), "NOT_IMPLEMENTED", "no sign-up")
    for a in (root.call("POST", A3 + "roles/create", {"name": "r", "workspace": "default"}),
              root.call("GET", A3 + "scorers/permissions/get" + q(experiment_id="0", scorer_name="s", username="u_read"))):
        check("3.x extras", a.status in (404, 501), a)

    # One's own password, with the current one; the old one is worth nothing at once.
    refused("no current", me.call("PATCH", A2 + "users/update-password", {"username": "u_default", "password": "another long secret"}),
            "INVALID_PARAMETER_VALUE", "Current password is required")
    refused("wrong current", me.call("PATCH", A2 + "users/update-password",
                                     {"username": "u_default", "password": "another long secret", "current_password": "no"}),
            "INVALID_PARAMETER_VALUE", "Current password does not match.")
    me.ok("PATCH", A2 + "users/update-password",
          {"username": "u_default", "password": "another long secret", "current_password": PASSWORD})
    check("old password", me.call("GET", A2 + "users/current").status == 401, "still good")
    me.headers = basic("u_default", "another long secret")
    me.ok("GET", A2 + "users/current")
    root.ok("PATCH", A2 + "users/update-password", {"username": "u_default", "password": PASSWORD})
    me.headers = basic("u_default")
    me.ok("GET", A2 + "users/current")

    root.ok("PATCH", A2 + "users/update-admin", {"username": "u_default", "is_admin": True})
    me.ok("GET", A2 + "users/list")
    root.ok("PATCH", A2 + "users/update-admin", {"username": "u_default", "is_admin": False})
    check("no longer admin", me.call("GET", A2 + "users/list").status == 403, "still admin")
    refused("last admin", root.call("PATCH", A2 + "users/update-admin", {"username": "root", "is_admin": False}),
            "INVALID_PARAMETER_VALUE", "last")
    refused("oneself", root.call("DELETE", A2 + "users/delete", {"username": "root"}),
            "BAD_REQUEST", "cannot delete their own account")


def deletion(root, callers, t):
    for name in ("u_none", "u_read", "u_edit", "reader", "writer_barred"):
        a = callers[name][0].call("DELETE", A2 + "registered-models/delete", {"name": t.model})
        check(f"registry.models.delete by {name}", a.status == 403, a)
    callers["u_manage"][0].ok("DELETE", A2 + "registered-models/delete", {"name": t.model})
    root.ok("DELETE", A2 + "users/delete", {"username": "u_none"})
    check("a deleted user", callers["u_none"][0].call("GET", A2 + "users/current").status == 401, "still there")


if __name__ == "__main__":
    main()
