# SPDX-License-Identifier: Apache-2.0
"""Scorers and issues on the wire: versions, states, orders, pages, counts of traces, every field wrongly
filled, permissions, projects, deleted and purged experiments, restarts.

With mlflow installed its own functions do the same: mlflow.genai.scorers and the client's store."""
import base64
import concurrent.futures
import json
import os
import re
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402

try:
    import mlflow
except ImportError:
    mlflow = None

A2, A3 = "/api/2.0/mlflow/", "/api/3.0/mlflow/"
PASSWORD = "a rather long secret"
JUDGE = json.dumps({"name": "polite", "instructions_judge_pydantic_data": {"model": "openai:/gpt"}})


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(a):
    assert a.status == 200, a
    return a.json


def refused(a, status, part, code=None):
    code = code or {400: "INVALID_PARAMETER_VALUE", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST",
                    413: "BAD_REQUEST"}[status]
    assert a.status == status and a.json["error_code"] == code and part in a.json["message"], \
        f"{a}, not {status} {code} {part!r}"


class Who:
    """A caller of one project, and the routes under test."""

    def __init__(self, s, name=None, project=None):
        self.s, self.headers = s, {}
        if name:
            self.headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
        if project:
            self.headers["X-Quern-Project"] = project

    def call(self, method, path, body=None):
        return self.s.request(method, path, body, headers=self.headers)

    def get(self, path, **pairs):
        return self.call("GET", path + ("?" + urllib.parse.urlencode(pairs, doseq=True) if pairs else ""))

    def experiment(self, name):
        return ok(self.call("POST", A2 + "experiments/create", {"name": name}))["experiment_id"]

    def run(self, experiment):
        return ok(self.call("POST", A2 + "runs/create", {"experiment_id": experiment}))["run"]["info"]["run_id"]

    def register(self, experiment, name="polite", text=JUDGE):
        return self.call("POST", A3 + "scorers/register",
                         {"experiment_id": experiment, "name": name, "serialized_scorer": text})

    def scorer(self, what, **pairs):
        return self.get(A3 + "scorers/" + what, **pairs)

    def delete(self, experiment, name="polite", **more):
        return self.call("DELETE", A3 + "scorers/delete", {"experiment_id": experiment, "name": name, **more})

    def issue(self, experiment, name="slow", **more):
        return self.call("POST", A3 + "issues",
                         {"experiment_id": experiment, "name": name, "description": "d", **more})

    def search(self, **body):
        return self.call("POST", A3 + "issues/search", body)

    def trace(self, experiment, number, *issues):
        tid = f"tr-{number:032x}"
        ok(self.call("POST", A3 + "traces", {"trace": {"trace_info": {
            "trace_id": tid, "request_time": "2026-01-01T00:00:00Z", "state": "OK", "trace_location": {
                "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}}}}))
        for name in issues:
            ok(self.call("POST", A3 + f"traces/{tid}/assessments", {"assessment": {
                "assessment_name": name, "source": {"source_type": "HUMAN", "source_id": "m"},
                "issue": {"issue_name": "x"}}}))
        return tid


# ---- scorers

def versions(s):
    w = Who(s)
    e, other = w.experiment("versions"), w.experiment("versions-other")
    first = ok(w.register(e))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first["scorer_id"]), first
    same({k: v for k, v in first.items() if k not in ("scorer_id", "creation_time")},
         {"experiment_id": e, "name": "polite", "serialized_scorer": JUDGE, "version": 1})
    newer = JUDGE.replace("gpt", "other")
    second = ok(w.register(e, text=newer))
    same((second["version"], second["scorer_id"]), (2, first["scorer_id"]), "the second")
    ok(w.register(e, "ä/b c"))
    ok(w.register(other, "polite"))
    latest = {"experiment_id": int(e), "scorer_name": "polite", "scorer_version": 2, "serialized_scorer": newer,
              "creation_time": second["creation_time"], "scorer_id": first["scorer_id"]}
    same(ok(w.scorer("get", experiment_id=e, name="polite"))["scorer"], latest, "the latest")
    same(ok(w.scorer("get", experiment_id=e, name="polite", version=1))["scorer"]["serialized_scorer"], JUDGE)
    same([v["scorer_version"] for v in ok(w.scorer("versions", experiment_id=e, name="polite"))["scorers"]], [1, 2])

    def listed(**pairs):
        return [(v["experiment_id"], v["scorer_name"], v["scorer_version"])
                for v in ok(w.scorer("list", **pairs)).get("scorers", [])]
    mine = [(int(e), "polite", 2), (int(e), "ä/b c", 1)]
    same(ok(w.scorer("list", experiment_id=e))["scorers"][0], latest, "in a list")
    same(listed(experiment_id=e), mine)
    same(listed(), mine + [(int(other), "polite", 1)], "of all")
    same(listed(experiment_ids=[other, "777"]), [(int(other), "polite", 1)], "of several")
    same(listed(experiment_id=w.experiment("bare")), [])
    same(s.get("/ajax-api/3.0/mlflow/scorers/list?experiment_id=" + e).json,
         ok(w.scorer("list", experiment_id=e)), "as the page asks")

    refused(w.scorer("get", experiment_id=e, name="polite", version=3), 404,
            f"Scorer with name 'polite' and version 3 not found for experiment {e}.")
    refused(w.scorer("get", experiment_id=e, name="rude"), 404,
            f"Scorer with name 'rude' not found for experiment {e}.")
    refused(w.scorer("versions", experiment_id=e, name="rude"), 404, "not found for experiment")
    refused(w.delete(e, version=9), 404, "Scorer with name 'polite' and version 9 not found")
    refused(w.delete(e, "rude"), 404, "Scorer with name 'rude' not found")
    # The number behind the greatest that is there; the id stays until all is deleted together.
    same(ok(w.delete(e, version=2)), {})
    same(ok(w.register(e))["version"], 2, "behind the greatest")
    for v in (1, "2"):
        ok(w.delete(e, version=v))
    refused(w.scorer("get", experiment_id=e, name="polite"), 404, "Scorer with name 'polite' not found")
    refused(w.scorer("versions", experiment_id=e, name="polite"), 404, "Scorer with name 'polite' not found")
    refused(w.delete(e), 404, "Scorer with name 'polite' not found")
    same(listed(experiment_id=e), mine[1:], "an emptied one")
    again = ok(w.register(e))
    same((again["version"], again["scorer_id"]), (1, first["scorer_id"]), "filled again")
    ok(w.delete(e))
    assert ok(w.register(e))["scorer_id"] != first["scorer_id"]


def at_once(s):
    """Many register the same scorer: every version is given once, none is left out."""
    w = Who(s)
    e = w.experiment("at-once")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: ok(w.register(e, text=json.dumps({"i": i}))), range(80)))
    same(sorted(x["version"] for x in got), list(range(1, 81)))
    same(len({x["scorer_id"] for x in got}), 1, "ids")
    kept = {x["scorer_version"]: x["serialized_scorer"]
            for x in ok(w.scorer("versions", experiment_id=e, name="polite"))["scorers"]}
    same(kept, {x["version"]: x["serialized_scorer"] for x in got})


def scorer_faults(s):
    w = Who(s)
    e = w.experiment("scorer-faults")

    def send(**body):
        return w.call("POST", A3 + "scorers/register", {
            "experiment_id": e, "name": "n", "serialized_scorer": "{}", **body})
    for field in ("experiment_id", "name", "serialized_scorer"):
        for gone in (None, ""):
            refused(send(**{field: gone}), 400, f"Missing value for required parameter '{field}'")
        for wrong in (7, {"a": 1}, [1]):
            refused(send(**{field: wrong}), 400, f"for parameter '{field}' supplied")
    refused(send(experiment_id="x"), 400, "Invalid experiment ID 'x'. Experiment ID must be a valid integer.")
    refused(send(experiment_id="999"), 404, "No Experiment with id=999 exists")
    refused(send(name=" \t"), 400, "Scorer name cannot be empty or contain only whitespace.")
    refused(send(name="ä" * 257), 400, "'name' exceeds the maximum length of 256 characters")
    same(ok(send(name="ä" * 256))["name"], "ä" * 256)
    refused(send(serialized_scorer="a" * ((1 << 20) + 1)), 413, "1 MiB")
    for text, part in (
            ("nope", "serialized_scorer must be valid JSON"), ("{} {}", "serialized_scorer must be valid JSON"),
            ('{"a": NaN}', "serialized_scorer must be valid JSON"),
            ("[1]", "serialized_scorer must be a JSON object"), ("3", "serialized_scorer must be a JSON object"),
            ('{"a":' * 65 + "1" + "}" * 65, "nested"), ('{"a":' + "[" * 3000 + "]" * 3000 + "}", "serialized_scorer"),
            ('{"call_source": "x"}', "Custom scorer registration (using @scorer decorator)"),
            ('{"ensemble_scorer_data": {"scorers": [{"call_source": "x"}]}}', "Custom scorer registration"),
            ('{"third_party_scorer_data": {"kwargs": [1]}}',
             "third_party_scorer_data.kwargs must be a JSON object, got list."),
            ('{"x": [{"third_party_scorer_data": {"kwargs": {"a": [{"fallbacks": 1, "api_base": "h"}]}}}]}',
             "third_party_scorer_data.kwargs must not contain 'api_base', 'fallbacks'"),
            ('{"third_party_scorer_data": {"kwargs": {"a": [["base_url", "h"]]}}}',
             "third_party_scorer_data.kwargs must not contain 'base_url'"),
            ('{"instructions_judge_pydantic_data": {"model": 3}}', "Scorer model must be a string, got int."),
            ('{"memory_augmented_judge_data": {"base_judge": {"builtin_scorer_pydantic_data": {"model": " "}}}}',
             "Scorer model cannot be empty or contain only whitespace."),
            ('{"instructions_judge_pydantic_data": [1]}', "must be a JSON object")):
        refused(send(serialized_scorer=text), 400, part)
    refused(send(serialized_scorer='{"builtin_scorer_pydantic_data": {"model": "gateway:/g"}}'), 404,
            "GatewayEndpoint not found (name='g')")
    for good in ('{"call_source": null}', '{"third_party_scorer_data": {"kwargs": null, "model": "openai:/x"}}',
                 '{"api_base": 1}', '{"a": 1, "a": 2}', '{"a":' * 64 + "1" + "}" * 64,
                 '{"builtin_scorer_pydantic_data": {}, "third_party_scorer_data": {"model": null}}'):
        same(ok(send(serialized_scorer=good))["serialized_scorer"], good)

    for what in ("get", "versions"):
        refused(w.scorer(what, name="n"), 400, "Missing value for required parameter 'experiment_id'")
        refused(w.scorer(what, experiment_id=e), 400, "Missing value for required parameter 'name'")
        refused(w.scorer(what, experiment_id="999", name="n"), 404, "No Experiment with id=999 exists")
    refused(w.scorer("get", experiment_id=e, name="n", version="x"), 400, "for parameter 'version' supplied")
    refused(w.delete(e, "n", version="x"), 400, "for parameter 'version' supplied")
    refused(w.delete(None, "n"), 400, "Missing value for required parameter 'experiment_id'")
    refused(w.scorer("get", experiment_id=e, name="n", version=-1), 404, "version -1 not found")
    refused(w.scorer("list", experiment_id="x"), 400, "Invalid experiment ID 'x'")
    refused(w.scorer("list", experiment_ids=[e, "x"]), 400, "Invalid experiment ID 'x'")
    refused(w.scorer("list", experiment_id="999"), 404, "No Experiment with id=999 exists")
    refused(w.scorer("list", experiment_id=e, experiment_ids=[e]), 400,
            "Cannot specify both 'experiment_id' and 'experiment_ids'")
    same(ok(w.scorer("online-configs", scorer_ids=["a", "b"])), {"configs": []})
    refused(w.scorer("online-configs"), 400, "Missing value for required parameter 'scorer_ids'")
    a = w.call("PUT", A3 + "scorers/online-config", {"experiment_id": e, "name": "n", "sample_rate": 1})
    same((a.status, a.json["error_code"]), (501, "NOT_IMPLEMENTED"))
    assert "Running scorers" in a.json["message"], a


# ---- issues

def states(s):
    w = Who(s)
    e = w.experiment("states")
    run = w.run(e)
    brief = ok(w.issue(e))["issue"]
    assert re.fullmatch(r"iss-[0-9a-f]{32}", brief["issue_id"]), brief
    same({k: v for k, v in brief.items() if k not in ("issue_id", "created_timestamp", "last_updated_timestamp")},
         {"experiment_id": e, "name": "slow", "description": "d", "status": "pending"}, "what is absent")
    same(brief["created_timestamp"], brief["last_updated_timestamp"])
    more = {"status": "rejected", "severity": "high", "root_causes": ["ä\n\"", "b"], "source_run_id": run,
            "created_by": "me", "categories": ["c"]}
    whole = ok(w.issue(e, "whole", **more))["issue"]
    same({k: whole[k] for k in more}, more)
    same(ok(w.get(A3 + "issues/" + whole["issue_id"]))["issue"], whole, "read again")
    same(ok(w.get("/ajax-api/3.0/mlflow/issues/" + whole["issue_id"]))["issue"], whole, "as the page asks")
    bare = ok(w.issue(e, root_causes=[], categories=[], source_run_id="", created_by="", severity=None))["issue"]
    same(set(bare), set(brief), "empty is absent")

    path = A3 + "issues/" + brief["issue_id"]

    def change(**body):
        return ok(w.call("PATCH", path, {"issue_id": brief["issue_id"], **body}))["issue"]
    changed = change(status="resolved", severity="low")
    same((changed["status"], changed["severity"], changed["name"]), ("resolved", "low", "slow"))
    assert changed["last_updated_timestamp"] >= brief["last_updated_timestamp"], changed
    same(changed["created_timestamp"], brief["created_timestamp"])
    changed = change(name="n2", description="d2")
    same((changed["name"], changed["description"], changed["status"]), ("n2", "d2", "resolved"))
    changed = change(name="", description="")
    same((changed["name"], changed["description"]), ("n2", "d2"), "empty texts change nothing")
    same(ok(w.get(path))["issue"], changed)
    refused(w.get(A3 + "issues/iss-none"), 404, "Issue with ID 'iss-none' not found")
    refused(w.call("PATCH", A3 + "issues/iss-none", {"name": "x"}), 404, "Issue with ID 'iss-none' not found")


def issue_faults(s):
    w = Who(s)
    e = w.experiment("issue-faults")
    iid = ok(w.issue(e))["issue"]["issue_id"]
    for field in ("experiment_id", "name", "description"):
        for gone in (None, ""):
            refused(w.issue(**{"experiment": e, field: gone} if field != "experiment_id" else {"experiment": gone}),
                    400, f"Missing value for required parameter '{field}'")
        wrong = {"experiment": 7} if field == "experiment_id" else {"experiment": e, field: 7}
        refused(w.issue(**wrong), 400, f"Invalid value 7 for parameter '{field}' supplied")
    refused(w.issue("x"), 400, "Invalid experiment ID 'x'")
    refused(w.issue("999"), 404, "No Experiment with id=999 exists")
    for field, wrong in (("status", "PENDING"), ("status", ""), ("status", 1), ("severity", "critical"),
                         ("severity", ""), ("severity", []), ("created_by", 3), ("source_run_id", {}),
                         ("root_causes", "a"), ("root_causes", [1]), ("categories", [{}]), ("categories", 5)):
        refused(w.issue(e, **{field: wrong}), 400, f"for parameter '{field}")
    for field, wrong in (("status", "open"), ("status", ""), ("severity", "none"), ("name", 1), ("description", [])):
        refused(w.call("PATCH", A3 + "issues/" + iid, {"issue_id": iid, field: wrong}), 400,
                f"for parameter '{field}' supplied")
    refused(w.issue(e, "x" * 251), 400, "'name' exceeds the maximum length of 250 characters")
    refused(w.call("PATCH", A3 + "issues/" + iid, {"name": "x" * 251}), 400, "'name' exceeds the maximum")
    refused(w.issue(e, created_by="x" * 256), 400, "'created_by' exceeds the maximum length of 255 characters")
    refused(w.issue(e, root_causes=["a"] * 1001), 400, "'root_causes' exceeds the maximum length of 1000 items")
    refused(w.issue(e, description="x" * ((1 << 20) + 1)), 413, "1 MiB")
    same(len(ok(w.issue(e, "ä" * 250, created_by="ä" * 255))["issue"]["name"]), 250)
    refused(w.issue(e, source_run_id="f" * 32), 404, "Run with id=" + "f" * 32 + " not found")

    for wrong, part in ((0, "It must be a positive integer"), (-1, "It must be a positive integer"),
                        (50001, "It must be at most 50000"), ("x", "for parameter 'max_results' supplied")):
        refused(w.search(max_results=wrong), 400, part)
    refused(w.search(page_token="zzz"), 400, "Invalid page token, could not base64-decode")
    refused(w.search(experiment_id="x"), 400, "Invalid experiment ID 'x'")
    refused(w.search(experiment_id=3), 400, "for parameter 'experiment_id' supplied")
    refused(w.search(include_trace_count="yes"), 400, "for parameter 'include_trace_count' supplied")
    for text, part in (("name = 'n'", "Invalid filter field 'name'. Supported fields: {'status', 'source_run_id'}"),
                       ("attributes.status = 'x'", "Invalid filter field 'attributes.status'"),
                       ("STATUS = 'x'", "Invalid filter field 'STATUS'"),
                       ("status IN ('x')", "Invalid comparator 'IN'. Supported comparators: {'=', '!='}"),
                       ("status LIKE 'x'", "Invalid comparator 'LIKE'"), ("status > 'x'", "Invalid comparator '>'"),
                       ("source_run_id IS NULL", "Invalid comparator 'IS NULL'"),
                       ("status", "Invalid clause(s) in filter string"),
                       ("status = 'a' OR status = 'b'", "Invalid clause(s) in filter string"),
                       (" AND ".join(["status = 'a'"] * 101), "at most 100")):
        refused(w.search(filter_string=text), 400, part)
    refused(w.search(filter_string=3), 400, "for parameter 'filter_string' supplied")


def searching(s):
    w = Who(s)
    e, other = w.experiment("searching"), w.experiment("searching-other")
    run = w.run(e)
    made = {}
    for name, more in (("low", {"severity": "low", "status": "resolved"}), ("none", {}),
                       ("high", {"severity": "high", "source_run_id": run}), ("fine", {"severity": "not_an_issue"}),
                       ("medium", {"severity": "medium"}), ("low2", {"severity": "low", "status": "rejected"})):
        made[name] = ok(w.issue(e, name, **more))["issue"]["issue_id"]
    made["far"] = ok(w.issue(other, "far", severity="medium"))["issue"]["issue_id"]

    def names(**body):
        return [i["name"] for i in ok(w.search(**{"experiment_id": e, **body})).get("issues", [])]
    # Made within one millisecond, two lows stand in the order of their ids; else the newest is first.
    found = names()
    same([found[0], found[1], set(found[2:4]), found[4], found[5]], ["high", "medium", {"low", "low2"}, "fine", "none"])
    same(sorted(names(filter_string="status = 'pending'")), ["fine", "high", "medium", "none"])
    same(sorted(names(filter_string="status != 'pending'")), ["low", "low2"])
    same(names(filter_string="status='rejected' and status != \"x\" AND "), ["low2"])
    same(names(filter_string=f"source_run_id = '{run}'"), ["high"])
    same(names(filter_string="source_run_id != 'x'"), ["high"], "a run that is not there is not other than x")
    same(names(filter_string=f"status = 'pending' AND source_run_id = '{run}'"), ["high"])
    same(names(filter_string="status = 3"), [])
    same(ok(w.search(experiment_id="999")), {"next_page_token": ""}, "nothing")
    everywhere = [i["issue_id"] for i in ok(w.search(max_results=50000))["issues"]]
    assert set(made.values()) <= set(everywhere), everywhere
    assert "trace_count" not in ok(w.search(experiment_id=e, include_trace_count=False))["issues"][0]

    tids = [w.trace(e, 1, made["low"], made["low"], made["none"]), w.trace(e, 2, made["low"]),
            w.trace(other, 3, made["low2"])]
    ok(w.call("POST", A3 + f"traces/{tids[0]}/assessments", {"assessment": {
        "assessment_name": made["fine"], "source": {"source_type": "HUMAN", "source_id": "m"},
        "feedback": {"value": 1}}}))

    def counts():
        return [(i["name"], i["trace_count"])
                for i in ok(w.search(experiment_id=e, include_trace_count=True))["issues"]]
    same(counts(), [("high", 0), ("medium", 0), ("low", 2), ("low2", 1), ("fine", 0), ("none", 1)])
    ok(w.call("POST", A3 + "traces/delete-traces", {"experiment_id": e, "request_ids": [tids[1]]}))
    same(dict(counts())["low"], 1, "a deleted trace")
    assert "trace_count" not in ok(w.get(A3 + "issues/" + made["low"]))["issue"]

    # Pages: all of them, each once, in the order of the whole.
    far = w.experiment("pages")
    for i in range(230):
        ok(w.issue(far, f"i{i}", severity=("low", "high", "medium")[i % 3]))
    whole = [i["issue_id"] for i in ok(w.search(experiment_id=far, max_results=1000))["issues"]]
    same(len(set(whole)), 230)
    for size, more in ((None, {}), (7, {"include_trace_count": True}), (230, {}), (229, {})):
        seen, token = [], ""
        while True:
            body = {"experiment_id": far, "page_token": token, **more, **({"max_results": size} if size else {})}
            page = ok(w.search(**body))
            seen += [i["issue_id"] for i in page["issues"]]
            assert len(page["issues"]) <= (size or 100), len(page["issues"])
            token = page["next_page_token"]
            if not token:
                break
        same(seen, whole, f"pages of {size}")
    token = base64.b64encode(b'{"offset": 5000}').decode()
    same(ok(w.search(experiment_id=far, page_token=token)), {"next_page_token": ""}, "past the end")


# ---- who, where, how long

def permissions(s):
    root = Who(s, "root")
    ok(Who(s).call("POST", A2 + "users/create", {"username": "root", "password": PASSWORD}))
    e, hidden = root.experiment("guarded"), root.experiment("hidden")
    who = {}
    for name, level in (("none", "NO_PERMISSIONS"), ("read", "READ"), ("edit", "EDIT"), ("manage", "MANAGE")):
        ok(root.call("POST", A2 + "users/create", {"username": name, "password": PASSWORD}))
        for x, have in ((e, level), (hidden, "NO_PERMISSIONS")):
            ok(root.call("POST", A2 + "experiments/permissions/create",
                         {"experiment_id": x, "username": name, "permission": have}))
        who[name] = Who(s, name)
    ok(root.register(e))
    ok(root.register(hidden, "secret"))
    issue = ok(root.issue(e))["issue"]["issue_id"]
    secret = ok(root.issue(hidden, "secret"))["issue"]["issue_id"]
    run = root.run(hidden)
    root.trace(hidden, 50, issue)
    root.trace(e, 51, issue)
    rank = ["none", "read", "edit", "manage"]
    for name, w in who.items():
        for need, a in (("read", w.scorer("list", experiment_id=e)),
                        ("read", w.scorer("versions", experiment_id=e, name="polite")),
                        ("read", w.scorer("get", experiment_id=e, name="polite")),
                        ("edit", w.register(e, "by-" + name)),
                        ("manage", w.delete(e, "by-edit", version=1)),
                        ("read", w.get(A3 + "issues/" + issue)),
                        ("edit", w.issue(e, "by-" + name)),
                        ("edit", w.call("PATCH", A3 + "issues/" + issue, {"name": "by-" + name}))):
            if rank.index(name) >= rank.index(need):
                ok(a)
            else:
                refused(a, 403, "Permission denied")
        for a in (w.scorer("list", experiment_id=hidden), w.scorer("get", experiment_id=hidden, name="secret"),
                  w.register(hidden), w.issue(hidden), w.get(A3 + "issues/" + secret)):
            refused(a, 403, "Permission denied")
        # Searches leave out what may not be read, and count no hidden traces.
        text = w.search(include_trace_count=True).text + w.scorer("list").text
        text += w.scorer("list", experiment_ids=[e, hidden]).text + w.search(experiment_id=hidden).text
        assert "secret" not in text and (issue in text) == (name != "none"), (name, text[:2000])
        assert ("polite" in text) == (name != "none"), (name, text[:2000])
        if name != "none":
            same([i["trace_count"] for i in ok(w.search(include_trace_count=True))["issues"]
                  if i["issue_id"] == issue], [1], "traces that may be read")
    same([i["trace_count"] for i in ok(root.search(include_trace_count=True))["issues"]
          if i["issue_id"] == issue], [2], "all traces")
    refused(who["edit"].issue(e, source_run_id=run), 403, "Permission denied")

    # Another project knows nothing of it.
    ok(root.call("POST", "/api/v1/projects", {"name": "elsewhere"}))
    there = Who(s, "root", "elsewhere")
    refused(there.get(A3 + "issues/" + issue), 404, "not found")
    refused(there.call("PATCH", A3 + "issues/" + issue, {"name": "x"}), 404, "not found")
    refused(there.scorer("get", experiment_id=e, name="polite"), 404, "No Experiment")
    refused(there.register(e), 404, "No Experiment")
    refused(there.issue(e), 404, "No Experiment")
    for a in (there.search(), there.search(experiment_id=e)):
        same(ok(a), {"next_page_token": ""})
    same(ok(there.scorer("list")), {})
    same(ok(there.scorer("list", experiment_ids=[e])), {})


def lasting(s):
    """Deleting an experiment hides its scorers and leaves its issues; purging takes both, and a purged
    run is forgotten by the issues that it found. All of it outlives the process."""
    w = Who(s)
    e, gone = w.experiment("lasting"), w.experiment("going")
    run = w.run(e)
    ok(w.register(e))
    ok(w.register(e, text=JUDGE.replace("gpt", "x")))
    kept = ok(w.issue(e, source_run_id=run, severity="low", root_causes=["why"]))["issue"]
    ok(w.register(gone))
    left = ok(w.issue(gone))["issue"]["issue_id"]
    ok(w.call("POST", A2 + "experiments/delete", {"experiment_id": gone}))
    for a in (w.register(gone), w.scorer("list", experiment_id=gone), w.delete(gone),
              w.scorer("get", experiment_id=gone, name="polite"),
              w.scorer("versions", experiment_id=gone, name="polite")):
        refused(a, 400, f"The experiment {gone} must be in the 'active' state. Current state is deleted.")
    assert int(gone) not in [x["experiment_id"] for x in ok(w.scorer("list"))["scorers"]]
    refused(w.issue(gone), 404, f"No Experiment with id={gone} exists")
    same(ok(w.call("PATCH", A3 + "issues/" + left, {"name": "later"}))["issue"]["name"], "later")
    same([i["name"] for i in ok(w.search(experiment_id=gone))["issues"]], ["later"])
    ok(w.call("POST", A2 + "runs/delete", {"run_id": run}))
    before = [ok(w.scorer("versions", experiment_id=e, name="polite")), ok(w.get(A3 + "issues/" + kept["issue_id"]))]
    same(before[1]["issue"], kept, "with its run deleted")
    s.kill9()
    s.start()
    same([ok(w.scorer("versions", experiment_id=e, name="polite")), ok(w.get(A3 + "issues/" + kept["issue_id"]))],
         before, "after a kill")
    ok(w.call("POST", A2 + "experiments/restore", {"experiment_id": gone}))
    same(len(ok(w.scorer("list", experiment_id=gone))["scorers"]), 1, "restored")
    ok(w.call("POST", A2 + "experiments/delete", {"experiment_id": gone}))
    for kind, name in (("experiment", gone), ("run", run)):
        same(w.call("DELETE", f"/api/v1/trash/{kind}/{name}").status, 200, kind)
    wait_until("the purged experiment's issue to go", lambda: w.get(A3 + "issues/" + left).status == 404)
    wait_until("the purged run to be forgotten", lambda: "source_run_id" not in ok(
        w.get(A3 + "issues/" + kept["issue_id"]))["issue"])
    same(set(kept) - set(ok(w.get(A3 + "issues/" + kept["issue_id"]))["issue"]), {"source_run_id"})


# ---- the genuine client

def client(s):
    from mlflow.entities.assessment import AssessmentSource, IssueReference
    from mlflow.entities.issue import IssueSeverity, IssueStatus
    from mlflow.exceptions import MlflowException
    from mlflow.genai import make_judge
    from mlflow.genai.scorers import (Guidelines, RelevanceToQuery, delete_scorer, get_scorer, list_scorers, scorer)
    from mlflow.genai.scorers.registry import list_scorer_versions
    from mlflow.tracking._tracking_service.utils import _get_store
    mlflow.set_tracking_uri(s.url)
    e = mlflow.set_experiment("judged").experiment_id

    def raises(part, code, fn, *a, **kw):
        try:
            fn(*a, **kw)
        except MlflowException as x:
            assert part in str(x) and x.error_code == code, x
        else:
            raise AssertionError(f"no error: {part}")
    RelevanceToQuery(model="openai:/gpt-4.1-mini").register(name="relevant")
    judge = make_judge(name="polite", instructions="Is {{ outputs }} polite?", model="openai:/gpt-4.1-mini",
                       feedback_value_type=bool)
    judge.register()
    newer = make_judge(name="polite", instructions="Is {{ outputs }} very polite?", model="openai:/gpt-4.1",
                       feedback_value_type=bool)
    same(newer.register(experiment_id=e).name, "polite")
    Guidelines(name="english", guidelines=["Answers are in English."], model="openai:/gpt-4.1-mini").register()
    same([x.name for x in list_scorers(experiment_id=e)], ["english", "polite", "relevant"])
    got = get_scorer(name="polite")
    same((got.name, got.instructions, got.model), ("polite", newer.instructions, "openai:/gpt-4.1"))
    same(get_scorer(name="polite", version=1).instructions, judge.instructions)
    same(get_scorer(name="english").guidelines, ["Answers are in English."])
    same([(x.name, v) for x, v in list_scorer_versions(name="polite")], [("polite", 1), ("polite", 2)])
    raises("Scorer with name 'rude' not found", "RESOURCE_DOES_NOT_EXIST", get_scorer, name="rude")
    raises("version 7 not found", "RESOURCE_DOES_NOT_EXIST", get_scorer, name="polite", version=7)
    raises("not implemented", "NOT_IMPLEMENTED", _get_store().upsert_online_scoring_config, e, "polite", 0.5)
    raises("must be valid JSON", "INVALID_PARAMETER_VALUE", _get_store().register_scorer, e, "x", "nope")

    @scorer
    def own(outputs):
        return len(outputs)
    raises("Custom scorer registration (using @scorer decorator)", "INVALID_PARAMETER_VALUE",
           _get_store().register_scorer, e, "own", json.dumps(own.model_dump()))
    delete_scorer(name="polite", version=2)
    same(get_scorer(name="polite").instructions, judge.instructions)
    delete_scorer(name="polite", version="all")
    same([x.name for x in list_scorers()], ["english", "relevant"])

    store = _get_store()
    with mlflow.start_run() as run:
        pass
    one = store.create_issue(e, "slow", "takes long", severity=IssueSeverity.HIGH, root_causes=["a", "b"],
                             source_run_id=run.info.run_id, categories=["speed"], created_by="me")
    two = store.create_issue(e, "odd", "odd words")
    same(store.get_issue(one.issue_id).to_dictionary(), one.to_dictionary())
    same((two.status, two.severity, two.root_causes, two.source_run_id, two.categories, two.created_by, two.trace_count),
         (IssueStatus.PENDING, None, None, None, None, None, None))
    two = store.update_issue(two.issue_id, status=IssueStatus.RESOLVED, name="odder", severity=IssueSeverity.LOW)
    same((two.status, two.name, two.description, two.severity), (IssueStatus.RESOLVED, "odder", "odd words", IssueSeverity.LOW))
    page = store.search_issues(experiment_id=e, max_results=1)
    same([x.issue_id for x in page], [one.issue_id])
    rest = store.search_issues(experiment_id=e, max_results=1, page_token=page.token)
    same(([x.issue_id for x in rest], rest.token), ([two.issue_id], None))
    same([x.name for x in store.search_issues(experiment_id=e, filter_string="status = 'resolved'")], ["odder"])
    with mlflow.start_span("answer") as span:
        tid = span.trace_id
    mlflow.flush_trace_async_logging()
    wait_until("the trace", lambda: s.get(A3 + f"traces/{tid}").status == 200)
    mlflow.log_assessment(tid, IssueReference(issue_id=one.issue_id, issue_name="slow",
                                              source=AssessmentSource("HUMAN", "me")))
    same([(x.name, x.trace_count) for x in store.search_issues(experiment_id=e, include_trace_count=True)],
         [("slow", 1), ("odder", 0)])
    found = mlflow.search_traces(locations=[e], filter_string=f"issue.id = '{one.issue_id}'", return_type="list")
    same([t.info.trace_id for t in found], [tid])
    raises("not found", "RESOURCE_DOES_NOT_EXIST", store.get_issue, "iss-none")


def main():
    if mlflow:
        with Server() as s:
            client(s)
        print("scorers and issues with mlflow", mlflow.__version__, "ok")
        return
    with Server() as s:
        for test in (versions, at_once, scorer_faults, states, issue_faults, searching, lasting):
            test(s)
    with Server() as s:
        permissions(s)
    print("scorers and issues: ok")


if __name__ == "__main__":
    main()
