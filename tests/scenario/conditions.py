# SPDX-License-Identifier: Apache-2.0
"""If-Match and ETag: a change carries the version that its maker saw, and is refused with 412 when
somebody was faster. Every row with a twin is driven, and 16 writers at once lose no update."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

A = "/api/2.0/mlflow/"
A3 = "/api/3.0/mlflow/"


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def at(where):
    return where if where.startswith("/") else A + where


class Things:
    """One of each thing, with the GET that shows it and the changes that it takes."""

    def __init__(self, s):
        e = ok(s.mlflow("experiments/create", {"name": "e1"}))["experiment_id"]
        r = ok(s.mlflow("runs/create", {"experiment_id": e}))["run"]["info"]["run_id"]
        m = ok(s.mlflow("logged-models", {"experiment_id": e, "name": "lm"}))["model"]["info"]["model_id"]
        ok(s.mlflow("registered-models/create", {"name": "m1"}))
        ok(s.mlflow("model-versions/create", {"name": "m1", "source": f"runs:/{r}/x", "run_id": r}))
        kv, version = {"key": "k", "value": "v"}, {"name": "m1", "version": "1"}
        point = {"key": "m", "value": 1, "timestamp": 1}
        self.rows = [
            (f"experiments/get?experiment_id={e}", [
                ("POST", "experiments/set-experiment-tag", {"experiment_id": e, **kv}),
                ("POST", "experiments/delete-experiment-tag", {"experiment_id": e, "key": "k"}),
                ("POST", "experiments/update", {"experiment_id": e, "new_name": "e2"})]),
            (f"runs/get?run_id={r}", [
                ("POST", "runs/set-tag", {"run_id": r, **kv}),
                ("POST", "runs/delete-tag", {"run_id": r, "key": "k"}),
                ("POST", "runs/log-parameter", {"run_id": r, **kv}),
                ("POST", "runs/log-metric", {"run_id": r, **point}),
                ("POST", "runs/log-batch", {"run_id": r, "metrics": [{**point, "key": "n"}]}),
                ("POST", "runs/update", {"run_id": r, "status": "FINISHED"})]),
            (f"logged-models/{m}", [
                ("PATCH", f"logged-models/{m}/tags", {"model_id": m, "tags": [kv]}),
                ("DELETE", f"logged-models/{m}/tags/k", None),
                ("POST", f"logged-models/{m}/params", {"model_id": m, "params": [kv]}),
                ("PATCH", f"logged-models/{m}", {"model_id": m, "status": "LOGGED_MODEL_READY"})]),
            ("registered-models/get?name=m1", [
                ("POST", "registered-models/set-tag", {"name": "m1", **kv}),
                ("DELETE", "registered-models/delete-tag", {"name": "m1", "key": "k"}),
                ("POST", "registered-models/alias", {"name": "m1", "alias": "best", "version": "1"}),
                ("DELETE", "registered-models/alias", {"name": "m1", "alias": "best"}),
                ("PATCH", "registered-models/update", {"name": "m1", "description": "d"})]),
            ("model-versions/get?name=m1&version=1", [
                ("POST", "model-versions/set-tag", {**version, **kv}),
                ("DELETE", "model-versions/delete-tag", {**version, "key": "k"}),
                ("POST", "model-versions/transition-stage", {**version, "stage": "Staging"}),
                ("PATCH", "model-versions/update", {**version, "description": "d"})]),
        ]
        d = ok(s.post(A3 + "datasets/create", {"name": "d", "experiment_ids": [e], "tags": '{"k": "v"}'}))["dataset"]["dataset_id"]
        i = ok(s.post(A3 + "issues", {"experiment_id": e, "name": "i", "description": "d"}))["issue"]["issue_id"]
        self.rows += [
            (A3 + f"datasets/{d}", [
                ("PATCH", A3 + f"datasets/{d}/tags", {"tags": '{"k": "w"}'}),
                ("DELETE", A3 + f"datasets/{d}/tags/k", None)]),
            (A3 + f"issues/{i}", [("PATCH", A3 + f"issues/{i}", {"issue_id": i, "severity": "high"})]),
        ]
        self.gone = [
            (A3 + f"datasets/{d}", "DELETE", A3 + f"datasets/{d}", None),
            (f"runs/get?run_id={r}", "POST", "runs/delete", {"run_id": r}),
            (f"experiments/get?experiment_id={e}", "POST", "experiments/delete", {"experiment_id": e}),
            ("model-versions/get?name=m1&version=1", "DELETE", "model-versions/delete", version),
            ("registered-models/get?name=m1", "DELETE", "registered-models/delete", {"name": "m1"}),
        ]


def tag(s, show):
    a = s.get(at(show))
    assert a.status == 200 and a.headers["ETag"], a
    return a.headers["ETag"]


def every_row(s):
    things = Things(s)
    for show, changes in things.rows:
        for method, where, body in changes:
            before = tag(s, show)
            same(tag(s, show), before, "an ETag stays while nothing changes")
            same(s.get(at(show), headers={"If-None-Match": before}).status, 304)
            stale = s.request(method, at(where), body, {"If-Match": '"0123456789abcdef0123456789abcdef"'})
            same((stale.status, stale.json["error_code"]), (412, "RESOURCE_CONFLICT"), where)
            assert before in stale.json["message"], stale
            same(s.request(method, at(where), body, {"If-Match": "W/" + before}).status, 412, "a weak tag")
            same(s.request(method, at(where), body, {"If-None-Match": "*"}).status, 412, "it exists")
            same(tag(s, show), before, where + " was refused and changed something")
            ok(s.request(method, at(where), body, {"If-Match": f'"x", {before}'}))
            assert tag(s, show) != before, where + " left the ETag as it was"
            ok(s.request(method, at(where), body, {"If-Match": "*"})) if method == "PATCH" else None
    for show, method, where, body in things.gone:
        before = tag(s, show)
        same(s.request(method, at(where), body, {"If-Match": '"x"'}).status, 412, where)
        ok(s.request(method, at(where), body, {"If-Match": before}))
    same(s.request("DELETE", A + "registered-models/delete", {"name": "m1"}, {"If-Match": "*"}).status,
         412, "there is no such thing")
    a = s.request("POST", A + "experiments/create", {"name": "x"}, {"If-Match": "*"})
    same(a.status, 412, "a route without a version")
    same(s.get(A + "experiments/get-by-name?experiment_name=x").status, 404)
    a = s.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/r/artifacts/a", b"x", {"If-Match": '"x"'}, raw=True)
    same(a.status, 412, "uploads take no conditions, and say so")


def endpoints(s):
    ok(s.mlflow("registered-models/create", {"name": "served"}))
    ok(s.mlflow("model-versions/create", {"name": "served", "source": "runs:/r/m"}))
    where, body = "/api/v1/endpoints/e1", {"target": "models:/served/1"}
    same(s.request("PUT", where, body, {"If-Match": "*"}).status, 412, "nothing there yet")
    same(s.request("PUT", where, body, {"If-None-Match": "*"}).status, 201)
    same(s.request("PUT", where, body, {"If-None-Match": "*"}).status, 412, "there already")
    a = s.request("DELETE", where, None, {"If-Match": '"old"'})
    same((a.status, a.json["title"]), (412, "Precondition failed"), a)


def race(s):
    """A counter in a tag, raised by 8 writers with If-Match: no step is lost."""
    e = ok(s.mlflow("experiments/create", {"name": "race"}))["experiment_id"]
    ok(s.mlflow("experiments/set-experiment-tag", {"experiment_id": e, "key": "n", "value": "0"}))
    show, refused = A + f"experiments/get?experiment_id={e}", [0]

    def raise_it():
        done = 0
        while done < 25:
            a = s.get(show)
            n = int({t["key"]: t["value"] for t in a.json["experiment"]["tags"]}["n"])
            w = s.request("POST", A + "experiments/set-experiment-tag",
                          {"experiment_id": e, "key": "n", "value": str(n + 1)}, {"If-Match": a.headers["ETag"]})
            assert w.status in (200, 412), w
            done += w.status == 200
            refused[0] += w.status == 412

    threads = [threading.Thread(target=raise_it) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tags = ok(s.get(show))["experiment"]["tags"]
    same({t["key"]: t["value"] for t in tags}["n"], "200", f"{refused[0]} were refused")


def main():
    with Server() as s:
        every_row(s)
        endpoints(s)
        race(s)
    print("conditions: ok")


if __name__ == "__main__":
    main()
