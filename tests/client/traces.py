# SPDX-License-Identifier: Apache-2.0
"""Traces through the genuine client, either line: nested spans, failures, previews, tags, search,
assessments, deletion. The newer line sends spans to /v1/traces, the older one files."""
import logging
import os
import sys
import time
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
warnings.filterwarnings("ignore")
logging.getLogger("mlflow").setLevel(logging.ERROR)
import mlflow  # noqa: E402

THREE = mlflow.__version__.startswith("3.")


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


@mlflow.trace(name="outer", attributes={"k": 1})
def work(x):
    with mlflow.start_span("inner", span_type="TOOL") as s:
        s.set_inputs({"x": x})
        s.set_outputs({"y": [1, "ü"]})
    if x == 2:
        raise ValueError("two is refused")
    return {"answer": x + 1}


def make():
    experiment = mlflow.set_experiment("traced")
    for i in range(5):
        try:
            work(i)
        except ValueError:
            assert i == 2
    flush = getattr(mlflow, "flush_trace_async_logging", None)
    if flush:
        flush()
    return experiment.experiment_id


def find(eid, **more):
    if THREE:
        more["return_type"] = "list"
        return mlflow.search_traces(experiment_ids=[eid], **more)
    return mlflow.MlflowClient().search_traces(experiment_ids=[eid], **more)


def name_of(t):
    return t.info.tags["mlflow.traceName"]


def searches(eid):
    wait_until("five traces", lambda: len(find(eid)) == 5)
    rows = [("status = 'ERROR'", 1), ("trace.status = 'OK' AND timestamp_ms > 0", 4),
            ("tags.`mlflow.traceName` = 'outer'", 5), ("name = 'other'", 0),
            ("execution_time_ms >= 0", 5), ("attributes.name LIKE 'out%'", 5), ("timestamp_ms > 9999999999999", 0)]
    if THREE:
        rows += [("span.name = 'inner' AND span.type = 'TOOL'", 5), ("span.name = 'inner' AND span.type = 'LLM'", 0),
                 ("span.attributes.k = '1'", 5), ("span.attributes.`k` LIKE '1%'", 5), ("span.attributes.k = '2'", 0),
                 ("trace.text LIKE '%two is refused%'", 1), ("span.content ILIKE '%INNER%'", 5),
                 ("span.name = 'outer' AND span.status = 'ERROR'", 1), ("tag.nothing IS NULL", 5),
                 ("tag.nothing IS NOT NULL", 0), ("name RLIKE '^o.t'", 5), ("name RLIKE '^u'", 0)]
    for text, n in rows:
        same(len(find(eid, filter_string=text)), n, text)
    newest = [t.info.timestamp_ms for t in find(eid)]
    same(newest, sorted(newest, reverse=True), "newest first")
    oldest = [t.info.timestamp_ms for t in find(eid, order_by=["timestamp_ms ASC"])]
    same(oldest, sorted(newest))
    client, seen, token = mlflow.MlflowClient(), [], None
    while True:
        page = client.search_traces(experiment_ids=[eid], max_results=2, page_token=token)
        seen += [t.info.request_id for t in page]
        token = page.token
        if not token:
            break
    same((len(seen), len(set(seen))), (5, 5), "pages")


def one(eid):
    t = find(eid, filter_string="status = 'ERROR'")[0]
    tid = t.info.request_id
    got = mlflow.get_trace(tid)
    outer, inner = got.data.spans
    same((outer.name, inner.name), ("outer", "inner"))
    same((outer.parent_id, inner.parent_id), (None, outer.span_id))
    same((inner.span_type, inner.inputs, inner.outputs), ("TOOL", {"x": 2}, {"y": [1, "ü"]}))
    same(outer.inputs, {"x": 2})
    same(outer.attributes["k"], 1)
    same(str(outer.status.status_code).split(".")[-1], "ERROR")
    assert "two is refused" in str(outer.events[0].attributes), outer.events
    good = find(eid, filter_string="status = 'OK'")[0]
    same(mlflow.get_trace(good.info.request_id).data.spans[0].outputs["answer"] > 0, True)
    client = mlflow.MlflowClient()
    client.set_trace_tag(tid, "team", "blue")
    same(mlflow.get_trace(tid).info.tags["team"], "blue")
    client.delete_trace_tag(tid, "team")
    assert "team" not in mlflow.get_trace(tid).info.tags
    return tid


def assessments(tid):
    good = mlflow.log_feedback(trace_id=tid, name="good", value=True, rationale="because")
    mlflow.log_expectation(trace_id=tid, name="want", value={"a": [1, None]})
    by_name = {a.name: a for a in mlflow.get_trace(tid).info.assessments}
    same((by_name["good"].value, by_name["good"].rationale), (True, "because"))
    same(by_name["want"].value, {"a": [1, None]})
    mlflow.update_assessment(trace_id=tid, assessment_id=good.assessment_id,
                             assessment=mlflow.entities.Feedback(name="good", value=0.5, rationale="less"))
    got = mlflow.get_assessment(tid, good.assessment_id)
    same((got.value, got.rationale), (0.5, "less"))
    other = mlflow.override_feedback(trace_id=tid, assessment_id=good.assessment_id, value=False)
    same(mlflow.get_assessment(tid, good.assessment_id).valid, False)
    mlflow.delete_assessment(trace_id=tid, assessment_id=other.assessment_id)
    same(mlflow.get_assessment(tid, good.assessment_id).valid, True)


def in_a_run():
    with mlflow.start_run() as run:
        work(7)
    if hasattr(mlflow, "flush_trace_async_logging"):
        mlflow.flush_trace_async_logging()
    wait_until("the run's trace", lambda: len(find(run.info.experiment_id,
                                                   filter_string=f"run_id = '{run.info.run_id}'")) == 1)


def main():
    with Server() as s:
        mlflow.set_tracking_uri(s.url)
        eid = make()
        searches(eid)
        tid = one(eid)
        if THREE:
            assessments(tid)
        in_a_run()
        client = mlflow.MlflowClient()
        same(client.delete_traces(eid, **{"trace_ids" if THREE else "request_ids": [tid]}), 1)
        same(client.delete_traces(eid, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=2), 2)
        same(len(find(eid)), 3)
    print("traces: ok")


if __name__ == "__main__":
    main()
