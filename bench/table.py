# SPDX-License-Identifier: Apache-2.0
"""Measures a release build of the daemon on this machine and prints each figure beside its goal and
beside what the bare parts (disk, SQLite, libmicrohttpd) do in the same run.
usage: table.py --quern BIN --programs DIR --data DIR [--onnx LIB] [--quick] [--only PART,...]"""
import argparse
import hashlib
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fill  # noqa: E402
import model  # noqa: E402
import searches  # noqa: E402
import serving  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--quern", required=True)
parser.add_argument("--programs", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--onnx", default="")
parser.add_argument("--quick", action="store_true", help="short runs, smaller database")
parser.add_argument("--only", default="", help="parts, separated by commas; all when left out")
parser.add_argument("--points", type=int, default=0, help="points that growth and bytes write; 100000000 takes minutes")
o = parser.parse_args()
o.quern, o.programs, o.data = map(os.path.abspath, (o.quern, o.programs, o.data))
o.onnx = os.path.abspath(o.onnx) if o.onnx else ""
NAMES = ("start", "log", "create", "bytes", "growth", "chart", "search", "filled", "traces", "upload", "predict", "serve", "steps", "big", "genuine")
PARTS = set(o.only.split(",")) if o.only else set(NAMES)
if PARTS - set(NAMES):
    parser.error(f"no such part: {', '.join(sorted(PARTS - set(NAMES)))}")
FILLED = os.environ.get("QUERN_BENCH_FILLED", "")  # a folder that keeps what `filled` searches
GENUINE = os.environ.get("QUERN_GENUINE_MLFLOW", "")  # its mlflow command
SECONDS = "2" if o.quick else "5"
RUNS = 10_000 if o.quick else 100_000
UPLOAD = (128 if o.quick else 1024) << 20
BIG = (128 if o.quick else 1024) << 20
STEPS = 100 if o.quick else 300
rows, failed = [], []


def note(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def row(what, figure, unit, goal=None, most=None, limit=None, limit_text=""):
    """goal: at least; most: at most. limit: the bare part's figure in the same unit."""
    met = "" if goal is None and most is None else \
        "yes" if (figure >= goal if goal is not None else figure <= most) else "NO"
    text = f"≥ {goal:,.0f}" if goal is not None else f"≤ {most:,.0f}" if most is not None else ""
    beside = f"{limit:,.0f} {limit_text} ({figure / limit:.0%})" if limit else limit_text
    shown = f"{figure:,.1f}" if figure < 100 else f"{figure:,.0f}"
    rows.append((what, f"{shown} {unit}", text, met, beside))
    note(f"{what}: {shown} {unit}  {text} {met}  {beside}")


def program(name, *args, **kw):
    r = subprocess.run([os.path.join(o.programs, name), *map(str, args)], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=900, **kw)
    if r.returncode != 0:
        raise RuntimeError(f"{name} {args}: {r.stdout[-500:]} {r.stderr[-800:]}")
    return json.loads(r.stdout), r.stderr


def load(port, clients, seconds, count, *what):
    return program("bench_load", port, clients, seconds, count, *what)[0]


def cpu_seconds(pid):
    """User and system time of all threads, to the nanosecond's grain of the scheduler."""
    ns = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            ns += int(f.read().split()[0])
    return ns / 1e9


class Daemon:
    def __init__(self, data, *flags):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(os.path.join(o.data, "quern.log"), "ab")
        t0 = time.perf_counter()
        self.process = subprocess.Popen(
            [o.quern, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", data,
             "--log-format", "json", *flags], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            env={k: v for k, v in os.environ.items() if not k.startswith("QUERN_")})  # only what flags say
        while True:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.perf_counter() - t0 > 60:
                raise RuntimeError("the daemon did not start, see quern.log")
            time.sleep(0.0005)
        self.start_ms = (time.perf_counter() - t0) * 1000

    def call(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {}
            if body is not None and not isinstance(body, bytes):
                body, headers = json.dumps(body), {"Content-Type": "application/json"}
            c.request(method, path, body=body, headers=headers)
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def json(self, method, path, body=None):
        status, data = self.call(method, path, body)
        if status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {status} {data[:400]}")
        return json.loads(data)

    def memory_mb(self, what):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(what)) / 1000

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def forget_peak(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as f:
            f.write("5")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("the daemon did not end on SIGTERM")
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class BareHttp:
    """libmicrohttpd with a fixed answer, on as many threads as the daemon has."""

    def __init__(self, answer, *headers):
        path = os.path.join(o.data, "answer")
        with open(path, "wb") as f:
            f.write(answer)
        self.process = subprocess.Popen([os.path.join(o.programs, "bench_limit_http"), path, "2", *headers],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)


def file_of(name, data):
    path = os.path.join(o.data, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def make_runs(daemon, count, name):
    experiment = daemon.json("POST", "/api/2.0/mlflow/experiments/create",
                             {"name": f"bench-{name}-{time.time_ns()}"})["experiment_id"]
    made, ids = program("bench_load", daemon.port, 64, 0, count, "create", experiment)
    path = file_of(f"runs-{name}", ids.encode())
    return experiment, path, made


def fresh(name):
    path = os.path.join(o.data, name)
    shutil.rmtree(path, ignore_errors=True)
    return path


def part_start(limits):
    times = []
    for i in range(7):
        with Daemon(fresh("empty")) as d:
            times.append(d.start_ms)
    row("start to ready, new data directory (median of 7)", statistics.median(times), "ms", most=50)
    times = []
    for i in range(7):
        with Daemon(os.path.join(o.data, "empty")) as d:
            times.append(d.start_ms)
            if i == 6:
                time.sleep(1)
                row("idle memory (resident)", d.memory_mb("VmRSS"), "MB", most=30)
    row("start to ready, empty database (median of 7)", statistics.median(times), "ms", most=50)


def part_log(limits):
    body = file_of("metric", json.dumps(
        {"run_id": "0" * 32, "key": "loss", "value": 0.123456, "timestamp": 1700000000000, "step": 12345}).encode())
    with Daemon(fresh("log")) as d:
        _, runs, _ = make_runs(d, 128, "log")
        for clients, goal in ((1, None), (8, None), (128, 20_000)):
            with BareHttp(b"{}") as bare:
                http_rate = load(bare.port, clients, SECONDS, 0, "post", "/x", body)["per_second"]
            r = load(d.port, clients, SECONDS, 0, "log-metric", runs)
            row(f"log-metric, durable, {clients} client{'s' if clients > 1 else ''}", r["per_second"], "/s",
                goal=goal, limit=http_rate, limit_text="bare http")
            rows[-1] = rows[-1][:1] + (f"{rows[-1][1]}, p50 {r['p50_us'] / 1000:.2f} ms, "
                                       f"p99 {r['p99_us'] / 1000:.1f} ms",) + rows[-1][2:4] + \
                (rows[-1][4] + (f"; {limits['fdatasync']:,} fdatasync" if clients == 1 else
                                f"; {limits['sqlite_128']:,} bare SQLite by 128" if clients == 128 else ""),)
        for clients, goal in ((1, 200_000), (8, None)):
            r = load(d.port, clients, SECONDS, 0, "log-batch", runs, 1000)
            row(f"log-batch of 1000 points, {clients} client{'s' if clients > 1 else ''}",
                r["per_second"] * 1000, "points/s", goal=goal, limit=limits["sqlite_1000"],
                limit_text="bare SQLite by 1000")
        row("memory after that (resident)", d.memory_mb("VmRSS"), "MB")


def part_create(limits):
    with Daemon(fresh("create")) as d:
        body = file_of("create-body", b'{"experiment_id":"1","run_name":"bench","start_time":1700000000000}')
        status, answer = d.call("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})
        for clients, goal in ((1, None), (64, 10_000)):
            with BareHttp(answer) as bare:
                limit = load(bare.port, clients, SECONDS, 0, "post", "/x", body)["per_second"]
            r = program("bench_load", d.port, clients, SECONDS, 0, "create", "0")[0]
            row(f"runs/create, {clients} client{'s' if clients > 1 else ''}", r["per_second"], "/s", goal=goal,
                limit=limit, limit_text="bare http")
            rows[-1] = rows[-1][:1] + (f"{rows[-1][1]}, p50 {r['p50_us'] / 1000:.2f} ms, "
                                       f"p99 {r['p99_us'] / 1000:.1f} ms",) + rows[-1][2:]


def database_bytes(data):
    return sum(os.path.getsize(os.path.join(data, n)) for n in ("quern.db", "quern.db-wal")
               if os.path.exists(os.path.join(data, n)))


def part_bytes(limits):
    batches = max(100, (o.points or (1_000_000 if o.quick else 4_000_000)) // 1000)
    for kind, runs_n, says in (("random-batch", 16, "160 series, batches of 1000"),
                               ("random-batch", 400, "4000 series, batches of 1000"),
                               ("log-metric", 128, "128 series, one by one")):
        data = fresh("bytes")
        with Daemon(data) as d:
            _, runs, _ = make_runs(d, runs_n, "bytes")
            one = kind == "log-metric"
            load(d.port, 1, 0, 1, kind, runs, 1000)
        empty = database_bytes(data)
        count = batches if not one else batches * 50
        with Daemon(data) as d:
            load(d.port, 128 if one else 4, 0, count, kind, runs, 1000)
        points = count * (1 if one else 1000)
        row(f"disk per point, {says}, {points:,} points", (database_bytes(data) - empty) / points, "bytes", most=12)
        rows[-1] = rows[-1][:4] + ("8 bytes are the random value itself" if not one else "values that do not repeat",)
        shutil.rmtree(data, ignore_errors=True)


def write_rates(d, runs, place, best):
    """One stretch of batches of one client, one of single points of 128; keeps the best of all calls."""
    r = load(d.port, 1, SECONDS, 0, "random-batch", runs, 1000, place["rounds"])
    place["rounds"] += r["requests"] // 128 + 1
    best[0] = max(best[0], r["per_second"] * 1000)
    best[1] = max(best[1], load(d.port, 128, SECONDS, 0, "log-metric", runs)["per_second"])


def part_growth(limits):
    target = o.points or (2_000_000 if o.quick else 20_000_000)
    data = fresh("growth")
    with Daemon(data) as d, Daemon(fresh("growth-empty")) as small:
        runs = make_runs(d, 128, "growth")[1]
        rounds, done, t0 = 0, 0, time.perf_counter()
        while done < target:
            batches = min(target - done, 5_000_000) // 1000
            r = load(d.port, 8, 0, batches, "random-batch", runs, 1000, rounds)
            rounds += batches // 128 + 1
            done += batches * 1000
            note(f"{done:,} points, {r['per_second'] * 1000:,.0f} points/s, p99 {r['p99_us'] / 1000:.1f} ms, "
                 f"{database_bytes(data) / 1e6:,.0f} MB")
        row(f"log-batch of 1000, 8 clients, up to {done:,} points", done / (time.perf_counter() - t0), "points/s")
        size = database_bytes(data)
        places = {"empty": (small, make_runs(small, 128, "growth-empty")[1], {"rounds": 0}, [0, 0]),
                  "new runs": (d, make_runs(d, 128, "growth-more")[1], {"rounds": 0}, [0, 0]),
                  "the runs that hold them": (d, runs, {"rounds": rounds}, [0, 0])}
        for _ in range(3):  # in turn, so that whatever else the machine does falls on all alike
            for where in places.values():
                write_rates(*where)
        empty = places["empty"][3]
        for i, what in enumerate(("log-batch of 1000, 1 client", "log-metric, 128 clients")):
            for where in ("new runs", "the runs that hold them"):
                rate = places[where][3][i]
                row(f"{what}, at {done:,} points into {where}", 100 * rate / empty[i], "% of empty", goal=80,
                    limit_text=f"{rate:,.0f} against {empty[i]:,.0f} /s")
        row("memory after that (resident)", d.memory_mb("VmRSS"), "MB")
    row(f"disk per point at {done:,} points", size / done, "bytes", most=12)
    shutil.rmtree(data, ignore_errors=True)


def part_chart(limits):
    sizes = (100_000, 1_000_000) if o.quick else (1_000_000, 10_000_000)
    with Daemon(fresh("chart")) as d:
        for size in sizes:
            _, runs, _ = make_runs(d, 1, f"chart-{size}")
            load(d.port, 1, 0, size // 1000, "one-series", runs, 1000)
            with open(runs) as f:
                run = f.read().strip()
            ajax = "/ajax-api/2.0/mlflow/metrics/"
            for what, path in (
                    ("m4, 1000 points", f"/api/v1/runs/{run}/metrics/k0?points=1000"),
                    ("m4 by time", f"/api/v1/runs/{run}/metrics/k0?points=1000&axis=time"),
                    ("lttb, 1000 points", f"/api/v1/runs/{run}/metrics/k0?points=1000&mode=lttb"),
                    ("bulk-interval, 320 steps", f"{ajax}get-history-bulk-interval?run_ids={run}&metric_key=k0&max_results=320"),
                    ("bulk-interval, 2500 steps", f"{ajax}get-history-bulk-interval?run_ids={run}&metric_key=k0"),
                    ("get-history, page of 25,000", f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=k0&max_results=25000")):
                status, answer = d.call("GET", path)
                if status != 200:
                    raise RuntimeError(f"{path}: {status} {answer[:300]}")
                with BareHttp(answer) as bare:
                    limit = load(bare.port, 1, 1, 0, "get", "/x")["p50_us"] / 1000
                d.forget_peak()
                before, count = d.cpu_seconds(), 20 if size > 1_000_000 else 100
                r = load(d.port, 1, 0, count, "get", path)
                cpu = (d.cpu_seconds() - before) * 1000 / count
                row(f"{what}, series of {size:,}", cpu, "ms CPU", most=20 if "m4" in what and size == 1_000_000 else None,
                    limit_text=f"{limit:.2f} ms bare http with the same {len(answer):,} bytes")
                rows[-1] = rows[-1][:1] + (f"{rows[-1][1]}, p50 {r['p50_us'] / 1000:.1f} ms",) + rows[-1][2:]
            row(f"peak memory meanwhile, series of {size:,}", d.memory_mb("VmHWM"), "MB")


class Genuine:
    """An MLflow server of its own kind on SQLite."""

    def __init__(self):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        data = fresh("genuine")
        os.makedirs(data)
        self.log = open(os.path.join(o.data, "genuine.log"), "ab")
        self.process = subprocess.Popen(
            [GENUINE, "server", "--backend-store-uri", f"sqlite:///{data}/mlflow.db", "--artifacts-destination",
             f"{data}/artifacts", "--host", "127.0.0.1", "--port", str(self.port)], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True, cwd=data)
        t0 = time.monotonic()
        while True:
            try:
                if self.call("GET", "/health")[0] == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - t0 > 180:
                raise RuntimeError("the genuine server did not start, see genuine.log")
            time.sleep(0.2)

    call = Daemon.call
    json = Daemon.json

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)  # its workers as well; the group is ours alone
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


def part_genuine(limits):
    if not GENUINE or not os.path.exists(GENUINE):
        rows.append(("next to a genuine server", "not measured", "", "", "QUERN_GENUINE_MLFLOW names no mlflow command"))
        return
    found = {}
    for name, server in (("genuine", Genuine), ("quern", lambda: Daemon(fresh("beside")))):
        with server() as d:
            experiment = d.json("POST", "/api/2.0/mlflow/experiments/create", {"name": "beside"})["experiment_id"]
            made, ids = program("bench_load", d.port, 8, SECONDS, 0, "create", experiment)
            runs = file_of(f"runs-{name}", "".join(ids.splitlines(True)[:128]).encode())
            got = {"runs/create, 8 clients": made["per_second"]}
            for clients in (1, 8):
                got[f"log-metric, {clients} client{'s' if clients > 1 else ''}"] = \
                    load(d.port, clients, SECONDS, 0, "log-metric", runs)["per_second"]
                got[f"log-batch of 1000, {clients} client{'s' if clients > 1 else ''}"] = \
                    load(d.port, clients, SECONDS, 0, "random-batch", runs, 1000, 1000 * clients)["per_second"]
            with open(runs) as f:
                run = f.readline().strip()
            got["runs/get"] = load(d.port, 1, SECONDS, 0, "get", f"/api/2.0/mlflow/runs/get?run_id={run}")["per_second"]
            got["get-history"] = load(d.port, 1, SECONDS, 0, "get", "/api/2.0/mlflow/metrics/get-history?"
                                      f"run_id={run}&metric_key=k0&max_results=25000")["per_second"]
            load(d.port, 8, 0, 0, "score", runs)  # so that the search finds something
            got["runs/search by metric, 128 runs with it"] = load(d.port, 1, SECONDS, 0, "search", experiment)["per_second"]
            found[name] = got
    for what, rate in found["quern"].items():
        other = found["genuine"].get(what, 0)
        row(what, rate, "/s", limit_text=f"{other:,.1f} /s genuine server ({rate / other:,.0f} times)" if other else "")


def part_search(limits):
    with Daemon(fresh("search")) as d:
        experiment, runs, made = make_runs(d, RUNS, "search")
        row("runs/create, 64 clients", made["per_second"], "/s")
        r = load(d.port, 64, 0, RUNS, "score", runs, 0)
        row("log-batch of 2 metrics and 2 params, 64 clients", r["per_second"], "/s")
        load(d.port, 1, 1, 0, "search", experiment)
        r = load(d.port, 1, SECONDS, 0, "search", experiment)
        row(f"runs/search by metric over {RUNS:,} runs, p50", r["p50_us"] / 1000, "ms", most=10)
        row("the same, p99", r["p99_us"] / 1000, "ms")
        r = load(d.port, 8, SECONDS, 0, "search", experiment)
        row("the same, 8 clients", r["per_second"], "/s")


def part_filled(limits):
    for runs, goal in ((100_000, 10),) if o.quick else ((100_000, 10), (1_000_000, 50)):
        data = os.path.join(FILLED or o.data, f"filled-{runs}")
        note(f"a database of {runs:,} runs")
        fill.fill(o.quern, data, runs)
        with Daemon(data) as d:
            for what, goes, p50, p99, bare in searches.measure(d.port, os.path.join(data, "quern.db"), runs, float(SECONDS) / 2):
                row(f"search {what}, {runs:,} runs of 20 metrics, 20 params, p50", p50, "ms", most=goal if goes else None,
                    limit_text=f"p99 {p99:,.1f} ms; plain statement in bare SQLite {bare:,.1f} ms")
            row(f"memory after that, {runs:,} runs", d.memory_mb("VmRSS"), "MB")
        if not FILLED:
            shutil.rmtree(data, ignore_errors=True)


def trace_body(first, traces):
    """One OTLP request in protobuf: traces of 10 spans; one span in a thousand holds a rare word."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def field(number, data):
        return varint(number << 3 | 2) + varint(len(data)) + data

    def text(key, value):
        return field(9, field(1, key.encode()) + field(2, field(1, value.encode())))

    spans = []
    for i in range(first, first + traces):
        start = 1_700_000_000_000_000_000 + i * 50_000_000
        for k in range(10):
            sid = (i * 10 + k + 1).to_bytes(8, "big")
            rare = " zebra" if (i * 10 + k) % 1000 == 7 else ""
            s = field(1, (i + 1).to_bytes(16, "big")) + field(2, sid)
            s += field(4, (i * 10 + 1).to_bytes(8, "big")) if k else b""
            s += field(5, f"step-{k}".encode()) + b"\x39" + (start + k * 1_000_000).to_bytes(8, "little")
            s += b"\x41" + (start + (40 - k) * 1_000_000).to_bytes(8, "little")
            s += text("mlflow.spanType", "CHAT_MODEL" if k % 3 == 1 else "CHAIN") + text("user", f"u{i % 500}")
            s += text("mlflow.spanInputs", json.dumps({"question": f"what about {i} and {k}?" + rare, "context": "word " * 20}))
            s += text("mlflow.spanOutputs", json.dumps({"answer": f"this is {i * 7 + k}"}))
            s += field(15, b"\x18" + (b"\x02" if i % 20 == 0 and not k else b"\x01"))
            spans.append(field(2, s))
    return field(1, field(2, b"".join(spans)))


def send_traces(port, experiment, bodies):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for body in bodies:
        c.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf", "x-mlflow-experiment-id": experiment})
        r = c.getresponse()
        if (r.status, len(r.read())) != (200, 0):
            raise RuntimeError(f"/v1/traces: {r.status}")
    c.close()


def ingest(port, experiment, first, traces, per_request, clients):
    """Spans per second, each request durable before its answer."""
    bodies = [trace_body(i, per_request) for i in range(first, first + traces, per_request)]
    with ThreadPoolExecutor(clients) as pool:
        t0 = time.perf_counter()
        list(pool.map(lambda k: send_traces(port, experiment, bodies[k::clients]), range(clients)))
        return traces * 10 / (time.perf_counter() - t0)


def part_traces(limits):
    traces = 5_000 if o.quick else 50_000
    with Daemon(fresh("traces")) as d:
        experiment = d.json("POST", "/api/2.0/mlflow/experiments/create", {"name": "traced"})["experiment_id"]
        few = traces // 10
        row("OTLP, spans taken in, 1 client, 10 spans a request", ingest(d.port, experiment, 0, few, 1, 1), "/s",
            limit_text="MLflow by its authors: 675 in Python, 2,826 in Rust")
        row("the same, 16 clients", ingest(d.port, experiment, few, few, 1, 16), "/s")
        row("the same, 4 clients, 100 spans a request", ingest(d.port, experiment, 2 * few, traces - 2 * few, 10, 4), "/s")
        c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=60)

        def p50(path, body, times=11):
            took = []
            for _ in range(times):
                t0 = time.perf_counter()
                c.request("POST", "/api/3.0/mlflow/traces" + path, json.dumps(body), {"Content-Type": "application/json"})
                r = c.getresponse()
                data = r.read()
                took.append((time.perf_counter() - t0) * 1000)
                if r.status != 200:
                    raise RuntimeError(f"{path}: {r.status} {data[:200]}")
            return statistics.median(took)

        where = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}]}
        for what, text in (("no filter", ""), ("status", "status = 'ERROR'"), ("span.name and span.type", "span.name = 'step-3' AND span.type = 'CHAIN'"),
                           ("a span that is not there", "span.name = 'none'"), ("trace.text of one span in a thousand", "trace.text LIKE '%zebra%'"),
                           ("trace.text that is not there", "trace.text LIKE '%giraffe%'"), ("the same, ILIKE", "trace.text ILIKE '%giraffe%'")):
            row(f"traces/search over {traces * 10:,} spans, {what}, p50", p50("/search", {**where, "filter": text}), "ms")
        ask = {"experiment_ids": [experiment]}
        count = {"aggregations": [{"aggregation_type": "COUNT"}]}
        row("traces/metrics, traces by status, p50", p50("/metrics", {
            **ask, **count, "view_type": "TRACES", "metric_name": "trace_count", "dimensions": ["trace_status"]}), "ms")
        row("traces/metrics, latency of spans by name, p50 and p95, p50", p50("/metrics", {
            **ask, "view_type": "SPANS", "metric_name": "latency", "dimensions": ["span_name"],
            "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": p} for p in (50, 95)]}, 5), "ms")
        row("resident memory after that", d.memory_mb("VmRSS"), "MB")


def raw_write():
    path, block = os.path.join(o.data, "raw"), os.urandom(1 << 20)
    t0 = time.perf_counter()
    with open(path, "wb", buffering=0) as f:
        for _ in range(UPLOAD >> 20):
            f.write(block)
        os.fsync(f.fileno())
    rate = UPLOAD / 1e6 / (time.perf_counter() - t0)
    os.unlink(path)
    h, t0 = hashlib.sha256(), time.perf_counter()
    for _ in range(256):
        h.update(block)
    return rate, 256 * (1 << 20) / 1e6 / (time.perf_counter() - t0)


def copy_and_hash(source):
    """MB/s of cp, cp and sync, and sha256sum one after the other, of a file that is in memory."""
    copy = os.path.join(o.data, "copy")
    t0 = time.perf_counter()
    subprocess.run(["cp", source, copy], check=True)
    cp = time.perf_counter() - t0
    subprocess.run(["sync", copy], check=True)
    synced = time.perf_counter() - t0
    t0 = time.perf_counter()
    subprocess.run(["sha256sum", copy], check=True, capture_output=True)
    sha = time.perf_counter() - t0
    os.unlink(copy)
    return UPLOAD / 1e6 / (cp + sha), UPLOAD / 1e6 / (synced + sha)


def part_upload(limits):
    """Up: hashed, synced and named before the answer. Down: into a file, as a client keeps it. The limits are
    taken before and after, the better counts: a disk behind others has moods."""
    path = "/api/2.0/mlflow-artifacts/artifacts/0/bench/artifacts/"
    source, down = os.path.join(o.data, "source"), os.path.join(o.data, "down")
    ups, downs, plain, synced, peaks = [], [], [], [], []
    rate, sha = raw_write()
    with Daemon(fresh("upload")) as d:
        before = d.memory_mb("VmRSS")
        d.forget_peak()
        for i in range(3):
            with open(source, "wb") as f:
                for _ in range(UPLOAD >> 20):
                    f.write(os.urandom(1 << 20))
                os.fsync(f.fileno())
            a, b = copy_and_hash(source)
            ups.append(load(d.port, 1, 0, 0, "upload", f"{path}big{i}.bin", source)["mb_per_second"])
            c, e = copy_and_hash(source)
            plain.append(max(a, c))
            synced.append(max(b, e))
            downs.append(load(d.port, 1, 0, 0, "download", f"{path}big{i}.bin", down)["mb_per_second"])
            with open(down, "rb") as x, open(source, "rb") as y:
                if hashlib.file_digest(x, "sha256").digest() != hashlib.file_digest(y, "sha256").digest():
                    raise RuntimeError("the bytes that came back differ")
            os.unlink(down)
        peaks = d.memory_mb("VmHWM")
    middle = sorted(range(3), key=lambda i: ups[i] / synced[i])[1]
    size = f"{UPLOAD >> 20} MiB"
    row(f"upload of {size}, hashed and synced", ups[middle], "MB/s", goal=0.7 * synced[middle], limit=synced[middle],
        limit_text=f"MB/s cp, sync and sha256sum of the same bytes; bare write and fsync {rate:,.0f}, SHA-256 alone {sha:,.0f}")
    middle = sorted(range(3), key=lambda i: downs[i] / plain[i])[1]
    row(f"download of {size} into a file", downs[middle], "MB/s", goal=0.7 * plain[middle], limit=plain[middle],
        limit_text="MB/s cp and sha256sum of the same bytes, not synced")
    row(f"peak memory meanwhile (before: {before:.0f} MB)", peaks, "MB", most=64)
    os.unlink(source)
    shutil.rmtree(os.path.join(o.data, "upload"), ignore_errors=True)


def part_predict(limits):
    if not o.onnx or not os.path.exists(o.onnx):
        rows.append(("one-row OIP predict", "not measured", "", "", "no ONNX Runtime was given"))
        return
    with Daemon(fresh("predict"), "--onnx.library", o.onnx) as d:
        run = d.json("POST", "/api/2.0/mlflow/runs/create",
                     {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
        d.json("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/model/model.onnx", model.linear())
        d.json("POST", "/api/2.0/mlflow/registered-models/create", {"name": "bench"})
        d.json("POST", "/api/2.0/mlflow/model-versions/create",
               {"name": "bench", "run_id": run,
                "source": f"mlflow-artifacts:/0/{run}/artifacts/model"})
        d.json("PUT", "/api/v1/endpoints/bench", {"target": "models:/bench/1"})
        end = time.monotonic() + 60
        while True:
            e = d.json("GET", "/api/v1/endpoints/bench")
            if e["state"] == "ready":
                break
            if e["state"] == "failed" or time.monotonic() > end:
                raise RuntimeError(f"the endpoint is {e['state']}: {e.get('reason')}")
            time.sleep(0.02)
        request = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 30],
                                          "data": [round(i * 0.37 - 3, 3) for i in range(30)]}]}).encode()
        body = file_of("infer", request)
        status, answer = d.call("POST", "/v2/models/bench/infer", request)
        if status != 200:
            raise RuntimeError(f"infer: {status} {answer[:300]}")
        for clients, goal in ((1, None), (16, 70)):
            with BareHttp(answer) as bare:
                limit = load(bare.port, clients, SECONDS, 0, "post", "/x", body)
            r = load(d.port, clients, SECONDS, 0, "post", "/v2/models/bench/infer", body)
            row(f"one-row OIP predict, {clients} client{'s' if clients > 1 else ''}", r["per_second"], "/s",
                limit=limit["per_second"], limit_text="bare http")
            if goal:
                row("the same, of libmicrohttpd's fixed answer", 100 * r["per_second"] / limit["per_second"],
                    "%", goal=goal)
        row("memory with ONNX Runtime and the model", d.memory_mb("VmRSS"), "MB")


def part_serve(limits):
    serving.measure(sys.modules[__name__])


def part_steps(limits):
    definition = ("name: bench-noop\nsteps:\n  noop:\n    foreach: [" +
                  ", ".join(str(i) for i in range(STEPS)) + "]\n    run: [\"/bin/true\"]\n    cache: false\n")
    with Daemon(fresh("steps")) as d:
        t0 = time.perf_counter()
        run = d.json("POST", "/api/v1/pipeline-runs", {"definition": definition})
        run_id = run.get("id") or run["run"]["id"]
        while True:
            now = d.json("GET", f"/api/v1/pipeline-runs/{run_id}")
            state = now.get("state") or now["run"]["state"]
            if state in ("succeeded", "failed", "cancelled"):
                break
            if time.perf_counter() - t0 > 120:
                raise RuntimeError(f"{STEPS} steps are still {state} after two minutes")
            time.sleep(0.02)
        seconds = time.perf_counter() - t0
        if state != "succeeded":
            raise RuntimeError(f"the run of no-op steps {state}: {json.dumps(now)[:600]}")
        t0 = time.perf_counter()
        for _ in range(STEPS):
            subprocess.run(["/bin/true"], check=True)
        bare = STEPS / (time.perf_counter() - t0)
        row(f"no-op steps, {STEPS} in one run", STEPS / seconds, "step/s", goal=100, limit=bare,
            limit_text="/bin/true one by one")


def part_big(limits):
    data = fresh("big")
    with Daemon(data) as d:
        _, runs, _ = make_runs(d, 1000, "big")
        per_request = 100 * 5000
        size = 0
        while size < BIG: # by rounds, until the file is there
            load(d.port, 4, 0, max(8, (BIG - size) // per_request), "tags", runs, 5000)
            size = os.path.getsize(os.path.join(data, "quern.db"))
        note(f"database of {size / 1e6:,.0f} MB")
    times = []
    for _ in range(5):
        with Daemon(data) as d:
            times.append(d.start_ms)
    row(f"start to ready, database of {size / 1e9:.2f} GB (median of 5)", statistics.median(times), "ms", most=300)
    d = Daemon(data)  # and once from what a kill amid writing left
    writing = subprocess.Popen([os.path.join(o.programs, "bench_load"), str(d.port), "4", "10", "0", "tags", runs,
                                "4000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(1)
    d.process.kill()
    d.process.wait()
    d.log.close()
    writing.wait(60)
    with Daemon(data) as d:
        row("the same after SIGKILL amid writing", d.start_ms, "ms", most=300)
    shutil.rmtree(data, ignore_errors=True)


def main():
    os.makedirs(o.data, exist_ok=True)
    note("the bare disk and SQLite")
    limits = program("bench_limit_disk", o.data, SECONDS)[0]
    for name in NAMES:
        if name not in PARTS:
            continue
        try:
            globals()[f"part_{name}"](limits)
        except (RuntimeError, OSError, KeyError, subprocess.SubprocessError, ValueError) as e:
            failed.append(name)
            rows.append((name, "failed", "", "NO", " ".join(str(e).split())[:160]))
            note(f"{name} failed: {e}")
    rows.append(("bare: 4 KiB and fdatasync", f"{limits['fdatasync']:,} /s", "", "", "this disk"))
    rows.append(("bare: SQLite, synchronous=FULL, groups of 1 / 128 / 1000",
                 f"{limits['sqlite_1']:,} / {limits['sqlite_128']:,} / {limits['sqlite_1000']:,} points/s", "", "", ""))
    head = ("what", "measured", "goal", "met", "limit in the same run (share)")
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(5)]
    cpus = os.cpu_count()
    print(f"\n{cpus} processors, {time.strftime('%Y-%m-%d')}, "
          f"{subprocess.run([o.quern, 'version'], capture_output=True, text=True).stdout.strip()}")
    print("| " + " | ".join(h.ljust(w) for h, w in zip(head, widths)) + " |")
    print("|" + "|".join("-" * (w + 2) for w in widths) + "|")
    for r in rows:
        print("| " + " | ".join(str(x).ljust(w) for x, w in zip(r, widths)) + " |")
    missed = [r[0] for r in rows if r[3] == "NO"]
    print(f"\n{'all goals met' if not missed else 'missed: ' + '; '.join(missed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
