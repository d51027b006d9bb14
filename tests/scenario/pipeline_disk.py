# SPDX-License-Identifier: Apache-2.0
"""A disk that is full when a step ends: its outputs are collected once there is room, the command is
not run again, and meanwhile other requests are answered. Needs the right to mount a tmpfs; is skipped
(77) without."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

STEP = """import os, sys, time
open(sys.argv[1] + '/count', 'a').write('x')
open(os.environ['QUERN_OUTPUTS'] + '/big', 'wb').write(os.urandom(8 << 20))
while not os.path.exists(sys.argv[1] + '/go'):
    time.sleep(0.05)
"""


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    f.write(b"\0" * size)
            except OSError:
                pass
        f.truncate(f.tell() - (2 << 20))  # the keeper's word fits, the output does not


def main(data, notes):
    with Server(data=data, args=["--log-level", "warn"]) as s:
        d = {"name": "full", "steps": {"a": {"run": [sys.executable, "-c", STEP, notes], "outputs": {"big": "big"}},
                                       "b": {"run": ["wc", "-c", "${inputs.big}"], "inputs": {"big": "a.big"}}}}
        a = s.post("/api/v1/pipeline-runs", {"definition": json.dumps(d)})
        assert a.status == 201, a
        path = "/api/v1/pipeline-runs/" + a.json["id"]

        def wait(want):
            end = time.monotonic() + 30
            while not want(run := s.get(path).json):
                assert time.monotonic() < end, f"{run['steps']}\n{s.log_text(3000)}"
                time.sleep(0.05)
            return run
        wait(lambda run: run["steps"][0]["state"] == "running")
        big = os.path.join(data, "work", a.json["id"], "a", "1", "out", "big")
        wait(lambda run: os.path.exists(big) and os.path.getsize(big) == 8 << 20)
        fill(os.path.join(data, "ballast"))
        open(os.path.join(notes, "go"), "w").close()
        time.sleep(4)
        run = s.get(path).json
        assert run["steps"][0]["state"] == "running", run["steps"][0]
        os.unlink(os.path.join(data, "ballast"))
        run = wait(lambda run: run["state"] not in ("queued", "running"))
        assert run["state"] == "succeeded" and [x["attempts"] for x in run["steps"]] == [1, 1], run
        with open(os.path.join(notes, "count")) as f:
            assert f.read() == "x", "the command ran twice"


with tempfile.TemporaryDirectory(prefix="quern-disk-") as tmp:
    os.mkdir(os.path.join(tmp, "data"))
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", os.path.join(tmp, "data")],
                       capture_output=True)
    if r.returncode != 0:
        print("skipped: no tmpfs can be mounted:", r.stderr.decode().strip())
        sys.exit(77)
    try:
        main(os.path.join(tmp, "data"), tmp)
        print("ok   a full disk while outputs are collected")
    finally:
        subprocess.run(["umount", "-l", os.path.join(tmp, "data")], check=False)
