# SPDX-License-Identifier: Apache-2.0
"""A child server that behaves as its first argument says, in the protocol that the second names.
It doubles the matrix "x" (FP64 [-1,2]) or, over scoring protocols, adds up each row, times the parameter "scale".

  server.py MODE PROTOCOL [PORT|SOCKET]

Modes: good, binary (with raw tensors), slow (0.5 s each), hang (the third prediction never ends,
nor does anything else then), lie-shape, lie-type, twice, rubbish, nul, flood (endless body), heads
(endless head), cut (dies in the middle of an answer), die (ends on a prediction), refuse (400), busy
(503), deaf (never ready), late (ready after 1 s), exit (ends at once), family (with grandchildren),
stubborn (ignores TERM), name (wrong names), mutate
and mutate-binary (answers with a few bytes changed), huge (more rows than bytes), status (no HTTP at all)."""
import http.server
import json
import os
import random
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

MODE, PROTOCOL = sys.argv[1], sys.argv[2]
PLACE = sys.argv[3] if len(sys.argv) > 3 else os.environ["PORT"]
BEGAN = time.monotonic()
count = 0


def x_of(request, raw):
    t = request["inputs"][0]
    if "data" in t:
        data = t["data"]
    else:
        n = t["parameters"]["binary_data_size"]
        data = list(struct.unpack(f"<{n // 8}d", raw[:n]))
    return t["shape"], data


DICE = random.Random(os.environ.get("SEED", "1"))
PIECES = [b"[", b"]", b"{", b"}", b'"', b",", b":", b"1e999", b"-1", b"18446744073709551616", b"null",
          b"\x00", b"\xff\xfe", b"NaN", b'"shape":[1,1]', b'"data":[]', b'"name":"y"', b"\\ud800", b"9" * 400]


def mutated(body):
    """The same with one to four bytes or pieces changed, put in or taken away; sometimes as it is."""
    b = bytearray(body)
    for _ in range(DICE.randrange(5)):
        at = DICE.randrange(len(b) + 1)
        what = DICE.randrange(5)
        if what == 0 and at < len(b):
            b[at] ^= 1 << DICE.randrange(8)
        elif what == 1:
            del b[at:at + DICE.randrange(1, 20)]
        elif what == 2:
            b[at:at] = DICE.choice(PIECES)
        elif what == 3 and at < len(b):
            b[at:at + 1] = DICE.choice(PIECES)
        else:
            b = b[:at] if DICE.random() < 0.3 else b + b[at:]
    return bytes(b).replace(b"\r", b" ").replace(b"\n", b" ") if len(body) < 8 else bytes(b)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        if isinstance(body, str):
            body = body.encode()
        if MODE.startswith("mutate") and self.command == "POST":
            body, headers = mutated(body), [(k, str(mutated(v.encode()), "latin-1")
                                             if k.startswith("Inf") and DICE.random() < 0.2 else v)
                                            for k, v in headers]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if MODE == "deaf" or MODE == "late" and time.monotonic() - BEGAN < 1:
            return self.answer(503, "{}")
        health = {"oip": "/v2/health/ready", "mlflow": "/ping", "sagemaker": "/ping",
                  "vertex": os.environ.get("AIP_HEALTH_ROUTE")}[PROTOCOL]
        if self.path == health:
            return self.answer(200, "\n")
        if PROTOCOL == "oip" and self.path == "/v2":
            extensions = ["binary_tensor_data"] if MODE in ("binary", "mutate-binary") else []
            return self.answer(200, json.dumps({"name": "t", "extensions": extensions}))
        if PROTOCOL == "oip" and self.path == "/v2/models/" + os.environ["MODEL_NAME"]:
            t = {"name": "x", "datatype": "FP64", "shape": [-1, 2]}
            return self.answer(200, json.dumps(
                {"name": "m", "platform": "", "inputs": [t], "outputs": [dict(t, name="y")]}))
        self.answer(404, '{"error":"no such path"}')

    def do_POST(self):
        global count
        body = self.rfile.read(int(self.headers["Content-Length"]))
        count += 1
        if MODE == "slow":
            time.sleep(0.5)
        if MODE == "hang" and count >= 3:
            time.sleep(1000)
        if MODE == "die":
            os._exit(7)
        if MODE == "refuse":
            return self.answer(400, '{"error":"x must be positive"}')
        if MODE == "busy":
            return self.answer(503, '{"error":"queue is full"}')
        if MODE == "status":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            self.close_connection = True
            return None
        if MODE == "heads":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                self.wfile.write(b"X-More: " + b"y" * 8000 + b"\r\n")
        if MODE == "flood":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            while True:
                self.wfile.write(b" " * 65536)
        if PROTOCOL == "oip":
            return self.oip(body)
        return self.scoring(body)

    def oip(self, body):
        n = int(self.headers.get("Inference-Header-Content-Length", len(body)))
        shape, data = x_of(json.loads(body[:n]), body[n:])
        data = [2 * v for v in data]
        out = {"name": "y", "datatype": "FP64", "shape": shape, "data": data}
        if MODE == "lie-shape":
            out["shape"] = [shape[0] + 1, 2]
        if MODE == "huge":
            out["shape"] = [1 << 40, 1 << 20]
        if MODE == "lie-type":
            out["datatype"] = "INT64"
        if MODE == "name":
            out["name"] = "z"
        outs = [out, out] if MODE == "twice" else [out]
        text = json.dumps({"model_name": "m", "outputs": outs})
        if MODE == "rubbish":
            text = text[:-3] + "]]]"
        if MODE == "nul":
            text = text.replace('"m"', '"m\0"')
        if MODE == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[:20].encode())
            self.wfile.flush()
            os._exit(9)
        if MODE in ("binary", "mutate-binary"):
            raw = struct.pack(f"<{len(data)}d", *data)
            del out["data"]
            out["parameters"] = {"binary_data_size": len(raw)}
            head = json.dumps({"model_name": "m", "outputs": outs}).encode()
            return self.answer(200, head + raw, "application/octet-stream",
                               [("Inference-Header-Content-Length", str(len(head)))])
        return self.answer(200, text)

    def scoring(self, body):
        if PROTOCOL == "sagemaker":
            rows = [[float(v) for v in line.split(",")] for line in body.decode().splitlines()]
            return self.answer(200, ",".join(str(sum(r)) for r in rows), "text/csv")
        q = json.loads(body)
        rows = (q["dataframe_split"]["data"] if "dataframe_split" in q else
                q["instances"] if "instances" in q else q["inputs"])
        scale = (q.get("params") or q.get("parameters") or {}).get("scale", 1)
        return self.answer(200, json.dumps({"predictions": [scale * sum(r) for r in rows]}))


class Http(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Unix(Http):
    address_family = socket.AF_UNIX

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self):
        request, _ = self.socket.accept()
        return request, ("local", 0)


if MODE == "exit":
    print("this child does not want to", file=sys.stderr, flush=True)
    sys.exit(4)
if MODE in ("stubborn", "family"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if MODE == "family":  # one in a session of its own, as daemons do
    for _ in range(2):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"],
                         start_new_session=True, stdin=subprocess.DEVNULL)
if MODE == "hang":  # one thing at a time: what hangs, hangs all of it
    Http.process_request = http.server.HTTPServer.process_request
    Handler.protocol_version = "HTTP/1.0"
server = Unix(PLACE, Handler) if "/" in PLACE else Http(("127.0.0.1", int(PLACE)), Handler)
print("serving on " + PLACE, file=sys.stderr, flush=True)
server.serve_forever()
