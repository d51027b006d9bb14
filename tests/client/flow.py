# SPDX-License-Identifier: Apache-2.0
"""A data scientist's whole day through the genuine client, with the libraries people train with: fluent
runs, nested and resumed, autologging of three libraries, system metrics, evaluation, models in every
flavour and by every kind of address, batches and asynchronous logging, the command line, prompts, and
a copy of everything into a second server. Runs with full MLflow 2.22 and 3.x; the parts that only one
of them has are marked."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.chdir(tempfile.mkdtemp(prefix="quern-flow-"))

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, RunTag, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from sklearn.datasets import load_breast_cancer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from quern import Server, wait_until  # noqa: E402

V3 = int(mlflow.__version__.split(".")[0]) >= 3
X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
X, Y = X.iloc[:200, :6], Y.iloc[:200]


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def model_name(name):
    return {"name": name} if V3 else {"artifact_path": name}


def runs_and_resume(client):
    mlflow.set_experiment("flow")
    with mlflow.start_run(run_name="parent", description="told", tags={"a": "1"}) as parent:
        mlflow.log_params({"lr": 0.1, "deep": True})
        mlflow.log_metrics({"loss": 1.0, "acc": 0.5}, step=0)
        mlflow.set_tags({"b": "2"})
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"k": [1, 2]}, "d.json")
        mlflow.log_table(pd.DataFrame({"q": ["x"], "a": ["y"]}), "table.json")
        mlflow.log_input(mlflow.data.from_pandas(X, name="cells", targets=None), context="training")
        for i in range(2):
            with mlflow.start_run(run_name=f"child{i}", nested=True) as child:
                mlflow.log_metric("loss", float(i))
                same(mlflow.get_parent_run(child.info.run_id).info.run_id, parent.info.run_id, "parent")
    rid = parent.info.run_id
    with mlflow.start_run(run_id=rid):
        mlflow.log_metric("loss", 0.25, step=7)
    run = client.get_run(rid)
    same(run.info.status, "FINISHED", "a resumed run ends again")
    same([m.value for m in client.get_metric_history(rid, "loss")], [1.0, 0.25], "history over the resume")
    same(run.data.params, {"lr": "0.1", "deep": "True"}, "params")
    same(run.inputs.dataset_inputs[0].dataset.name, "cells", "dataset")
    same(mlflow.artifacts.load_text(f"runs:/{rid}/notes/a.txt"), "hello", "text")
    same(mlflow.artifacts.load_dict(f"runs:/{rid}/d.json"), {"k": [1, 2]}, "dict")
    same(mlflow.load_table("table.json", run_ids=[rid])["q"].tolist(), ["x"], "table")
    found = mlflow.search_runs(experiment_names=["flow"], filter_string=f"tags.mlflow.parentRunId = '{rid}'",
                               order_by=["metrics.loss DESC"])
    same(found["tags.mlflow.runName"].tolist(), ["child1", "child0"], "children by loss")
    try:
        with mlflow.start_run(run_name="breaks") as broken:
            raise ValueError("broken on purpose")
    except ValueError:
        pass
    same(client.get_run(broken.info.run_id).info.status, "FAILED", "a run that raised")
    mlflow.delete_run(broken.info.run_id)
    ids = {r.info.run_id for r in client.search_runs(["1"], run_view_type=ViewType.DELETED_ONLY)}
    same(ids, {broken.info.run_id}, "deleted runs")
    client.restore_run(broken.info.run_id)
    same(client.get_run(broken.info.run_id).info.lifecycle_stage, "active", "restored")


def batches(client):
    with mlflow.start_run(run_name="batches") as run:
        mlflow.log_params({f"p{i}": i for i in range(250)})
        mlflow.log_metrics({f"m{i}": i for i in range(1200)})
        waits = [mlflow.log_metric("later", float(i), step=i, synchronous=False) for i in range(50)]
        waits.append(mlflow.set_tag("later", "yes", synchronous=False))
        for w in waits:
            w.wait()
    client.log_batch(run.info.run_id, [Metric("b", 1, 1, s) for s in range(1000)])
    client.log_batch(run.info.run_id, [], [Param("x", "1")], [RunTag("y", "2")])
    got = client.get_run(run.info.run_id)
    same((len(got.data.params), len(got.data.metrics)), (251, 1202), "params and metrics of a large run")
    same(len(client.get_metric_history(run.info.run_id, "later")), 50, "asynchronous points")
    same(got.data.tags["later"], "yes", "asynchronous tag")


def system_metrics(client):
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(run_name="system", log_system_metrics=True) as run:
        wait_until("a system metric", lambda: any(
            k.startswith("system/") for k in client.get_run(run.info.run_id).data.metrics), 20)
    keys = client.get_run(run.info.run_id).data.metrics
    assert "system/cpu_utilization_percentage" in keys, sorted(keys)


def autologs(client):
    import lightgbm
    import xgboost

    mlflow.sklearn.autolog(log_datasets=True)
    with mlflow.start_run(run_name="sklearn") as run:
        LogisticRegression(max_iter=50).fit(X, Y)
    got = client.get_run(run.info.run_id)
    same(got.data.params["max_iter"], "50", "autologged parameter")
    assert "training_accuracy_score" in got.data.metrics, got.data.metrics
    mlflow.sklearn.autolog(disable=True)
    mlflow.xgboost.autolog(model_format="json") if V3 else mlflow.xgboost.autolog()
    with mlflow.start_run(run_name="xgboost") as run:
        train = xgboost.DMatrix(X, label=Y)
        xgboost.train({"max_depth": 2, "objective": "binary:logistic", "nthread": 1}, train, 5, evals=[(train, "train")],
                      verbose_eval=False)
    got = client.get_run(run.info.run_id)
    same(len(client.get_metric_history(run.info.run_id, "train-logloss")), 5, "one point per round of xgboost")
    same(got.data.params["max_depth"], "2", "xgboost parameter")
    mlflow.xgboost.autolog(disable=True)
    mlflow.lightgbm.autolog()
    with mlflow.start_run(run_name="lightgbm") as run:
        data = lightgbm.Dataset(X, label=Y)
        lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 4, valid_sets=[data], valid_names=["train"])
    same(len(client.get_metric_history(run.info.run_id, "train-binary_logloss")), 4, "one point per round of lightgbm")
    mlflow.lightgbm.autolog(disable=True)
    names = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert "feature_importance_gain.png" in names, names


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


def models(client):
    clf = LogisticRegression(max_iter=50).fit(X, Y)
    want = clf.predict(X).tolist()
    signature = mlflow.models.infer_signature(X, clf.predict(X))
    with mlflow.start_run(run_name="models") as run:
        rid = run.info.run_id
        logged = mlflow.sklearn.log_model(clf, **model_name("model"), signature=signature, input_example=X.head(2),
                                          registered_model_name="cells")
        mlflow.pyfunc.log_model(**model_name("double"), python_model=Doubler(), pip_requirements=["mlflow"])
    client.set_registered_model_alias("cells", "champion", "1")
    client.set_model_version_tag("cells", "1", "gate", "passed")
    addresses = ["models:/cells@champion", "models:/cells/1", "models:/cells/latest", f"runs:/{rid}/model"]
    if V3:
        addresses.append(f"models:/{logged.model_id}")
    for address in addresses:
        same(mlflow.pyfunc.load_model(address).predict(X).tolist(), want, address)
    same(mlflow.sklearn.load_model("models:/cells@champion").predict(X).tolist(), want, "native flavour")
    twice = mlflow.pyfunc.load_model(f"runs:/{rid}/double").predict(pd.DataFrame({"a": [1, 2]}))
    same(twice["a"].tolist(), [2, 4], "python model")
    again = mlflow.register_model(f"runs:/{rid}/model", "cells", tags={"second": "yes"})
    same(str(again.version), "2", "registered from a run")
    client.copy_model_version("models:/cells@champion", "production")
    same(mlflow.pyfunc.load_model("models:/production/1").predict(X).tolist(), want, "promoted by copy")
    same([v.version for v in client.search_model_versions("name = 'cells'")], ["2", "1"] if V3 else [2, 1]
         if isinstance(again.version, int) else ["2", "1"], "versions, newest first")
    same(mlflow.models.get_model_info("models:/cells/1").signature, signature, "signature")
    if V3:
        found = mlflow.search_logged_models(experiment_ids=["1"], filter_string="name = 'model'", output_format="list")
        assert logged.model_id in {m.model_id for m in found}, found
        mlflow.set_logged_model_tags(logged.model_id, {"k": "v"})
        same(mlflow.get_logged_model(logged.model_id).tags["k"], "v", "tag of a logged model")
        mlflow.log_metric("val", 0.9, model_id=logged.model_id, run_id=rid) if "run_id" in \
            mlflow.log_metric.__code__.co_varnames else client.log_metric(rid, "val", 0.9, model_id=logged.model_id)
        best = mlflow.search_logged_models(experiment_ids=["1"], order_by=[{"field_name": "metrics.val", "ascending": False}],
                                           max_results=1, output_format="list")
        same(best[0].model_id, logged.model_id, "best logged model")
    if V3:
        from skl2onnx import to_onnx

        onx = to_onnx(clf, X.to_numpy(np.float32)[:1], options={id(clf): {"zipmap": False}})
        with mlflow.start_run(run_name="onnx"):
            info = mlflow.onnx.log_model(onx, name="onnx", signature=signature)
        import onnxruntime

        session = onnxruntime.InferenceSession(mlflow.onnx.load_model(info.model_uri).SerializeToString(),
                                               providers=["CPUExecutionProvider"])
        label = session.run(None, {session.get_inputs()[0].name: X.to_numpy(np.float32)})[0]
        same(label.tolist(), want, "onnx")
    return rid


def evaluation(client):
    frame = X.assign(target=Y)
    evaluate = mlflow.models.evaluate if V3 else mlflow.evaluate
    with mlflow.start_run(run_name="evaluate") as run:
        result = evaluate("models:/cells@champion", frame, targets="target", model_type="classifier", evaluators="default",
                          evaluator_config={"log_model_explainability": False})
    got = client.get_run(run.info.run_id).data.metrics
    assert got["accuracy_score"] == result.metrics["accuracy_score"] > 0.5, got
    assert any("confusion_matrix" in a.path for a in client.list_artifacts(run.info.run_id)), "no plot"


def command_line(server, rid):
    def run(*args, folder=None):
        done = subprocess.run([sys.executable, "-m", "mlflow", *args], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "MLFLOW_TRACKING_URI": server.url}, cwd=folder)
        assert done.returncode == 0, (args, done.stdout, done.stderr[-2000:])
        return done.stdout

    run("experiments", "create", "-n", "shell")
    found = run("experiments", "search", "--view", "all")
    assert "shell" in found and "flow" in found, found
    run("experiments", "rename", "-x", "2", "--new-name", "shell2")
    run("experiments", "delete", "-x", "2")
    run("experiments", "restore", "-x", "2")
    assert "parent" in run("experiments", "csv", "-x", "1"), "no csv of an experiment"
    assert rid in run("runs", "list", "--experiment-id", "1"), "run is not listed"
    same(json.loads(run("runs", "describe", "--run-id", rid))["info"]["run_id"], rid, "runs describe")
    with open("file.txt", "w") as f:
        f.write("by shell")
    run("artifacts", "log-artifact", "-l", "file.txt", "-r", rid, "-a", "shell")
    assert "shell/file.txt" in run("artifacts", "list", "-r", rid, "-a", "shell"), "artifact is not listed"
    with tempfile.TemporaryDirectory() as folder:
        run("artifacts", "download", "-r", rid, "-a", "shell/file.txt", "-d", folder)
        found = [os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs]
        same([open(p).read() for p in found], ["by shell"], "downloaded file")
    X.head(2).to_json("in.json", orient="split", index=False)
    with open("in.json") as f:
        split = json.load(f)
    with open("in.json", "w") as f:
        json.dump({"dataframe_split": split}, f)
    said = run("models", "predict", "-m", "models:/cells@champion", "-i", "in.json", "-t", "json", "--env-manager", "local")
    same(len(json.loads(said)["predictions"]), 2, "models predict")
    run("runs", "delete", "--run-id", rid)
    run("runs", "restore", "--run-id", rid)


def prompts(client):
    """3.x only: prompts live in the registry under tags of their own."""
    one = mlflow.genai.register_prompt(name="greet", template="Hello {{who}}", commit_message="first", tags={"t": "1"})
    mlflow.genai.register_prompt(name="greet", template="Good day {{who}}", commit_message="second")
    same(one.version, 1, "version of a prompt")
    same(mlflow.genai.load_prompt("prompts:/greet/1").format(who="you"), "Hello you", "prompt by version")
    mlflow.genai.set_prompt_alias("greet", alias="live", version=2)
    same(mlflow.genai.load_prompt("prompts:/greet@live").template, "Good day {{who}}", "prompt by alias")
    same([p.name for p in mlflow.genai.search_prompts(filter_string="name = 'greet'")], ["greet"], "search of prompts")
    assert "greet" not in {m.name for m in client.search_registered_models()}, "a prompt is shown as a model"
    mlflow.genai.delete_prompt_alias("greet", alias="live")


def copy_of_everything(source, target):
    """What mlflow-export-import does: read an experiment through one client, write it through another."""
    eid = target.create_experiment("copied")
    ids = {}
    for run in source.search_runs(["1"], run_view_type=ViewType.ACTIVE_ONLY):
        rid = run.info.run_id
        made = target.create_run(eid, start_time=run.info.start_time, run_name=run.info.run_name,
                                 tags={k: v for k, v in run.data.tags.items() if k != "mlflow.runName"})
        ids[rid] = made.info.run_id
        for key in run.data.metrics:
            points = source.get_metric_history(rid, key)
            for i in range(0, len(points), 1000):
                target.log_batch(made.info.run_id, points[i:i + 1000])
        params = [Param(k, v) for k, v in run.data.params.items()]
        for i in range(0, len(params), 100):
            target.log_batch(made.info.run_id, params=params[i:i + 100])
        if run.inputs.dataset_inputs:
            target.log_inputs(made.info.run_id, run.inputs.dataset_inputs)
        with tempfile.TemporaryDirectory() as folder:
            if source.list_artifacts(rid):
                target.log_artifacts(made.info.run_id, source.download_artifacts(rid, "", folder))
        target.set_terminated(made.info.run_id, run.info.status, run.info.end_time)
    for old, new in ids.items():
        a, b = source.get_run(old), target.get_run(new)
        same((b.data.metrics, b.data.params, b.info.status, b.info.start_time, b.info.end_time, b.info.run_name),
             (a.data.metrics, a.data.params, a.info.status, a.info.start_time, a.info.end_time, a.info.run_name), "copied run")
        same({f.path for f in target.list_artifacts(new)}, {f.path for f in source.list_artifacts(old)}, "copied files")
        same(len(b.inputs.dataset_inputs), len(a.inputs.dataset_inputs), "copied datasets")


def main():
    with Server() as server, Server() as other:
        mlflow.set_tracking_uri(server.url)
        client = MlflowClient()
        parts = [runs_and_resume, batches, system_metrics, autologs, models, evaluation]
        if V3:
            parts.append(prompts)
        rid = None
        for part in parts:
            start = time.monotonic()
            rid = part(client) or rid
            print(f"{part.__name__}: {time.monotonic() - start:.1f} s", flush=True)
        command_line(server, rid)
        print("command_line", flush=True)
        copy_of_everything(client, MlflowClient(other.url))
        try:
            client.get_run("0" * 32)
            raise AssertionError("an unknown run was found")
        except MlflowException as e:
            same(e.error_code, "RESOURCE_DOES_NOT_EXIST", "unknown run")


if __name__ == "__main__":
    main()
    print(f"ok: mlflow {mlflow.__version__}")
