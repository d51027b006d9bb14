# SPDX-License-Identifier: Apache-2.0
"""MLflow's refusals, row by row over raw HTTP: status, error_code and what the message says, for
every table of messages and limits, every type of bad value, and values that lie just inside."""
import base64
import json
import sys
from urllib.parse import quote

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import Server

IPV, RDNE, RAE = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
OK = None
BIG = 2 ** 63 - 1
NO_RUN, NO_MODEL = "0" * 32, "m-" + "0" * 32
failed, count = [], 0


def token(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.b64encode(text.encode()).decode()


def main(s):
    def call(method, path, body=None, headers=None, raw=False):
        if not path.startswith("/"):
            path = "/api/2.0/mlflow/" + path
        return s.request(method, path, body, headers=headers, raw=raw)

    def made(path, body, *keys):
        a = call("POST", path, body)
        assert a.status == 200, (path, body, a)
        value = a.json
        for k in keys:
            value = value[k]
        return value

    def row(method, path, body, status, code=None, text="", **kw):
        global count
        count += 1
        a = call(method, path, body, **kw)
        try:
            answer = a.json
        except ValueError:
            answer = {}
        good = a.status == status
        if status == 200:
            good = good and "error_code" not in answer
        else:
            message = answer.get("message", "")
            good = good and answer.get("error_code") == code and text in message \
                and "SELECT" not in message and "sqlite" not in message.lower()
        if not good:
            shown = json.dumps(body)[:200]
            failed.append(f"{method} {path[:120]} {shown}\n    want {status} {code} {text!r}\n    got  {a}")
        return answer

    def post(path, body, *want):
        return row("POST", path, body, *want)

    def get(path, *want):
        return row("GET", path, None, *want)

    eid = made("experiments/create", {"name": "live"}, "experiment_id")
    gone = made("experiments/create", {"name": "gone"}, "experiment_id")
    made("experiments/delete", {"experiment_id": gone})
    rid = made("runs/create", {"experiment_id": eid}, "run", "info", "run_id")
    dead = made("runs/create", {"experiment_id": eid}, "run", "info", "run_id")
    made("runs/delete", {"run_id": dead})
    made("runs/log-parameter", {"run_id": rid, "key": "k", "value": "a"})
    mid = made("logged-models", {"experiment_id": eid, "name": "m", "source_run_id": rid},
               "model", "info", "model_id")
    made("registered-models/create", {"name": "reg"})
    for _ in range(2):
        made("model-versions/create", {"name": "reg", "source": f"runs:/{rid}/model"})
    made("registered-models/alias", {"name": "reg", "alias": "champion", "version": "1"})

    # Experiments.
    get("experiments/get?experiment_id=4711", 404, RDNE, "No Experiment with id=4711 exists")
    get("experiments/get?experiment_id=abc", 400, IPV,
        "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.")
    get("experiments/get?experiment_id=99999999999999999999", 400, IPV, "must be a valid integer")
    get("experiments/get", 400, IPV, "Missing value for required parameter 'experiment_id'")
    get("experiments/get?experiment_id=", 400, IPV, "Missing value for required parameter 'experiment_id'")
    get("experiments/get-by-name?experiment_name=none", 404, RDNE,
        "Could not find experiment with name 'none'")
    get("experiments/get-by-name", 400, IPV, "Missing value for required parameter 'experiment_name'")
    get(f"experiments/get?experiment_id={gone}", 200)
    post("experiments/create", {"name": "live"}, 400, RAE, "Experiment(name=live) already exists.")
    post("experiments/create", {"name": "gone"}, 400, RAE, "Experiment(name=gone) already exists.")
    post("experiments/create", {}, 400, IPV, "Missing value for required parameter 'name'")
    post("experiments/create", {"name": None}, 400, IPV, "Missing value for required parameter 'name'")
    post("experiments/create", {"name": ""}, 400, IPV, "Missing value for required parameter 'name'")
    post("experiments/create", {"name": "x" * 500}, 200)
    post("experiments/create", {"name": "é" * 500}, 200)
    post("experiments/create", {"name": "x" * 501}, 400, IPV,
         "'name' exceeds the maximum length of 500 characters")
    for value, kind in ((5, "int"), (True, "bool"), ([], "list"), ({}, "dict"), (1.5, "float")):
        post("experiments/create", {"name": value}, 400, IPV, f"Hint: Value was of type '{kind}'")
    post("experiments/create", {"name": "loc", "artifact_location": "s3://b/p#f"}, 400, IPV,
         "'artifact_location' URL can't include fragments or params.")
    post("experiments/create", {"name": "loc", "artifact_location": "s3://b/p;x=1"}, 400, IPV,
         "'artifact_location' URL can't include fragments or params.")
    post("experiments/create", {"name": "loc", "artifact_location": "s3://b/p?a=../x"}, 400, IPV, "'..'")
    post("experiments/create", {"name": "loc", "artifact_location": "runs:/a/b"}, 400, IPV, "runs:/")
    post("experiments/create", {"name": "loc", "artifact_location": "s3://b/" + "x" * 2048}, 400, IPV,
         "'artifact_location' exceeds the maximum length of 2048 characters")
    post("experiments/create", {"name": "t", "tags": "x"}, 400, IPV, "Hint: Value was of type 'str'")
    post("experiments/create", {"name": "t", "tags": [{"key": "k", "value": "v" * 20001}]}, 400, IPV,
         "'value' exceeds the maximum length of 20000 characters")
    post("experiments/update", {"experiment_id": eid, "new_name": "gone"}, 400, RAE, "already exists")
    post("experiments/update", {"experiment_id": gone, "new_name": "z"}, 400, IPV,
         "Cannot rename a non-active experiment.")
    post("experiments/update", {"experiment_id": eid}, 400, IPV, "required parameter 'new_name'")
    post("experiments/delete", {"experiment_id": gone}, 404, RDNE, f"No Experiment with id={gone} exists")
    post("experiments/restore", {"experiment_id": eid}, 404, RDNE, f"No Experiment with id={eid} exists")
    post("experiments/set-experiment-tag", {"experiment_id": gone, "key": "k", "value": "v"}, 400, IPV,
         f"The experiment {gone} must be in the 'active' state. Current state is deleted.")
    post("experiments/set-experiment-tag", {"experiment_id": eid, "key": "k", "value": "v" * 20000}, 200)
    post("experiments/set-experiment-tag", {"experiment_id": eid, "key": "k", "value": "v" * 20001}, 400, IPV,
         "'value' exceeds the maximum length of 20000 characters")
    post("experiments/set-experiment-tag", {"experiment_id": eid, "key": "k" * 251, "value": ""}, 400, IPV,
         "'key' exceeds the maximum length of 250 characters")
    post("experiments/delete-experiment-tag", {"experiment_id": eid, "key": "none"}, 404, RDNE,
         f"No tag with name: none in experiment with id {eid}")
    for n, text in ((0, "It must be a positive integer"), (-1, "It must be a positive integer"),
                    (50001, "It must be at most 50000"), (BIG, "It must be at most 50000")):
        post("experiments/search", {"max_results": n}, 400, IPV,
             f"Invalid value {n} for parameter 'max_results' supplied. {text}")
    post("experiments/search", {"max_results": BIG + 1}, 400, IPV, "64-bit integer")
    post("experiments/search", {"max_results": 1, "view_type": "BOGUS"}, 400, IPV, "view_type")
    post("experiments/search", {"max_results": "5", "view_type": 3}, 200)
    post("experiments/search", {"max_results": 5, "order_by": ["nothing"]}, 400, IPV, "Invalid attribute key 'nothing'")
    post("experiments/search", {"max_results": 5, "filter": "metrics.x > 1"}, 400, IPV, "Invalid entity type")

    # Page tokens.
    for text in ("!!!", "é"):
        post("runs/search", {"experiment_ids": [eid], "page_token": text}, 400, IPV,
             "Invalid page token, could not base64-decode")
    for value in ({"offset": 0}, {"other": 1}, {"offset": -5}, {"offset": "1"}, []):
        post("runs/search", {"experiment_ids": [eid], "page_token": token(value)}, 400, IPV,
             "Invalid page token, parsed value=")
    post("runs/search", {"experiment_ids": [eid], "page_token": token({"offset": BIG})}, 200)
    post("experiments/search", {"max_results": 5, "page_token": token({"offset": BIG})}, 200)
    get(f"model-versions/search?max_results=5&page_token={token({'offset': BIG})}", 200)
    get(f"registered-models/search?max_results=5&page_token={token({'offset': BIG})}", 200)
    post("logged-models/search", {"experiment_ids": [eid], "page_token": token({"offset": BIG})}, 400, IPV,
         "Experiment IDs in the page token do not match")  # a token there carries its search
    get(f"metrics/get-history?run_id={rid}&metric_key=x&page_token={token({'offset': BIG})}", 200)

    # Runs.
    missing = f"Run with id={NO_RUN} not found"
    stale = f"The run {dead} must be in the 'active' state. Current state is deleted."
    get(f"runs/get?run_id={NO_RUN}", 404, RDNE, missing)
    get("runs/get", 400, IPV, "Missing value for required parameter 'run_id'")
    get(f"runs/get?run_uuid={rid}", 200)
    get(f"runs/get?run_id={dead}", 200)
    for path, extra in (("runs/update", {"status": "FAILED"}), ("runs/set-tag", {"key": "k", "value": "v"}),
                        ("runs/delete-tag", {"key": "k"}), ("runs/log-parameter", {"key": "q", "value": "v"}),
                        ("runs/log-metric", {"key": "m", "value": 1, "timestamp": 1}), ("runs/log-batch", {}),
                        ("runs/log-inputs", {"datasets": []}),
                        ("runs/outputs", {"models": [{"model_id": mid, "step": 0}]})):
        post(path, {"run_id": NO_RUN, **extra}, 404, RDNE, missing)
        post(path, {"run_id": dead, **extra}, 400, IPV, stale)
        post(path, extra, 400, IPV, "Missing value for required parameter 'run_id'")
    post("runs/delete", {"run_id": NO_RUN}, 404, RDNE, missing)
    post("runs/restore", {"run_id": NO_RUN}, 404, RDNE, missing)
    post("runs/delete", {"run_id": dead}, 200)
    post("runs/create", {"experiment_id": "4711"}, 404, RDNE, "No Experiment with id=4711 exists")
    post("runs/create", {"experiment_id": gone}, 400, IPV, "must be in the 'active' state")
    post("runs/create", {"experiment_id": eid, "run_name": "a",
                         "tags": [{"key": "mlflow.runName", "value": "b"}]}, 400, IPV,
         "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
         "(run_name='a', mlflow.runName='b').")
    post("runs/create", {"experiment_id": eid, "start_time": "soon"}, 400, IPV, "start_time")
    post("runs/create", {"experiment_id": eid, "tags": [{"value": "v"}]}, 400, IPV, "tags[0].key")
    post("runs/create", {"experiment_id": eid, "tags": [{"key": "a"}, {"key": "a"}]}, 400, IPV, "uplicate")
    post("runs/create", {"experiment_id": eid, "run_name": "n" * 251}, 200)
    post("runs/update", {"run_id": rid, "status": "BOGUS"}, 400, IPV, "BOGUS")
    post("runs/update", {"run_id": rid, "status": 99}, 400, IPV, "status")
    post("runs/update", {"run_id": rid, "end_time": 1.5}, 400, IPV, "end_time")
    post("runs/update", {"run_id": rid, "status": 3, "end_time": "5"}, 200)

    # Keys, params, tags.
    for key in ("a$b", "a\nb", "a*", "a\\b", "a=b", "a;b"):
        post("runs/set-tag", {"run_id": rid, "key": key, "value": "v"}, 400, IPV,
             "for parameter 'key' supplied: Names may only contain alphanumerics, underscores (_), dashes (-), "
             "periods (.), spaces ( ), colon(:) and slashes (/).")
    for key, normal in (("a//b", "a/b"), ("a/", "a"), ("./a", "a"), ("a/../b", "b"), ("../a", "../a"),
                        ("/a", "/a"), (".", "."), ("..", "..")):
        post("runs/log-parameter", {"run_id": rid, "key": key, "value": "v"}, 400, IPV,
             f"must not resolve to other names when treated as such. This name would resolve to '{normal}'")
    post("runs/set-tag", {"run_id": rid, "key": "größe: a/b.c -_", "value": ""}, 200)
    for path, label in (("runs/set-tag", "key"), ("runs/log-parameter", "Param key")):
        post(path, {"run_id": rid, "key": "x" * 251, "value": "v"}, 400, IPV,
             f"'{label}' exceeds the maximum length of 250 characters")
        post(path, {"run_id": rid, "key": "é" * 250, "value": "v"}, 200)
        post(path, {"run_id": rid, "value": "v"}, 400, IPV, "Missing value for required parameter 'key'")
        post(path, {"run_id": rid, "key": 7, "value": "v"}, 400, IPV, "for parameter 'key' supplied:  Hint: Value was of type 'int'")
        post(path, {"run_id": rid, "key": "novalue"}, 200)
    post("runs/log-parameter", {"run_id": rid, "key": "k", "value": "a"}, 200)
    post("runs/log-parameter", {"run_id": rid, "key": "k", "value": "b"}, 400, IPV,
         f"Changing param values is not allowed. Param with key='k' was already logged with value='a' for run "
         f"ID='{rid}'. Attempted logging new value 'b'.")
    post("runs/log-batch", {"run_id": rid, "params": [{"key": "k", "value": "b"}]}, 400, IPV,
         "Changing param values is not allowed. Params were already logged='[{'key': 'k', 'old_value': 'a', "
         f"'new_value': 'b'}}]' for run ID='{rid}'.")
    post("runs/log-batch", {"run_id": rid, "params": [{"key": "d", "value": "1"}, {"key": "d", "value": "1"}]},
         400, IPV, "Duplicate parameter keys have been submitted: ['d']. Please ensure the request contains only "
         "one param value per param key.")
    post("runs/log-parameter", {"run_id": rid, "key": "long", "value": "v" * 6001}, 200)
    post("runs/log-parameter", {"run_id": rid, "key": "long", "value": "v" * 6000 + "w"}, 200)
    post("runs/set-tag", {"run_id": rid, "key": "long", "value": "v" * 8001}, 200)
    data = call("GET", f"runs/get?run_id={rid}").json["run"]["data"]
    cut = {p["key"]: len(p["value"]) for p in data["params"]}, {p["key"]: len(p["value"]) for p in data["tags"]}
    assert (cut[0]["long"], cut[1]["long"]) == (6000, 8000), cut
    post("runs/delete-tag", {"run_id": rid, "key": "none"}, 404, RDNE,
         f"No tag with name: none in run with id {rid}")

    # Metrics.
    m = {"run_id": rid, "key": "m", "value": 1.0, "timestamp": 1}
    for field in ("key", "value", "timestamp"):
        post("runs/log-metric", {k: v for k, v in m.items() if k != field}, 400, IPV,
             f"Missing value for required parameter '{field}'")
    post("runs/log-metric", {**m, "timestamp": -1}, 400, IPV,
         "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp must be a "
         "nonnegative long (64-bit integer) ")
    for field, value in (("timestamp", 1.5), ("timestamp", "x"), ("timestamp", True),
                         ("step", "x"), ("step", 0.5), ("value", "x"), ("value", True),
                         ("value", []), ("value", None)):
        post("runs/log-metric", {**m, field: value}, 400, IPV, f"parameter '{field}'")
    for field, value in (("timestamp", BIG + 1), ("step", -BIG - 2)):
        post("runs/log-metric", {**m, field: value}, 400, IPV, "64-bit integer")
    for value in ("NaN", "Infinity", "-Infinity", "1.5", 2, 1e308):
        post("runs/log-metric", {**m, "value": value}, 200)
    post("runs/log-metric", {**m, "step": -3, "timestamp": "12"}, 200)
    post("runs/log-metric", {**m, "step": 5.0}, 200)
    post("runs/log-metric", {**m, "model_id": NO_MODEL}, 404, RDNE, f"Logged model with ID '{NO_MODEL}' not found.")
    point = {"key": "m", "value": 1, "timestamp": 1, "step": 0}
    post("runs/log-batch", {"run_id": "a/b"}, 400, IPV, "Invalid value \"a/b\" for parameter 'run_id' supplied.")
    post("runs/log-batch", {"run_id": rid}, 200)
    post("runs/log-batch", {"run_id": rid, "metrics": [point] * 1000}, 200)
    for field, item, most in (("metrics", point, 1000), ("params", {"key": "k", "value": "a"}, 100),
                              ("tags", {"key": "k", "value": "a"}, 100)):
        post("runs/log-batch", {"run_id": rid, field: [item] * (most + 1)}, 400, IPV,
             f"A batch logging request can contain at most {most} {field}. Got {most + 1} {field}. Please split up "
             f"{field} across multiple requests and try again.")
        post("runs/log-batch", {"run_id": rid, field: "x"}, 400, IPV, f"parameter '{field}'")
        post("runs/log-batch", {"run_id": rid, field: ["x"]}, 400, IPV, f"{field}[0]")
        post("runs/log-batch", {"run_id": rid, field: [item, {**item, "key": "a$"}]}, 400, IPV, f"{field}[1].")
    post("runs/log-batch", {"run_id": rid, "metrics": [point] * 1000, "tags": [{"key": "k"}]}, 400, IPV,
         "at most 1000 metrics, params, and tags. Got 1001 metrics, params, and tags.")
    post("runs/log-batch", {"run_id": rid, "metrics": [point] * 3 + [{"key": "m", "value": 1}]}, 400, IPV,
         "Missing value for required parameter 'metrics[3].timestamp'")
    post("runs/log-batch", {"run_id": rid, "metrics": [point, {**point, "value": "x"}]}, 400, IPV, "metrics[1].value")
    post("runs/log-batch", {"run_id": rid, "params": [{"key": "fresh", "value": "1"}],
                            "metrics": [{**point, "timestamp": -1}]}, 400, IPV, "metrics[0].timestamp")
    data = call("GET", f"runs/get?run_id={rid}").json["run"]["data"]
    assert "fresh" not in [p["key"] for p in data["params"]], "a refused batch left a param behind"
    get(f"metrics/get-history?run_id={NO_RUN}&metric_key=m", 200)
    get(f"metrics/get-history?run_id={rid}", 400, IPV, "required parameter 'metric_key'")
    get(f"metrics/get-history?run_id={rid}&metric_key=m&max_results=x", 400, IPV, "max_results")
    bulk = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    get(bulk + "?metric_key=m", 400, IPV, "GetMetricHistoryBulk request must specify at least one run_id.")
    get(bulk + "?metric_key=m" + f"&run_id={rid}" * 101, 400, IPV,
        "GetMetricHistoryBulk request cannot specify more than 100 run_ids. Received 101 run_ids.")
    get(f"{bulk}?run_id={rid}", 400, IPV, "GetMetricHistoryBulk request must specify a metric_key.")
    interval = f"metrics/get-history-bulk-interval?run_ids={rid}&metric_key=m"
    get(interval + "&start_step=1", 400, IPV, "both must be specified")
    get(interval + "&start_step=5&end_step=1", 400, IPV, "end_step must be greater than start_step")
    get(interval + "&max_results=2501", 400, IPV, "between 1 and 2500")
    get(interval + "&max_results=0", 400, IPV, "between 1 and 2500")
    get(interval + f"&start_step={-BIG}&end_step={BIG}", 200)

    # Search of runs.
    post("runs/search", {}, 200)
    post("runs/search", {"experiment_ids": ["abc"]}, 200)
    post("runs/search", {"experiment_ids": eid}, 400, IPV, "experiment_ids")
    for n in (50001, BIG):
        post("runs/search", {"experiment_ids": [eid], "max_results": n}, 400, IPV,
             f"Invalid value {n} for parameter 'max_results' supplied:  Hint: Value was of type 'int'.")
    post("runs/search", {"experiment_ids": [eid], "max_results": 0}, 400, IPV, "It must be a positive integer")
    post("runs/search", {"experiment_ids": [eid], "order_by": ["metrics.m", "metrics.m DESC"]}, 400, IPV,
         "`order_by` contains duplicate fields")
    for text, says in (("metrics.m = 'x'", "metric"), ("params.k > 'x'", "Invalid comparator '>'"), ("params.k = 5", "quote"),
                       ("bogus.k = 'x'", "Invalid entity type"), ("attributes.bogus = 'x'", "Invalid attribute key"),
                       ("metrics.m >", ""), ("metrics.m = 1 OR metrics.m = 2", ""), ("tags.k", ""),
                       ("params.k = 'x", ""), ("attributes.status IN ('a')", "run_id"), ("dataset.bogus = 'x'", "dataset")):
        post("runs/search", {"experiment_ids": [eid], "filter": text}, 400, IPV, says)

    def runs(text, *want):
        return post("runs/search", {"experiment_ids": [eid], "filter": text}, *want)

    for text in ("metrics.m = 1 OR metrics.m = 2", "NOT metrics.m = 1", "(metrics.m = 1)", "1 = metrics.m",
                 "metrics.m BETWEEN 1 AND 2", "metrics.m"):
        runs(text, 400, IPV, "Invalid clause(s) in filter string")
    for text in ("Attributes.run_name = 'x'", "lifecycle_stage = 'active'", "experiment_id = '1'"):
        runs(text, 400, IPV, "Invalid")
    runs("metrics.m = 1; metrics.m = 2", 400, IPV, "Search filter contained multiple expression")
    for text in ("params.k = a", "attributes.run_name = x"):
        runs(text, 400, IPV, "Parameter value is either not quoted or unidentified quote types used for string value")
    runs("metrics.m = 'x'", 400, IPV, "Expected numeric value type for metric. Found 'x'")
    runs("start_time > '5'", 400, IPV, "Expected numeric value type for numeric attribute: start_time. Found '5'")
    runs("attributes.run_id IN ()", 400, IPV, "expected a non-empty list of string values, but got empty list")
    runs("attributes.status IN ('RUNNING')", 400, IPV,
         "Only the 'run_id' attribute supports comparison with a list of quoted string values.")
    for text in ("", " ", "metrics.m != 12", "metrics.`m` > -1e3 and", "params.\"k\" like 'A%'", "tags.mlflow.runName ILIKE 'x'",
                 "attribute.start_time >= 0", "run.status = 'FINISHED'", "attr.`Run Name` != 'q'", "params.zz IS NULL",
                 "tags.zz is not null", f"run_id NOT IN ('{NO_RUN}')", "dataset.name LIKE '%'", "datasets.context IN ('train')",
                 "created > 0", "params.k = \"it's\""):
        runs(text, 200)
    for text, says in (("dataset.name", "Invalid identifier type 'dataset'"), ("", "Invalid order_by clause ''. Could not be parsed."),
                       ("metrics.m, metrics.x", "Could not be parsed."), ("metrics.m SIDEWAYS", "Invalid ordering key in order_by clause"),
                       ("attributes.bogus", "Invalid attribute key 'bogus'"), ("bogus.m", "Invalid entity type 'bogus'")):
        post("runs/search", {"experiment_ids": [eid], "order_by": [text]}, 400, IPV, says)
    post("experiments/search", {"max_results": 5, "filter": "attributes.name = 'x'"}, 400, IPV, "Invalid entity type")
    post("experiments/search", {"max_results": 5, "order_by": ["tags.x"]}, 400, IPV, "Invalid order_by entity: tag")
    for text in ("name LIKE 'l%'", "attribute.name ILIKE 'L%'", "creation_time > 0", "tags.k = 'x'", "tag.k IS NULL"):
        post("experiments/search", {"max_results": 5, "filter": text}, 200)

    # The order that the genuine server was seen to give: numbers, NaN, missing, whichever way.
    ordered = made("experiments/create", {"name": "ordered"}, "experiment_id")
    names = {}
    for i, (name, value) in enumerate(zip("abcdefg", (1, 2, "NaN", "Infinity", "-Infinity", None, None))):
        r = made("runs/create", {"experiment_id": ordered, "run_name": name, "start_time": i}, "run", "info", "run_id")
        names[r] = name
        if value is not None:
            made("runs/log-metric", {"run_id": r, "key": "m", "value": value, "timestamp": 1})
            made("runs/log-parameter", {"run_id": r, "key": "p", "value": name})

    def order(by, want, **more):
        a = call("POST", "runs/search", {"experiment_ids": [ordered], "order_by": by, **more})
        got = "".join(names[x["info"]["run_id"]] for x in a.json.get("runs", []))
        if got != want:
            failed.append(f"order_by {by} {more}: want {want}, got {got}")
    order(["metrics.m"], "eabdcgf")
    order(["metrics.m DESC"], "dbaecgf")
    order([], "gfedcba")
    order(["params.p DESC"], "edcbagf")
    order(["attributes.run_name"], "abcdefg")
    order(["start_time ASC"], "abcdefg")
    order([], "edcb", filter="metrics.m != 1")
    order([], "", filter="metrics.m = 0")  # NaN is no number since 3.17; it was 0 before
    order([], "e", filter="metrics.m < 1")
    token_, got = None, ""
    while True:
        a = call("POST", "runs/search", {"experiment_ids": [ordered], "order_by": ["metrics.m"], "max_results": 2,
                                         **({"page_token": token_} if token_ else {})}).json
        got += "".join(names[x["info"]["run_id"]] for x in a.get("runs", []))
        token_ = a.get("next_page_token")
        if not token_:
            break
    assert got == "eabdcgf", got

    # Inputs, outputs, models of older clients.
    ds = {"name": "d", "digest": "1", "source_type": "s", "source": "x"}
    for field, most in (("name", 500), ("digest", 36), ("source", 65535), ("schema", 1048575)):
        post("runs/log-inputs", {"run_id": rid, "datasets": [{"dataset": {**ds, field: "x" * (most + 1)}}]}, 400, IPV,
             f"'{field}' exceeds the maximum length of {most} characters")
    for field, most in (("key", 255), ("value", 500)):
        tag = {"key": "k", "value": "v", field: "x" * (most + 1)}
        post("runs/log-inputs", {"run_id": rid, "datasets": [{"dataset": ds, "tags": [tag]}]}, 400, IPV,
             f"'{field}' exceeds the maximum length of {most} characters")
    post("runs/log-inputs", {"run_id": rid, "datasets": [{"tags": []}]}, 400, IPV, "datasets[0].dataset")
    post("runs/log-inputs", {"run_id": "a/b", "datasets": []}, 400, IPV, "Invalid value \"a/b\" for parameter 'run_id'")
    post("runs/outputs", {"run_id": rid}, 400, IPV, "required parameter 'models'")
    post("runs/log-model", {"run_id": rid, "model_json": "{"}, 400, IPV, "Malformed model info.")
    post("runs/log-model", {"run_id": rid, "model_json": "{}"}, 400, IPV, "Model json is missing mandatory fields: ")
    post("runs/log-model", {"run_id": rid, "model_json": "[]"}, 400, IPV, "Model json is missing mandatory fields: ")
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": []}, 400, IPV,
         "SearchDatasets request must specify at least one experiment_id.")
    post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": [eid] * 21}, 400, IPV,
         "SearchDatasets request cannot specify more than 20 experiment_ids. Received 21 experiment_ids.")

    # Artifacts.
    proxy = "/api/2.0/mlflow-artifacts/"
    get(f"artifacts/list?run_id={NO_RUN}", 404, RDNE, missing)
    for path in ("../x", "/etc", "a/../../b", "%252e%252e/x", "a%2523b", "..%255cx", "C:/x"):
        get(f"artifacts/list?run_id={rid}&path={path}", 400, IPV, "Invalid path")
        get(f"/get-artifact?run_id={rid}&path={path}", 400, IPV, "Invalid path")
    get(f"artifacts/list?run_id={rid}&path=none", 200)
    get(f"/get-artifact?run_id={rid}&path=none.txt", 404, RDNE, "No such artifact: 'none.txt'")
    get(proxy + "artifacts/9/none.txt", 404, RDNE, "No such artifact: '9/none.txt'")
    get(proxy + "artifacts?path=9/none", 200)
    row("DELETE", proxy + "artifacts/9/none.txt", None, 200)
    for verb in ("complete", "abort"):
        post(proxy + f"mpu/{verb}/9/a", {"path": "a"}, 400, IPV, "Missing value for required parameter 'upload_id'")
    get(proxy + "presigned/9/a", 404, RDNE, "No such artifact: '9/a'")

    # Logged models.
    none = f"Logged model with ID '{NO_MODEL}' not found."
    get(f"logged-models/{NO_MODEL}", 404, RDNE, none)
    row("PATCH", f"logged-models/{NO_MODEL}", {"model_id": NO_MODEL, "status": 2}, 404, RDNE, none)
    row("DELETE", f"logged-models/{NO_MODEL}", None, 404, RDNE, none)
    row("PATCH", f"logged-models/{mid}", {"model_id": mid}, 400, IPV, "status")
    row("PATCH", f"logged-models/{mid}", {"model_id": mid, "status": "BOGUS"}, 400, IPV, "status")
    row("DELETE", f"logged-models/{mid}/tags/none", None, 404, RDNE,
        f"No tag with key 'none' found for model with ID '{mid}'.")
    for name in ("a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"):
        post("logged-models", {"experiment_id": eid, "name": name}, 400, IPV,
             f"Invalid model name ('{name}') provided. Model name must be a non-empty string and cannot contain the "
             "following characters: ('/', ':', '.', '%', '\"', \"'\")")
    post("logged-models", {"name": "m"}, 400, IPV, "required parameter 'experiment_id'")
    post("logged-models", {"experiment_id": gone}, 400, IPV, "must be in the 'active' state")
    post("logged-models", {"experiment_id": eid, "source_run_id": NO_RUN}, 404, RDNE, missing)
    post("logged-models", {"experiment_id": eid, "params": [{"key": "x" * 251, "value": ""}]}, 400, IPV,
         "'key' exceeds the maximum length of 250 characters")
    post(f"logged-models/{mid}/params", {"model_id": mid, "params": [{"key": "p", "value": "1"}]}, 200)
    post(f"logged-models/{mid}/params", {"model_id": mid, "params": [{"key": "p", "value": "2"}]}, 400, IPV,
         "Changing param values is not allowed.")
    post("logged-models/search", {}, 400, IPV, "experiment_ids")
    post("logged-models/search", {"experiment_ids": [eid], "max_results": BIG}, 200)
    post("logged-models/search", {"experiment_ids": [eid], "order_by": [{"field_name": "bogus"}]}, 400, IPV,
         "Invalid order by field name: bogus")
    post("logged-models/search", {"experiment_ids": [eid], "filter": "bogus.x = 'y'"}, 400, IPV, "Invalid entity type")

    # Registered models.
    post("registered-models/create", {"name": "reg"}, 400, RAE, "Registered Model (name=reg) already exists.")
    post("registered-models/create", {}, 400, IPV, "required parameter 'name'")
    post("registered-models/create", {"name": "  "}, 400, IPV, "Registered model name cannot be empty.")
    for name in ("a/b", "a:b"):
        post("registered-models/create", {"name": name}, 400, IPV,
             f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    unknown = "Registered Model with name=none not found"
    get("registered-models/get?name=none", 404, RDNE, unknown)
    row("PATCH", "registered-models/update", {"name": "none"}, 404, RDNE, unknown)
    row("DELETE", "registered-models/delete", {"name": "none"}, 404, RDNE, unknown)
    post("registered-models/rename", {"name": "none", "new_name": "x"}, 404, RDNE, unknown)
    post("registered-models/rename", {"name": "reg"}, 400, IPV, "required parameter 'new_name'")
    made("registered-models/create", {"name": "other"})
    post("registered-models/rename", {"name": "other", "new_name": "reg"}, 400, RAE, "Registered Model (name=reg) already exists.")
    post("registered-models/set-tag", {"name": "none", "key": "k", "value": "v"}, 404, RDNE, unknown)
    row("DELETE", "registered-models/delete-tag", {"name": "reg", "key": "none"}, 200)
    post("registered-models/get-latest-versions", {"name": "none"}, 404, RDNE, unknown)
    post("registered-models/get-latest-versions", {"name": "reg", "stages": ["Bogus"]}, 400, IPV,
         "Invalid Model Version stage: Bogus. Value must be one of None, Staging, Production, Archived.")
    post("registered-models/set-tag", {"name": "reg", "key": "k" * 251, "value": "v"}, 400, IPV,
         "'key' exceeds the maximum length of 250 characters")
    post("registered-models/set-tag", {"name": "reg", "key": "k", "value": "v" * 100000}, 200)
    post("registered-models/set-tag", {"name": "reg", "key": "k", "value": "v" * 100001}, 400, IPV,
         "'value' exceeds the maximum length of 100000 characters")
    post("registered-models/set-tag", {"name": "reg", "key": "a$", "value": "v"}, 400, IPV, "Names may only contain alphanumerics")
    post("registered-models/set-tag", {"name": "reg", "key": "a//b", "value": "v"}, 400, IPV,
         "This name would resolve to 'a/b'")
    for n in (-1, 1001, BIG):
        get(f"registered-models/search?max_results={n}", 400, IPV, f"Invalid value {n} for parameter 'max_results' supplied")
    get("registered-models/search?max_results=x", 400, IPV, "max_results")
    get("registered-models/search?filter=bogus%20%3D%20%27x%27", 400, IPV, "Invalid attribute key 'bogus'")
    get("registered-models/search?order_by=bogus", 400, IPV, "Invalid order by key 'bogus'")
    clauses = "%20AND%20".join(["name%20%3D%20%27x%27"] * 200)
    for where in ("registered-models", "model-versions"):
        get(f"{where}/search?filter={clauses}", 400, IPV, "it holds 200 clauses, at most 100 are allowed")
        get(f"{where}/search?" + "&".join(["order_by=name"] * 21), 400, IPV, "it holds 21 keys, at most 20 are allowed")

    # Versions, aliases, stages.
    def gone_version(v):
        return f"Model Version (name=reg, version={v}) not found"
    get("model-versions/get?name=reg&version=9", 404, RDNE, gone_version(9))
    get("model-versions/get?name=reg&version=abc", 400, IPV, "Parameter 'version' must be an integer, got 'abc'.")
    get("model-versions/get?name=reg&version=99999999999999999999", 400, IPV, "Parameter 'version' must be an integer")
    get("model-versions/get?name=reg", 400, IPV, "required parameter 'version'")
    post("model-versions/set-tag", {"name": "reg", "version": 1, "key": "k", "value": "v"}, 400, IPV,
         "Hint: Value was of type 'int'")
    row("PATCH", "model-versions/update", {"name": "reg", "version": "9"}, 404, RDNE, gone_version(9))
    row("DELETE", "model-versions/delete", {"name": "reg", "version": "9"}, 404, RDNE, gone_version(9))
    get("model-versions/get-download-uri?name=reg&version=9", 404, RDNE, gone_version(9))
    post("model-versions/create", {"name": "none", "source": "s3://b/m"}, 404, RDNE, unknown)
    post("model-versions/create", {"name": "reg"}, 400, IPV, "required parameter 'source'")
    for source in ("s3://b/../m", "s3://b/%252e%252e/m", "mlflow-artifacts:/1/../2", "runs:/a/..%2f..", "https://h/a?../b",
                   "s3://b/a%00b"):
        post("model-versions/create", {"name": "reg", "source": source}, 400, IPV,
             f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, "
             "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references "
             "present. Please provide an absolute path.")
    for source in ("/etc/passwd", "file:///etc", "FILE:///etc", "file://host/x", "word", " file:///etc", "C:/x"):
        post("model-versions/create", {"name": "reg", "source": source, "run_id": rid}, 400, IPV,
             f"Invalid model version source: '{source}'. To use a local path as a model version source, the run_id request "
             "parameter has to be specified and the local path has to be contained within the artifact directory of the run "
             "specified by the run_id.")
    post("model-versions/create", {"name": "reg", "source": f"models:/{NO_MODEL}"}, 404, RDNE, none)
    post("model-versions/create", {"name": "reg", "source": "models:/none/1"}, 404, RDNE, "name=none")
    post("model-versions/create", {"name": "reg", "source": "s3://b/m", "model_id": NO_MODEL}, 404, RDNE, none)
    post("model-versions/create", {"name": "reg", "source": "s3://b/m", "run_id": NO_RUN}, 200)
    get("registered-models/alias?name=reg&alias=none", 400, IPV, "Registered model alias none not found.")
    get("registered-models/alias?name=none&alias=champion", 404, RDNE, unknown)
    alias = {"name": "reg", "version": "1"}
    for name in ("latest", "LATEST"):
        post("registered-models/alias", {**alias, "alias": name}, 400, IPV, f"'{name}' alias name (case insensitive) is reserved."
             if name == "latest" else "alias name (case insensitive) is reserved.")
    for name in ("v12", "V1"):
        post("registered-models/alias", {**alias, "alias": name}, 400, IPV, f"Version alias name '{name}' is reserved.")
    post("registered-models/alias", {**alias, "alias": "a b"}, 400, IPV,
         "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).")
    post("registered-models/alias", {**alias, "alias": "a" * 256}, 400, IPV,
         "'Registered model alias name' exceeds the maximum length of 255 characters")
    post("registered-models/alias", {**alias, "alias": "a" * 255}, 200)
    post("registered-models/alias", {"name": "reg", "alias": "x", "version": "9"}, 404, RDNE, gone_version(9))
    row("DELETE", "registered-models/alias", {"name": "reg", "alias": "none"}, 200)
    stage = {"name": "reg", "version": "1"}
    post("model-versions/transition-stage", {**stage, "stage": "Bogus"}, 400, IPV,
         "Invalid Model Version stage: Bogus. Value must be one of None, Staging, Production, Archived.")
    for name in ("None", "Archived"):
        post("model-versions/transition-stage", {**stage, "stage": name, "archive_existing_versions": True}, 400, IPV,
             f"Model version transition cannot archive existing model versions because '{name}' is not an Active stage. "
             "Valid stages are ['Staging', 'Production']")
    post("model-versions/transition-stage", {**stage, "stage": "Staging", "archive_existing_versions": "yes"}, 400, IPV,
         "archive_existing_versions")
    post("model-versions/transition-stage", {**stage, "stage": "sTaGiNg"}, 200)
    for n in (200001, BIG):
        get(f"model-versions/search?max_results={n}", 400, IPV, f"Invalid value {n} for parameter 'max_results' supplied")
    for n in (0, -1):
        get(f"model-versions/search?max_results={n}", 400, IPV,
            f"Invalid value for max_results. It must be a positive integer, but got {n}")
    post("model-versions/set-tag", {"name": "reg", "version": "1", "key": "k", "value": "v" * 100001}, 400, IPV,
         "'value' exceeds the maximum length of 100000 characters")
    row("DELETE", "model-versions/delete", {"name": "reg", "version": "2"}, 200)
    get("model-versions/get?name=reg&version=2", 404, RDNE, gone_version(2))

    for where, text, says in (("registered-models", "name > 'x'", "Invalid comparator for attribute: >"),
                              ("registered-models", "name = x", "not quoted"),
                              ("registered-models", "bogus.x = 'y'", "Invalid entity type 'bogus'"),
                              ("registered-models", "timestamp > 1", "Invalid attribute key 'timestamp'"),
                              ("model-versions", "current_stage = 'None'", "Invalid attribute key 'current_stage'"),
                              ("model-versions", "version_number = 'x'", "Expected numeric value type for numeric attribute"),
                              ("model-versions", "version_number LIKE '1'", "Invalid comparator"),
                              ("model-versions", "source_path IN ('a')", "Invalid comparator"),
                              ("model-versions", "tags.k > 'a'", "Invalid comparator")):
        get(f"{where}/search?filter={quote(text)}", 400, IPV, says)
    for where, text in (("registered-models", "attribute.name ILIKE 'R%'"), ("registered-models", "tags.k != 'q'"),
                        ("model-versions", "version_number >= '1' AND name = 'reg'"), ("model-versions", "name IN ('reg', 'x')"),
                        ("model-versions", "source_path LIKE 's3%'"),
                        ("model-versions", f"run_id IN ('{rid}')"), ("model-versions", "tag.k ILIKE 'V%'")):
        get(f"{where}/search?filter={quote(text)}", 200)

    # A page of versions carries each one's own tags and aliases; so does a page of logged models.
    made("registered-models/create", {"name": "many"})
    for i in range(1, 31):
        made("model-versions/create", {"name": "many", "source": "s3://b/m",
                                       "tags": [{"key": f"t{k}", "value": str(i)} for k in range(i % 4)]})
        if i % 3 == 0:
            for k in range(i % 2 + 1):
                made("registered-models/alias", {"name": "many", "alias": f"a{i}-{k}", "version": str(i)})
    by_name = quote("name = 'many'")
    page = call("GET", f"model-versions/search?filter={by_name}&max_results=25").json
    assert len(page["model_versions"]) == 25 and page["next_page_token"], page
    for v in page["model_versions"]:
        i = int(v["version"])
        want = {f"t{k}": str(i) for k in range(i % 4)}
        assert {t["key"]: t["value"] for t in v.get("tags", [])} == want, (v, want)
        assert v.get("aliases", []) == [f"a{i}-{k}" for k in range(i % 2 + 1) if i % 3 == 0], v
    models = made("experiments/create", {"name": "models"}, "experiment_id")
    for i in range(12):
        r = made("runs/create", {"experiment_id": models}, "run", "info", "run_id")
        one = made("logged-models", {"experiment_id": models, "name": f"n{i}", "source_run_id": r,
                                     "params": [{"key": f"p{k}", "value": str(i)} for k in range(i % 3)],
                                     "tags": [{"key": "t", "value": str(i)}] if i % 2 else []}, "model", "info", "model_id")
        for k in range(i % 4):
            made("runs/log-metric", {"run_id": r, "key": f"m{k}", "value": i, "timestamp": 1, "model_id": one})
    page = call("POST", "logged-models/search", {"experiment_ids": [models], "max_results": 11}).json
    assert len(page["models"]) == 11 and page["next_page_token"], page
    for v in page["models"]:
        i = int(v["info"]["name"][1:])
        data = v.get("data", {})
        assert {p["key"]: p["value"] for p in data.get("params", [])} == {f"p{k}": str(i) for k in range(i % 3)}, v
        assert {p["key"]: p["value"] for p in data.get("metrics", [])} == {f"m{k}": i for k in range(i % 4)}, v
        assert [t["value"] for t in v["info"].get("tags", [])] == ([str(i)] if i % 2 else []), v

    # Bodies.
    js = {"Content-Type": "application/json"}
    row("POST", "experiments/create", b"{}", 400, IPV, "Content-Type must be one of ['application/json'].", raw=True,
        headers={"Content-Type": "text/plain"})
    for body in (b"", b"{", b"[]", b"nonsense"):
        row("POST", "experiments/create", body, 400, IPV, "", raw=True, headers=js)
    row("POST", "experiments/create", b'{"name":"\xff\xfe"}', 400, IPV, "", raw=True, headers=js)
    row("POST", "experiments/create", b'{"name":"a\\u0000b"}', 400, IPV, "", raw=True, headers=js)
    row("POST", "experiments/create", b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}", 400, IPV, "", raw=True, headers=js)
    row("POST", "experiments/create", b'{"name":"camel","artifactLocation":"s3://b/x","unknown":1}', 200, raw=True, headers=js)
    row("POST", "experiments/create", json.dumps('{"name":"twice"}').encode(), 200, raw=True, headers=js)
    a = call("GET", "no/such/path")
    assert a.status == 404 and ("error_code" not in a.text or "ENDPOINT_NOT_FOUND" in a.text), a
    a = call("DELETE", "runs/search")
    assert a.status == 405, a


with Server() as server:
    main(server)
print(f"{count} rows, {len(failed)} failed")
for f in failed:
    print(f)
assert count >= 120
sys.exit(1 if failed else 0)
