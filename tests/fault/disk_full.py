# SPDX-License-Identifier: Apache-2.0
"""A disk that fills: writes answer 507, reads go on, writes come back once there is room, and
nothing acknowledged is lost. Needs the right to mount a tmpfs; is skipped (77) without."""
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

SIZE_MB, BALLAST_MB, ROUNDS, POINTS = 32, 22, 3, 1000
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


def mount(at):
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=0700", "tmpfs", at],
                       capture_output=True)
    if r.returncode != 0:
        print("skipped: no tmpfs can be mounted:", r.stderr.decode().strip())
        sys.exit(77)


def ballast(path):
    """Takes room until there is none, at most BALLAST_MB."""
    with open(path, "wb") as f:
        try:
            for _ in range(BALLAST_MB):
                f.write(b"\0" * (1 << 20))
                f.flush()
        except OSError:
            pass


def batch(server, run, n):
    return server.mlflow("runs/log-batch", {
        "run_id": run,
        "metrics": [{"key": f"m{i}", "value": n, "timestamp": n + 1, "step": n} for i in range(POINTS)]})


def put_status(server, path, body):
    """Status of an upload. The server may answer before it was sent the whole body."""
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        try:
            c.request("PUT", ARTIFACTS + path, body=body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return c.getresponse().status
    finally:
        c.close()


def acked_steps(server, run, key):
    steps, token = set(), ""
    while True:
        r = server.get(f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key={key}"
                       f"&max_results=20000" + (f"&page_token={token}" if token else ""))
        assert r.status == 200, f"a read on the full disk: {r}"
        steps |= {int(m["step"]) for m in r.json.get("metrics", [])}
        token = r.json.get("next_page_token", "")
        if not token:
            return steps


def check(server, run, acked, sent):
    for key in ("m0", f"m{POINTS - 1}"):
        have = acked_steps(server, run, key)
        assert acked <= have, f"lost: {sorted(acked - have)[:10]} of {key}"
        assert have <= sent, f"invented: {sorted(have - sent)[:10]} of {key}"


def main():
    top = tempfile.mkdtemp(prefix="quern-full-")
    mount(top)
    server = None
    try:
        data = os.path.join(top, "data")
        os.mkdir(data, 0o700)
        server = quern.Server(data=data)
        run = server.mlflow("runs/create", {"experiment_id": "0", "start_time": 1}).json["run"]["info"]["run_id"]
        acked, sent, files, n = set(), set(), {}, 0
        for round_ in range(ROUNDS):
            ballast(os.path.join(top, "ballast"))
            full = 0
            end = time.monotonic() + 120
            while full < 5 and time.monotonic() < end:
                sent.add(n)
                r = batch(server, run, n)
                if r.status == 200:
                    acked.add(n)
                    full = 0
                else:
                    assert r.status == 507, f"batch {n} on the full disk: {r}"
                    assert r.json["error_code"] == "TEMPORARILY_UNAVAILABLE", r
                    assert r.headers["Retry-After"], "507 without Retry-After"
                    full += 1
                n += 1
            assert full == 5, f"the disk of {SIZE_MB} MiB did not fill with {len(acked)} batches"
            for size in (900 << 10, BALLAST_MB << 20):
                path = f"0/{run}/artifacts/big-{round_}.bin"
                status = put_status(server, path, os.urandom(size))
                assert status == 507, f"an upload of {size} bytes to the full disk: {status}"
                r = server.get(ARTIFACTS + path)
                assert r.status == 404, f"half an upload is there: {r.status}"
            # Reads, health and metrics go on.
            check(server, run, acked, sent)
            assert server.get("/livez").status == 200
            assert server.get("/metrics").status == 200
            r = server.mlflow("runs/search", {"experiment_ids": ["0"]})
            assert r.status == 200 and len(r.json["runs"]) == 1, r
            # There is room again: without a restart, within five seconds.
            os.unlink(os.path.join(top, "ballast"))
            freed = time.monotonic()
            while True:
                sent.add(n)
                r = batch(server, run, n)
                n += 1
                if r.status == 200:
                    acked.add(n - 1)
                    break
                assert r.status == 507, r
                assert time.monotonic() - freed < 5, f"five seconds after room was made: {r}"
                time.sleep(0.05)
            body = os.urandom(10000)
            path = f"0/{run}/artifacts/small-{round_}.bin"
            r = server.request("PUT", ARTIFACTS + path, body, raw=True)
            assert r.status == 200, f"an upload after room was made: {r}"
            files[path] = hashlib.sha256(body).hexdigest()
            check(server, run, acked, sent)
            print(f"round {round_ + 1}: full after {len(acked)} batches, writes back after "
                  f"{(time.monotonic() - freed) * 1000:.0f} ms")
        assert server.stop() == 0, server.log_text()
        server.start()
        check(server, run, acked, sent)
        for path, digest in files.items():
            r = server.get(ARTIFACTS + path)
            assert r.status == 200 and hashlib.sha256(r.body).hexdigest() == digest, path
        assert server.stop() == 0, server.log_text()
        r = subprocess.run([quern.BIN, "doctor", "--data", data], stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=120)
        assert r.returncode == 0, r.stdout.decode() + r.stderr.decode()
        text = server.log_text(1 << 24)
        assert "Sanitizer" not in text and "runtime error:" not in text, text[-4000:]
        os.unlink(server.log_path)
        print(f"{len(acked)} acknowledged batches, none lost; doctor: healthy")
    finally:
        if server and server.process and server.process.poll() is None:
            server.kill9()
        subprocess.run(["umount", top], check=False)
        os.rmdir(top)


if __name__ == "__main__":
    main()
