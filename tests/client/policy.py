# SPDX-License-Identifier: Apache-2.0
"""Which arm answers, through a real daemon: shares, sticky keys, rules, forced arms, holdouts, shadows;
what the headers say, and what is counted."""
import os
import sys
import time

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arms import ask, put
from serving import LIBRARY, Lab
from serving_faults import add
from quern import Server


def served(r):
    """("stable", "weight") of the header."""
    text = r.headers["X-Quern-Served-By"]
    return text.split(";")[0], text.split("reason=")[1].split(";")[0]


def two(lab, name, a=1, b=1):
    if not hasattr(lab, "two"):
        lab.two = [lab.register_file("two", add(n)) for n in (1, 10)]
    return [{"name": "stable", "target": f"models:/two/{lab.two[0]}", "weight": a},
            {"name": "next", "target": f"models:/two/{lab.two[1]}", "weight": b}]


def shares(lab):
    """3 to 1 by chance: the chi-square of 2,000 requests against the weights."""
    s = lab.server
    put(lab, "shares", {"arms": two(lab, "shares", 3, 1)})
    seen, ids = {"stable": 0, "next": 0}, set()
    for _ in range(2000):
        r = ask(s, "shares")
        arm, why = served(r)
        assert why == "weight" and r.json["outputs"][0]["data"] == [2.0 if arm == "stable" else 11.0], r
        seen[arm] += 1
        ids.add(r.headers["X-Quern-Prediction-Id"])
    chi = (seen["stable"] - 1500) ** 2 / 1500 + (seen["next"] - 500) ** 2 / 500
    assert chi < 15.1, (seen, chi)  # one degree of freedom, one in ten thousand
    assert len(ids) == 2000, "every prediction has an id of its own"


def sticky(lab):
    s = lab.server
    put(lab, "sticky", {"arms": two(lab, "sticky"), "split": {"by": "key", "key": {"header": "X-User"}}})
    first = {u: served(ask(s, "sticky", headers={"X-User": f"u{u}"})) for u in range(60)}
    assert {a for a, _ in first.values()} == {"stable", "next"} and {w for _, w in first.values()} == {"key"}, first
    assert first == {u: served(ask(s, "sticky", headers={"X-User": f"u{u}"})) for u in range(60)}
    # A larger share takes keys over and gives none back.
    put(lab, "sticky", {"arms": two(lab, "sticky", 1, 3), "split": {"by": "key", "key": {"header": "X-User"}}})
    later = {u: served(ask(s, "sticky", headers={"X-User": f"u{u}"})) for u in range(60)}
    assert all(later[u][0] == "next" for u in range(60) if first[u][0] == "next"), (first, later)
    assert sum(a == "next" for a, _ in later.values()) > sum(a == "next" for a, _ in first.values())
    # By a column of the request, over both protocols.
    put(lab, "bycolumn", {"arms": two(lab, "bycolumn"), "split": {"by": "key", "key": {"field": "X"}}})
    for v in (1.0, 2.0, 3.5, 4.25):
        a = s.post("/v2/models/bycolumn/infer", {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [v]}]})
        b = s.post("/endpoints/bycolumn/invocations", {"inputs": {"X": [v]}})
        assert served(a)[1] == "key" and served(a) == served(b), (v, a.headers, b.headers)


def rules(lab):
    s = lab.server
    put(lab, "rules", {"arms": two(lab, "rules", 1, 0),
                       "rules": [{"header": "X-Tester", "equals": "yes", "arm": "next"}]})
    assert served(ask(s, "rules")) == ("stable", "weight")
    assert served(ask(s, "rules", headers={"X-Tester": "yes"})) == ("next", "rule")
    assert served(ask(s, "rules", headers={"X-Quern-Arm": "next"})) == ("next", "forced")
    assert "no arm 'nobody'" in ask(s, "rules", headers={"X-Quern-Arm": "nobody"}, status=404).json["error"]
    put(lab, "rules", {"arms": two(lab, "rules", 1, 0), "force": False})
    assert ask(s, "rules", headers={"X-Quern-Arm": "next"}, status=403).json["error"]


def holdout(lab):
    s = lab.server
    constant = [{"name": "Y", "datatype": "FP32", "shape": [1], "data": [-7]}]
    put(lab, "held", {"target": two(lab, "held")[0]["target"],
                      "holdout": {"percent": 30, "key": {"header": "X-User"}, "outputs": constant}})
    answers = {}
    for u in range(400):
        r = ask(s, "held", 2, headers={"X-User": f"u{u}"})
        answers.setdefault(served(r), []).append(r.json["outputs"][0]["data"])
        if served(r)[1] == "holdout":
            assert r.json["outputs"][0]["data"] == [-7.0, -7.0] and r.json["model_version"] == "constant", r
    assert 80 < len(answers[("constant", "holdout")]) < 160, {k: len(v) for k, v in answers.items()}
    r = lab.server.request("PUT", "/api/v1/endpoints/held", {"target": two(lab, "held")[0]["target"],
                                                             "holdout": {"percent": 30, "outputs": [{"name": "Y"}]}})
    assert r.status == 400 and "holdout" in r.body.decode(), r
    # Rows without elements cost the caller nothing: there is no answer to more of them than memory is meant for.
    wide = [{"name": "Y", "datatype": "FP32", "shape": [1, 50000], "data": [0] * 50000}]
    put(lab, "wide", {"target": two(lab, "wide")[0]["target"], "holdout": {"percent": 100, "outputs": wide}})
    empty = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1 << 20, 0], "data": []}]}
    r = s.request("POST", "/v2/models/wide/infer", empty)
    assert r.status == 413 and "rows" in r.body.decode(), r
    assert len(ask(s, "wide", 2).json["outputs"][0]["data"]) == 100000


def shadows(lab):
    """The shadow's answers are compared; requests that it does not take are its own affair."""
    s = lab.server
    put(lab, "shady", {"arms": two(lab, "shady", 1, 0), "shadows": [{"arm": "next"}]})
    for _ in range(50):
        assert served(ask(s, "shady")) == ("stable", "weight")

    def counted(outcome):
        text = s.request("GET", "/metrics", raw=True).body.decode()
        key = f'quern_shadows_total{{endpoint="shady",arm="next",outcome="{outcome}"}} '
        return next((float(x[len(key):]) for x in text.splitlines() if x.startswith(key)), 0)

    end = time.monotonic() + 90  # shadows run when nobody else wants the processors
    while counted("differs") + counted("dropped") < 50 and time.monotonic() < end:
        time.sleep(0.05)
    assert counted("differs") > 0 and counted("differs") + counted("dropped") == 50, counted("differs")
    same = two(lab, "shady", 1, 0)
    same[1]["target"] = same[0]["target"]
    put(lab, "shady", {"arms": same, "shadows": [{"arm": "next"}]})
    ask(s, "shady")
    while counted("agrees") < 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert counted("agrees") == 1


def figures(lab):
    """Counts by arm are those of the answers, and OpenMetrics names a prediction beside a bucket."""
    s = lab.server
    put(lab, "figures", {"arms": two(lab, "figures")})
    seen, ids = {"stable": 0, "next": 0}, set()
    for _ in range(100):
        r = ask(s, "figures")
        seen[served(r)[0]] += 1
        ids.add(r.headers["X-Quern-Prediction-Id"])
    text = s.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"}, raw=True).body.decode()
    for arm, n in seen.items():
        assert f'quern_arm_predictions_total{{endpoint="figures",arm="{arm}",outcome="ok"}} {n}\n' in text, (arm, n)
    named = [x.split('prediction_id="')[1].split('"')[0] for x in text.splitlines()
             if x.startswith("quern_prediction_duration_seconds_bucket{endpoint=\"figures\"") and "prediction_id" in x]
    assert named and set(named) <= ids, (named, text)
    plain = s.request("GET", "/metrics", raw=True).body.decode()
    assert "prediction_id" not in plain, "Prometheus' old text has no exemplars"


def main():
    with Server(env={"QUERN_ONNX_LIBRARY": LIBRARY}) as server:
        lab = Lab(server)
        for step in (shares, sticky, rules, holdout, shadows, figures):
            began = time.monotonic()
            step(lab)
            print(f"ok {step.__name__} ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
