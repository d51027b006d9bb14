# SPDX-License-Identifier: Apache-2.0
"""Rollout through a real daemon: revisions and rollback, promotion, dry runs, canaries that go through and
canaries that do not, bandits that learn from feedback, and all of it after a kill -9."""
import os
import sys
import threading
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arms import ask, breaks, put, values
from policy import served, two
from serving import LIBRARY, Lab
from serving_faults import add
from quern import Server, wait_until

HTTP = {"header": "X-User"}


def path(name, tail=""):
    return f"/api/v1/endpoints/{name}{tail}"


def rollout(s, name):
    r = s.get(path(name, "/rollout"))
    assert r.status == 200, r
    return r.json


def arm(state, name):
    return next(a for a in state["arms"] if a["name"] == name)


def revisions(s, name):
    return s.get(path(name, "/revisions")).json["revisions"]


def history(lab):
    """Every PUT is a revision; rollbacks go backwards, one after the other."""
    s = lab.server
    for weights in ((1, 0), (3, 1), (1, 1)):
        put(lab, "hist", {"arms": two(lab, "hist", *weights)})
    put(lab, "hist", {"arms": two(lab, "hist", 1, 1)})  # the same once more
    seen = revisions(s, "hist")
    assert [r["revision"] for r in seen] == [4, 3, 2, 1] and seen[0]["who"] == "local", seen
    assert [a.get("weight") for a in seen[2]["spec"]["arms"]] == [3, 1], seen[2]
    assert len(s.get(path("hist", "/revisions?limit=2")).json["revisions"]) == 2

    r = s.post(path("hist", ":rollback"))
    assert r.status == 200 and [a["weight"] for a in r.json["arms"]] == [3, 1], r
    top = revisions(s, "hist")[0]
    assert top["revision"] == 5 and top["restored"] == 2 and "revision 2" in top["reason"], top
    r = s.post(path("hist", ":rollback"), {"reason": "still too many errors"})
    assert [a["weight"] for a in r.json["arms"]] == [1, 0], r
    assert revisions(s, "hist")[0]["reason"] == "still too many errors"
    r = s.post(path("hist", ":rollback"))
    assert r.status == 409 and "no revision" in r.text, r
    r = s.post(path("hist", ":rollback"), {"revision": 4})
    assert r.status == 200 and [a["weight"] for a in r.json["arms"]] == [1, 1], r
    assert s.post(path("hist", ":rollback"), {"revision": 99}).status == 404
    assert s.post(path("hist", ":rollback"), {"revision": 0}).status == 400
    assert s.post(path("nobody", ":rollback")).status == 404
    assert s.get(path("nobody", "/revisions")).status == 404
    r = s.post(path("hist", ":promote"), {"arm": "next"})
    assert r.status == 200 and [a["weight"] for a in r.json["arms"]] == [0, 1], r
    lab.settled("hist")
    wait_until("the promoted arm", lambda: served(ask(s, "hist"))[0] == "next")
    r = s.post(path("hist", ":promote"))
    assert r.status == 400 and "arm" in r.text, r
    assert s.post(path("hist", ":promote"), {"arm": "x"}).status == 400


def dry_run(lab):
    s = lab.server
    arms = two(lab, "dry", 3, 1)
    spec = {"arms": arms, "split": {"key": HTTP}, "rules": [{"header": "X-Team", "equals": "red", "arm": "next"}],
            "holdout": {"percent": 10, "outputs": [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [0]}]}}
    # Before there is an endpoint.
    r = s.post(path("dry", ":dry-run"), {"spec": spec, "keys": 20000, "samples": [
        {"headers": {"x-team": "red"}}, {"headers": {"X-User": "7"}}, {"arm": "next"}, {"arm": "who"}]})
    assert r.status == 200, r
    a, b, c, d = r.json["samples"]
    assert (a["arm"], a["reason"], a["rule"]) == ("next", "rule", 0), a
    assert b["reason"] in ("key", "holdout") and (c["arm"], c["reason"]) == ("next", "forced"), (b, c)
    assert "no arm" in d["error"], d
    shares = r.json["shares"]
    assert abs(shares["(constant)"] - 0.1) < 0.01 and abs(shares["next"] - 0.9 / 4) < 0.015, r
    assert s.get(path("dry")).status == 404, "a dry run makes nothing"
    assert s.post(path("dry", ":dry-run")).status == 404
    for bad, field in ((dict(spec, split={"key": {}}), "split/key"), (dict(spec, rules=[{"arm": "q", "percent": 1}]), "rules/0/arm"),
                       (dict(spec, arms=[]), "target"), (dict(spec, canary={"arm": "next"}), "canary/steps")):
        r = s.post(path("dry", ":dry-run"), {"spec": bad})
        assert r.status == 400 and field in r.text, (bad, r)
    assert s.post(path("dry", ":dry-run"), {"spec": spec, "keys": 10**9}).status == 400
    assert s.post(path("dry", ":dry-run"), {"spec": spec, "at": "noon"}).status == 400
    put(lab, "dry", spec)
    before = revisions(s, "dry")
    r = s.post(path("dry", ":dry-run"), {"samples": [{"headers": {"X-User": str(u)}} for u in range(50)]})
    told = [(x.get("arm", "constant"), x["reason"]) for x in r.json["samples"]]
    real = [served(ask(s, "dry", headers={"X-User": str(u)})) for u in range(50)]
    assert told == real, (told, real)
    assert revisions(s, "dry") == before and arm(rollout(s, "dry"), "stable")["total"]["requests"] < 51
    # A window in the future.
    spec["schedule"] = [{"from": "2031-01-01T00:00:00Z", "until": "2031-01-02T00:00:00Z", "arm": "next"}]
    del spec["holdout"]
    r = s.post(path("dry", ":dry-run"), {"spec": spec, "at": "2031-01-01T12:00:00Z"})
    assert r.json["shares"] == {"stable": 0, "next": 1} and r.json["reasons"] == {"schedule": 1}, r


class Traffic:
    """Requests without end, and what came of them."""

    def __init__(self, s, name, n=1):
        self.s, self.name, self.n = s, name, n
        self.seen, self.stopping = {}, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping:
            r = self.s.request("POST", f"/v2/models/{self.name}/infer", {"inputs": values(self.n)})
            k = served(r) if r.status == 200 else r.status
            self.seen[k] = self.seen.get(k, 0) + 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


def canary_goes_through(lab):
    s = lab.server
    put(lab, "good", {"arms": two(lab, "good", 1, 0), "canary": {
        "arm": "next", "min_requests": 10, "steps": [{"percent": 20, "seconds": 1, "requests": 20}, {"percent": 60, "requests": 20}],
        "abort_when": [{"metric": "error_rate", "above": 0.1}, {"metric": "latency_ms", "above": 20000}]}})
    state = rollout(s, "good")["canary"]
    assert (state["state"], state["step"], state["steps"], state["percent"]) == ("running", 1, 2, 20), state
    with Traffic(s, "good") as t:
        wait_until("the second step", lambda: rollout(s, "good")["canary"]["step"] == 2, 30)
        wait_until("the promotion", lambda: rollout(s, "good")["canary"]["state"] == "promoted", 30)
        wait_until("all traffic", lambda: served(ask(s, "good"))[0] == "next", 10)
    assert t.seen[("next", "canary")] > 30 and t.seen[("stable", "weight")] > 10, t.seen
    assert set(k for k in t.seen if isinstance(k, int)) == set(), t.seen
    spec = s.get(path("good")).json["spec"]
    assert "canary" not in spec and [a["weight"] for a in spec["arms"]] == [0, 1], spec
    top = revisions(s, "good")[0]
    assert top["who"] == "daemon" and "All 2 steps" in top["reason"], top
    # What one call undoes.
    r = s.post(path("good", ":rollback"), {"revision": 1})
    assert r.status == 200 and r.json["spec"]["canary"]["arm"] == "next", r


def canary_begins_anew(lab):
    """Another version behind the arm's alias is another canary; other changes let it go on."""
    s = lab.server
    arms = two(lab, "anew", 1, 0)
    lab.client.set_registered_model_alias("two", "try", str(lab.two[1]))
    spec = {"arms": [arms[0], dict(arms[1], target="models:/two@try")],
            "canary": {"arm": "next", "steps": [{"percent": 10, "seconds": 0}, {"percent": 30, "seconds": 3600}]}}
    put(lab, "anew", spec)

    def step():
        return rollout(s, "anew")["canary"]["step"], rollout(s, "anew")["canary"]["percent"]

    wait_until("the second step", lambda: step() == (2, 30), 10)
    put(lab, "anew", dict(spec, shadows=[{"arm": "stable"}]))
    assert step() == (2, 30), "a shadow more is the same canary"
    since = rollout(s, "anew")["canary"]["since_ms"]
    lab.client.set_registered_model_alias("two", "try", str(lab.two[0]))
    wait_until("the new beginning", lambda: rollout(s, "anew")["canary"]["since_ms"] > since, 10)
    wait_until("the second step again", lambda: step() == (2, 30), 10)
    assert "begins anew" in s.log_text(1 << 20)
    spec["canary"]["steps"][0] = {"percent": 5, "seconds": 3600}
    put(lab, "anew", spec)
    assert step() == (1, 5), "other steps are another canary"


def canary_falls_back(lab):
    s = lab.server
    bad = lab.register_file("breaks", breaks())
    good = two(lab, "bad")[0]
    put(lab, "bad", {"arms": [dict(good, weight=1), {"name": "next", "target": f"models:/breaks/{bad}", "weight": 0}],
                     "canary": {"arm": "next", "baseline": "stable", "min_requests": 10,
                                "steps": [{"percent": 50, "seconds": 600}],
                                "abort_when": [{"metric": "error_rate", "worse_than_baseline_by": 0.2}]}})
    with Traffic(s, "bad", 3) as t:
        wait_until("the rollback", lambda: rollout(s, "bad")["canary"]["state"] == "rolled_back", 30)
        time.sleep(0.2)
        failed = sum(v for k, v in t.seen.items() if isinstance(k, int))
        assert failed >= 10, t.seen
        wait_until("more answers", lambda: t.seen.get(("stable", "weight"), 0) > 300, 30)
    after = sum(v for k, v in t.seen.items() if isinstance(k, int))
    assert after == failed, "the canary that failed gets nothing more"
    state = rollout(s, "bad")
    assert "error_rate is 1" in state["canary"]["reason"], state["canary"]
    # Counts by arm are exact.
    assert arm(state, "next")["total"]["requests"] == failed, (state, t.seen)
    assert arm(state, "next")["total"]["errors"] == failed, state
    assert arm(state, "stable")["total"]["requests"] == t.seen[("stable", "weight")], (state, t.seen)
    audit = s.get("/api/v1/audit")
    assert audit.status == 200 and "serving.endpoints.rollback" in audit.text, audit
    assert s.get("/api/v1/audit/verify").status == 200


def monitored(lab):
    """A monitor's value decides; until it is told the canary waits."""
    s = lab.server
    put(lab, "mon", {"arms": two(lab, "mon", 1, 0), "canary": {
        "arm": "next", "steps": [{"percent": 10, "seconds": 0}], "on_end": "hold",
        "abort_when": [{"metric": "monitor", "monitor": "auc", "below": 0.7}]}})
    wait_until("the wait", lambda: "auc has no value" in rollout(s, "mon")["canary"]["reason"], 10)
    assert s.request("PUT", path("mon", "/monitors/auc"), {"value": "high"}).status == 400
    assert s.request("PUT", path("nobody", "/monitors/auc"), {"value": 1}).status == 404
    assert s.request("PUT", path("mon", "/monitors/auc"), {"value": 0.9}).status in (200, 204)
    wait_until("the end", lambda: rollout(s, "mon")["canary"]["state"] == "waiting", 10)
    assert s.request("PUT", path("mon", "/monitors/auc"), {"value": 0.6}).status in (200, 204)
    wait_until("the rollback", lambda: rollout(s, "mon")["canary"]["state"] == "rolled_back", 10)
    assert "auc is 0.6, below 0.7" in rollout(s, "mon")["canary"]["reason"]


def bandit(lab):
    """The arm that is rewarded takes over, by segment."""
    s = lab.server
    put(lab, "bandit", {"arms": two(lab, "bandit", 1, 1),
                        "bandit": {"algorithm": "thompson", "context": {"header": "X-Country"}}})
    likes = {"NO": "next", "SE": "stable"}
    for i in range(120):
        for country, liked in likes.items():
            r = ask(s, "bandit", headers={"X-Country": country})
            chosen, why = served(r)
            assert why in ("bandit", "explore"), r.headers
            f = s.post(path("bandit", "/feedback"), {"prediction_id": r.headers["X-Quern-Prediction-Id"],
                                                     "reward": 1.0 if chosen == liked else 0.0})
            assert f.status == 200, f
            if i == 0:  # the same once more changes nothing
                f = s.post(path("bandit", "/feedback"), {"prediction_id": r.headers["X-Quern-Prediction-Id"], "reward": 1.0})
                assert f.json["duplicate"] == 1, f
    state = rollout(s, "bandit")["bandit"]
    assert state["algorithm"] == "thompson" and [x["name"] for x in state["contexts"]] == ["other", "NO", "SE"], state
    for x in state["contexts"][1:]:
        by = {a["name"]: a for a in x["arms"]}
        assert sum(a["plays"] for a in by.values()) == 120 and sum(a["rewards"] for a in by.values()) == 120, x
        assert by[likes[x["name"]]]["plays"] > 90 and by[likes[x["name"]]]["mean"] == 1, x
    # A reward for an answer that the tester's arm gave teaches nothing.
    r = ask(s, "bandit", headers={"X-Quern-Arm": "next"})
    s.post(path("bandit", "/feedback"), {"prediction_id": r.headers["X-Quern-Prediction-Id"], "reward": 1.0})
    assert rollout(s, "bandit")["bandit"] == state


def crash(lab):
    """kill -9: counts, bandits and the canary's step are back as of the last second."""
    s = lab.server
    put(lab, "step", {"arms": two(lab, "step", 1, 0), "canary": {
        "arm": "next", "steps": [{"percent": 10, "seconds": 1}, {"percent": 30, "seconds": 3600, "requests": 5}]}})
    wait_until("the second step", lambda: rollout(s, "step")["canary"]["step"] == 2, 10)
    for _ in range(50):
        ask(s, "step")
    was = {n: rollout(s, n) for n in ("step", "bandit", "bad", "good", "hist")}
    time.sleep(2.5)
    s.kill9()
    s.start()
    for n, old in was.items():
        lab.settled(n)
        now = rollout(s, n)
        for a in old["arms"]:
            assert arm(now, a["name"])["total"] == a["total"], (n, a, now)
        assert now.get("bandit") == old.get("bandit"), (n, old, now)
        if "canary" in old:
            for member in ("state", "step", "percent", "since_ms"):
                assert now["canary"].get(member) == old["canary"].get(member), (n, old, now)
    assert arm(rollout(s, "step"), "next").get("step", {})["requests"] == arm(was["step"], "next")["step"]["requests"]
    # Made anew under the same name it starts from nothing.
    assert s.request("DELETE", path("bandit")).status in (200, 204)
    put(lab, "bandit", {"arms": two(lab, "bandit", 1, 1), "bandit": {"algorithm": "ucb1"}})
    state = rollout(s, "bandit")
    assert all(a["total"]["requests"] == 0 for a in state["arms"]), state
    assert all(a["plays"] == 0 for x in state["bandit"]["contexts"] for a in x["arms"]), state


def crash_under_load(lab):
    """kill -9 while requests come: the endpoint is back with its policy, and at most the counts of the last write's
    second and a half are lost, none invented."""
    s = lab.server
    spec = {"arms": two(lab, "load", 3, 1), "split": {"key": HTTP}}
    put(lab, "load", spec)
    answered, done = [], threading.Event()

    def run(user):
        while not done.is_set():
            try:
                r = s.request("POST", "/v2/models/load/infer", {"inputs": values(1)}, headers={"X-User": user})
            except OSError:
                return
            if r.status == 200:
                answered.append((time.monotonic(), served(r), user))

    threads = [threading.Thread(target=run, args=(f"u{i}",)) for i in range(3)]
    for t in threads:
        t.start()
    time.sleep(3.5)
    s.kill9()
    killed = time.monotonic()
    done.set()
    for t in threads:
        t.join()
    s.start()
    lab.settled("load")
    state = rollout(s, "load")
    for name in ("stable", "next"):
        mine = [at for at, (a, _), _ in answered if a == name]
        kept = arm(state, name)["total"]["requests"]
        old = sum(at < killed - 1.5 for at in mine)
        # An answer on its way when the end came was counted, but not heard of.
        assert old <= kept <= len(mine) + len(threads), (name, old, kept, len(mine))
    assert len(answered) > 200 and any(arm(state, n)["total"]["requests"] for n in ("stable", "next")), state
    first = {user: who for _, who, user in answered}
    assert first == {u: served(ask(s, "load", headers={"X-User": u})) for u in first}, "keys keep their arms"


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        for step in (history, dry_run, canary_goes_through, canary_begins_anew, canary_falls_back, monitored, bandit, crash, crash_under_load):
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
