# SPDX-License-Identifier: Apache-2.0
"""Every row of the route table is called with nothing, with nonsense and by every kind of caller:
no answer may be a 5xx (but 501 and 503 where a row says so), every error speaks its dialect, and a
caller without the row's permission gets 401 or 403 and nothing else. The rows come from the server's
own OpenAPI document, so a new route is covered the moment it exists."""
import json
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import Server

LEVELS = ["public", "read", "write", "admin", "system"]
problems = []


def complain(op, what, answer):
    problems.append(f"{op}: {what}: {answer}")


def operations(doc):
    for path, item in doc["paths"].items():
        for method, op in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield method.upper(), path, op


def fill(path):
    """A path whose variables name nothing that exists."""
    out = path
    for name, value in (("{path...}", "no/such/thing"), ("{path}", "no/such/thing")):
        out = out.replace(name, value)
    while "{" in out:
        i, j = out.index("{"), out.index("}")
        out = out[:i] + "nonesuch" + out[j + 1:]
    return out


def dialect_holds(path, answer):
    kind = answer.headers.get("Content-Type", "")
    if path.endswith(("/unified-traces", "/get-online-trace-details")):
        return answer.status == 404 and not answer.body  # declared and empty, as in MLflow
    if kind.startswith("text/plain"):
        return len(answer.body) > 0
    try:
        body = answer.json
    except ValueError:
        return False
    if path == "/v1/traces" and answer.status == 422:
        return isinstance(body["detail"], list)  # as MLflow's other web framework answers
    if "/mlflow" in path:
        return set(body) >= {"error_code", "message"}
    if path.startswith(("/v2", "/v1/models")):
        return set(body) == {"error"}
    return "error_code" in body or {"type", "title", "status"} <= set(body)


def nonsense():
    yield "nothing", None, {}
    yield "not JSON", b"{", {"Content-Type": "application/json"}
    yield "not an object", b"[1,2]", {"Content-Type": "application/json"}
    yield "bad UTF-8", b'{"name":"\xff\xfe"}', {"Content-Type": "application/json"}
    yield "too deep", b"[" * 5000 + b"]" * 5000, {"Content-Type": "application/json"}
    yield "a doubled member", b'{"name":"a","name":"b"}', {"Content-Type": "application/json"}
    wrong = {k: v for k, v in (
        ("name", 7), ("run_id", {"a": 1}), ("experiment_id", [1]), ("key", None), ("value", {}),
        ("max_results", "many"), ("metrics", 5), ("tags", "x"), ("version", 1.5), ("inputs", 3),
        ("definition", 12), ("principal", [])) }
    yield "wrong types", json.dumps(wrong).encode(), {"Content-Type": "application/json"}
    yield "an odd content type", b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}


def call_with_nonsense(s, doc):
    for method, path, op in operations(doc):
        for what, body, headers in nonsense():
            if body is None and method in ("POST", "PUT", "PATCH"):
                body = b""
            answer = s.request(method, fill(path), body if method != "GET" else None,
                               headers=headers, raw=True)
            name = op["operationId"]
            if answer.status >= 500 and answer.status not in (501, 503):
                complain(name, what, answer)
            if answer.status >= 400 and not dialect_holds(path, answer):
                complain(name, f"{what}: error in another dialect", answer)


def call_as_everybody(s, doc):
    tokens = {None: None}
    for who, extra in (("root", {"system": True}), ("reader", {"role": "reader"}),
                       ("writer", {"role": "writer"}), ("admin", {"role": "admin"})):
        headers = {"Authorization": "Bearer " + tokens["root"]} if "root" in tokens else {}
        a = s.post("/api/v1/tokens", {"principal": who, **extra}, headers=headers)
        assert a.status == 200, a
        tokens[who] = a.json["token"]
    rank = {None: 0, "reader": 1, "writer": 2, "admin": 3, "root": 4}
    tried = 0
    for method, path, op in operations(doc):
        need = LEVELS.index(op["x-quern-permission"])
        for who, token in tokens.items():
            if who == "root" and method != "GET":
                continue  # the administrator may: what it does is tested elsewhere
            headers = {"Authorization": "Bearer " + token} if token else {}
            headers["Content-Type"] = "application/json"
            body = b"{}" if method != "GET" else None
            answer = s.request(method, fill(path), body, headers=headers, raw=True)
            tried += 1
            want = None if rank[who] >= need else (401 if who is None else 403)
            if want and answer.status != want:
                complain(op["operationId"], f"{who or 'anonymous'} wants {want}", answer)
            if not want and answer.status in (401, 403):
                complain(op["operationId"], f"{who or 'anonymous'} may", answer)
    return tried


def exercised(s, doc, headers):
    text = s.get("/metrics", headers=headers).text
    for _, _, op in operations(doc):
        if f'route="{op["operationId"]}"' not in text:
            problems.append(f'{op["operationId"]}: no request was counted')


with Server() as s:
    doc = s.get("/openapi.json").json
    assert doc["openapi"].startswith("3.1"), doc["openapi"]
    n = len(list(operations(doc)))
    assert n > 80, f"only {n} operations in the document"
    call_with_nonsense(s, doc)
    tried = call_as_everybody(s, doc)
    a = s.get("/livez")
    assert a.status == 200
    root = s.request("GET", "/api/v1/whoami")
    assert root.status == 401, root
    print(f"{n} operations, {tried} calls by principals")
with Server() as s:
    for method, path, op in operations(doc):
        s.request(method, fill(path), b"{}" if method != "GET" else None,
                  headers={"Content-Type": "application/json"}, raw=True)
    exercised(s, doc, {})
for p in problems[:60]:
    print(p)
print(f"{len(problems)} problems")
sys.exit(1 if problems else 0)
