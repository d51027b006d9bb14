# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon (SIGKILL) while everything happens at once: points and batches, artifacts, uploads
in parts, collections of blobs, models, versions, moves of aliases and stages, deletions and
restores of runs, traces, webhooks. usage: mixed_crash.py [ROUNDS]; CRASH_SEED repeats the draws.

After each kill the database is looked at as it was left, then the daemon that comes back is asked for
all that was acknowledged: it is there, whole. What was not answered is there whole or not at all."""
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402
from artifact_traffic import UPLOAD_KEEP, Artifacts, Collector, Uploads  # noqa: E402
from lifecycle_traffic import Experiment, Lifecycles  # noqa: E402
from registry_traffic import API, Registry, Trash  # noqa: E402
from run_traffic import BatchReader, RunWriter, check_all  # noqa: E402
from trace_traffic import Traces  # noqa: E402
from traffic import SEED, Connection, Life, give_up, sha256, start  # noqa: E402
from witness import Witness  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
ARGS = ["--net-allow", "127.0.0.1", "--net-allow-http", "--artifact-upload-keep", f"{UPLOAD_KEEP}s",
        "--artifact-gc-grace", "0s", "--artifact-gc-every", "0s", "--db-wal-soft", "256K"]
PLENTY = 10 ** 12
COUNTS = {"runs": "SELECT count(*) FROM run", "registered_models": "SELECT count(*) FROM registered_model",
          "artifact_bytes": "SELECT coalesce(sum(size), 0) FROM artifact", "traces": "SELECT count(*) FROM trace"}


def blob(data, digest):
    return os.path.join(data, "blobs", digest[:2], digest[2:])


def part_bytes(folder, row):
    """What lies there of a part that was acknowledged."""
    name, number, size, each = row
    for file in [name] if name else ["data", "whole"]:
        if os.path.exists(os.path.join(folder, file)):
            with open(os.path.join(folder, file), "rb") as f:
                f.seek(0 if name else (number - 1) * each)
                return f.read(size)
    return None


def look_at_disk(data, sound, faults):
    """The database as the kill left it, in a copy, and the files that its rows promise. The counts of it."""
    with tempfile.TemporaryDirectory(prefix="quern-test-") as copy:
        for name in ("quern.db", "quern.db-wal"):
            if os.path.exists(os.path.join(data, name)):
                shutil.copy(os.path.join(data, name), copy)
        db = sqlite3.connect(os.path.join(copy, "quern.db"))
        for what, good in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
            got = db.execute("PRAGMA " + what).fetchmany(5)
            if got != good:
                faults.append(f"{what}: {got}")
        for digest, size in db.execute("SELECT sha256, size FROM artifact UNION SELECT sha256, NULL FROM blob_ref"):
            try:
                with open(blob(data, digest), "rb") as f:
                    if digest not in sound and sha256(f.read()) != digest or size not in (None, os.fstat(f.fileno()).st_size):
                        faults.append(f"TORN blob {digest}")
                sound.add(digest)
            except OSError as e:
                faults.append(f"LOST blob {digest}: {e.strerror}")
        for upload, digest, *row in db.execute("SELECT upload_id, p.sha256, file, number, size, part_size FROM upload_part p"
                                               " JOIN upload u ON u.id = upload_id WHERE u.sha256 = ''"):
            there = part_bytes(os.path.join(data, "uploads", upload), row)
            if there is None or sha256(there) != digest:
                faults.append(f"{'LOST' if there is None else 'TORN'} part {row} of upload {upload}")
        counts = {k: db.execute(sql).fetchone()[0] for k, sql in COUNTS.items()}
        db.close()
        return counts


def look_at_daemon(server, counts, faults):
    conn = Connection(server.port)
    for path in ("/readyz", "/api/v1/audit/verify"):
        status, text = conn.call("GET", path)
        if status != 200:
            faults.append(f"{path}: {status} {text[:300]!r}")
    held = conn.ask("GET", "/api/v1/projects/default/quota")["held"]
    if held != counts:
        faults.append(f"the project's counts are {held}, its rows {counts}")
    left = os.listdir(os.path.join(server.data, "tmp"))
    if left:
        faults.append(f"left in tmp after a start: {left[:5]}")
    conn.close()


def cut_off_start(server, seconds):
    """Kills it while it starts, recovers, or has just begun to serve."""
    patience, server.wait = server.wait, seconds
    try:
        server.start()
    except RuntimeError:
        pass
    server.kill9()
    server.wait = patience


def check_rest(server, writers, faults):
    """When all is quiet: what nobody needs has gone, and what has to be told of is written down."""
    time.sleep(UPLOAD_KEEP)
    code = server.stop()
    if code != 0:
        faults.append(f"exit code {code} on SIGTERM")
    server.start()            # housekeeping begins with a turn
    db = sqlite3.connect(f"file:{server.data}/quern.db?mode=ro", uri=True)
    conn = Connection(server.port, timeout=120)
    try:
        quern.wait_until("uploads that nobody completed to go", lambda: not os.listdir(os.path.join(server.data, "uploads"))
                         and not db.execute("SELECT count(*) FROM upload").fetchone()[0])
        quern.wait_until("deliveries to be recorded", lambda: not db.execute(
            "SELECT count(*) FROM webhook_delivery WHERE state = 'pending'").fetchone()[0], 60)
    except AssertionError as e:
        faults.append(str(e))
    states = dict(db.execute("SELECT state, count(*) FROM webhook_delivery GROUP BY state"))
    if set(states) != {"delivered"}:
        faults.append(f"states of deliveries: {states}")
    conn.ask("POST", "/api/v1/artifacts/gc")
    named = {d for d, in db.execute("SELECT sha256 FROM artifact UNION SELECT sha256 FROM blob_ref")}
    blobs = os.path.join(server.data, "blobs")
    there = {shard + rest for shard in os.listdir(blobs) for rest in os.listdir(os.path.join(blobs, shard))}
    if there != named:
        faults.append(f"{len(there - named)} blobs that nobody names, {len(named - there)} without a file")
    puts = Counter(dict(db.execute("SELECT subject, count(*) FROM audit WHERE action = 'artifact.put' GROUP BY subject")))
    for w in writers:
        if isinstance(w, (Artifacts, Uploads)):
            faults += [f"audit has {puts[p]} of {n} uploads of {p}" for p, n in w.done.items() if not n <= puts[p] <= w.sent[p]]
    report = conn.ask("GET", "/api/v1/doctor")
    if not report["healthy"]:
        faults.append(f"doctor: {report}")
    db.close()
    conn.close()


def one_round(n, server, life, rng, writers, sound):
    """Traffic, a kill, and what is there then; the faults of it, and how long the start took."""
    life.begin()
    time.sleep(rng.uniform(0.05, 1.5))
    if server.process.poll() is not None:
        return [f"the daemon ended by itself with {server.process.returncode}"], 0
    if n % 2:
        moments = [(w.kind, m) for w in writers for m in ("sent", "answered")] + [("Witness", "sent")] * 3
        life.kill_at(*rng.choice(moments))
    else:
        server.kill9()
    life.end()
    if n % 4 == 3:
        cut_off_start(server, rng.uniform(0, 0.4))
    faults = []
    counts = look_at_disk(server.data, sound, faults)
    began = time.monotonic()
    try:
        server.start()
    except RuntimeError as e:
        return [f"no restart: {e}"] + faults, 0
    took = time.monotonic() - began
    look_at_daemon(server, counts, faults)
    conn = Connection(server.port, timeout=60)
    for w in writers:
        w.check(conn, faults, False)
        faults += [f"refused: {r}" for r in w.refused]
    conn.close()
    return faults, took


def check_everything(server, witness, runs, registries, writers):
    faults = []
    try:
        quern.wait_until("every acknowledged event to be told", lambda: not witness.untold(registries), 60)
    except AssertionError as e:
        faults.append(f"{e}: {witness.untold(registries)[:10]}")
    conn = Connection(server.port, timeout=120)
    for w in writers:
        w.check(conn, faults, True)
    check_all(conn, runs, faults)
    conn.close()
    check_rest(server, writers, faults)
    witness.look_again()
    text = server.log_text(1 << 26)
    if "Sanitizer" in text or "runtime error:" in text:
        faults.append("a sanitizer's report is in the log")
    return faults + witness.faults + witness.invented(registries)


def loop(server):
    rng, began = random.Random(SEED), time.monotonic()
    life, stop = Life(server.kill9), threading.Event()
    witness = Witness(server.port, life)
    where = (server.port, life, stop)
    runs = [RunWriter(i, *where, sizes=(1, 1, 3, 40)) for i in range(3)]
    registries = [Registry(i, *where) for i in range(3)]
    writers = [*runs, *registries, BatchReader(0, *where, writers=runs),
               *(kind(0, *where) for kind in (Collector, Trash, Experiment)),
               *(kind(i, *where) for kind in (Artifacts, Uploads, Lifecycles, Traces) for i in range(2))]
    setup = Connection(server.port)
    witness.subscribe(setup)
    setup.ask("PUT", "/api/v1/projects/default/quota", {k: PLENTY for k in COUNTS})
    setup.close()
    threads, sound, slowest = start(writers), set(), 0
    for n in range(ROUNDS):
        faults, took = one_round(n, server, life, rng, writers, sound)
        slowest = max(slowest, took)
        if not faults:
            witness.look_again()
        if faults or witness.faults:
            give_up([f"after round {n}:"] + faults + witness.faults, server)
    stop.set()
    for t in threads:
        t.join(60)
    faults = check_everything(server, witness, runs, registries, writers)
    done = Counter()
    for w in writers:
        done[w.kind] += w.acked
    faults += [f"only {n} calls of {kind}: this tested nothing" for kind, n in done.items() if n < ROUNDS // 2]
    if faults:
        give_up(faults, server)
    witness.receiver.close()
    print(f"seed {SEED}: {ROUNDS} kills in {time.monotonic() - began:.0f} s, restart at most {slowest * 1000:.0f} ms; "
          f"acknowledged {dict(done)}, {sum(w.unknown for w in writers)} without an answer; "
          f"{len(witness.bodies)} events told in {len(witness.receiver.of())} posts")


def main():
    server = quern.Server(args=ARGS)
    try:
        loop(server)
        code = server.stop()
        assert code == 0, f"exit code {code} on SIGTERM:\n{server.log_text()}"
    finally:
        if server.process.poll() is None:
            server.kill9()
    shutil.rmtree(server.data, ignore_errors=True)
    os.unlink(server.log_path)


if __name__ == "__main__":
    main()
