# SPDX-License-Identifier: Apache-2.0
"""The genuine MLflow client, unmodified, against Quern: experiments, runs, logging, search, histories,
artifacts, models. Runs with mlflow 2.22 and 3.x alike; what only one of them has is marked so."""
import json
import math
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

from quern import Server  # noqa: E402

V3 = int(mlflow.__version__.split(".")[0]) >= 3
MAX = 1.7976931348623157e308


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def refused(code, part, call):
    try:
        got = call()
    except MlflowException as e:
        same(e.error_code, code, str(e))
        assert part in str(e), f"{e} lacks {part!r}"
        return
    raise AssertionError(f"not refused: {call} gave {got!r}")


def experiments(client):
    first = mlflow.create_experiment("one", tags={"team": "a"})
    same(first, "1", "first experiment id")
    same(client.create_experiment("two", artifact_location="s3://bucket/two"), "2")
    e = client.get_experiment("1")
    same((e.name, e.artifact_location, e.lifecycle_stage, e.tags),
         ("one", "mlflow-artifacts:/1", "active", {"team": "a"}))
    assert e.creation_time == e.last_update_time > 1_500_000_000_000, e
    same(client.get_experiment_by_name("two").artifact_location, "s3://bucket/two")
    same(client.get_experiment_by_name("none"), None)
    same(client.get_experiment("0").name, "Default")
    refused("RESOURCE_ALREADY_EXISTS", "Experiment(name=one) already exists.",
            lambda: client.create_experiment("one"))
    refused("RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99 exists",
            lambda: client.get_experiment("99"))
    client.rename_experiment("2", "second")
    client.set_experiment_tag("2", "k", "v")
    same(client.get_experiment("2").tags, {"k": "v"})
    if V3:
        client.delete_experiment_tag("2", "k")
        same(client.get_experiment("2").tags, {})
    same(sorted(x.name for x in client.search_experiments()), ["Default", "one", "second"])
    same([x.name for x in client.search_experiments(filter_string="tags.team = 'a'")], ["one"])
    same([x.name for x in client.search_experiments(filter_string="name LIKE 's%'")], ["second"])
    same([x.name for x in client.search_experiments(order_by=["name DESC"])],
         ["second", "one", "Default"])
    page = client.search_experiments(order_by=["name"], max_results=2)
    same([x.name for x in page], ["Default", "one"])
    same([x.name for x in client.search_experiments(order_by=["name"], max_results=2,
                                                    page_token=page.token)], ["second"])
    client.delete_experiment("2")
    same(client.get_experiment("2").lifecycle_stage, "deleted")
    same([x.name for x in client.search_experiments(view_type=ViewType.DELETED_ONLY)], ["second"])
    refused("INVALID_PARAMETER_VALUE", "must be in the 'active' state", lambda: client.create_run("2"))
    client.restore_experiment("2")
    same(client.get_experiment("2").lifecycle_stage, "active")
    mlflow.set_experiment("one")
    same(mlflow.set_experiment("made by set").experiment_id, "3")
    mlflow.set_experiment("one")


def runs(client):
    with mlflow.start_run(run_name="outer", description="what it is", tags={"stage": "x"}) as outer:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "kind": "gini", "empty": ""})
        mlflow.log_metric("acc", 0.5, step=1)
        mlflow.log_metric("acc", 0.75, step=3)
        mlflow.log_metric("acc", 0.6, step=2)
        mlflow.log_metrics({"loss": 1.5, "nan": math.nan, "up": math.inf, "down": -math.inf}, step=7)
        mlflow.set_tag("a.b/c", "v")
        mlflow.set_tags({"n": 1, "unicode": "grün ✓"})
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_metric("acc", 0.9)
    run = client.get_run(outer.info.run_id)
    same(run.data.params, {"lr": "0.1", "depth": "3", "kind": "gini", "empty": ""})
    m = dict(run.data.metrics)
    assert math.isnan(m.pop("nan")), run.data.metrics
    same(m, {"acc": 0.75, "loss": 1.5, "up": MAX, "down": -MAX})
    t = run.data.tags
    same((t["a.b/c"], t["n"], t["unicode"], t["stage"], t["mlflow.runName"], t["mlflow.note.content"]),
         ("v", "1", "grün ✓", "x", "outer", "what it is"))
    i = run.info
    same((i.run_name, i.status, i.lifecycle_stage, i.experiment_id), ("outer", "FINISHED", "active", "1"))
    same(i.artifact_uri, f"mlflow-artifacts:/1/{i.run_id}/artifacts")
    assert i.end_time >= i.start_time > 1_500_000_000_000, i
    same(client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"], i.run_id)

    history = client.get_metric_history(i.run_id, "acc")
    same([(x.step, x.value) for x in history], [(1, 0.5), (3, 0.75), (2, 0.6)], "history by time")
    same([x.value for x in client.get_metric_history(i.run_id, "up")], [MAX])
    same(list(client.get_metric_history(i.run_id, "none")), [])

    with mlflow.start_run(run_id=i.run_id):  # resumed
        mlflow.log_param("lr", 0.1)
        refused("INVALID_PARAMETER_VALUE", "Changing param values is not allowed",
                lambda: mlflow.log_param("lr", 0.2))
        mlflow.log_metric("acc", 0.8, step=4)
    same(client.get_run(i.run_id).data.metrics["acc"], 0.8)

    made = client.create_run("1", run_name="by client", tags={"q": "1"}, start_time=5)
    rid = made.info.run_id
    same((made.info.start_time, made.info.end_time, made.info.status), (5, None, "RUNNING"))
    client.log_batch(rid, metrics=[Metric("m", k / 8, 100 + k, k) for k in range(900)],
                     params=[Param(f"p{k}", str(k)) for k in range(50)],
                     tags=[RunTag(f"t{k}", str(k)) for k in range(50)])
    got = client.get_run(rid)
    same((got.data.metrics["m"], len(got.data.params), got.data.tags["t49"]), (899 / 8, 50, "49"))
    same([x.value for x in client.get_metric_history(rid, "m")], [k / 8 for k in range(900)])
    refused("INVALID_PARAMETER_VALUE", "at most 1000 metrics", lambda: client._tracking_client.store.
            log_batch(rid, [Metric("m", 1, 1, k) for k in range(1001)], [], []))
    client.delete_tag(rid, "t0")
    refused("RESOURCE_DOES_NOT_EXIST", "No tag with name: t0", lambda: client.delete_tag(rid, "t0"))
    client.update_run(rid, status="KILLED", name="renamed")
    same((client.get_run(rid).info.status, client.get_run(rid).info.run_name), ("KILLED", "renamed"))
    client.set_terminated(rid, "FAILED", end_time=9)
    same((client.get_run(rid).info.status, client.get_run(rid).info.end_time), ("FAILED", 9))
    client.delete_run(rid)
    same(client.get_run(rid).info.lifecycle_stage, "deleted")
    refused("INVALID_PARAMETER_VALUE", "Current state is deleted", lambda: client.log_metric(rid, "m", 1))
    client.restore_run(rid)
    client.log_metric(rid, "m", 1.0, timestamp=2000, step=5000)
    same(client.get_run(rid).data.metrics["m"], 1.0)
    random = client.create_run("0")
    same(len(random.info.run_name.split("-")), 3, random.info.run_name)
    refused("RESOURCE_DOES_NOT_EXIST", "not found", lambda: client.get_run("0" * 32))


def search(client):
    mlflow.set_experiment("search")
    eid = mlflow.get_experiment_by_name("search").experiment_id
    for k in range(30):
        with mlflow.start_run(run_name=f"r{k:02}"):
            mlflow.log_metric("score", k / 10)
            mlflow.log_param("mod", k % 3)
            if k % 2:
                mlflow.set_tag("odd", "Yes")
    frame = mlflow.search_runs(experiment_names=["search"], filter_string="metrics.score >= 1",
                               order_by=["metrics.score DESC"])
    same(list(frame["metrics.score"]), [k / 10 for k in range(29, 9, -1)])
    same(list(frame["params.mod"])[:3], ["2", "1", "0"])
    same(sorted(c for c in frame.columns if c.startswith(("metrics.", "params."))),
         ["metrics.score", "params.mod"])

    def names(text, **more):
        return [r.info.run_name for r in client.search_runs([eid], text, **more)]

    same(names("params.mod = '0' and metrics.score < 0.7", order_by=["metrics.score"]),
         ["r00", "r03", "r06"])
    same(names("tags.odd ILIKE 'y%'", order_by=["attributes.run_name DESC"], max_results=3),
         ["r29", "r27", "r25"])
    same(names("attributes.run_name LIKE 'r1_' AND params.mod != '1'"),
         ["r18", "r17", "r15", "r14", "r12", "r11"])
    same(names("tags.`mlflow.runName` = 'r07'"), ["r07"])
    seen, token = [], None
    while True:
        page = client.search_runs([eid], "metrics.score > -1", order_by=["params.mod", "metrics.score"],
                                  max_results=7, page_token=token)
        seen += [r.info.run_name for r in page]
        token = page.token
        if not token:
            break
    same(seen, [f"r{k:02}" for m in range(3) for k in range(m, 30, 3)])
    client.delete_run(client.search_runs([eid], "run_name = 'r00'")[0].info.run_id)
    same(names("metrics.score < 0.2", order_by=["metrics.score"]), ["r01"])
    same(names("metrics.score < 0.2", run_view_type=ViewType.DELETED_ONLY), ["r00"])
    same(names("metrics.score < 0.2", run_view_type=ViewType.ALL, order_by=["metrics.score"]),
         ["r00", "r01"])
    refused("INVALID_PARAMETER_VALUE", "Invalid clause(s) in filter string", lambda: names("a = 1 OR b = 2"))
    same(len(client.search_runs(["0", "1", eid])), 33)


def artifacts(client, folder):
    mlflow.set_experiment("one")
    with mlflow.start_run() as run:
        rid = run.info.run_id
        mlflow.log_text("hello\nworld", "notes/a.txt")
        mlflow.log_dict({"a": [1, 2.5, None]}, "d.json")
        mlflow.log_dict({"a": 1}, "d.yaml")
        import matplotlib.pyplot as plt
        figure, axis = plt.subplots()
        axis.plot([1, 2, 3])
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "plots/black.png")
        mlflow.log_table({"q": ["a", "b"], "n": [1, 2]}, "table.json")
        os.makedirs(os.path.join(folder, "tree", "deep"))
        blob = os.urandom(300_000)
        for name, data in (("tree/x.bin", blob), ("tree/deep/é ü.txt", b"umlaut"), ("tree/empty", b"")):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        mlflow.log_artifact(os.path.join(folder, "tree", "x.bin"), "single")
        mlflow.log_artifacts(os.path.join(folder, "tree"), "many")
    listing = [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid)]
    same([x[0] for x in listing], ["d.json", "d.yaml", "many", "notes", "plots", "single", "table.json"])
    same([x[1] for x in listing], [False, False, True, True, True, True, False])
    same([(f.path, f.file_size) for f in client.list_artifacts(rid, "many")],
         [("many/deep", None), ("many/empty", None), ("many/x.bin", 300_000)])
    same(list(client.list_artifacts(rid, "d.json")), [])
    same(list(client.list_artifacts(rid, "nothing")), [])
    same(mlflow.artifacts.load_text(f"runs:/{rid}/notes/a.txt"), "hello\nworld")
    same(mlflow.artifacts.load_dict(f"runs:/{rid}/d.json"), {"a": [1, 2.5, None]})
    same(mlflow.load_table("table.json", run_ids=[rid]).to_dict("list"), {"q": ["a", "b"], "n": [1, 2]})
    with open(client.download_artifacts(rid, "plots/line.png", folder), "rb") as f:
        same(f.read(8), b"\x89PNG\r\n\x1a\n")
    here = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="many", dst_path=folder)
    for name, data in (("x.bin", blob), ("deep/é ü.txt", b"umlaut"), ("empty", b"")):
        with open(os.path.join(here, name), "rb") as f:
            assert f.read() == data, name
    whole = mlflow.artifacts.download_artifacts(run_id=rid, dst_path=os.path.join(folder, "whole"))
    same(sorted(os.listdir(whole)), ["d.json", "d.yaml", "many", "notes", "plots", "single", "table.json"])
    try:
        client.download_artifacts(rid, "nothing.txt", folder)
    except Exception as e:
        assert "nothing.txt" in str(e), e
    else:
        raise AssertionError("a missing artifact was downloaded")
    return rid


def artifact_routes(server, rid):
    a = server.get(f"/api/2.0/mlflow/artifacts/list?run_id={rid}&path=many")
    same(a.json, {"root_uri": f"mlflow-artifacts:/1/{rid}/artifacts", "files": [
        {"path": "many/deep", "is_dir": True}, {"path": "many/empty", "is_dir": False},
        {"path": "many/x.bin", "is_dir": False, "file_size": 300_000}]})
    a = server.get(f"/get-artifact?run_uuid={rid}&path=notes/a.txt")
    same((a.status, a.body, a.headers["Content-Type"]), (200, b"hello\nworld", "text/plain"))
    assert "attachment" in a.headers["Content-Disposition"], a.headers
    same(a.headers["X-Content-Type-Options"], "nosniff")
    for bad in ("../x", "%2e%2e/x", "a/%252e%252e/b", "/etc/passwd", "a/../../b", "x%23y"):
        a = server.get(f"/api/2.0/mlflow/artifacts/list?run_id={rid}&path={bad}")
        assert a.status == 400 and a.json["error_code"] in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"), (bad, a)
    a = server.get(f"/get-artifact?run_id={rid}&path=no")
    same((a.status, a.json["error_code"], a.json["message"]),
         (404, "RESOURCE_DOES_NOT_EXIST", "No such artifact: 'no'"))
    same(server.get(f"/get-artifact?run_id={rid}&path=many").status, 400)


def inputs(client):
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    data = mlflow.data.from_pandas(frame, source="https://example.com/d.csv", name="small", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(data, context="training")
        mlflow.log_input(data, context="training")
    got = client.get_run(run.info.run_id).inputs.dataset_inputs
    same(len(got), 1)
    d = got[0].dataset
    same((d.name, d.digest, d.source_type), ("small", data.digest, "http"))
    same(json.loads(d.source), {"url": "https://example.com/d.csv"})
    same(json.loads(d.profile), {"num_rows": 2, "num_elements": 4})
    same([(t.key, t.value) for t in got[0].tags], [("mlflow.data.context", "training")])
    found = client.search_runs(["1"], "dataset.name = 'small' AND dataset.context = 'training'")
    same([r.info.run_id for r in found], [run.info.run_id])


def models(client, server, folder):
    from sklearn.linear_model import LogisticRegression
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = np.array([0, 0, 1, 1])
    model = LogisticRegression().fit(x, y)
    mlflow.set_experiment("models")
    eid = mlflow.get_experiment_by_name("models").experiment_id
    with mlflow.start_run() as run:
        mlflow.log_param("c", 1)
        mlflow.log_metric("acc", 1.0, step=2)
        if V3:
            info = mlflow.sklearn.log_model(model, name="clf", input_example=x[:2],
                                            serialization_format="cloudpickle",
                                            pip_requirements=["scikit-learn"])
        else:
            info = mlflow.sklearn.log_model(model, artifact_path="clf", input_example=x[:2],
                                            pip_requirements=["scikit-learn"])
    rid = run.info.run_id
    loaded = mlflow.sklearn.load_model(info.model_uri)
    same(loaded.predict(x).tolist(), [0, 0, 1, 1])
    same(mlflow.pyfunc.load_model(info.model_uri).predict(x).tolist(), [0, 0, 1, 1])
    if not V3:
        history = json.loads(client.get_run(rid).data.tags["mlflow.log-model.history"])
        same([h["artifact_path"] for h in history], ["clf"])
        same(sorted(history[0]["flavors"]), ["python_function", "sklearn"])
        return
    mid = info.model_id
    assert mid.startswith("m-") and len(mid) == 34, mid
    same(info.model_uri, f"models:/{mid}")
    got = mlflow.get_logged_model(mid)
    same((got.name, str(got.status), got.source_run_id, got.experiment_id, got.artifact_location),
         ("clf", "LoggedModelStatus.READY" if "." in str(got.status) else "READY", rid, eid,
          f"mlflow-artifacts:/{eid}/models/{mid}/artifacts"))
    same(got.params, {"c": "1"})
    out = client.get_run(rid).outputs.model_outputs
    same([(o.model_id, o.step) for o in out], [(mid, 0)])
    same(mlflow.sklearn.load_model(f"runs:/{rid}/clf").predict(x).tolist(), [0, 0, 1, 1])

    other = client.create_logged_model(eid, name="other", source_run_id=rid, tags={"k": "v"},
                                       params={"p": "1"}, model_type="toy")
    same((other.status, other.tags["k"], other.params, other.model_type),
         ("PENDING", "v", {"p": "1"}, "toy"))
    client.set_logged_model_tags(other.model_id, {"k": "w", "z": "1"})
    client.delete_logged_model_tag(other.model_id, "z")
    refused("RESOURCE_DOES_NOT_EXIST", "No tag with key 'z' found",
            lambda: client.delete_logged_model_tag(other.model_id, "z"))
    client.log_model_params(other.model_id, {"q": "2"})
    again = client.get_logged_model(other.model_id)
    same((again.tags["k"], again.params), ("w", {"p": "1", "q": "2"}))
    client.finalize_logged_model(other.model_id, "READY")
    same(client.get_logged_model(other.model_id).status, "READY")
    client.log_metric(rid, "f1", 0.5, step=1, model_id=mid, dataset_name="ds", dataset_digest="d1")
    client.log_metric(rid, "f1", 0.9, step=1, model_id=other.model_id)
    metric = [v for v in client.get_logged_model(mid).metrics if v.key == "f1"]
    same([(v.value, v.step, v.dataset_name, v.run_id) for v in metric], [(0.5, 1, "ds", rid)])

    def found(**kw):
        return [m.name for m in client.search_logged_models([eid], **kw)]

    same(sorted(found()), ["clf", "other"])
    same(found(filter_string="name = 'clf'"), ["clf"])
    same(found(filter_string="metrics.f1 > 0.6"), ["other"])
    same(found(filter_string="params.q = '2' AND tags.k LIKE 'w'"), ["other"])
    same(found(order_by=[{"field_name": "metrics.f1", "ascending": False}]), ["other", "clf"])
    same(found(order_by=[{"field_name": "metrics.f1", "ascending": True}]), ["clf", "other"])
    same(found(filter_string="metrics.f1 > 0.1", datasets=[{"dataset_name": "ds"}]), ["clf"])
    page = client.search_logged_models([eid], max_results=1)
    same(len(page), 1)
    same(len(client.search_logged_models([eid], max_results=1, page_token=page.token)), 1)
    files = server.get(f"/api/2.0/mlflow/logged-models/{mid}/artifacts/directories").json
    same(files["root_uri"], f"mlflow-artifacts:/{eid}/models/{mid}/artifacts")
    assert "MLmodel" in [f["path"] for f in files["files"]], files
    one = server.get(f"/ajax-api/2.0/mlflow/logged-models/{mid}/artifacts/files?artifact_file_path=MLmodel")
    assert one.status == 200 and mid in one.text, one
    client.delete_logged_model(other.model_id)
    refused("RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{other.model_id}' not found.",
            lambda: client.get_logged_model(other.model_id))
    same(found(), ["clf"])


def autolog(client):
    from sklearn.tree import DecisionTreeClassifier
    mlflow.set_experiment("auto")
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run() as run:
            DecisionTreeClassifier(max_depth=2).fit([[0], [1], [2], [3]], [0, 0, 1, 1])
    finally:
        mlflow.sklearn.autolog(disable=True)
    got = client.get_run(run.info.run_id)
    same((got.data.params["max_depth"], got.info.status), ("2", "FINISHED"))
    same(got.data.metrics["training_score"], 1.0)


def asynchronous(client):
    with mlflow.start_run(experiment_id="1") as run:
        for k in range(200):
            mlflow.log_metric("async", k, step=k, synchronous=False)
        mlflow.flush_async_logging()
    same([m.step for m in sorted(client.get_metric_history(run.info.run_id, "async"),
                                 key=lambda m: m.step)], list(range(200)))


def lineage(client, server):
    mlflow.set_experiment("one")
    run = client.create_run("1", tags={"mlflow.source.git.commit": "c" * 40})
    rid = run.info.run_id
    data = mlflow.data.from_pandas(pd.DataFrame({"x": [1]}), source="https://example.com/e.csv", name="led")
    with mlflow.start_run(run_id=rid):
        mlflow.log_input(data)
    a = server.get(f"/api/v1/lineage?node=run:{rid}&direction=upstream&depth=3")
    assert a.status == 200, a
    text = a.text
    for part in (f"git:{'c' * 40}", f"dataset:1/led@{data.digest}"):
        assert part in text, (part, text)
    if V3:
        model = client.create_logged_model("1", name="lm", source_run_id=rid)
        a = server.get(f"/api/v1/lineage?node=git:{'c' * 40}&direction=downstream&depth=3")
        assert f"logged_model:{model.model_id}" in a.text, a


def main():
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(server.url)
        client = MlflowClient()
        experiments(client)
        runs(client)
        search(client)
        rid = artifacts(client, folder)
        artifact_routes(server, rid)
        inputs(client)
        models(client, server, folder)
        autolog(client)
        asynchronous(client)
        lineage(client, server)
        a = server.get("/api/3.0/mlflow/server-info")
        same(a.json, {"store_type": "SqlStore", "workspaces_enabled": False, "trace_archival_enabled": False,
                      "multipart_uploads_enabled": True, "multipart_downloads_enabled": True,
                      "presigned_upload_run_id_supported": True, "presigned_upload_model_id_supported": True,
                      "features_enabled": {"gateway": False}})
        a = server.get("/api/2.0/mlflow/no-such-thing")
        same((a.status, a.json["error_code"]), (404, "ENDPOINT_NOT_FOUND"))
    print(f"mlflow {mlflow.__version__}: all held")


if __name__ == "__main__":
    main()
