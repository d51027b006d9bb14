# SPDX-License-Identifier: Apache-2.0
"""A webhook receiver under test's control: keeps what was posted and answers as `reply` says."""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time

from quern import wait_until


class Post:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def event(self):
        return f"{self.json['entity']}.{self.json['action']}"

    @property
    def id(self):
        return self.headers["X-MLflow-Delivery-Id"]

    def signed_with(self, secret):
        """The recipe of MLflow's documentation."""
        version, _, given = self.headers.get("X-MLflow-Signature", "").partition(",")
        text = f"{self.id}.{self.headers['X-MLflow-Timestamp']}.{self.body.decode()}"
        want = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(self.headers["X-MLflow-Timestamp"])) < 300
        return version == "v1" and hmac.compare_digest(given, want) and fresh

    def __repr__(self):
        return f"<{self.path} {self.body!r}>"


class Receiver:
    def __init__(self, reply=None, port=0, tls=None):
        self.posts, self.times, self.lock = [], collections.Counter(), threading.Lock()
        self.reply = reply or (lambda post, n: (200, b"ok", {}))  # n: which post of this delivery it is
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                post = Post(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.posts.append(post)
                    outer.times[post.id] += 1
                    n = outer.times[post.id]
                status, body, headers = outer.reply(post, n)
                try:
                    self.send_response(status)
                    for k, v in headers.items():
                        self.send_header(k, v)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the daemon was killed, or waits no longer

            def log_message(self, *a):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # handshakes that the daemon breaks off

        self.server = Quiet(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def of(self, event=None):
        with self.lock:
            return [p for p in self.posts if event is None or p.event == event]

    def wait(self, count, event=None, seconds=20):
        wait_until(f"{count} of {event or 'anything'}", lambda: len(self.of(event)) >= count, seconds)
        return self.of(event)
