# SPDX-License-Identifier: Apache-2.0
"""Fills a fresh data folder with many runs, straight through SQL: what the wire would take hours for.
   fill.py QUERN FOLDER RUNS [METRICS PARAMS [EXPERIMENTS]]
A folder that holds as many already is left alone. Runs lie evenly in the experiments; metrics are
even in [0, 1), but m2 is 1 - m0 and m3 has ten values; params p0 has ten values, p1 is different in
each run, the others have a hundred; nine of ten runs are FINISHED. Histories are left out."""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request


def schema(quern, folder):
    """The daemon makes its own tables; False when it refuses the folder."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    p = subprocess.Popen([quern, "serve", "--listen", f"127.0.0.1:{port}", "--data", folder],
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ready = False
    while not ready and p.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").read()
            ready = True
        except OSError:
            time.sleep(0.02)
    p.send_signal(signal.SIGTERM)
    p.wait()
    return ready


def number(seed):
    """SQL of a number in [0, 1) that looks random and is the same in every fill."""
    x = f"(({seed}) * 48271 % 2147483647)"
    for _ in range(2):  # squares: two seeds that differ by little share nothing
        x = f"({x} * {x} % 2147483647 * 69621 % 2147483647)"
    return f"({x} / 2147483647.0)"


def fill(quern, folder, runs, metrics=20, params=20, experiments=1):
    folder = os.path.realpath(folder)  # a link may lead to where there is space
    mark = os.path.join(folder, "filled")
    what = f"{runs} {metrics} {params} {experiments}"
    if os.path.exists(mark) and open(mark).read() == what and schema(quern, folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    schema(quern, folder)
    c = sqlite3.connect(os.path.join(folder, "quern.db"), isolation_level=None)
    run = c.execute
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = OFF")
    run("PRAGMA cache_size = -1000000")
    run("PRAGMA temp_store = MEMORY")
    run("BEGIN")
    tables = ("run", "run_param", "run_tag", "metric_latest")
    later = [(kind, name, sql) for kind, name, sql in run(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        f" AND tbl_name IN {tables}")]
    for kind, name, _ in later:
        run(f"DROP {kind} {name}")
    for e in range(1, experiments + 1):
        run("INSERT INTO experiment (id, project_id, name, artifact_location, created_ms, updated_ms)"
            " VALUES (?, 1, ?, ?, 1700000000000, 1700000000000)", (e, f"fill-{e}", f"mlflow-artifacts:/{e}"))
    count = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {runs})"
    run(f"""INSERT INTO run (id, uuid, experiment_id, name, user_id, status, start_ms, end_ms, artifact_uri)
        {count} SELECT i, printf('%08x%024x', (i * 2654435761) & 4294967295, i), 1 + i % {experiments},
        'run-' || i, 'someone', CASE i % 50 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'KILLED' WHEN 2 THEN 'RUNNING'
        WHEN 3 THEN 'FAILED' ELSE 'FINISHED' END, 1700000000000 + i / 3, 1700000100000 + i,
        'mlflow-artifacts:/' || (1 + i % {experiments}) || '/x/artifacts' FROM n""")
    names = [f"m{k}" for k in range(metrics)] + [f"p{k}" for k in range(params)] + ["mlflow.runName", "mlflow.user", "arch"]
    wide = len(names)
    for e in range(1, experiments + 1):
        c.executemany("INSERT INTO run_key (id, experiment_id, name) VALUES (?, ?, ?)",
                      [((e - 1) * wide + k + 1, e, name) for k, name in enumerate(names)])
    key = f"(r.experiment_id - 1) * {wide} + 1 + k.i"
    few = "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < {} - 1)"
    own = number("r.id * 1000003 + k.i * 7919")
    run(f"""INSERT INTO metric_latest (run_id, key_id, value, is_nan, time_ms, step) {few.format(metrics)}
        SELECT r.id, {key}, CASE k.i WHEN 2 THEN 1 - {number('r.id * 1000003')} WHEN 3 THEN (r.id % 10) / 10.0
        ELSE {own} END, 0, r.start_ms, 0 FROM run r CROSS JOIN k ORDER BY r.id, k.i""")
    run(f"""INSERT INTO run_param (run_id, key_id, value) {few.format(params)}
        SELECT r.id, {key} + {metrics}, CASE k.i WHEN 0 THEN '0.' || (r.id % 10) WHEN 1 THEN 'v' || {own}
        ELSE 'choice-' || CAST({own} * 100 AS INTEGER) END FROM run r CROSS JOIN k ORDER BY r.id, k.i""")
    run(f"""INSERT INTO run_tag (run_id, key_id, value) {few.format(3)}
        SELECT r.id, {key} + {metrics + params}, CASE k.i WHEN 0 THEN r.name WHEN 1 THEN 'someone'
        ELSE 'a' || (r.id % 7) END FROM run r CROSS JOIN k ORDER BY r.id, k.i""")
    for kind, name, sql in sorted(later):
        run(sql)
    if "metrics" in [r[1] for r in run("PRAGMA table_info(run_key)")]:
        run("UPDATE run_key SET metrics = (SELECT count(*) FROM run r WHERE r.experiment_id = run_key.experiment_id)"
            " WHERE name GLOB 'm[0-9]*'")
        run("UPDATE run_key SET params = (SELECT count(*) FROM run r WHERE r.experiment_id = run_key.experiment_id)"
            " WHERE name GLOB 'p[0-9]*'")
        run("UPDATE run_key SET tags = (SELECT count(*) FROM run r WHERE r.experiment_id = run_key.experiment_id)"
            " WHERE metrics + params = 0")
    run("COMMIT")
    run("PRAGMA wal_checkpoint(TRUNCATE)")
    c.close()
    with open(mark, "w") as f:
        f.write(what)


if __name__ == "__main__":
    fill(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
