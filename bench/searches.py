# SPDX-License-Identifier: Apache-2.0
"""Searches over a filled folder (fill.py), each kind with another threshold every time, and what bare
SQLite takes for the plain statement and the same whole runs."""
import http.client
import json
import random
import sqlite3
import time

PAGE = 50
METRIC = "JOIN metric_latest {0} ON {0}.run_id = r.id AND {0}.key_id = {1}"


def kinds(runs):
    """(what, has a goal, question, sql joins, sql where, sql order) with a new number x in [0, 1)."""
    at = {"m0": 1, "m1": 2, "m2": 3, "m3": 4, "p0": 21, "p1": 22}

    def m(*names):
        return " ".join(METRIC.format(n, at[n]) for n in names)
    return [
        ("by metric, ordered by it", True, lambda x: (f"metrics.m0 > {0.5 + x * 0.49:.6f}", ["metrics.m0 DESC"], 0),
         m("m0"), lambda x: f"m0.value > {0.5 + x * 0.49:.6f}", "m0.value DESC"),
        ("by metric, ordered by another", True, lambda x: (f"metrics.m0 > {0.5 + x * 0.4:.6f}", ["metrics.m1 DESC"], 0),
         m("m0", "m1"), lambda x: f"m0.value > {0.5 + x * 0.4:.6f}", "m1.value DESC"),
        ("by metric that few pass, ordered by another", True, lambda x: (f"metrics.m0 > {0.999 + x * 0.0009:.6f}", ["metrics.m1"], 0),
         m("m0", "m1"), lambda x: f"m0.value > {0.999 + x * 0.0009:.6f}", "m1.value"),
        ("by two metrics, ordered by a third", True,
         lambda x: (f"metrics.m0 > {0.5 + x * 0.2:.6f} AND metrics.m4 < 0.5", ["metrics.m1"], 0),
         m("m0", "m1") + " " + METRIC.format("m4", 5), lambda x: f"m0.value > {0.5 + x * 0.2:.6f} AND m4.value < 0.5", "m1.value"),
        ("by metric, ordered by one that opposes it", False, lambda x: (f"metrics.m2 > {0.8 + x * 0.1:.6f}", ["metrics.m0 DESC"], 0),
         m("m2", "m0"), lambda x: f"m2.value > {0.8 + x * 0.1:.6f}", "m0.value DESC"),
        ("ordered by a metric of ten values", False, lambda x: ("", ["metrics.m3 DESC", "metrics.m1"], 0),
         m("m3", "m1"), lambda x: "1", "m3.value DESC, m1.value"),
        ("ordered by a param of ten values", False, lambda x: ("", ["params.p0"], 0),
         "JOIN run_param p0 ON p0.run_id = r.id AND p0.key_id = 21", lambda x: "1", "p0.value"),
        ("ordered by name", False, lambda x: ("", ["run_name DESC"], 0), "", lambda x: "1", "r.name DESC"),
        ("ordered by status", False, lambda x: ("", ["status"], 0), "", lambda x: "1", "r.status"),
        ("by the beginning of a param", False, lambda x: (f"params.p1 LIKE 'v{x:.3f}%'", [], 0),
         "JOIN run_param p1 ON p1.run_id = r.id AND p1.key_id = 22", lambda x: f"p1.value LIKE 'v{x:.3f}%'", None),
        ("newest, page after 90 %", False, lambda x: ("", [], int(runs * 0.9) + int(x * 100)), "", lambda x: "1", None),
        ("ordered by metric, page after half", False, lambda x: ("", ["metrics.m0"], int(runs * 0.5) + int(x * 100)),
         m("m0"), lambda x: "1", "m0.value"),
    ]


def bare(c, kind, x):
    """The rows of one page, read whole."""
    _, _, question, joins, where, order = kind
    offset = question(x)[2]
    t0 = time.perf_counter()
    ids = [r[0] for r in c.execute(
        f"SELECT r.id FROM run r {joins} WHERE r.experiment_id = 1 AND r.deleted = 0 AND {where(x)} ORDER BY "
        f"{order + ', ' if order else ''}r.start_ms DESC, r.uuid LIMIT {PAGE} OFFSET {offset}")]
    text = ",".join(map(str, ids))
    for table in ("run", "metric_latest", "run_param", "run_tag"):
        column = "id" if table == "run" else "run_id"
        c.execute(f"SELECT * FROM {table} WHERE {column} IN ({text})").fetchall()
    return (time.perf_counter() - t0) * 1000


def token(offset):
    import base64
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def measure(port, database, runs, seconds):
    """Per kind: (what, has a goal, p50, p99, p50 of bare SQLite), all in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    c = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    c.execute("PRAGMA cache_size = -16384")
    c.execute("PRAGMA case_sensitive_like = ON")
    rng, out = random.Random(7), []
    for kind in kinds(runs):
        times, end = [], time.monotonic() + seconds
        while len(times) < 10 or (time.monotonic() < end and len(times) < 400):
            text, orders, offset = kind[2](rng.random())
            body = {"experiment_ids": ["1"], "filter": text, "order_by": orders, "max_results": PAGE}
            if offset:
                body["page_token"] = token(offset)
            data = json.dumps(body)
            t0 = time.perf_counter()
            connection.request("POST", "/api/2.0/mlflow/runs/search", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            whole = answer.read()
            times.append((time.perf_counter() - t0) * 1000)
            if answer.status != 200 or b'"runs"' not in whole:
                raise RuntimeError(f"{body}: {answer.status} {whole[:300]}")
        times.sort()
        plain, end = [], time.monotonic() + seconds
        while len(plain) < 3 or (time.monotonic() < end and len(plain) < 50):
            plain.append(bare(c, kind, rng.random()))
        plain.sort()
        out.append((kind[0], kind[1], times[len(times) // 2], times[int(len(times) * 0.99)], plain[len(plain) // 2]))
    return out
