# SPDX-License-Identifier: Apache-2.0
"""Tracking on the wire, by the standard library alone: forms that the genuine client never sends or
reads loosely: both prefixes, query lists, bodies of a GET, exact JSON, projects, many writers."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

JSON = {"Content-Type": "application/json"}


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def error(answer, status, code, part):
    same((answer.status, answer.json["error_code"]), (status, code), answer)
    assert part in answer.json["message"], f"{answer} lacks {part!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def new_run(s, **body):
    return ok(s.mlflow("runs/create", {"experiment_id": "0", **body}))["run"]["info"]["run_id"]


def forms(s):
    for prefix in ("/api/2.0/mlflow/", "/ajax-api/2.0/mlflow/"):
        same(ok(s.get(prefix + "experiments/get?experiment_id=0"))["experiment"]["name"], "Default")
        same(ok(s.get(prefix + "experiments/get?experimentId=0"))["experiment"]["name"], "Default")
        a = s.request("GET", prefix + "experiments/get", b'{"experiment_id":"0"}', JSON, raw=True)
        same(ok(a)["experiment"]["name"], "Default", "body of a GET without a query")
    for body in (b"", b"[]", b"{", b'"{}"'):
        error(s.request("POST", "/api/2.0/mlflow/experiments/create", body, JSON, raw=True), 400,
              "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'.")
    twice = json.dumps(json.dumps({"name": "coded twice"})).encode()
    same(ok(s.request("POST", "/api/2.0/mlflow/experiments/create", twice, JSON, raw=True)),
         {"experiment_id": "1"})
    error(s.request("POST", "/api/2.0/mlflow/experiments/create", b"{}", {}, raw=True), 400,
          "INVALID_PARAMETER_VALUE", "Content-Type")
    same(ok(s.get("/api/2.0/mlflow/experiments/search?max_results=1&order_by=name%20DESC"
                  "&view_type=ALL"))["experiments"][0]["name"], "coded twice")
    error(s.get("/api/2.0/mlflow/no/such"), 404, "ENDPOINT_NOT_FOUND", "")
    same(s.request("HEAD", "/api/2.0/mlflow/experiments/get?experiment_id=0").status, 200)
    same(s.request("PUT", "/api/2.0/mlflow/runs/create", b"{}", JSON, raw=True).status, 405)
    same(ok(s.get("/ajax-api/3.0/mlflow/server-info")),
         {"store_type": "SqlStore", "workspaces_enabled": False, "trace_archival_enabled": False,
          "multipart_uploads_enabled": True, "multipart_downloads_enabled": True,
          "presigned_upload_run_id_supported": True, "presigned_upload_model_id_supported": True,
          "features_enabled": {"gateway": False}})


def exact(s):
    rid = new_run(s, start_time="5")
    same(ok(s.mlflow("runs/log-metric", {"run_uuid": rid, "key": "m", "value": 1, "timestamp": 0})), {})
    run = ok(s.get(f"/api/2.0/mlflow/runs/get?run_id={rid}"))["run"]
    same(run["data"]["metrics"], [{"key": "m", "value": 1.0, "timestamp": 0, "step": 0}])
    same((run["info"]["start_time"], run["info"]["user_id"], "end_time" in run["info"]), (5, "", False))
    same((run["inputs"], run["outputs"]), ({}, {}))
    big = 2**63 - 1
    ok(s.mlflow("runs/log-metric", {"run_id": rid, "key": "big", "value": "1e3", "timestamp": str(big),
                                    "step": -big - 1}))
    text = s.get(f"/api/2.0/mlflow/metrics/get-history?run_id={rid}&metric_key=big").text
    same(json.loads(text), {"metrics": [{"key": "big", "value": 1000.0, "timestamp": big,
                                         "step": -big - 1}]})
    assert str(big) in text and f'"{big}"' not in text, text
    for value in ('"NaN"', "NaN", '"Infinity"', '"-Infinity"'):
        body = f'{{"run_id":"{rid}","key":"odd","value":{value},"timestamp":1}}'
        same(ok(s.request("POST", "/api/2.0/mlflow/runs/log-metric", body.encode(), JSON, raw=True)), {})
    same([m["value"] for m in ok(s.get(f"/api/2.0/mlflow/metrics/get-history?run_id={rid}&metric_key=odd"))
          ["metrics"]], [-1.7976931348623157e308, "NaN", 1.7976931348623157e308])
    for bad, part in (({"value": "x"}, "'value'"), ({"value": True}, "'value'"), ({"value": None}, "'value'"),
                      ({"timestamp": 1.5}, "'timestamp'"), ({"timestamp": 2**64}, "64-bit"),
                      ({"step": "one"}, "'step'"), ({"key": 7}, "'key'"), ({"key": ""}, "'key'"),
                      ({"timestamp": -1}, "Timestamp must be a nonnegative long")):
        error(s.mlflow("runs/log-metric", {"run_id": rid, "key": "b", "value": 1, "timestamp": 1, **bad}),
              400, "INVALID_PARAMETER_VALUE", part)
    error(s.mlflow("runs/update", {"run_id": rid, "status": "BOGUS"}), 400, "INVALID_PARAMETER_VALUE",
          "'status'")
    error(s.mlflow("runs/create", {"experiment_id": "0", "tags": "x"}), 400, "INVALID_PARAMETER_VALUE",
          "'tags'")
    run = ok(s.get(f"/api/2.0/mlflow/runs/get?run_uuid={rid}"))["run"]
    same(sorted(m["key"] for m in run["data"]["metrics"]), ["big", "m", "odd"], "nothing was half kept")


def charts(s):
    a, b = new_run(s), new_run(s)
    for k in range(20):
        for r in (a, b)[:1 if k > 9 else 2]:
            ok(s.mlflow("runs/log-metric", {"run_id": r, "key": "m", "value": k, "timestamp": k, "step": k}))
    got = ok(s.get(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={b}&run_id={a}&metric_key=m"))
    same(len(got["metrics"]), 30)
    same(got["metrics"][0], {"key": "m", "value": 0.0, "timestamp": 0, "step": 0, "run_id": min(a, b)})
    for prefix in ("/api", "/ajax-api"):
        got = ok(s.get(f"{prefix}/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={b}&run_ids={a}"
                       "&metric_key=m&max_results=5"))["metrics"]
        same([m["step"] for m in got if m["run_id"] == b], [0, 4, 8, 9])
        same([m["step"] for m in got if m["run_id"] == a], [0, 4, 8, 12, 16, 19])
    many = "&".join(f"run_id={k}" for k in range(101))
    error(s.get(f"/ajax-api/2.0/mlflow/metrics/get-history-bulk?{many}&metric_key=m"), 400,
          "INVALID_PARAMETER_VALUE", "cannot specify more than 100 run_ids. Received 101 run_ids.")
    same(s.get("/api/2.0/mlflow/metrics/get-history-bulk?run_id=x&metric_key=m").status, 404)


def data_sets(s):
    rid = new_run(s)
    ok(s.mlflow("runs/log-inputs", {"run_id": rid, "datasets": [
        {"tags": [{"key": "mlflow.data.context", "value": "eval"}],
         "dataset": {"name": "n", "digest": "d"}}]}))
    same(ok(s.post("/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": ["0"]})),
         {"dataset_summaries": [{"experiment_id": "0", "name": "n", "digest": "d", "context": "eval"}]})
    error(s.mlflow("runs/log-inputs", {"run_id": rid, "datasets": [{"dataset": {"name": "n"}}]}), 400,
          "INVALID_PARAMETER_VALUE", "'datasets[0].dataset.digest'")
    error(s.mlflow("runs/log-inputs", {"run_id": rid, "datasets": [
        {"dataset": {"name": "n", "digest": "d" * 37}}]}), 400, "INVALID_PARAMETER_VALUE",
          "'digest' exceeds the maximum length of 36 characters")


def writers(s):
    """Many writers, one run: every point is kept, params and latest values hold."""
    rid = new_run(s)
    faults = []

    def work(k):
        for i in range(40):
            a = s.mlflow("runs/log-batch", {"run_id": rid, "metrics": [
                {"key": "shared", "value": k * 1000 + i, "timestamp": i, "step": k * 40 + i},
                {"key": f"own{k}", "value": i, "timestamp": i, "step": i}],
                "params": [{"key": f"p{k}", "value": "v"}]})
            if a.status != 200:
                faults.append(a)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(faults, [])
    history = ok(s.get(f"/api/2.0/mlflow/metrics/get-history?run_id={rid}&metric_key=shared"))["metrics"]
    same(sorted(m["step"] for m in history), list(range(320)))
    data = ok(s.get(f"/api/2.0/mlflow/runs/get?run_id={rid}"))["run"]["data"]
    latest = {m["key"]: m["value"] for m in data["metrics"]}
    same(latest, {"shared": 7039.0, **{f"own{k}": 39.0 for k in range(8)}})
    same(sorted(p["key"] for p in data["params"]), [f"p{k}" for k in range(8)])


def projects(s):
    ok(s.post("/api/v1/projects", {"name": "other"}))
    there = {"X-Quern-Project": "other", **JSON}

    def call(name, body):
        return s.request("POST", "/api/2.0/mlflow/" + name, json.dumps(body).encode(), there, raw=True)

    eid = ok(call("experiments/create", {"name": "coded twice"}))["experiment_id"]
    rid = ok(call("runs/create", {"experiment_id": eid}))["run"]["info"]["run_id"]
    error(s.get(f"/api/2.0/mlflow/experiments/get?experiment_id={eid}"), 404, "RESOURCE_DOES_NOT_EXIST", eid)
    error(s.get(f"/api/2.0/mlflow/runs/get?run_id={rid}"), 404, "RESOURCE_DOES_NOT_EXIST", rid)
    same(ok(s.mlflow("runs/search", {"experiment_ids": [eid]})), {})
    same(ok(s.get(f"/api/2.0/mlflow/metrics/get-history?run_id={rid}&metric_key=m")), {})
    for name, body in (("runs/set-tag", {"key": "a", "value": "b"}), ("runs/delete", {}),
                       ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1})):
        error(s.mlflow(name, {"run_id": rid, **body}), 404, "RESOURCE_DOES_NOT_EXIST", rid)
    same([e["experiment_id"] for e in ok(call("experiments/search", {"view_type": "ALL"}))["experiments"]],
         [eid])


with Server() as server:
    for part in (forms, exact, charts, data_sets, writers, projects):
        part(server)
        print("ok", part.__name__)
