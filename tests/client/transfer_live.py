# SPDX-License-Identifier: Apache-2.0
"""Imports from servers that run: what they are asked for, and such as lie or never end."""
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from transfer import BIN, Server, attempt, everything_same, fill, quern, same  # noqa: E402


def watched(work):
    """What an import asks a live server for: points once, and files that are here not at all."""
    asked = []

    class Watch(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        to = None

        def log_message(self, *args):
            pass

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            there = http.client.HTTPConnection(self.to, timeout=60)
            there.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() != "host"})
            answer = there.getresponse()
            data = answer.read()
            there.close()
            asked.append((self.command, self.path, answer.status, len(data)))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in ("content-type", "etag"):
                    self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

    def take():
        asked.clear()
        everything_same(quern("import", "mlflow", "--from", url, "--data", work + "/watched"))
        return ([p for _, p, _, _ in asked if "get-history" in p], [(s, n) for _, p, s, n in asked if "/mlflow-artifacts/artifacts/" in p])

    with Server(data=work + "/one") as s:
        Watch.to = urllib.parse.urlsplit(s.url).netloc
        server = ThreadingHTTPServer(("127.0.0.1", 0), Watch)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            histories, files = take()
            same(len(histories), len(set(histories)), "points are fetched once")
            assert len(histories) >= 9 and len(files) == 5 and all(f[0] == 200 for f in files), (histories, files)
            histories, files = take()
            same(len(histories), len(set(histories)), "and once more to be compared")
            same(files, [(304, 0)] * 5, "files that stand here")
            blob = next(os.path.join(top, n) for top, _, names in os.walk(work + "/watched/blobs") for n in names)
            size = os.path.getsize(blob)
            with open(blob, "wb") as f:
                f.write(b"?" * size)
            same(sorted(take()[1]), [(200, size)] + [(304, 0)] * 4, "but what is damaged here comes again")
        finally:
            server.shutdown()
            server.server_close()


def endless(work):
    """Sources that never come to an end: ever new tokens, with things and without, points, versions, folders."""
    class Answers(BaseHTTPRequestHandler):
        kind, n = "", 0

        def log_message(self, *args):
            pass

        def more(self, kind, items, done=()):
            if self.kind != kind:
                return done
            Answers.n += 1
            return {**items(Answers.n), "next_page_token": f"t{Answers.n}"}

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            one = {"experiments": [{"experiment_id": "1", "name": "e", "artifact_location": "mlflow-artifacts:/1", "lifecycle_stage": "active"}]}
            run = {"info": {"run_id": "a" * 32, "experiment_id": "1", "artifact_uri": "mlflow-artifacts:/1/a/artifacts", "start_time": 1, "status": "FINISHED",
                            "lifecycle_stage": "active"}, "data": {"metrics": [{"key": "m"}]}}
            says = {}
            if "experiments/search" in self.path:
                says = self.more("experiments", lambda n: {"experiments": [{"experiment_id": str(n * 100 + i), "name": f"e{n}-{i}"} for i in range(100)]}, one)
            elif "runs/search" in self.path:
                says = self.more("empty", lambda n: {"runs": []}, {"runs": [run]})
            elif "runs/get" in self.path:
                says = {"run": run}
            elif "get-history" in self.path:
                says = self.more("points", lambda n: {"metrics": [{"key": "m", "value": 1.0, "timestamp": n * 100 + i, "step": 0} for i in range(100)]}, {"metrics": []})
            elif "registered-models/search" in self.path and "filter" not in self.path:
                says = {"registered_models": [{"name": "rm"}]}
            elif "registered-models/get" in self.path:
                says = {"registered_model": {"name": "rm"}}
            elif "model-versions/search" in self.path:
                says = self.more("versions", lambda n: {"model_versions": [{"version": str(n)}]})
            elif "artifacts?path" in self.path:
                says = {"files": [{"path": f"d{i}", "is_dir": True} for i in range(100)] if self.kind == "folders" else []}
            body = json.dumps(says or {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["QUERN_IMPORT_MOST"] = "950"
    try:
        for kind, part in (("experiments", "more than 950 things in one list"), ("empty", "1000 pages with nothing"), ("points", "more than 950 things in one list"),
                           ("versions", "more than 950 things in one list"), ("folders", "more than 950 files and folders")):
            Answers.kind, Answers.n = kind, 0
            said = attempt("--from", f"http://127.0.0.1:{server.server_port}", "--data", work + "/endless-" + kind)
            assert part in said and ("import.most" in said or kind == "empty"), said
        Answers.kind = "none"
        everything_same(quern("import", "mlflow", "--from", f"http://127.0.0.1:{server.server_port}", "--data", work + "/endless"))
    finally:
        del os.environ["QUERN_IMPORT_MOST"]
        server.shutdown()
        server.server_close()


def unwilling(work):
    """Servers that tell no spans, or the same page for ever: nothing counts as whole, and it ends."""
    trace = {"trace_info": {"trace_location": {"mlflow_experiment": {"experiment_id": "1"}}, "state": "OK", "request_time": "2025-01-01T00:00:00Z",
                            "tags": {"mlflow.trace.spansLocation": "TRACKING_STORE"}}}

    class Answers(BaseHTTPRequestHandler):
        token = ""
        id = "tr-" + "a" * 32

        def log_message(self, *args):
            pass

        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            busy = "/traces/get" in self.path
            says = {"message": "busy"} if busy else {}
            if "experiments/search" in self.path:
                says = {"experiments": [{"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}], "next_page_token": self.token}
            elif "traces/search" in self.path:
                says = {"traces": [{"trace_id": self.id}]}
            elif "/traces/tr-" in self.path:
                says = {"trace": trace}
            body = json.dumps(says).encode()
            self.send_response(503 if busy else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        for token, part in (("", "does not tell the spans"), ("again", "the same page for ever")):
            Answers.token = token
            p = subprocess.run([BIN, "import", "mlflow", "--from", url, "--data", work + "/unwilling"], capture_output=True, text=True, timeout=60)
            assert p.returncode == 1 and part in p.stdout + p.stderr, p
        Answers.token, Answers.id = "", None
        p = subprocess.run([BIN, "import", "mlflow", "--from", url, "--data", work + "/unwilling"], capture_output=True, text=True, timeout=60)
        assert p.returncode == 1 and "without an id" in p.stderr, p
    finally:
        server.shutdown()
        server.server_close()


def main():
    work = os.path.realpath(tempfile.mkdtemp(prefix="quern-transfer-"))
    try:
        with Server(data=work + "/one") as s:
            fill(s)
        watched(work)
        unwilling(work)
        endless(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("transfer_live: ok")


if __name__ == "__main__":
    main()
