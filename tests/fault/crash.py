# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon (SIGKILL) again and again under writing clients and looks for every write that
it acknowledged. usage: crash.py [CYCLES] [CLIENTS]

Each client keeps a ledger of what it sent and what was answered with 200. A write without an answer
may or may not be there; a write that was answered must be there, whole; nothing else may be there."""
import os
import random
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402
from run_traffic import RunWriter, check_all, check_run, snapshot  # noqa: E402
from traffic import SEED, Connection, Life, give_up, start  # noqa: E402

CYCLES = int(sys.argv[1]) if len(sys.argv) > 1 else 100
CLIENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 16


def main():
    rng = random.Random(SEED)
    server = quern.Server()
    life, stop = Life(), threading.Event()
    clients = [RunWriter(i, server.port, life, stop) for i in range(CLIENTS)]
    threads = start(clients)
    began = time.monotonic()
    restarts, sampled = [], 0
    for cycle in range(CYCLES):
        life.begin()
        # Early and late kills: in the first writes after a start, and amid checkpoints.
        time.sleep(rng.uniform(0.002, 0.042) if cycle % 3 == 0 else rng.uniform(0.05, 0.4))
        server.kill9()
        faults = []
        t0 = time.monotonic()
        try:
            server.start()
        except RuntimeError as e:
            give_up([f"cycle {cycle}: no restart: {e}"], server)
        restarts.append(time.monotonic() - t0)
        conn = Connection(server.port)
        pairs = [(c, r) for c in clients for r in list(c.runs)[-1:]]
        for c, r in rng.sample(pairs, min(3, len(pairs))):
            check_run(conn, r, snapshot(c, r), faults)
            sampled += 1
        conn.close()
        if faults:
            give_up([f"after cycle {cycle}:"] + faults, server)
    stop.set()
    for t in threads:
        t.join(60)
    faults = [f"refused: {r}" for c in clients for r in c.refused]
    conn = Connection(server.port, timeout=120)
    present = check_all(conn, clients, faults)
    files = sum(len(ledger["files_sent"]) for c in clients for ledger in c.runs.values())
    conn.close()
    acked, unknown = sum(c.acked for c in clients), sum(c.unknown for c in clients)
    if acked < CYCLES * 20:
        faults.append(f"only {acked} writes were acknowledged: this tested nothing")
    if faults:
        give_up(faults, server)
    code = server.stop()
    assert code == 0, f"exit code {code} on SIGTERM:\n{server.log_text()}"
    doctor = subprocess.run([quern.BIN, "doctor", "--data", server.data], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=300)
    if doctor.returncode != 0:
        give_up(["quern doctor: " + doctor.stdout.decode() + doctor.stderr.decode()], server)
    print(f"seed {SEED}: {CYCLES} kills under {CLIENTS} clients in {time.monotonic() - began:.0f} s: "
          f"{acked} acknowledged writes, {unknown} without an answer, {present} runs, "
          f"{files} artifacts; 0 lost, 0 torn, 0 invented; {sampled} runs sampled on the way; restart "
          f"median {sorted(restarts)[len(restarts) // 2] * 1000:.0f} ms, "
          f"most {max(restarts) * 1000:.0f} ms; doctor: healthy")
    text = server.log_text(1 << 24)
    assert "Sanitizer" not in text and "runtime error:" not in text, text[-4000:]
    shutil.rmtree(server.data, ignore_errors=True)
    os.unlink(server.log_path)


if __name__ == "__main__":
    main()
