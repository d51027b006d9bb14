# SPDX-License-Identifier: Apache-2.0
"""A quern daemon under test: starts the built binary on a free port with its own data folder,
talks JSON to it, stops or kills it by its pid. QUERN_BIN names the binary."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("QUERN_BIN", os.path.join(HERE, "..", "build", "release", "quern"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:400]}>"


class Server:
    def __init__(self, data=None, args=(), env=None, start=True, wait=20):
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix="quern-test-")
        self.args, self.env, self.wait = list(args), env or {}, wait
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.log_path = os.path.join(tempfile.gettempdir(), f"quern-test-{os.getpid()}-{self.port}.log")
        if start:
            self.start()

    def start(self):
        env = {**os.environ, **self.env}
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [BIN, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.data,
             "--log-format", "json", *self.args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        end = time.monotonic() + self.wait
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"quern ended with {self.process.returncode}:\n{self.log_text()}")
            try:
                if self.get("/readyz", timeout=2).status == 200:
                    return self
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.01)
        raise RuntimeError("quern did not get ready:\n" + self.log_text())

    def log_text(self, tail=8000):
        with open(self.log_path, "rb") as f:
            return f.read()[-tail:].decode("utf-8", "replace")

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()
                raise RuntimeError("quern did not end on SIGTERM:\n" + self.log_text())
        return self.process.returncode if self.process else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = None
        try:
            code = self.stop()
        finally:
            text = self.log_text(1 << 20)
            ended_well = code in (0, -signal.SIGKILL)
            if kind or not ended_well or "ERROR: " in text and "Sanitizer" in text or "runtime error:" in text:
                sys.stderr.write(text[-8000:] + "\n")
            if self.own_data:
                shutil.rmtree(self.data, ignore_errors=True)
        if kind is None:
            assert ended_well, f"exit code {code}"
            assert "Sanitizer" not in text and "runtime error:" not in text, "sanitizer report"
            os.unlink(self.log_path)

    def request(self, method, path, body=None, headers=None, timeout=60, raw=False):
        data = body
        headers = dict(headers or {})
        if body is not None and not raw and not isinstance(body, (bytes, str)):
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if isinstance(data, str):
            data = data.encode()
        r = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(r, timeout=timeout) as f:
                return Answer(f.status, f.headers, f.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, {} if body is None else body, **kw)

    def mlflow(self, name, body=None, method="POST"):
        return self.request(method, "/api/2.0/mlflow/" + name, body)
