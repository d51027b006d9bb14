# SPDX-License-Identifier: Apache-2.0
"""MLflow 3's evaluation datasets through the genuine client: made, filled from lists, frames and traces,
found, evaluated with a scorer, cut down, deleted."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def work():
    import mlflow
    import pandas as pd
    from mlflow.genai import datasets
    from mlflow.genai.scorers import scorer

    @scorer
    def right(outputs, expectations):
        return outputs == expectations.get("a")

    e = mlflow.set_experiment("asked").experiment_id
    d = datasets.create_dataset(name="qa", experiment_id=e, tags={"team": "ml"})
    d.merge_records([{"inputs": {"q": "x"}, "expectations": {"a": "X"}}, {"inputs": {"q": "y"}, "expectations": {"a": "no"}}])
    d.merge_records(pd.DataFrame([{"inputs": {"q": "frame"}, "expectations": {"a": "FRAME"}}, {"inputs": {"q": "y"}, "expectations": {"b": 2}}]))
    with mlflow.start_span("root") as span:
        span.set_inputs({"q": "seen"})
        span.set_outputs("SEEN")
    mlflow.flush_trace_async_logging()
    d.merge_records(mlflow.search_traces(locations=[e], return_type="list"))
    d = datasets.get_dataset(dataset_id=d.dataset_id)
    rows = {r["inputs"]["q"]: r for _, r in d.to_df().iterrows()}
    same(sorted(rows), ["frame", "seen", "x", "y"])
    same((rows["y"]["expectations"], rows["seen"]["outputs"]), ({"a": "no", "b": 2}, "SEEN"))
    same((d.tags["team"], d.experiment_ids, d.profile), ("ml", [e], '{"num_records": 4}'))
    same([x.dataset_id for x in datasets.search_datasets(experiment_ids=e, filter_string="name = 'qa'", order_by=["name"])], [d.dataset_id])
    datasets.set_dataset_tags(dataset_id=d.dataset_id, tags={"state": "new"})
    datasets.delete_dataset_tag(dataset_id=d.dataset_id, key="team")
    tags = datasets.get_dataset(dataset_id=d.dataset_id).tags
    same(("team" in tags, tags["state"]), (False, "new"))
    datasets.add_dataset_to_experiments(dataset_id=d.dataset_id, experiment_ids=["0"])
    same(sorted(datasets.get_dataset(dataset_id=d.dataset_id).experiment_ids), sorted(["0", e]))
    datasets.remove_dataset_from_experiments(dataset_id=d.dataset_id, experiment_ids=["0"])

    result = mlflow.genai.evaluate(data=datasets.get_dataset(dataset_id=d.dataset_id), predict_fn=lambda q: q.upper(), scorers=[right])
    same(result.metrics, {"right/mean": 0.5}, "x and frame are right")
    same(mlflow.get_run(result.run_id).inputs.dataset_inputs[0].dataset.name, "qa")
    same(mlflow.get_run(result.run_id).data.metrics, {"right/mean": 0.5})

    ids = list(d.to_df()["dataset_record_id"])
    same(datasets.get_dataset(dataset_id=d.dataset_id).delete_records(ids[:3]), 3)
    same(list(datasets.get_dataset(dataset_id=d.dataset_id).to_df()["dataset_record_id"]), ids[3:])
    datasets.delete_dataset(dataset_id=d.dataset_id)
    try:
        datasets.get_dataset(dataset_id=d.dataset_id)
        raise AssertionError("it is still there")
    except mlflow.exceptions.MlflowException as gone:
        same(gone.error_code, "RESOURCE_DOES_NOT_EXIST")


def main():
    with Server() as s:
        os.environ["MLFLOW_TRACKING_URI"] = s.url
        work()
    print("evaluation datasets through the client: ok")


if __name__ == "__main__":
    main()
