# SPDX-License-Identifier: Apache-2.0
"""The calls of differential.py in order. `keep` takes ids out of an answer for later rows; `since` is
the first major version that knows the call; `differs` says why Quern answers otherwise on purpose."""
import json
from dataclasses import dataclass, field
from urllib.parse import quote

CALLS = []


@dataclass
class Call:
    method: str
    path: str
    body: object = None
    keep: dict = field(default_factory=dict)
    since: int = 2
    differs: str = ""
    headers: dict = None
    may_differ: str = ""


def post(path, body, **kw):
    CALLS.append(Call("POST", path, body, **kw))


def get(path, **kw):
    CALLS.append(Call("GET", path, **kw))


def patch(path, body, **kw):
    CALLS.append(Call("PATCH", path, body, **kw))


def delete(path, body=None, **kw):
    CALLS.append(Call("DELETE", path, body, **kw))


def put(path, body, **kw):
    CALLS.append(Call("PUT", path, body, headers={"Content-Type": "application/octet-stream"}, **kw))


def tag(key, value):
    return {"key": key, "value": value}


# Experiments.
get("experiments/get?experiment_id=0")
post("experiments/create", {"name": "first"}, keep={"exp": "experiment_id"})
post("experiments/create", {"name": "with tags", "tags": [tag("a", "1"), tag("b", "")]}, keep={"tagged": "experiment_id"})
post("experiments/create", {"name": "elsewhere", "artifact_location": "mlflow-artifacts:/other/place"},
     keep={"other": "experiment_id"})
post("experiments/create", {"name": "query", "artifact_location": "s3://bucket/a?x=1"}, keep={"query": "experiment_id"})
post("runs/create", {"experiment_id": "{query}", "run_name": "q"})
get("experiments/get?experiment_id={exp}")
get("experiments/get?experiment_id={tagged}")
get("experiments/get?experiment_id={other}")
get("experiments/get-by-name?experiment_name=first")
get("experiments/get-by-name?experiment_name=nobody")
get("experiments/get-by-name")
get("experiments/get?experiment_id=999999")
get("experiments/get?experiment_id=abc", since=3)
get("experiments/get")
for bad in ({}, {"name": ""}, {"name": 123}, {"name": "x", "tags": "5"}, {"name": "x", "artifact_location": 9.0},
            {"name": "x", "artifact_location": "s3://b/a#frag"}, {"name": "n" * 501},
            {"name": "y", "artifact_location": "s3://b/a?x=../y"}):
    post("experiments/create", bad)
post("experiments/create", {"name": "first"})
for body in ({"max_results": 10}, {"max_results": 2}, {"max_results": 10, "filter": "name = 'first'"},
             {"max_results": 10, "filter": "attribute.name LIKE 'f%'"}, {"max_results": 10, "filter": "name ILIKE 'F%'"},
             {"max_results": 10, "filter": "tags.a = '1'"}, {"max_results": 10, "filter": "tag.a != '1'"},
             {"max_results": 10, "order_by": ["name"]}, {"max_results": 10, "order_by": ["name DESC"]},
             {"max_results": 10, "order_by": ["experiment_id"]}, {"max_results": 10, "view_type": "ALL"},
             {"max_results": 10, "view_type": "DELETED_ONLY"}, {"max_results": 0}, {"max_results": -1},
             {"max_results": 50001}, {"max_results": 10, "page_token": "rubbish"}):
    post("experiments/search", body)
get("experiments/search?max_results=3&order_by=name&order_by=experiment_id")
post("experiments/update", {"experiment_id": "{exp}", "new_name": "renamed"})
post("experiments/update", {"experiment_id": "{exp}"})
post("experiments/update", {"experiment_id": "999", "new_name": "z"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "k", "value": "v"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "k", "value": "w"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "empty"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "value": "v"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "k" * 251, "value": "v"})
post("experiments/set-experiment-tag", {"experiment_id": "{tagged}", "key": "big", "value": "v" * 5001})
post("experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "k"}, since=3)
post("experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "k"}, since=3)
get("experiments/get?experiment_id={exp}")

# Runs.
post("runs/create", {"experiment_id": "{exp}", "user_id": "u", "run_name": "one", "start_time": 100,
                     "tags": [tag("mlflow.user", "u"), tag("t", "1")]}, keep={"run": "run.info.run_id"})
post("runs/create", {"experiment_id": "{exp}"}, keep={"plain": "run.info.run_id"})
post("runs/create", {"experiment_id": "{exp}", "tags": [tag("mlflow.runName", "by tag")], "start_time": 200},
     keep={"tagrun": "run.info.run_id"})
post("runs/create", {"experiment_id": "{exp}", "run_name": "a", "tags": [tag("mlflow.runName", "b")]})
post("runs/create", {"experiment_id": "999"})
post("runs/create", {"experiment_id": "{exp}", "start_time": "x"})
get("runs/get?run_id={run}")
get("runs/get?run_uuid={run}")
get("runs/get?run_id=" + "0" * 32)
get("runs/get")
for m in ({"key": "m", "value": 1.5, "timestamp": 10, "step": 1}, {"key": "m", "value": 2, "timestamp": 11, "step": 0},
          {"key": "m", "value": 1.5, "timestamp": 10, "step": 1}, {"key": "nan", "value": "NaN", "timestamp": 1},
          {"key": "inf", "value": "Infinity", "timestamp": 1}, {"key": "ninf", "value": "-Infinity", "timestamp": 1},
          {"key": "neg", "value": 0.1, "timestamp": 1, "step": -3}, {"key": "a/b c.d-e:f", "value": 1e300, "timestamp": 1},
          {"key": "text", "value": "12.5", "timestamp": "7", "step": "2"}):
    post("runs/log-metric", {"run_id": "{run}", **m})
for m in ({"key": "m", "value": 1, "timestamp": -1}, {"key": "", "value": 1, "timestamp": 1}, {"key": "m", "timestamp": 1},
          {"key": "m", "value": 1}, {"key": 31, "value": 41, "timestamp": 59}, {"key": "f", "value": 1, "timestamp": "foo"},
          {"key": "f", "value": 1, "timestamp": 1, "step": "foo"}, {"key": "a//b", "value": 1, "timestamp": 1},
          {"key": "../x", "value": 1, "timestamp": 1}, {"key": "a$b", "value": 1, "timestamp": 1},
          {"key": "k" * 251, "value": 1, "timestamp": 1}):
    post("runs/log-metric", {"run_id": "{run}", **m})
post("runs/log-metric", {"run_id": 31, "key": "m", "value": 1, "timestamp": 1})
post("runs/log-metric", {"run_id": None, "key": "m", "value": 1, "timestamp": 1})
post("runs/log-metric", {"run_id": "{run}", "key": "m", "value": "x", "timestamp": 1})
for p in (tag("p", "1"), tag("p", "1"), tag("p", "2"), tag("e", ""), {"key": "absent"}, tag("bad$", "1"), tag("k" * 251, "1"),
          {"value": "1"}, {"key": 31, "value": 41}):
    post("runs/log-parameter", {"run_id": "{run}", **p})
post("runs/log-parameter", {"run_id": "{run}", "key": "long", "value": "v" * 7000})
for t in (tag("t", "2"), tag("t", ""), {"key": "novalue"}, {"value": "v"}, {"key": "param", "value": 41}, tag("mlflow.runName", "new")):
    post("runs/set-tag", {"run_id": "{run}", **t})
post("runs/set-tag", {"run_uuid": "{run}", "key": "key", "value": "value"})
post("runs/delete-tag", {"run_id": "{run}", "key": "key"})
post("runs/delete-tag", {"run_id": "{run}", "key": "key"})
post("runs/delete-tag", {"run_id": "fake", "key": "key"})
get("runs/get?run_id={run}")
batch = {"metrics": [{"key": "m", "value": 3, "timestamp": 12, "step": 5}, {"key": "z", "value": 0, "timestamp": 0}],
         "params": [tag("bp", "v"), tag("p", "1")], "tags": [tag("bt", "1"), tag("bt", "2")]}
post("runs/log-batch", {"run_id": "{run}", **batch})
post("runs/log-batch", {"run_id": "{run}"})
post("runs/log-batch", {})
for b in ({"metrics": "foo"}, {"params": "foo"}, {"tags": "foo"}, {"metrics": [{"key": "mae", "value": 2.5}]},
          {"params": [tag("p", "9")]}, {"params": [tag("d", "1"), tag("d", "1")]}, {"tags": [{"value": "1"}]},
          {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1001}, {"params": [tag(str(i), "1") for i in range(101)]},
          {"tags": [tag(str(i), "1") for i in range(101)]}, {"metrics": [{"key": "m$", "value": 1, "timestamp": 1}]},
          {"metrics": [{"key": "x", "value": 2.5, "timestamp": 123456789}]}):
    post("runs/log-batch", {"run_id": "{run}", **b})
post("runs/log-batch", {"run_id": "a/b"})
get("runs/get?run_id={run}")
get("metrics/get-history?run_id={run}&metric_key=m&max_results=25000")
get("metrics/get-history?run_id={run}&metric_key=m&max_results=2", since=3)
get("metrics/get-history?run_id={run}&metric_key=nan&max_results=25000")
get("metrics/get-history?run_id={run}&metric_key=nothing&max_results=25000")
get("metrics/get-history?run_id={run}")
get("metrics/get-history?metric_key=m")
get("/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&run_id={plain}&metric_key=m")
get("/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=m")
get("/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}")
get("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&max_results=2")
get("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=1&end_step=5")
get("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=5&end_step=1")
get("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&start_step=5")
get("metrics/get-history-bulk-interval?run_ids={run}&metric_key=m&max_results=0")
get("metrics/get-history-bulk-interval?metric_key=m")
data = {"name": "ds", "digest": "d1", "source_type": "local", "source": "{}", "schema": "{}", "profile": "{}"}
post("runs/log-inputs", {"run_id": "{run}", "datasets": [{"tags": [tag("mlflow.data.context", "training")], "dataset": data}]})
post("runs/log-inputs", {"run_id": "{run}", "datasets": [{"dataset": {"name": "ds2", "digest": "d2", "source_type": "s", "source": "x"}}]})
post("runs/create", {"experiment_id": "{tagged}"}, keep={"away": "run.info.run_id"})
post("runs/log-inputs", {"run_id": "{away}", "datasets": [{"dataset": {"digest": "d"}}]},
     differs="a dataset without a name is refused, not stored under the empty name")
post("runs/log-inputs", {"run_id": "{run}", "datasets": [{"dataset": {**data, "name": "n" * 501}}]})
post("runs/log-inputs", {"run_id": "{run}", "datasets": [{"tags": [tag("k" * 256, "v")], "dataset": data}]})
post("runs/log-inputs", {"datasets": []})
post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["{exp}"]})
post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": []})
post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [str(i) for i in range(21)]})
post("runs/log-model", {"run_id": "{run}", "model_json": "not json"})
post("runs/log-model", {"run_id": "{run}", "model_json": "{}"})
post("runs/log-model", {"run_id": "{run}"})
post("runs/update", {"run_id": "{run}", "status": "FINISHED", "end_time": 500})
post("runs/update", {"run_id": "{plain}", "status": "KILLED", "end_time": 600, "run_name": "killed"})
post("runs/update", {"run_id": "{tagrun}", "status": 2})
post("runs/update", {"status": "FINISHED"})
get("runs/get?run_id={plain}")
for f in ("", "metrics.m > 2", "metrics.m = 3", "metrics.`m` <= 3 and params.p = '1'", "params.p LIKE '1%'", "tags.t = ''",
          "tags.`mlflow.runName` ILIKE 'NEW'", "attributes.status = 'FINISHED'", "status != 'FINISHED'", "attributes.run_id = '{run}'",
          "run_id IN ('{run}', '{plain}')", "attributes.start_time > 100", "end_time <= 500", "attributes.run_name = 'killed'",
          "datasets.name = 'ds'", "dataset.digest IN ('d1')", "datasets.context = 'training'", "params.p IN ('1','2')",
          "metrics.m > 'x'", "params.p > '1'", "params.p = 1", "bogus.x = 1", "metrics.m = 1 OR metrics.m = 2", "attribute.bogus = 1",
          "metrics.m !", "tags.t IS NULL", "params.p IS NOT NULL", "attributes.artifact_uri LIKE '%'"):
    post("runs/search", {"experiment_ids": ["{exp}"], "filter": f})
for o in (["metrics.m DESC"], ["metrics.nan"], ["params.p"], ["tags.t DESC"], ["attributes.start_time"], ["start_time ASC"], ["run_name"],
          ["attribute.status", "end_time DESC"], ["Created"], ["bogus"], ["metrics.m FOO"], ["parameters.p"]):
    post("runs/search", {"experiment_ids": ["{exp}"], "order_by": o})
post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 2}, keep={"page": "next_page_token"})
post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 2, "page_token": "{page}"})
post("runs/search", {"experiment_ids": ["{exp}"], "page_token": "x"})
post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 50001})
post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 123456789})
post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 0})
post("runs/search", {"experiment_ids": []})
post("runs/search", {"experiment_ids": ["999"]})
post("runs/delete", {"run_id": "{tagrun}"})
post("runs/delete", {"run_id": "{tagrun}"})
get("runs/get?run_id={tagrun}")
post("runs/search", {"experiment_ids": ["{exp}"], "run_view_type": "DELETED_ONLY"})
post("runs/search", {"experiment_ids": ["{exp}"], "run_view_type": "ALL"})
post("runs/log-metric", {"run_id": "{tagrun}", "key": "m", "value": 1, "timestamp": 1})
post("runs/set-tag", {"run_id": "{tagrun}", "key": "m", "value": "1"})
post("runs/delete-tag", {"run_id": "{tagrun}", "key": "m"})
post("runs/update", {"run_id": "{tagrun}", "status": "FINISHED"})
post("runs/restore", {"run_id": "{tagrun}"})
post("runs/delete", {"run_id": "0" * 32})
post("runs/restore", {})

# Artifacts.
A = "/api/2.0/mlflow-artifacts/artifacts"
put(A + "/{exp}/{run}/artifacts/a.txt", b"hello")
put(A + "/{exp}/{run}/artifacts/dir/b.json", b"{}")
put(A + "/{exp}/{run}/artifacts/empty.txt", b"")
get("artifacts/list?run_id={run}")
get("artifacts/list?run_id={run}&path=dir")
get("artifacts/list?run_id={run}&path=a.txt")
get("artifacts/list?run_id={run}&path=nothing")
for p in ("../x", "/etc", "a/../../b", "%252e%252e/x", "a#b"):
    get("artifacts/list?run_id={run}&path=" + quote(p, safe=""))
get("artifacts/list")
get("/get-artifact?run_id={run}&path=dir/b.json")
get("/get-artifact?run_id={run}&path=..%2Fx")
get("/get-artifact?run_id={run}&path=nothing.txt", since=3)
get(A + "?path={exp}/{run}/artifacts")
get(A + "?path={exp}/{run}/artifacts/dir")
get(A + "?path={exp}/{run}/artifacts/a.txt")
get(A + "?path=..%2Fx")
get(A + "/{exp}/{run}/artifacts/nothing", since=3)
get(A + "/{exp}/%2e%2e/%2e%2e/x")
delete(A + "/{exp}/{run}/artifacts/dir")
delete(A + "/{exp}/{run}/artifacts/dir")
get("artifacts/list?run_id={run}")
post("/api/2.0/mlflow-artifacts/mpu/create/x", {"path": "f", "num_parts": 1})

# Logged models.
post("logged-models", {"experiment_id": "{exp}", "name": "lm", "model_type": "t", "source_run_id": "{run}",
                       "params": [tag("p", "1")], "tags": [tag("t", "1")]}, keep={"model": "model.info.model_id"}, since=3)
post("logged-models", {"experiment_id": "{exp}", "name": "other"}, keep={"lm2": "model.info.model_id"}, since=3)
post("logged-models", {"name": "x"}, since=3)
post("logged-models", {"experiment_id": "{exp}", "name": "a/b"}, since=3)
get("logged-models/{model}", since=3)
get("logged-models/m-" + "0" * 32, since=3)
patch("logged-models/{model}", {"model_id": "{model}", "status": "LOGGED_MODEL_READY"}, since=3)
patch("logged-models/{model}/tags", {"tags": [tag("t", "2"), tag("u", "1")]}, since=3)
delete("logged-models/{model}/tags/u", since=3)
delete("logged-models/{model}/tags/u", since=3)
post("logged-models/{model}/params", {"model_id": "{model}", "params": [tag("q", "1")]}, since=3)
post("runs/log-metric", {"run_id": "{run}", "key": "acc", "value": 0.5, "timestamp": 3, "step": 1, "model_id": "{model}",
                         "dataset_name": "ds", "dataset_digest": "d1"}, since=3)
post("runs/outputs", {"run_id": "{run}", "models": [{"model_id": "{model}", "step": 2}]}, since=3)
post("runs/log-inputs", {"run_id": "{plain}", "models": [{"model_id": "{model}"}]}, since=3)
get("runs/get?run_id={run}", since=3)
get("runs/get?run_id={plain}", since=3)
get("logged-models/{model}", since=3)
get("logged-models/{model}/artifacts/directories", since=3)
for body in ({}, {"filter": "name = 'lm'"}, {"filter": "name LIKE 'l%'"}, {"filter": "metrics.acc > 0.4"}, {"filter": "params.p = '1'"},
             {"filter": "tags.t = '2'"}, {"filter": "model_type = 't'"}, {"filter": "source_run_id = '{run}'"},
             {"filter": "creation_timestamp > 5"}, {"filter": "metrics.acc > 0.4", "datasets": [{"dataset_name": "ds"}]},
             {"filter": "metrics.acc > 0.4", "datasets": [{"dataset_name": "no"}]}, {"filter": "bogus = 'x'"}, {"filter": "name > 'x'"},
             {"order_by": [{"field_name": "metrics.acc", "ascending": False}]}, {"order_by": [{"field_name": "name"}]},
             {"order_by": [{"field_name": "bogus"}]}, {"max_results": 1, "order_by": [{"field_name": "creation_timestamp"}]}):
    post("logged-models/search", {"experiment_ids": ["{exp}"], **body}, since=3)
post("logged-models/search", {}, since=3)
delete("logged-models/{lm2}", since=3)
get("logged-models/{lm2}", since=3)

# Registry.
post("registered-models/create", {"name": "reg", "description": "d", "tags": [tag("a", "1")]})
post("registered-models/create", {"name": "reg"})
post("registered-models/create", {"name": "plain"})
post("registered-models/create", {})
post("registered-models/create", {"name": "a/b"}, since=3)
post("registered-models/create", {"name": 7})
get("registered-models/get?name=reg")
get("registered-models/get?name=nobody")
get("registered-models/get")
for i in range(3):
    post("model-versions/create", {"name": "reg", "source": "runs:/{run}/model", "run_id": "{run}", "description": f"v{i}",
                                   "tags": [tag("n", str(i))], "run_link": "http://x/" if i else ""})
post("model-versions/create", {"name": "reg", "source": "models:/{model}", "model_id": "{model}"}, since=3)
post("model-versions/create", {"name": "nobody", "source": "runs:/{run}/model"})
post("model-versions/create", {"name": "reg"})
for source in ("mlflow-artifacts:/a/../b", "/etc/passwd", "file:///etc", "http://h/../x", "dbfs:/a/b", "s3://b/k", "./rel", "s3://b/../k"):
    post("model-versions/create", {"name": "plain", "source": source})
get("logged-models/{model}", since=3)
get("model-versions/get?name=reg&version=1")
get("model-versions/get?name=reg&version=99")
get("model-versions/get?name=reg&version=abc")
get("model-versions/get?name=reg")
get("model-versions/get-download-uri?name=reg&version=1")
get("model-versions/get-download-uri?name=reg&version=99")
patch("model-versions/update", {"name": "reg", "version": "1", "description": "new"})
patch("model-versions/update", {"name": "reg", "version": "99", "description": "new"})
patch("registered-models/update", {"name": "reg", "description": "other"})
patch("registered-models/update", {"name": "nobody", "description": "other"})
post("model-versions/transition-stage", {"name": "reg", "version": "1", "stage": "Production", "archive_existing_versions": False})
post("model-versions/transition-stage", {"name": "reg", "version": "2", "stage": "production", "archive_existing_versions": True})
post("model-versions/transition-stage", {"name": "reg", "version": "3", "stage": "Bogus", "archive_existing_versions": False})
post("model-versions/transition-stage", {"name": "reg", "version": "99", "stage": "Staging", "archive_existing_versions": False})
post("model-versions/transition-stage", {"name": "reg", "version": "3", "stage": "Staging"})
get("registered-models/get?name=reg")
post("registered-models/get-latest-versions", {"name": "reg"})
post("registered-models/get-latest-versions", {"name": "reg", "stages": ["Production"]})
post("registered-models/get-latest-versions", {"name": "reg", "stages": ["Bogus"]})
post("registered-models/get-latest-versions", {"name": "nobody"})
get("registered-models/get-latest-versions?name=reg&stages=None")
post("registered-models/set-tag", {"name": "reg", "key": "k", "value": "v"})
post("registered-models/set-tag", {"name": "reg", "key": "k"})
post("registered-models/set-tag", {"name": "reg", "value": "k"})
post("registered-models/set-tag", {"name": "nobody", "key": "k", "value": "v"})
delete("registered-models/delete-tag", {"name": "reg", "key": "k"})
delete("registered-models/delete-tag", {"name": "reg", "key": "k"})
delete("registered-models/delete-tag", {"name": "nobody", "key": "k"})
post("model-versions/set-tag", {"name": "reg", "version": "1", "key": "k", "value": "v"})
post("model-versions/set-tag", {"name": "reg", "version": "99", "key": "k", "value": "v"})
delete("model-versions/delete-tag", {"name": "reg", "version": "1", "key": "k"})
delete("model-versions/delete-tag", {"name": "reg", "version": "1", "key": "k"})
delete("model-versions/delete-tag", {"name": "reg", "version": "99", "key": "k"})
post("registered-models/alias", {"name": "reg", "alias": "champion", "version": "1"})
post("registered-models/alias", {"name": "reg", "alias": "second", "version": "1"})
for alias in ("latest", "LATEST", "v12", "a b", "", "a" * 256):
    post("registered-models/alias", {"name": "reg", "alias": alias, "version": "1"})
post("registered-models/alias", {"name": "reg", "alias": "x", "version": "99"})
post("registered-models/alias", {"name": "nobody", "alias": "x", "version": "1"})
get("registered-models/alias?name=reg&alias=champion")
get("registered-models/alias?name=reg&alias=nothing")
get("registered-models/alias?name=nobody&alias=x", since=3)
get("registered-models/alias?name=reg")
get("registered-models/alias?name=reg&alias=latest", since=3)
get("registered-models/get?name=reg")
delete("registered-models/alias", {"name": "reg", "alias": "second"})
delete("registered-models/alias", {"name": "reg", "alias": "second"})
HIDE = quote("tag.`mlflow.prompt.is_prompt` != 'true'")
for f in ("", HIDE, quote("name = 'reg'"), quote("name LIKE 'r%'"), quote("name ILIKE 'R%'"), quote("tags.a = '1'"), quote("tag.a != '1'"),
          quote("bogus = 'x'"), quote("name > 'x'"), quote("name = 'reg' OR name = 'x'")):
    get("registered-models/search?max_results=100&filter=" + f)
get("registered-models/search?max_results=1")
get("registered-models/search?max_results=1&order_by=name%20DESC")
get("registered-models/search?max_results=100&order_by=last_updated_timestamp")
get("registered-models/search?max_results=1001")
get("registered-models/search?max_results=x")
get("registered-models/search?order_by=bogus")
for f in ("", "name='reg'", "name = 'reg' and version_number > 1", "run_id = '{run}'", "run_id IN ('{run}')", "source_path LIKE 'runs%'",
          "tags.n = '1'", "name IN ('reg')", "version_number = 'x'", "run_id IN ()", "bogus = 'x'", "current_stage = 'Production'",
          "creation_timestamp > 3"):
    get("model-versions/search?max_results=1000&order_by=version_number%20ASC&order_by=name&filter=" + quote(f, safe="{}"))
get("model-versions/search?max_results=0")
get("model-versions/search?max_results=200001")
get("model-versions/search?max_results=1&order_by=version_number")
delete("model-versions/delete", {"name": "reg", "version": "3"})
delete("model-versions/delete", {"name": "reg", "version": "3"})
get("model-versions/get?name=reg&version=3")
post("registered-models/rename", {"name": "reg", "new_name": "moved"})
post("registered-models/rename", {"name": "reg", "new_name": "x"})
post("registered-models/rename", {"name": "moved", "new_name": "plain"})
post("registered-models/rename", {"name": "moved"})
get("registered-models/get?name=moved")
get("registered-models/alias?name=moved&alias=champion")
delete("registered-models/delete", {"name": "moved"})
delete("registered-models/delete", {"name": "moved"})

# Deleted experiments.
post("experiments/delete", {"experiment_id": "{exp}"})
post("experiments/delete", {"experiment_id": "{exp}"})
post("experiments/delete", {"experiment_id": "99999"})
post("runs/create", {"experiment_id": "{exp}"})
post("experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "k", "value": "v"})
get("runs/get?run_id={run}")
get("experiments/get?experiment_id={exp}")
post("experiments/create", {"name": "renamed"})
post("experiments/restore", {"experiment_id": "{exp}"})
post("experiments/restore", {"experiment_id": "{exp}"})
get("runs/get?run_id={run}")

# Bodies and doors.
CALLS.append(Call("POST", "runs/create", "x=1", headers={"Content-Type": "text/plain"}))
CALLS.append(Call("POST", "experiments/create", "{", headers={"Content-Type": "application/json"}))
CALLS.append(Call("POST", "experiments/create", "[]", headers={"Content-Type": "application/json"}))
post("experiments/create", {"name": "camel", "artifactLocation": "mlflow-artifacts:/camel", "unknown": 1}, keep={"camel": "experiment_id"})
get("experiments/get?experiment_id={camel}")
get("/health")
get("/api/2.0/mlflow/nothing-here")
CALLS.append(Call("PUT", "runs/create", {"experiment_id": "0"}))
CALLS.append(Call("GET", "runs/create"))

# Evaluation datasets.
D = "/api/3.0/mlflow/datasets/"


def records(*rows, **kw):
    post(D + "{ds}/records", {"records": rows[0] if isinstance(rows[0], str) else json.dumps(rows)}, since=3, **kw)


BLUNT = "what is no record is refused with 400, which the genuine server answers with 500"
post(D + "create", {"name": "qa", "experiment_ids": ["{exp}", "0"], "tags": '{"team": "ml", "mlflow.user": "ann"}'}, since=3,
     keep={"ds": "dataset.dataset_id"})
post(D + "create", {"name": "bare"}, since=3)
post(D + "create", {"name": "typed", "tags": '{"f": 1.1, "n": 3}'}, since=3, keep={"typed": "dataset.dataset_id"},
     differs="the answer has tags as texts at once, not only later ones")
get(D + "{typed}", since=3)
post(D + "create", {"name": ""}, since=3)
post(D + "create", {}, since=3)
post(D + "create", {"name": "none", "tags": "{bad"}, since=3, differs=BLUNT)
post(D + "create", {"name": "twice", "experiment_ids": ["0", "0"]}, since=3, differs="an experiment named twice is one")
get(D + "{ds}", since=3)
records({"inputs": {"q": "why?", "k": 1}, "expectations": {"a": "so", "b": [1]}, "tags": {"t": "1", "mlflow.user": "bob"},
         "source": {"source_type": "human", "source_data": {"source_id": "h1"}}},
        {"inputs": {"q": "when?"}, "outputs": None, "source": {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}})
get(D + "{ds}/records", since=3)
get(D + "{ds}", since=3)
records({"inputs": {"k": 1, "q": "why?"}, "outputs": "text", "expectations": {"b": None}, "tags": {"u": "2"}, "source": {"source_type": "CODE"}})
get(D + "{ds}/records", since=3)
get(D + "{ds}", since=3)
records({"inputs": {"f": 1.1, "g": 0.1, "h": 1e-7, "i": 1e22, "j": -0.0, "m": 123456789012345678, "u": "\u00e9\U0001f600"}, "outputs": [0.1, 1.1, 100.0],
         "expectations": {"x": 2.3, "n": None}, "tags": {"f": 1.1}})
records({}, {"inputs": {"y": 1}, "tags": {}, "expectations": {}, "source": {}})
records({"inputs": {"z": 1}, "outputs": 0, "tags": None, "expectations": None, "source": None})
records({"inputs": {"z": 1}, "outputs": None, "tags": {}, "expectations": {}})
records({"inputs": {"s1": 1}, "source": {"source_type": "DOCUMENT", "source_data": {"doc_uri": "u", "content": "c"}}}, {"inputs": {"s2": 1}, "source": {"source_type": "CODE"}},
        {"inputs": {"s3": 1}, "source": {"source_type": "HUMAN", "source_data": None}})
records({"inputs": {"s5": 1}, "source": {"source_type": "MOON"}}, differs="the number of the record is named as well")
records({"inputs": {"s6": 1}, "source": {"source_data": {}}}, differs=BLUNT)
records({"inputs": None}, differs="inputs that are null are none, where the genuine server answers 500")
for text in ('[{"inputs": {"nan": NaN}}]', '[{"inputs": {"d": 1, "d": 2}}]', '[{"inputs": {"nul": "a\\u0000b"}}]', '[{"inputs": {"n": 123456789012345678901}}]'):
    records(text, differs="no JSON, ambiguous, or nothing that all clients read")
get(D + "{ds}/records?max_results=0", since=3, may_differ="records that were refused are not there")
post(D + "create", {"name": "second", "experiment_ids": ["{exp}"]}, since=3, keep={"ds2": "dataset.dataset_id"})
post(D + "{ds2}/records", {"records": '[{"inputs": {"only": 1.5}, "tags": {"mlflow.user": "eve"}}]'}, since=3)
get(D + "{ds2}/records?max_results=1", since=3)
patch(D + "{ds2}/tags", {"tags": '{"team": "x"}'}, since=3)
patch(D + "{ds2}/tags", {"tags": "{}"}, since=3)
patch(D + "{ds2}/tags", {}, since=3)
delete(D + "{ds2}/tags/nokey", since=3)
get(D + "{ds2}", since=3)
post(D + "{ds2}/remove-experiments", {"experiment_ids": ["0", "x", "77"]}, since=3)
post(D + "{ds2}/add-experiments", {"experiment_ids": ["0"]}, since=3)
post(D + "{ds2}/add-experiments", {"experiment_ids": ["0", "0"]}, since=3)
post(D + "{ds2}/remove-experiments", {"experiment_ids": ["0"]}, since=3)
get(D + "{ds2}/experiment-ids", since=3)
for body in ({"experiment_ids": ["{exp}"], "order_by": ["name"], "max_results": 1}, {"filter_string": "name = 'second' AND tags.team = 'x'"},
             {"filter_string": "name LIKE 'sec%'", "order_by": ["created_time DESC"]}, {"filter_string": "created_by ILIKE 'ANN'", "max_results": 0},
             {"filter_string": "name IN ('second')"}, {"filter_string": "foo = 'x'"}, {"filter_string": "attributes.name = 'qa'"},
             {"filter_string": "tags.team IS NULL"}, {"filter_string": "created_time > 1.5"}, {"order_by": ["foo"]}, {"page_token": "x"}):
    post(D + "search", body, since=3, may_differ="a limit of 0 is told as 0, and the most that is allowed" if "max_results" in body else "")
delete(D + "{ds2}/records", {"dataset_record_ids": ["dr-none"]}, since=3)
get(D + "d-none", since=3)
get(D + "d-none/records", since=3, differs="records of nothing are not found")
delete(D + "d-none", since=3)
delete(D + "{ds2}", since=3)
get(D + "{ds2}", since=3)

# What Quern means to answer otherwise: method, how the path begins, a text of path or body, the reason.
# Such a call may differ with one line of genuine servers and agree with the other.
MEANT = [
    ("POST", "experiments/create", "x=../y", "the refusal says which query part is wrong"),
    ("POST", "experiments/create", "'renamed'", "the refusal says that a deleted experiment holds the name"),
    ("POST", "experiments/create", "[]", "a body that is no object is a bad request, not a fault of the server"),
    ("POST", "experiments/set-experiment-tag", "vvvv", "one limit for both lines, the newer: 20000 characters"),
    ("GET", "metrics/get-history-bulk-interval", "max_results=2", "3.17 samples otherwise; Quern samples as 2.22 does"),
    ("GET", "metrics/get-history-bulk-interval", "max_results=0", "the refusal says what was found"),
    ("GET", "metrics/get-history-bulk-interval", "interval?metric_key=m", "the wording of get-history-bulk"),
    ("POST", "runs/log-model", "not json", "the refusal says where the text stops being JSON"),
    ("POST", "runs/search", "params.p IN", "the refusal names the comparator, not the value"),
    ("POST", "runs/search", "params.p >", "the list of comparators is that of 3.x"),
    ("POST", "runs/search", "IS NULL", "the grammar is that of 3.x for both"),
    ("POST", "runs/search", "IS NOT NULL", "the grammar is that of 3.x for both"),
    ("POST", "runs/search", "bogus", "the list of keys leaves out old aliases"),
    ("POST", "runs/search", "metrics.m !", "the rejected text is shown as it was written"),
    ("POST", "runs/search", "50001", "the refusal says the limit"),
    ("POST", "runs/search", "123456789", "the refusal says the limit"),
    ("PUT", "/api/2.0/mlflow-artifacts", "", "3.x answers an empty page, 2.22 {}; clients take both"),
    ("GET", "/get-artifact", "nothing.txt", "the path in the refusal is relative to the run"),
    ("POST", "/api/2.0/mlflow-artifacts/mpu/create", "", "files in parts are taken into Quern's own store, too"),
    ("GET", "/api/2.0/mlflow-artifacts", "%2e%2e", "refused as a page of text before the route is looked up"),
    ("PATCH", "logged-models/{model}/tags", "", "the changed model is told, as after the other PATCH"),
    ("POST", "logged-models/search", "'ds'", "a dataset without a digest means every digest"),
    ("POST", "logged-models/search", "bogus", "an unknown attribute is a bad request"),
    ("POST", "logged-models/search", "name >", "the wording of the other searches"),
    ("POST", "model-versions/create", "nobody", "the missing model is told before the source is judged"),
    ("POST", "model-versions/create", "http://h/../x", "the rule of both lines; newer servers refuse the scheme first"),
    ("GET", "registered-models/search", "order_by=bogus", "last_updated_timestamp is told among the keys"),
    ("GET", "model-versions/search", "version_number%20%3D%20%27x", "one wording and one refusal for both lines"),
    ("GET", "model-versions/search", "name%20IN", "both lines may list names, as 3.x does"),
]
for call in CALLS:
    for method, begins, part, reason in MEANT:
        if call.method == method and call.path.startswith(begins) and part in call.path + str(call.body):
            call.may_differ = reason
