# SPDX-License-Identifier: Apache-2.0
"""Predictions: what the path from the wire to the model and back costs beside the bare HTTP stack, the
bare ONNX Runtime, loopback and other servers. `t` is the table's module: daemon, load, rows."""
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time

import model

IRIS = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}]}
ROUNDS = 10  # short ones in turn with the limit: what else the machine does falls on both, the best counts


def register(d, name, *models):
    """A registered model with these ONNX files as its versions 1, 2, ..."""
    d.json("POST", "/api/2.0/mlflow/registered-models/create", {"name": name})
    for data in models:
        run = d.json("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
        d.json("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/model.onnx", data)
        d.json("POST", "/api/2.0/mlflow/model-versions/create",
               {"name": name, "run_id": run, "source": f"mlflow-artifacts:/0/{run}/artifacts/model"})


def settled(d, name, version=None):
    end = time.monotonic() + 120
    while True:
        e = d.json("GET", f"/api/v1/endpoints/{name}")
        if e["state"] == "ready" and version in (None, str(e.get("version"))):
            return e
        if e["state"] == "failed" or time.monotonic() > end:
            raise RuntimeError(f"endpoint {name} is {e['state']}: {e.get('reason')}")
        time.sleep(0.01)


def endpoint(d, name, spec):
    d.json("PUT", f"/api/v1/endpoints/{name}", spec)
    return settled(d, name)


def ask(port, path, body, headers=None):
    """Status, headers and body of one call."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        c.request("POST", path, body=body, headers={"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        data = r.read()
    finally:
        c.close()
    if r.status != 200:
        raise RuntimeError(f"{path}: {r.status} {data[:300]}")
    return r.getheaders(), data


def besides(headers):
    """Lines of the headers that the bare answer has not of itself."""
    own = ("content-length", "content-type", "date", "connection")
    return "".join(f"{k}: {v}\n" for k, v in headers if k.lower() not in own)


def stretch(t):
    return float(t.SECONDS) / 4


class Measured:
    """The best of several stretches, and the processor time of one request in it."""

    def __init__(self):
        self.rate, self.cpu_us, self.p50, self.p99 = 0, float("inf"), float("inf"), float("inf")

    def take(self, t, pid, port, clients, *what):
        before = t.cpu_seconds(pid)
        r = t.load(port, clients, stretch(t), 0, *what)
        self.cpu_us = min(self.cpu_us, (t.cpu_seconds(pid) - before) / r["requests"] * 1e6)
        self.rate = max(self.rate, r["per_second"])
        self.p50, self.p99 = min(self.p50, r["p50_us"]), min(self.p99, r["p99_us"])


def one_row(t, d, onnx):
    """One row through the forest, beside the fixed answer with one header and with as many as ours."""
    path, body = "/v2/models/forest/infer", t.file_of("forest-body", json.dumps(IRIS).encode())
    headers, answer = ask(d.port, path, json.dumps(IRIS))
    lines = t.file_of("forest-headers", besides(headers).encode())
    full = 0
    with t.BareHttp(answer) as bare, t.BareHttp(answer, lines) as same:
        for clients in (1, 16):
            ours, one, many = Measured(), Measured(), Measured()
            for _ in range(ROUNDS):
                one.take(t, bare.process.pid, bare.port, clients, "post", "/x", body)
                ours.take(t, d.process.pid, d.port, clients, "post", path, body)
                many.take(t, same.process.pid, same.port, clients, "post", "/x", body)
            full = ours.rate
            says = f"{clients} client{'s' if clients > 1 else ''}"
            t.row(f"forest, one row, {says} (p50 {ours.p50:.0f} us, p99 {ours.p99:.0f} us)", ours.rate, "/s",
                  limit=one.rate, limit_text="bare http, one header")
            t.row("the same, of libmicrohttpd's fixed answer, one header", 100 * ours.rate / one.rate, "%", goal=70)
            t.row("the same, of its answer with as many headers as ours", 100 * ours.rate / many.rate, "%", goal=70,
                  limit_text=f"{many.rate:,.0f} /s")
            t.row(f"own processor time per request, {says}", ours.cpu_us - one.cpu_us, "us", most=20,
                  limit_text=f"{ours.cpu_us:.1f} in all, {one.cpu_us:.1f} the bare answer, "
                             f"{onnx['us']:.1f} the bare ONNX Runtime call")
    return body, path, full


def half_load(t, d, path, body, rate):
    ours, limit = Measured(), Measured()
    with t.BareHttp(ask(d.port, path, json.dumps(IRIS))[1]) as bare:
        for _ in range(ROUNDS):
            ours.take(t, d.process.pid, d.port, f"16@{rate / 2:.0f}", "post", path, body)
            limit.take(t, bare.process.pid, bare.port, f"16@{rate / 2:.0f}", "post", "/x", body)
    t.row(f"forest, p99 at half of that rate, open loop (p50 {ours.p50:.0f} us)", ours.p99, "us", most=1000,
          limit=limit.p99, limit_text="us, bare http at the same rate")


def decoder(t):
    for digits in (7, 17):
        r = t.program("bench_decode", 32, digits, 2 if t.o.quick else 4)[0]
        t.row(f"32 rows of 30 floats, {digits} digits, read from JSON, OIP", r["oip"], "MB/s", goal=400,
              limit=r["memcpy"], limit_text="memcpy")
        t.row("the same, MLflow scoring", r["scoring"], "MB/s", goal=400, limit=r["memcpy"], limit_text="memcpy")


def loopback(size, seconds):
    """Bytes a second of the bare sockets: so many up, so many down, again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = os.fork()
        if child == 0:
            peer, block = server.accept()[0], bytearray(size)
            view = memoryview(block)
            while True:
                at = 0
                while at < size:
                    n = peer.recv_into(view[at:])
                    if n == 0:
                        os._exit(0)
                    at += n
                peer.sendall(block)
        c = socket.create_connection(server.getsockname())
        block, times, began = bytearray(size), 0, time.monotonic()
        view = memoryview(block)
        while time.monotonic() - began < seconds:
            c.sendall(block)
            at = 0
            while at < size:
                at += c.recv_into(view[at:])
            times += 1
        took = time.monotonic() - began
        c.close()
        os.waitpid(child, 0)
        return 2 * size * times / took


def tensors(t, d):
    """A megabyte of FP32 up and the same down, one client."""
    width = 250_000
    size = 4 * width
    register(d, "identity", model.identity(width))
    endpoint(d, "identity", {"target": "models:/identity/1"})
    head = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, width],
                                   "parameters": {"binary_data_size": size}}],
                       "outputs": [{"name": "Y", "parameters": {"binary_data": True}}]}).encode()
    whole = head + bytes(size)
    path, body = "/v2/models/identity/infer", t.file_of("tensor-body", whole)
    headers, answer = ask(d.port, path, whole, {"Inference-Header-Content-Length": str(len(head)),
                                                "Content-Type": "application/octet-stream"})
    if len(answer) < size:
        raise RuntimeError(f"the tensor came back with {len(answer)} bytes: {answer[:200]}")
    ours, bare_rate, copy = 0, 0, 0
    with t.BareHttp(answer, t.file_of("tensor-headers", besides(headers).encode())) as bare:
        for _ in range(ROUNDS):
            bare_rate = max(bare_rate, t.load(bare.port, 1, stretch(t), 0, "post", "/x", body)["per_second"])
            ours = max(ours, t.load(d.port, 1, stretch(t), 0, "binary", path, body, len(head))["per_second"])
            copy = max(copy, loopback(size, stretch(t)))
    mb = 2 * size / 1e6
    t.row("binary tensor of 1 MB up and down", ours * mb, "MB/s", limit=bare_rate * mb, limit_text="bare http")
    t.row("the same, of bare sockets' speed", 100 * ours * 2 * size / copy, "%", goal=50,
          limit_text=f"{copy / 1e6:,.0f} MB/s")
    t.row("the same, of the bare http stack's", 100 * ours / bare_rate, "%", goal=50)


def shadow(t, d, body, rate):
    endpoint(d, "plain", {"arms": [{"name": "main", "target": "models:/forest/1"},
                                   {"name": "other", "target": "models:/forest/2"}]})
    endpoint(d, "shadowed", {"arms": [{"name": "main", "target": "models:/forest/1"},
                                      {"name": "other", "target": "models:/forest/2"}],
                             "shadows": [{"arm": "other"}]})
    plain, with_shadow = Measured(), Measured()
    for _ in range(ROUNDS):
        plain.take(t, d.process.pid, d.port, f"16@{rate / 2:.0f}", "post", "/v2/models/plain/infer", body)
        with_shadow.take(t, d.process.pid, d.port, f"16@{rate / 2:.0f}", "post", "/v2/models/shadowed/infer", body)
    t.row("a shadow of all requests, p50 at half load", 100 * (with_shadow.p50 / plain.p50 - 1), "% more", most=5,
          limit_text=f"{with_shadow.p50:.0f} us, {plain.p50:.0f} us without")


def switch(t, d, body):
    """The alias moves while 16 clients ask as fast as they can."""
    def alias(version):
        d.json("POST", "/api/2.0/mlflow/registered-models/alias",
               {"name": "forest", "alias": "live", "version": str(version)})
    alias(1)
    endpoint(d, "switched", {"target": "models:/forest@live"})
    result = {}

    def run():
        result.update(t.load(d.port, 16, 6, 0, "post", "/v2/models/switched/infer", body))
    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    for i in range(5):
        alias(2 - i % 2)
        settled(d, "switched", str(2 - i % 2))
        time.sleep(0.3)
    thread.join()
    if not result:
        raise RuntimeError("requests failed while the version was switched")
    t.row(f"5 switches of the version under full load, {result['requests']:,} requests: failed", result["errors"], "", most=0)
    t.row(f"the same: slower than 50 ms (slowest {result['max_us'] / 1000:.1f} ms)", result["slow"], "", most=0)


def batching(t, d):
    width = 1024
    register(d, "wide", model.layers(width, 4))
    body = t.file_of("wide-body", json.dumps({"inputs": [
        {"name": "X", "datatype": "FP32", "shape": [1, width], "data": [0.5] * width}]}).encode())
    endpoint(d, "single", {"target": "models:/wide/1"})
    endpoint(d, "batched", {"target": "models:/wide/1", "batching": {"max_rows": 32, "max_delay_us": 500}})
    best = {"single": 0, "batched": 0}
    for _ in range(ROUNDS):
        for name in best:
            best[name] = max(best[name], t.load(d.port, 32, stretch(t), 0, "post", f"/v2/models/{name}/infer",
                                                body)["per_second"])
    t.row("batching, 32 clients, 4 layers of 1024 x 1024", best["batched"], "/s", limit=best["single"],
          limit_text="the same endpoint without")


def resident(d):
    end = time.monotonic() + 60
    while d.call("GET", "/v2/health/ready")[0] != 200:
        if time.monotonic() > end:
            raise RuntimeError("endpoints did not settle within a minute")
        time.sleep(0.05)
    time.sleep(1)
    return d.memory_mb("VmRSS")


def many(t):
    """Endpoints that are registered and not used, after a restart."""
    count = 100 if t.o.quick else 1000
    data = t.fresh("many")
    flags = ("--onnx.library", t.o.onnx)
    with t.Daemon(data, *flags) as d:
        register(d, "forest", model.forest())
    with t.Daemon(data, *flags) as d:
        empty = resident(d)
    with t.Daemon(data, *flags) as d:
        for i in range(count):
            d.json("PUT", f"/api/v1/endpoints/e{i}", {"target": "models:/forest/1"})
        began = time.monotonic()
        for i in range(count):
            settled(d, f"e{i}")
        t.note(f"{count} endpoints were looked at in {time.monotonic() - began:.1f} s")
    with t.Daemon(data, *flags) as d:
        full = resident(d)
        t.row(f"memory per endpoint, {count:,} registered and not used", 1000 * (full - empty) / count, "KB", most=20,
              limit_text=f"{full:.1f} MB, {empty:.1f} MB without")
        t0 = time.perf_counter()
        ask(d.port, f"/v2/models/e{count - 1}/infer", json.dumps(IRIS))
        t.row("first answer of one of them", 1000 * (time.perf_counter() - t0), "ms")


def model_bytes(d):
    for line in d.call("GET", "/metrics")[1].decode().splitlines():
        if line.startswith("quern_model_memory_bytes"):
            return float(line.split()[-1])
    raise RuntimeError("/metrics does not tell the memory of models")


def lru(t):
    """Models that together are larger than `serving.memory`: each answers, only some stay."""
    with t.Daemon(t.fresh("lru"), "--onnx.library", t.o.onnx, "--serving.memory", "24M") as d:
        register(d, "wide", *[model.layers(512, 8, seed) for seed in range(8)])  # 8 MB each
        body = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 512], "data": [0.5] * 512}]})
        for i in range(8):
            endpoint(d, f"w{i}", {"target": f"models:/wide/{i + 1}"})
        times = []
        for i in list(range(8)) + [0]:
            time.sleep(1.1)  # what was used within a second stays
            t0 = time.perf_counter()
            ask(d.port, f"/v2/models/w{i}/infer", body)
            times.append(1000 * (time.perf_counter() - t0))
        time.sleep(0.5)
        t.row("memory of models of 8 MB each, 8 that all answered, 24 MB given", model_bytes(d) / 1e6, "MB", most=24,
              limit_text=f"the answer that loads its model again {times[-1]:.0f} ms")


def rivals(t, command, forest, best):
    """MLflow's own server with the same model; `command` is its mlflow."""
    folder = os.path.join(t.o.data, "rival")
    python = os.path.join(os.path.dirname(command), "python")
    env = {**os.environ, "PATH": os.path.dirname(command) + os.pathsep + os.environ.get("PATH", "")}
    subprocess.run([python, "-c", "import sys, onnx, mlflow.onnx; mlflow.onnx.save_model(onnx.load(sys.argv[1]), sys.argv[2])",
                    forest, folder], check=True, capture_output=True, timeout=120, env=env)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(os.path.join(t.o.data, "rival.log"), "wb")
    server = subprocess.Popen([command, "models", "serve", "-m", folder, "-h", "127.0.0.1", "-p", str(port),
                               "--env-manager", "local"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              start_new_session=True, env=env)
    try:
        end = time.monotonic() + 90
        body = json.dumps({"inputs": {"X": [[5.1, 3.5, 1.4, 0.2]]}})
        while True:
            try:
                ask(port, "/invocations", body)
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    raise RuntimeError("the rival did not start, see rival.log")
                time.sleep(0.3)
        path = t.file_of("rival-body", body.encode())
        for clients in (1, 16):
            r = t.load(port, clients, t.SECONDS, 0, "post", "/invocations", path)
            t.row(f"mlflow models serve, the same model, {clients} client{'s' if clients > 1 else ''}", r["per_second"], "/s",
                  limit_text=f"p50 {r['p50_us'] / 1000:.1f} ms; here up to {best:,.0f} /s")
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # its own session: what it started ends as well
        server.wait(30)
        log.close()


def measure(t):
    if not t.o.onnx or not os.path.exists(t.o.onnx):
        t.rows.append(("predictions", "not measured", "", "", "no ONNX Runtime was given"))
        return
    decoder(t)
    forest = t.file_of("forest.onnx", model.forest())
    bare = {}
    for threads in (1, 2):
        bare[threads] = t.program("bench_limit_onnx", t.o.onnx, forest, threads, t.SECONDS)[0]
        t.row(f"bare ONNX Runtime call of the forest, {threads} thread{'s' if threads > 1 else ''}",
              bare[threads]["per_second"], "/s", limit_text=f"{bare[threads]['us']:.1f} us each")
    with t.Daemon(t.fresh("serve"), "--onnx.library", t.o.onnx) as d:
        register(d, "forest", model.forest(), model.forest(seed=2))
        endpoint(d, "forest", {"target": "models:/forest/1"})
        body, path, rate = one_row(t, d, bare[1])
        half_load(t, d, path, body, rate)
        shadow(t, d, body, rate)
        switch(t, d, body)
        tensors(t, d)
        batching(t, d)
        t.row("memory after that (resident)", d.memory_mb("VmRSS"), "MB")
    many(t)
    lru(t)
    if os.environ.get("QUERN_BENCH_RIVALS"):
        rivals(t, os.environ["QUERN_BENCH_RIVALS"], forest, rate)
