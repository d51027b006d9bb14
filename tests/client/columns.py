# SPDX-License-Identifier: Apache-2.0
"""Columns of an experiment and searches that answer with some fields: against plain counts in Python,
after deletes, restores, changed and removed tags, and a kill amid writes."""
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

DRAW = random.Random(11)
LONG = "y" * 80


def columns(s, experiment="0", **query):
    found, token = [], None
    while True:
        q = "&".join([f"{k}={v}" for k, v in query.items()] + ([f"page_token={token}"] if token else []))
        answer = s.get(f"/api/v1/experiments/{experiment}/columns?{q}")
        assert answer.status == 200, answer
        found += answer.json["columns"]
        token = answer.json.get("next_page_token")
        if not token:
            return found


class Model:
    """What was logged, as dicts run -> key -> value."""

    def __init__(self):
        self.metric, self.param, self.tag = {}, {}, {}

    def counts(self):
        out = {}
        for kind in ("metric", "param", "tag"):
            for values in getattr(self, kind).values():
                for key in values:
                    out[kind, key] = out.get((kind, key), 0) + 1
        return out

    def check(self, s):
        got = columns(s)
        have = {(c["kind"], c["name"]): c for c in got}
        assert [(("metric", "param", "tag").index(c["kind"]), c["name"]) for c in got] == sorted(
            (("metric", "param", "tag").index(c["kind"]), c["name"]) for c in got), "not in order"
        assert {k: c["count"] for k, c in have.items()} == self.counts(), (
            {k: c["count"] for k, c in have.items()}, self.counts())
        for (kind, key), c in have.items():
            values = [v[key] for v in getattr(self, kind).values() if key in v]
            numbers = [v for v in values if v != "NaN"]
            if kind == "metric":
                want = (min(numbers), max(numbers)) if numbers else (None, None)
                assert (c.get("min"), c.get("max")) == want, (c, want)
            else:
                # of long texts the beginning counts, as far as an index holds it
                cut = [v if len(v) <= 64 else v[:64] for v in values]
                assert (c["min_text"], c["max_text"]) == (min(cut), max(cut)), c
            different = len(set(values))
            if different <= 20 and LONG not in values:
                assert c["distinct"] == different, (c, different)
                assert c["distinct_estimated"] is False, c
            else:
                assert different / 3 <= c["distinct"] <= different * 3, (c, different)


def make_run(s, model, i):
    info = s.mlflow("runs/create", {"experiment_id": "0", "run_name": f"r{i}", "start_time": i}).json["run"]["info"]
    run = info["run_id"]
    model.tag[run] = {"mlflow.runName": f"r{i}"}
    batch = {"run_id": run, "metrics": [], "params": [], "tags": []}
    model.metric[run], model.param[run] = {}, {}
    for key, value in (("loss", DRAW.random()), ("ten", float(DRAW.randrange(10))), ("gap", "NaN"),
                       ("some", DRAW.choice(["NaN", 1.5, -2.0]))):
        if key == "loss" or DRAW.random() < 0.8:
            batch["metrics"].append({"key": key, "value": value, "timestamp": 1, "step": 0})
            model.metric[run][key] = value
    for key, value in (("lr", DRAW.choice(["1e-3", "0.1", "5"])), ("depth", str(DRAW.randrange(9))),
                       ("flag", DRAW.choice(["True", "false"])), ("note", DRAW.choice(["a", "b", LONG])),
                       ("each", f"v{i}"), ("fifty", f"c{DRAW.randrange(50)}")):
        if DRAW.random() < 0.9:
            batch["params"].append({"key": key, "value": value})
            model.param[run][key] = value
    if DRAW.random() < 0.5:
        batch["tags"].append({"key": "team.x", "value": DRAW.choice(["red", "blue"])})
        model.tag[run]["team.x"] = batch["tags"][-1]["value"]
    assert s.mlflow("runs/log-batch", batch).status == 200
    return run


def exact_under_change(s):
    model = Model()
    runs = [make_run(s, model, i) for i in range(300)]
    model.check(s)
    types = {c["name"]: c.get("type") for c in columns(s) if c["kind"] == "param"}
    assert types == {"lr": "number", "depth": "integer", "flag": "boolean", "note": "string", "each": "string",
                     "fifty": "string"}, types
    # the same point and the same tag again count once; a tag that goes is not counted
    for run in runs[:50]:
        s.mlflow("runs/log-metric", {"run_id": run, "key": "loss", "value": 2.0, "timestamp": 9, "step": 9})
        model.metric[run]["loss"] = 2.0
        s.mlflow("runs/set-tag", {"run_id": run, "key": "team.x", "value": "green"})
        model.tag[run]["team.x"] = "green"
    for run in runs[40:60]:
        if "team.x" in model.tag[run]:
            assert s.mlflow("runs/delete-tag", {"run_id": run, "key": "team.x"}).status == 200
            del model.tag[run]["team.x"]
    model.check(s)
    # a refused batch leaves nothing
    bad = s.mlflow("runs/log-batch", {"run_id": runs[0], "metrics": [{"key": "never", "value": 1, "timestamp": 1}],
                                      "params": [{"key": "each", "value": "other"}]})
    assert bad.status == 400, bad
    model.check(s)
    for run in runs[:20]:
        s.mlflow("runs/delete", {"run_id": run})
    model.check(s)  # deleted runs can be restored and count
    for run in runs[:10]:
        s.mlflow("runs/restore", {"run_id": run})
    model.check(s)
    assert [c["name"] for c in columns(s, kind="param", prefix="f")] == ["fifty", "flag"]
    assert len(columns(s, max_results=2)) == len(columns(s))
    plain = columns(s, kind="param", distinct="false")
    assert plain and not any("distinct" in c or "type" in c for c in plain), plain
    for path, word in (("/api/v1/experiments/77/columns", "77"), ("/api/v1/experiments/x/columns", "x"),
                       ("/api/v1/experiments/0/columns?kind=foo", "kind"),
                       ("/api/v1/experiments/0/columns?max_results=0", "max_results"),
                       ("/api/v1/experiments/0/columns?page_token=%25", "page_token")):
        answer = s.get(path)
        assert answer.status in (400, 404) and word in answer.text, (path, answer)
    return model, runs


def fields(s, model, runs):
    deleted = set(runs[10:20])
    live = [r for r in runs if r not in deleted]

    def find(**body):
        answer = s.post("/api/v1/runs/search", {"experiment_ids": ["0"], **body})
        assert answer.status == 200, answer
        return answer.json

    got = find(fields=["metrics.loss", "metrics.none", "params.lr", "tags.team.x"])["runs"]
    assert [r["run_id"] for r in got] == live[::-1], "not in the default order"
    for r in got:
        run, want = r["run_id"], {"run_id": r["run_id"]}
        for name, held, key in (("metrics", model.metric, "loss"), ("params", model.param, "lr"),
                                ("tags", model.tag, "team.x")):
            if key in held[run]:
                want[name] = {key: held[run][key]}
        assert r == want, (r, want)
    got = find(fields=["info", "metrics", "tags"], filter="metrics.loss > 0.5", order_by=["metrics.loss"])["runs"]
    assert [r["run_id"] for r in got] == sorted((r for r in live if model.metric[r]["loss"] > 0.5),
                                                key=lambda r: (model.metric[r]["loss"], -runs.index(r)))
    for r in got:
        assert r["metrics"] == model.metric[r["run_id"]], r
        assert {k: v for k, v in r["tags"].items()} == model.tag[r["run_id"]], r
        assert r["info"]["status"] == "RUNNING" and "params" not in r, r
    # pages through the other door, and runs of two experiments
    token, seen = "", []
    while token is not None:
        page = s.get(f"/api/v1/experiments/0/runs?fields=params.each&fields=info&max_results=77&page_token={token}")
        assert page.status == 200, page
        seen += [r["run_id"] for r in page.json["runs"]]
        token = page.json.get("next_page_token")
    assert seen == live[::-1]
    other = s.mlflow("experiments/create", {"name": "other"}).json["experiment_id"]
    far = s.mlflow("runs/create", {"experiment_id": other, "start_time": 9999}).json["run"]["info"]["run_id"]
    s.mlflow("runs/log-parameter", {"run_id": far, "key": "lr", "value": "far"})
    two = find(experiment_ids=["0", other], fields=["params.lr"], max_results=3)["runs"]
    assert two[0] == {"run_id": far, "params": {"lr": "far"}}, two
    assert two[1]["run_id"] == live[-1] and two[1].get("params", {}).get("lr") == model.param[live[-1]].get("lr"), two
    assert "info" in find(max_results=1)["runs"][0]
    for wish in ("foo", "metrics.", "metric.loss", "", "Info"):
        answer = s.post("/api/v1/runs/search", {"experiment_ids": ["0"], "fields": ["info", wish]})
        assert answer.status == 400 and "fields[1]" in answer.text, (wish, answer)
    assert s.post("/api/v1/runs/search", {"fields": ["info"]}).status == 400
    assert s.post("/api/v1/runs/search", {"experiment_ids": ["0"], "filter": "metrics.m >"}).status == 400


def exact_after_kill(s):
    """Batches from several clients until the daemon is killed: what was acknowledged is counted, and a
    count is what the runs themselves say."""
    experiment = s.mlflow("experiments/create", {"name": "killed"}).json["experiment_id"]
    acknowledged, stop = [0], threading.Event()

    def work(n):
        while not stop.is_set():
            try:
                run = s.mlflow("runs/create", {"experiment_id": experiment}).json["run"]["info"]["run_id"]
                answer = s.mlflow("runs/log-batch", {
                    "run_id": run, "metrics": [{"key": f"m{k}", "value": n, "timestamp": 1} for k in range(20)],
                    "params": [{"key": "p", "value": str(n)}]})
                acknowledged[0] += answer.status == 200
            except Exception:  # noqa: BLE001  the daemon is gone
                return

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    time.sleep(0.7)
    s.kill9()
    stop.set()
    for t in threads:
        t.join()
    s.start()
    runs, token = [], ""
    while token is not None:
        page = s.post("/api/v1/runs/search", {"experiment_ids": [experiment], "fields": ["metrics", "params"],
                                              "page_token": token}).json
        runs += page["runs"]
        token = page.get("next_page_token")
    counted = {(c["kind"], c["name"]): c["count"] for c in columns(s, experiment)}
    for k in range(20):
        assert counted["metric", f"m{k}"] == sum(f"m{k}" in r.get("metrics", {}) for r in runs), (k, counted)
    held = sum("p" in r.get("params", {}) for r in runs)
    assert counted["param", "p"] == held >= acknowledged[0] > 0, (counted, held, acknowledged)


def purged_runs_are_gone(s):
    """What a purged run logged is erased bit by bit later; no search may find it meanwhile, in any way."""
    experiment = s.mlflow("experiments/create", {"name": "purged"}).json["experiment_id"]
    runs = []
    for i in range(40):
        runs.append(s.mlflow("runs/create", {"experiment_id": experiment, "start_time": i}).json["run"]["info"]["run_id"])
        s.mlflow("runs/log-batch", {"run_id": runs[i], "metrics": [{"key": "m", "value": i % 7, "timestamp": 1}],
                                    "params": [{"key": "p", "value": str(i % 5)}]})
    gone = runs[::2]
    for run in gone:
        assert s.mlflow("runs/delete", {"run_id": run}).status == 200
        answer = s.request("DELETE", f"/api/v1/trash/run/{run}")
        assert answer.status in (200, 204), answer
    kept = set(runs) - set(gone)
    for view in ("ACTIVE_ONLY", "ALL", "DELETED_ONLY"):
        for filter_ in ("", "metrics.m >= 0", "metrics.m > 2 AND params.p != 'x'", "params.p IS NOT NULL"):
            for order in ([], ["metrics.m"], ["params.p DESC"], ["metrics.m DESC", "params.p"]):
                found = s.mlflow("runs/search", {"experiment_ids": [experiment], "filter": filter_, "order_by": order,
                                                 "run_view_type": view}).json.get("runs", [])
                ids = [r["info"].get("run_id") for r in found]
                assert set(ids) <= kept, (view, filter_, order, ids)
                assert view == "DELETED_ONLY" or "2" in filter_ or set(ids) == kept, (view, filter_, order, ids)


def wide(s):
    """5 000 columns: discovery, a page of it, and one field of runs that have all."""
    experiment = s.mlflow("experiments/create", {"name": "wide"}).json["experiment_id"]
    runs = [s.mlflow("runs/create", {"experiment_id": experiment}).json["run"]["info"]["run_id"] for _ in range(20)]
    for run in runs:
        for at in range(0, 5000, 1000):
            answer = s.mlflow("runs/log-batch", {"run_id": run, "metrics": [
                {"key": f"m{k:04}", "value": k + DRAW.random(), "timestamp": 1} for k in range(at, at + 1000)]})
            assert answer.status == 200, answer

    def clock(call):
        best = 9e9
        for _ in range(3):
            begin = time.monotonic()
            value = call()
            best = min(best, time.monotonic() - begin)
        return value, best * 1000

    found, all_ms = clock(lambda: columns(s, experiment, kind="metric", max_results=10000))
    assert len(found) == 5000 and all(c["count"] == 20 and c["distinct"] == 20 for c in found)
    page, page_ms = clock(lambda: columns(s, experiment, prefix="m12"))
    assert [c["name"] for c in page] == [f"m12{k:02}" for k in range(100)]
    few, few_ms = clock(lambda: s.post("/api/v1/runs/search", {
        "experiment_ids": [experiment], "fields": ["metrics.m0001", "metrics.m4999"]}).json["runs"])
    assert len(few) == 20 and all(len(r["metrics"]) == 2 for r in few)
    whole, whole_ms = clock(lambda: s.mlflow("runs/search", {"experiment_ids": [experiment]}).json["runs"])
    assert len(whole) == 20
    print(f"5000 columns: all {all_ms:.1f} ms, 100 by prefix {page_ms:.1f} ms; "
          f"20 runs with 2 fields {few_ms:.1f} ms, whole {whole_ms:.1f} ms")
    assert few_ms < whole_ms, (few_ms, whole_ms)


def main():
    with quern.Server() as s:
        model, runs = exact_under_change(s)
        fields(s, model, runs)
        exact_after_kill(s)
        purged_runs_are_gone(s)
        wide(s)
    print("ok")


main()
