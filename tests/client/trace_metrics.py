# SPDX-License-Identifier: Apache-2.0
"""Assessments of sessions, and figures over traces: every metric, aggregation, group, filter and range against figures that are
worked out here from the same data; correlation of filters; what is refused.
With `--against URL` the same calls go to a genuine MLflow server as well and the answers are compared."""
import json
import math
import os
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Answer, Server  # noqa: E402

T0 = 1_700_000_000_000  # ms
METRICS = "/api/3.0/mlflow/traces/metrics"
CORRELATION = "/api/3.0/mlflow/traces/calculate-filter-correlation"


class Genuine:
    def __init__(self, url):
        self.url = url

    def request(self, method, path, body=None, headers=None, raw=False):
        data = None if body is None else body if raw else json.dumps(body).encode()
        r = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(r, timeout=60) as a:
                return Answer(a.status, dict(a.headers), a.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, dict(e.headers), e.read())

    def post(self, path, body):
        return self.request("POST", path, body)


def ok(a):
    assert a.status == 200, a
    return a.json


# ---------------------------------------------------------------- data


def trace(i):
    """Trace i of 12: one a minute, three names, one failure in four, sessions of three, tokens for most."""
    return {"id": f"{os.getpid():08x}{i + 1:024x}", "ms": T0 + 60_000 * i, "name": f"name-{i % 3}", "failed": i % 4 == 3, "took": 100 + 37 * i,
            "session": f"s{i // 3}" if i < 9 else None, "tokens": (10 * i, i, 11 * i) if i % 5 else None, "tag": "a" if i % 2 else "b"}


TRACES = [trace(i) for i in range(12)]


def spans_of(t):
    i = TRACES.index(t)
    out = [{"name": "root", "type": "CHAIN", "start": t["ms"], "took": t["took"], "status": "ERROR" if t["failed"] else "OK"}]
    for k in range(i % 3):
        out.append({"name": f"call-{k}", "type": "LLM", "start": t["ms"] + 5, "took": 10 * (k + 1) + i, "status": "OK",
                    "model": f"m{k}", "provider": "p", "cost": (0.25 * i, 0.5, 0.25 * i + 0.5)})
    return out


def judged_of(t):
    i = TRACES.index(t)
    out = [("score", i / 2, "feedback"), ("good", "yes" if i % 3 else "No", "feedback")]
    if i % 2:
        out += [("flag", i % 4 == 1, "feedback"), ("words", "fine", "expectation")]
    return out


def otlp_span(t, k, s):
    def put(key, v):
        return {"key": key, "value": {"stringValue": v if isinstance(v, str) else json.dumps(v)}}
    attributes = [put("mlflow.spanType", s["type"])]
    if "model" in s:
        attributes += [put("mlflow.llm.model", json.dumps(s["model"])), put("mlflow.llm.provider", json.dumps(s["provider"])),
                       put("mlflow.llm.cost", dict(zip(("input_cost", "output_cost", "total_cost"), s["cost"])))]
    return {"traceId": t["id"], "spanId": f"{k + 1:016x}", **({"parentSpanId": f"{1:016x}"} if k else {}), "name": s["name"],
            "kind": 1, "startTimeUnixNano": str(s["start"] * 10**6), "endTimeUnixNano": str((s["start"] + s["took"]) * 10**6),
            "attributes": attributes, "status": {"code": 2 if s["status"] == "ERROR" else 1}}


def fill(s, eid):
    for t in TRACES:
        spans = [otlp_span(t, k, x) for k, x in enumerate(spans_of(t))]
        body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]}]}
        a = s.request("POST", "/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json", "x-mlflow-experiment-id": eid},
                      raw=True)
        assert a.status == 200, a
        metadata = {}
        if t["session"]:
            metadata["mlflow.trace.session"] = t["session"]
        if t["tokens"]:
            metadata["mlflow.trace.tokenUsage"] = json.dumps(dict(zip(("input_tokens", "output_tokens", "total_tokens"), t["tokens"])))
        ok(s.post("/api/3.0/mlflow/traces", {"trace": {"trace_info": {
            "trace_id": "tr-" + t["id"], "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": eid}},
            "request_time": f"2023-11-14T22:{13 + TRACES.index(t):02d}:20Z", "execution_duration": f"{t['took'] / 1000:.3f}s",
            "state": "ERROR" if t["failed"] else "OK", "trace_metadata": metadata,
            "tags": {"mlflow.traceName": t["name"], "team.x": t["tag"]}}}}))
        for name, value, kind in judged_of(t):
            ok(s.post(f"/api/3.0/mlflow/traces/tr-{t['id']}/assessments", {"assessment": {
                "assessment_name": name, "source": {"source_type": "HUMAN", "source_id": "me"}, kind: {"value": value}}}))


# ---------------------------------------------------------------- the same, worked out here


def rows_of(view):
    if view == "TRACES":
        return [(t, None) for t in TRACES]
    return [(t, x) for t in TRACES for x in (spans_of(t) if view == "SPANS" else judged_of(t))]


def number(v):
    return {"yes": 1, "no": 0}.get(v.lower()) if isinstance(v, str) else float(v)


def value_of(metric, t, x):
    token = {"input_tokens": 0, "output_tokens": 1, "total_tokens": 2}
    cost = {"input_cost": 0, "output_cost": 1, "total_cost": 2}
    if metric in token:
        return t["tokens"][token[metric]] if t["tokens"] else None
    if metric in cost:
        return x["cost"][cost[metric]] if "cost" in x else None
    if metric == "session_count":
        return t["session"]
    if metric == "latency":
        return (x or t)["took"]
    return number(x[1]) if metric == "assessment_value" else 1


def group_of(name, t, x):
    return {"trace_name": lambda: t["name"], "trace_status": lambda: "ERROR" if t["failed"] else "OK", "span_name": lambda: x["name"],
            "span_type": lambda: x["type"], "span_status": lambda: x["status"], "span_model_name": lambda: x.get("model"),
            "span_model_provider": lambda: x.get("provider"), "assessment_name": lambda: x[0],
            "assessment_value": lambda: json.dumps(x[1])}[name]()


def percentile(values, p):
    v = sorted(values)
    at = p / 100 * (len(v) - 1)
    low = int(at)
    return v[low] + (at - low) * (v[min(low + 1, len(v) - 1)] - v[low])


def worked_out(q, keep=lambda t, x: True):
    """Data points for a query whose filters are `keep`."""
    groups = {}
    for t, x in rows_of(q["view_type"]):
        dims = {}
        at = x["start"] if q["view_type"] == "SPANS" else t["ms"]
        ranged = x["start"] if "cost" in q["metric_name"] else t["ms"]
        if not q.get("start_time_ms", 0) <= ranged <= q.get("end_time_ms", 10**15) or not keep(t, x):
            continue
        if q.get("time_interval_seconds"):
            size = q["time_interval_seconds"] * 1000
            dims["time_bucket"] = at // size * size
        dims.update({d: group_of(d, t, x) for d in q.get("dimensions", ())})
        v = value_of(q["metric_name"], t, x)
        if v is not None and None not in dims.values():
            groups.setdefault(tuple(dims.items()), []).append(v)
    if not groups and not q.get("dimensions") and not q.get("time_interval_seconds"):
        groups[()] = []
    out = []
    for dims, v in sorted(groups.items(), key=lambda g: [x for _, x in g[0]]):
        values = {}
        for a in q["aggregations"]:
            kind = a["aggregation_type"]
            if kind == "COUNT":
                values[kind] = float(len(set(v)) if q["metric_name"] == "session_count" else len(v))
            elif v:
                values[f"P{float(a['percentile_value'])}" if kind == "PERCENTILE" else kind] = float(
                    percentile(v, a["percentile_value"]) if kind == "PERCENTILE" else
                    {"SUM": sum, "MIN": min, "MAX": max, "AVG": lambda w: sum(w) / len(w)}[kind](v))
        if values:
            out.append((dict(dims), values))
    return out


def close(a, b):
    return a.keys() == b.keys() and all(math.isclose(a[k], b[k], rel_tol=1e-12, abs_tol=1e-12) for k in a)


def stamp(ms):
    import datetime
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat()


COUNT = [{"aggregation_type": "COUNT"}]
SPREAD = [{"aggregation_type": k} for k in ("AVG", "MIN", "MAX")] + [{"aggregation_type": "PERCENTILE", "percentile_value": p} for p in (0, 50, 95, 99.9, 100)]
AMOUNT = SPREAD + [{"aggregation_type": "SUM"}]
RANGE = {"start_time_ms": T0, "end_time_ms": T0 + 8 * 60_000}


def queries(eid):
    def q(view, metric, aggregations, keep=lambda t, x: True, **more):
        return {"experiment_ids": [eid], "view_type": view, "metric_name": metric, "aggregations": aggregations, **more}, keep
    yield q("TRACES", "trace_count", COUNT)
    yield q("TRACES", "trace_count", COUNT, dimensions=["trace_name"])
    yield q("TRACES", "trace_count", COUNT, dimensions=["trace_status", "trace_name"])
    yield q("TRACES", "trace_count", COUNT, dimensions=["trace_status"], time_interval_seconds=180, **RANGE)
    yield q("TRACES", "trace_count", COUNT, filters=["trace.status = 'ERROR'"], keep=lambda t, x: t["failed"])
    yield q("TRACES", "trace_count", COUNT, filters=["trace.tag.`team.x` = 'a'", "trace.status = 'OK'"],
            keep=lambda t, x: t["tag"] == "a" and not t["failed"])
    yield q("TRACES", "trace_count", COUNT, filters=["trace.tag.mlflow.traceName = 'name-1'"], keep=lambda t, x: t["name"] == "name-1")
    yield q("TRACES", "trace_count", COUNT, filters=["trace.metadata.`mlflow.trace.session` = 's1'"], keep=lambda t, x: t["session"] == "s1")
    yield q("TRACES", "trace_count", COUNT, start_time_ms=T0 + 1, end_time_ms=T0 + 120_000)
    yield q("TRACES", "trace_count", COUNT, filters=["trace.status = 'NONE'"], keep=lambda t, x: False)
    yield q("TRACES", "session_count", COUNT)
    yield q("TRACES", "session_count", COUNT, time_interval_seconds=60, **RANGE)
    yield q("TRACES", "latency", SPREAD)
    yield q("TRACES", "latency", SPREAD, dimensions=["trace_name"], time_interval_seconds=300, **RANGE)
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        yield q("TRACES", name, AMOUNT, dimensions=["trace_name"])
    yield q("TRACES", "total_tokens", AMOUNT, filters=["trace.status = 'NONE'"], keep=lambda t, x: False)
    yield q("SPANS", "span_count", COUNT, dimensions=["span_name", "span_type"])
    yield q("SPANS", "span_count", COUNT, dimensions=["span_status"], **RANGE)
    yield q("SPANS", "span_count", COUNT, dimensions=["span_model_name", "span_model_provider"], time_interval_seconds=60, **RANGE)
    yield q("SPANS", "latency", SPREAD, dimensions=["span_name", "span_status"])
    yield q("SPANS", "latency", SPREAD, filters=["span.type = 'LLM'", "span.name = 'call-0'", "span.status = 'OK'"],
            keep=lambda t, x: x["name"] == "call-0")
    for name in ("input_cost", "output_cost", "total_cost"):
        yield q("SPANS", name, AMOUNT, dimensions=["span_model_name"])
    yield q("SPANS", "total_cost", AMOUNT, start_time_ms=T0 + 60_005, end_time_ms=T0 + 5 * 60_000)
    yield q("ASSESSMENTS", "assessment_count", COUNT, dimensions=["assessment_name"])
    yield q("ASSESSMENTS", "assessment_count", COUNT, dimensions=["assessment_name", "assessment_value"])
    yield q("ASSESSMENTS", "assessment_count", COUNT, filters=["assessment.type = 'expectation'"], keep=lambda t, x: x[2] == "expectation")
    yield q("ASSESSMENTS", "assessment_value", SPREAD, dimensions=["assessment_name"])
    yield q("ASSESSMENTS", "assessment_value", SPREAD, filters=["assessment.name = 'score'", "trace.status = 'OK'"], time_interval_seconds=120,
            keep=lambda t, x: x[0] == "score" and not t["failed"], **RANGE)


def compare(what, mine, theirs):
    if isinstance(theirs, tuple) and isinstance(theirs[1], dict):  # members that only Databricks' clients read
        theirs = theirs[0], {k: v for k, v in theirs[1].items() if k not in ("sqlstate", "error_class")}
    if mine != theirs:
        print("DIFFERS", what, "\n   quern  ", str(mine)[:600], "\n   genuine", str(theirs)[:600])


def figures(s, eid, genuine, geid):
    for q, keep in queries(eid):
        got = ok(s.post(METRICS, q)).get("data_points", [])
        want = worked_out(q, keep)
        assert all(p["metric_name"] == q["metric_name"] for p in got), got
        shown = [({**d, **({"time_bucket": stamp(d["time_bucket"])} if "time_bucket" in d else {})}, v) for d, v in want]
        assert [p.get("dimensions", {}) for p in got] == [d for d, _ in shown], f"{q}:\n got {got}\nwant {shown}"
        for p, (d, v) in zip(got, shown):
            assert close(p["values"], v), f"{q} {d}: got {p['values']}, want {v}"
        if genuine:
            compare(q, got, ok(genuine.post(METRICS, {**q, "experiment_ids": [geid]})).get("data_points", []))
    # Pages: two groups at a time.
    q = {"experiment_ids": [eid], "view_type": "SPANS", "metric_name": "span_count", "aggregations": COUNT, "dimensions": ["span_name"]}
    whole = ok(s.post(METRICS, q))["data_points"]
    pages, token = [], None
    while True:
        a = ok(s.post(METRICS, {**q, "max_results": 2, **({"page_token": token} if token else {})}))
        pages += a["data_points"]
        token = a.get("next_page_token")
        if not token:
            break
    assert len(whole) == 3 and pages == whole, (pages, whole)


def refusals(s, eid, genuine, geid):
    base = {"experiment_ids": [eid], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": COUNT}
    for change, part in (({"metric_name": "nope"}, "metric_name must be one of ['trace_count', 'session_count', 'latency'"),
                         ({"aggregations": [{"aggregation_type": "SUM"}]}, "Found invalid aggregation_type(s): ['SUM']. Supported aggregation types: ['COUNT']"),
                         ({"dimensions": ["span_name"]}, "Found invalid dimension(s): ['span_name']. Supported dimensions: ['trace_name', 'trace_status']"),
                         ({"time_interval_seconds": 60}, "start_time_ms and end_time_ms are required if time_interval_seconds is set"),
                         ({"filters": ["status = 'OK'"]}, "Invalid identifier"),
                         ({"filters": ["trace.status != 'OK'"]}, "only '=' operator is supported"),
                         ({"filters": ["trace.status = 'OK' AND trace.status = 'OK'"]}, "Invalid clause(s) in filter string: AND"),
                         ({"filters": ["trace.nope = 'OK'"]}, "Invalid entity 'nope' specified for view type 'trace'. Valid entities are ['status', 'tag', 'metadata']"),
                         ({"filters": ["trace.tag = 'OK'"]}, "Filtering by tag requires a key, e.g. 'trace.tag.<key> = <value>'"),
                         ({"filters": ["run.x = 'OK'"]}, "Invalid view type 'run'"),
                         ({"filters": ["trace.status = 1"]}, "Expected a quoted string value for status value (e.g. 'my-value'). Got value 1"),
                         ({"filters": ["span.name = 'x'"]}, "Filtering by span is only supported for"),
                         ({"filters": ["assessment.name = 'x'"]}, "Filtering by assessment is only supported for"),
                         ({"metric_name": None}, "Missing value for required parameter 'metric_name'"),
                         ({"aggregations": []}, "Missing value for required parameter 'aggregations'"),
                         ({"experiment_ids": None}, "Missing value for required parameter 'experiment_ids'")):
        q = {k: v for k, v in {**base, **change}.items() if v is not None}
        a = s.post(METRICS, q)
        assert a.status == 400 and part in a.json["message"], f"{change}: {a}, want {part!r}"
        if genuine:
            b = genuine.post(METRICS, {**q, **({"experiment_ids": [geid]} if "experiment_ids" in q else {})})
            compare(change, (a.status, a.json), (b.status, json.loads(b.text) if b.text.startswith("{") else b.text))
    for a, part in (([{"aggregation_type": "PERCENTILE"}], "Percentile value is required"),
                    ([{"aggregation_type": "PERCENTILE", "percentile_value": 101}], "between 0 and 100"),
                    ([{"aggregation_type": "AVG", "percentile_value": 1}], "only allowed for PERCENTILE")):
        r = s.post(METRICS, {**base, "metric_name": "latency", "aggregations": a})
        assert r.status == 400 and part in r.json["message"], r


def correlated(s, eid, genuine, geid):
    for one, two, also, counts in (("status = 'ERROR'", "tag.`team.x` = 'a'", None, (3, 6, 3, 12)),
                                   ("status = 'OK'", "name = 'name-1'", None, (9, 4, 3, 12)),
                                   ("status = 'OK'", "status = 'ERROR'", None, (9, 3, 0, 12)),
                                   ("name = 'name-1'", "name = 'name-1'", "status = 'OK'", (3, 3, 3, 9)),
                                   ("status = 'ERROR'", "status = 'ERROR'", "status = 'ERROR'", (3, 3, 3, 3)),
                                   ("name = 'none'", "status = 'OK'", None, (0, 9, 0, 12)),
                                   ("status = 'OK'", "status = 'OK'", "name = 'none'", (0, 0, 0, 0))):
        q = {"experiment_ids": [eid], "filter_string1": one, "filter_string2": two, **({"base_filter": also} if also else {})}
        got = ok(s.post(CORRELATION, q))
        n = tuple(got[k] for k in ("filter1_count", "filter2_count", "joint_count", "total_count"))
        assert n == counts, f"{q}: got {got}, want {counts}"
        a, b, j, total = counts
        want = None if not a or not b else -1.0 if not j else 1.0 if j == a == b else \
            math.log(j * total / (a * b)) / -math.log(j / total)
        assert got.get("npmi") == want or math.isclose(got["npmi"], want, rel_tol=1e-9, abs_tol=1e-12), f"{q}: got {got}, want {want}"
        if genuine:
            compare(q, got, ok(genuine.post(CORRELATION, {**q, "experiment_ids": [geid]})))
    a = s.post(CORRELATION, {"experiment_ids": [eid], "filter_string1": "status = 'OK'"})
    assert a.status == 400 and "filter_string2" in a.text, a


def sessions(s, eid, genuine, geid):
    """Feedback whose metadata names the session counts for each trace of its trace's session."""
    def judge(x, i, name, value, kind="feedback", **metadata):
        return ok(x.post(f"/api/3.0/mlflow/traces/tr-{TRACES[i]['id']}/assessments", {"assessment": {
            "assessment_name": name, "source": {"source_type": "HUMAN", "source_id": "me"}, kind: {"value": value},
            "metadata": metadata}}))["assessment"]

    def found(x, e, text):
        a = x.post("/api/3.0/mlflow/traces/search", {"filter": text, "locations": [
            {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": e}}]})
        return sorted(int(t["trace_id"][-4:], 16) - 1 for t in ok(a).get("traces", []))

    late = []
    for x in [s] + ([genuine] if genuine else []):
        judge(x, 0, "kind", "warm", **{"mlflow.trace.session": "s0"})
        judge(x, 4, "kind", "cold", **{"mlflow.trace.session": "s1"})
        judge(x, 6, "kind", "warm", other="s2")
        judge(x, 10, "kind", "warm", **{"mlflow.trace.session": "none"})  # a trace without a session
        judge(x, 7, "wish", "w", "expectation", **{"mlflow.trace.session": "s2"})
        late.append(judge(x, 3, "gone", "y", **{"mlflow.trace.session": "s1"}))
    for text, want in (("feedback.kind = 'warm'", [0, 1, 2, 6, 10]), ("feedback.kind = 'cold'", [3, 4, 5]),
                       ("feedback.kind LIKE '%o%'", [3, 4, 5]), ("feedback.kind IS NOT NULL", [0, 1, 2, 3, 4, 5, 6, 10]),
                       ("feedback.kind IS NULL", [7, 8, 9, 11]), ("expectation.wish = 'w'", [6, 7, 8]),
                       ("feedback.kind = 'warm' AND status = 'OK'", [0, 1, 2, 6, 10]), ("feedback.gone = 'y'", [3, 4, 5])):
        got = found(s, eid, text)
        assert got == want, f"{text}: got {got}, want {want}"
        if genuine:
            compare(text, got, found(genuine, geid, text))
    ok(s.request("DELETE", f"/api/3.0/mlflow/traces/tr-{TRACES[3]['id']}/assessments/{late[0]['assessment_id']}"))
    assert found(s, eid, "feedback.gone = 'y'") == []


def main():
    genuine = Genuine(sys.argv[sys.argv.index("--against") + 1]) if "--against" in sys.argv else None
    with Server() as s:
        ids = []
        for x in (s, genuine):
            if x:
                ids.append(ok(x.post("/api/2.0/mlflow/experiments/create", {"name": f"figures-{os.getpid()}"}))["experiment_id"])
                fill(x, ids[-1])
        figures(s, ids[0], genuine, ids[-1])
        refusals(s, ids[0], genuine, ids[-1])
        correlated(s, ids[0], genuine, ids[-1])
        sessions(s, ids[0], genuine, ids[-1])
    print("figures over traces: ok")


if __name__ == "__main__":
    main()
