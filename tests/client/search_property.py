# SPDX-License-Identifier: Apache-2.0
"""Random filters and orders over a random set of runs: Quern must answer as a plain model in Python
does, page by page. QUERN_GENUINE names a genuine `mlflow` program that must answer the same; without
it the model alone is asked. SEED and SECONDS say where to begin and how long to go on."""
import math
import os
import random
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0])
sys.path.insert(0, __file__.rsplit("/", 1)[0])
from quern import Server

SEED = int(os.environ.get("SEED", "1"))
SECONDS = float(os.environ.get("SECONDS", "15"))
GENUINE = os.environ.get("QUERN_GENUINE", "")
TEXTS = ["a", "b", "ab", "aB", "Ab", "x%y", "x_y", "", "é", "é1", "10", "9", "long" * 20, "long" * 20 + "z",
         "long" * 16, "long" * 15 + "lonk", "with 'quote", 'with "both']
NUMBERS = [0.0, 1.0, 1.0, -1.0, 2.5, 1e9, -1e9, math.nan, math.inf, -math.inf, 0.1]
STATUSES = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
ENTITY = {"metric": ["metric", "metrics"], "param": ["param", "params", "parameter", "parameters"],
          "tag": ["tag", "tags"], "attribute": ["", "attribute", "attributes", "attr", "run"],
          "dataset": ["dataset", "datasets"]}
TOP = sys.float_info.max


def make(rng, server, names):
    """The runs of both experiments, on the server and as the model's rows."""
    rows = []
    ids = [server.mlflow("experiments/create", {"name": n}).json["experiment_id"] for n in names]
    for i in range(70):
        e = rng.randrange(2)
        r = {"experiment": e, "name": rng.choice(["one", "two", "Two", "three " + str(i)]), "start": rng.randrange(12),
             "user": rng.choice(["ann", "bob", ""]), "end": None, "status": "RUNNING", "deleted": False,
             "metrics": {k: rng.choice(NUMBERS) for k in ("m", "n", "loss/a b") if rng.random() < 0.7},
             "params": {k: rng.choice([t for t in TEXTS if t]) for k in ("p", "q", "x.y") if rng.random() < 0.7},
             "tags": {k: rng.choice([t for t in TEXTS if t]) for k in ("t", "u-1") if rng.random() < 0.7},
             "datasets": [(rng.choice(["iris", "wine"]), rng.choice(["d1", "d2"]), rng.choice([None, "train", "eval"]))
                          for _ in range(rng.choice([0, 0, 0, 1, 2]))]}
        a = server.mlflow("runs/create", {"experiment_id": ids[e], "run_name": r["name"], "start_time": r["start"],
                                          "user_id": r["user"]})
        assert a.status == 200, a
        info = a.json["run"]["info"]
        r["id"], r["uri"] = info["run_id"], info["artifact_uri"]
        text = {math.inf: "Infinity", -math.inf: "-Infinity"}
        metrics = [{"key": k, "value": "NaN" if math.isnan(v) else text.get(v, v), "timestamp": 1}
                   for k, v in r["metrics"].items()]
        a = server.mlflow("runs/log-batch", {
            "run_id": r["id"], "metrics": metrics,
            "params": [{"key": k, "value": v} for k, v in r["params"].items()],
            "tags": [{"key": k, "value": v} for k, v in r["tags"].items()]})
        assert a.status == 200, a
        r["datasets"] = list({d[:2]: d for d in r["datasets"]}.values())
        if r["datasets"]:
            a = server.mlflow("runs/log-inputs", {"run_id": r["id"], "datasets": [
                {"dataset": {"name": n, "digest": d, "source_type": "local", "source": "s"},
                 "tags": [{"key": "mlflow.data.context", "value": c}] if c else []} for n, d, c in r["datasets"]]})
            assert a.status == 200, a
        if rng.random() < 0.6:
            r["status"], r["end"] = rng.choice(STATUSES), rng.randrange(20)
            a = server.mlflow("runs/update", {"run_id": r["id"], "status": r["status"], "end_time": r["end"]})
            assert a.status == 200, a
        if rng.random() < 0.2:
            r["deleted"] = True
            assert server.mlflow("runs/delete", {"run_id": r["id"]}).status == 200
        rows.append(r)
    return ids, rows


# ---------------------------------------------------------------- the model

def like(text, pattern, fold):
    if fold:
        text, pattern = lower(text), lower(pattern)
    known = {}

    def match(i, j):
        if (i, j) not in known:
            if j == len(pattern):
                known[i, j] = i == len(text)
            elif pattern[j] == "%":
                known[i, j] = match(i, j + 1) or (i < len(text) and match(i + 1, j))
            else:
                known[i, j] = i < len(text) and pattern[j] in ("_", text[i]) and match(i + 1, j + 1)
        return known[i, j]
    return match(0, 0)


def lower(text):
    """As SQLite folds: ASCII letters."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def stored(number):
    return max(-TOP, min(TOP, number))


def compare(op, have, want):
    if isinstance(have, float) and math.isnan(have):
        return op == "!="
    if op == "LIKE" or op == "ILIKE":
        return like(have, want, op == "ILIKE")
    if op == "IN" or op == "NOT IN":
        return (have in want) == (op == "IN")
    return {"=": have == want, "!=": have != want, ">": have > want, ">=": have >= want, "<": have < want,
            "<=": have <= want}[op] if op in ("=", "!=") or type(have) is not str else None


COLUMN = {"run_id": "id", "run_name": "name", "user_id": "user", "status": "status", "artifact_uri": "uri",
          "start_time": "start", "created": "start", "end_time": "end"}


def holds(clause, r):
    kind, key, op, want = clause
    if kind == "dataset":
        at = ("name", "digest", "context").index(key)
        return any(d[at] is not None and compare(op, d[at], want) for d in r["datasets"])
    have = r[COLUMN[key]] if kind == "attribute" else r[kind + "s"].get(key)
    if op == "IS NULL":
        return have is None
    if have is None:
        return False
    if op == "IS NOT NULL":
        return True
    return compare(op, have, want)


def order_key(term, r):
    """A sequence to compare by: what is there first, in the wanted direction."""
    kind, key, desc = term
    have = r[COLUMN[key]] if kind == "attribute" else r[kind + "s"].get(key)
    if have is None:
        return (2,)
    if kind == "metric" and math.isnan(have):
        return (1,)
    if kind == "metric":
        have = stored(have)
    if isinstance(have, str):
        data = have.encode()
        return (0, tuple(-b for b in data) + (1,) if desc else tuple(data))
    return (0, -have if desc else have)


def answer(q, rows):
    found = [r for r in rows if r["experiment"] in q["experiments"] and
             (q["view"] == "ALL" or r["deleted"] == (q["view"] == "DELETED_ONLY")) and
             all(holds(c, r) for c in q["clauses"])]
    started = any(COLUMN.get(k) == "start" for kind, k, _ in q["orders"] if kind == "attribute")
    found.sort(key=lambda r: [order_key(t, r) for t in q["orders"]] + ([] if started else [-r["start"]]) + [r["id"]])
    return [r["id"] for r in found]


# ---------------------------------------------------------------- random questions

def question(rng, rows):
    clauses = []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        kind = rng.choice(["metric", "metric", "param", "tag", "attribute", "attribute", "dataset"])
        if kind == "metric":
            clauses.append((kind, rng.choice(["m", "n", "loss/a b", "none"]),
                            rng.choice(["=", "!=", ">", ">=", "<", "<="]),
                            rng.choice([0.0, 1.0, -1.0, 2.5, 1e9, -1e9, 0.1])))
        elif kind in ("param", "tag"):
            op = rng.choice(["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"])
            key = rng.choice(["p", "q", "x.y", "none"] if kind == "param" else ["t", "u-1", "none"])
            want = pattern(rng, op) if "NULL" not in op else None
            clauses.append((kind, key, op, want))
        elif kind == "dataset":
            op = rng.choice(["=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"])
            key = rng.choice(["name", "digest", "context"])
            some = ["iris", "wine", "d1", "d2", "train", "eval", "Iris"]
            want = rng.sample(some, rng.randrange(1, 4)) if "IN" in op.split() else rng.choice(some + ["%i%", "_1"])
            clauses.append((kind, key, op, want))
        else:
            key = rng.choice(sorted(COLUMN))
            if key in ("start_time", "created", "end_time"):
                clauses.append((kind, key, rng.choice(["=", "!=", ">", ">=", "<", "<="]), rng.randrange(14)))
            elif key == "run_id" and rng.random() < 0.7:
                want = [r["id"] for r in rng.sample(rows, 9)] + ["x"]
                clauses.append((kind, key, rng.choice(["IN", "NOT IN"]), want))
            else:
                op = rng.choice(["=", "!=", "LIKE", "ILIKE"])
                some = {"run_id": [rng.choice(rows)["id"]], "run_name": ["one", "Two", "t%", "%e%"],
                        "status": STATUSES + ["F%", "running"], "user_id": ["ann", "BOB", "%n%"],
                        "artifact_uri": ["%" + rng.choice(rows)["id"] + "%"]}[key]
                clauses.append((kind, key, op, rng.choice(some)))
    orders = []
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        kind = rng.choice(["metric", "metric", "param", "tag", "attribute"])
        key = rng.choice({"metric": ["m", "n", "loss/a b", "none"], "param": ["p", "q", "x.y"], "tag": ["t", "u-1"],
                          "attribute": ["run_id", "status", "start_time", "end_time", "run_name", "artifact_uri",
                                        "created"]}[kind])
        if not any(COLUMN.get(o[1], o[1]) == COLUMN.get(key, key) and o[0] == kind for o in orders):
            orders.append((kind, key, rng.random() < 0.5))
    return {"clauses": clauses, "orders": orders, "view": rng.choice(["ACTIVE_ONLY", "ACTIVE_ONLY", "DELETED_ONLY", "ALL"]),
            "experiments": rng.choice([[0], [1], [0, 1]]), "page": rng.choice([1, 3, 10, 100])}


def pattern(rng, op):
    text = rng.choice([t for t in TEXTS if t and not ("'" in t and '"' in t)])
    if "LIKE" in op and rng.random() < 0.7:
        at = rng.randrange(len(text) + 1)
        text = rng.choice([text[:at] + "%", "%" + text[at:], "%", text[:1] + "_" + text[2:], text.upper()])
    return text


def spell_key(rng, key):
    plain = all(c.isalnum() or c in "_." for c in key)
    ways = ["`%s`", '"%s"'] + (["%s"] * 3 if plain else [])
    return rng.choice(ways) % key


def spell_text(rng, text):
    if "'" in text:
        return f'"{text}"'
    if '"' in text:
        return f"'{text}'"
    return rng.choice(["'%s'", '"%s"']) % text


def spell(rng, q):
    parts = []
    for kind, key, op, want in q["clauses"]:
        entity = rng.choice(ENTITY[kind])
        left = (entity + "." if entity else "") + (spell_key(rng, key) if entity else key)
        words = op if rng.random() < 0.5 else op.lower()
        gap = " " if op[0].isalpha() else rng.choice(["", " ", "  "])
        if "NULL" in op:
            parts.append(f"{left} {words}")
            continue
        if isinstance(want, list):
            right = "(" + ", ".join(spell_text(rng, w) for w in want) + ")"
        elif isinstance(want, str):
            right = spell_text(rng, want)
        else:
            right = repr(want)
        parts.append(f"{left}{gap}{words}{gap}{right}")
    orders = []
    for kind, key, desc in q["orders"]:
        entity = rng.choice(ENTITY[kind])
        name = (entity + "." if entity else "") + (spell_key(rng, key) if entity else key)
        orders.append(name + (rng.choice([" DESC", " desc"]) if desc else rng.choice(["", " ASC", " asc"])))
    return rng.choice([" AND ", " and "]).join(parts), orders


def ask(server, ids, q, text, orders):
    got, token = [], None
    for _ in range(200):
        body = {"experiment_ids": [ids[e] for e in q["experiments"]], "filter": text, "order_by": orders,
                "run_view_type": q["view"], "max_results": q["page"]}
        if token:
            body["page_token"] = token
        a = server.mlflow("runs/search", body)
        if a.status != 200:
            return a
        runs = a.json.get("runs", [])
        assert len(runs) <= q["page"], f"a page of {len(runs)}"
        got += [r["info"]["run_id"] for r in runs]
        token = a.json.get("next_page_token")
        if not token:
            return got
    raise AssertionError("pages without end")


def check(name, server, seed, seconds):
    rng = random.Random(seed)
    ids, rows = make(rng, server, [f"a{seed}", f"b{seed}"])
    asked, failed, end = 0, 0, time.monotonic() + seconds
    numbers = {r["id"]: i for i, r in enumerate(rows)}
    while time.monotonic() < end:
        q = question(rng, rows)
        text, orders = spell(rng, q)
        want, got = answer(q, rows), ask(server, ids, q, text, orders)
        asked += 1
        if got == want:
            continue
        failed += 1
        shown = [numbers[i] for i in got] if isinstance(got, list) else got
        print(f"{name}, seed {seed}, question {asked}: {text!r} order {orders} {q['view']} pages of {q['page']}\n"
              f"  got  {shown}\n  want {[numbers[i] for i in want]}")
        if failed >= 20:
            break
    print(f"{name}: {asked} searches, {failed} differ")
    assert asked > 5, "too few searches"
    return failed


def others(s):
    """Lists in the searches of experiments, models and versions."""
    ids = [s.mlflow("experiments/create", {"name": f"listed-{i}"}).json["experiment_id"] for i in range(3)]

    def experiments(text):
        a = s.mlflow("experiments/search", {"max_results": 100, "filter": text, "order_by": ["experiment_id"]})
        return [e["experiment_id"] for e in a.json.get("experiments", [])] if a.status == 200 else a.json["message"]
    cases = [(f"experiment_id = '{ids[1]}'", [ids[1]]), (f"experiment_id IN ('{ids[0]}', '{ids[2]}', 'x')", [ids[0], ids[2]]),
             (f"name LIKE 'listed-%' AND experiment_id NOT IN ('{ids[0]}')", ids[1:]),
             (f"name ILIKE 'LISTED-%' AND experiment_id != '{ids[0]}'", ids[1:])]
    for text, want in cases:
        got = experiments(text)
        assert got == want, f"{text}: got {got}, want {want}"
    for text, part in (("name IN ('a')", "Only 'experiment_id' attributes support"),
                       ("name IS NULL", "IS NULL / IS NOT NULL is only supported for tags, not for 'attribute' 'name'"),
                       ("metrics.m > 1", "Invalid entity type 'metrics'. Valid entity types are")):
        assert part in experiments(text), f"{text}: {experiments(text)}"
    for name in ("ma", "mb", "mc"):
        assert s.mlflow("registered-models/create", {"name": name}).status == 200
        for run in ("r1", "r2"):
            a = s.mlflow("model-versions/create", {"name": name, "source": "s3://x/y", "run_id": run})
            assert a.status == 200, a

    def models(path, text, key):
        import urllib.parse
        a = s.get(f"/api/2.0/mlflow/{path}?" + urllib.parse.urlencode({"filter": text, "order_by": "name ASC"}))
        return [m[key] for m in a.json.get(path.split("/")[0].replace("-", "_"), [])] if a.status == 200 else a.json["message"]
    for path, text, key, want in (
            ("registered-models/search", "name IN ('ma', 'mc', 'x')", "name", ["ma", "mc"]),
            ("registered-models/search", "name NOT IN ('ma')", "name", ["mb", "mc"]),
            ("model-versions/search", "run_id NOT IN ('r1')", "name", ["ma", "mb", "mc"]),
            ("model-versions/search", "name NOT IN ('ma') AND run_id IN ('r2')", "run_id", ["r2", "r2"])):
        got = models(path, text, key)
        assert got == want, f"{path} {text}: got {got}, want {want}"
    got = models("model-versions/search", "source_path IN ('x')", "name")
    assert "Invalid comparator for attribute: IN" in got, got
    many = ", ".join(f"'n{i}'" for i in range(300))
    got = models("registered-models/search", f"name IN ('mb', {many})", "name")
    assert got == ["mb"], got


def main():
    with Server() as s:
        others(s)
        failed = sum(check("quern", s, SEED + i, SECONDS / 3) for i in range(3))
    if GENUINE:
        from differential import Genuine
        g = Genuine(GENUINE)
        try:
            failed += check("genuine", g.talk, SEED, SECONDS)
        finally:
            g.stop()
    assert failed == 0, f"{failed} searches differ from the model"


if __name__ == "__main__":
    main()
