# SPDX-License-Identifier: Apache-2.0
"""The kinds of traffic that tests/fault/mixed_crash.py lets run side by side. Each writer knows what
was acknowledged and what was on its way; `check` compares that with a daemon that came back."""
import hashlib
import json
import time
import urllib.parse
from collections import Counter

from run_traffic import ARTIFACTS, BATCH, RunWriter, all_runs, check_run
from traffic import SEED, Cell, Writer, content

API = "/api/2.0/mlflow/"
TRACES = "/api/3.0/mlflow/traces"
PARTS = "/api/2.0/mlflow-artifacts/mpu/"
UPLOAD_KEEP = 6       # seconds, as the daemon is told
STAGES = ("Staging", "Production", "Archived")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def stored(conn, path):
    """The digest of what lies under the name, None when nothing does."""
    status, data = conn.call("GET", ARTIFACTS + path)
    return None if status == 404 else sha256(data) if status == 200 else f"{status} {data[:200]!r}"


class Runs(RunWriter):
    """Points, batches and artifacts of runs."""

    def check(self, conn, faults, everything):
        for run in list(self.runs)[-1:]:  # run_traffic.check_all sees to the others
            check_run(conn, run, self.runs[run], faults)


class BatchReader(Writer):
    """Reads runs while they are written: of a batch it sees every member or none."""

    def __init__(self, *where, runs):
        super().__init__(*where)
        self.runs_of = runs

    def one(self):
        time.sleep(0.002)  # leaves room for those who write
        run = self.random.choice(self.runs_of).run
        data = run and self.send("GET", API + f"runs/get?run_id={run}")
        if not data:
            return
        got = json.loads(data)["run"]["data"]
        params = {int(p["key"][1:]) for p in got.get("params", [])}
        tags = {int(t["key"][1:]) for t in got.get("tags", []) if t["key"][1:].isdigit()}
        last = [int(m["step"]) for m in got.get("metrics", []) if m["key"] != "loss"]
        if params != tags or last != ([max(params)] * BATCH if params else []):
            self.refused.append(f"half a batch was seen in run {run}: {params ^ tags}, last steps {last}")

    def check(self, conn, faults, everything):
        pass


class Artifacts(Writer):
    """A few names, written over and removed, with contents that many share."""

    def __init__(self, *where):
        super().__init__(*where)
        self.names = {f"mixed/{self.number}/f{i}.bin": Cell() for i in range(6)}
        self.sent, self.done = Counter(), Counter()

    def one(self):
        path, cell = self.random.choice(list(self.names.items()))
        if self.random.random() < 0.1:
            self.move(cell, None, "DELETE", ARTIFACTS + path)
            return
        n = self.random.randrange(60)
        body = content(f"shared-{n}", (0, 1, 900, 30000, 250000)[n % 5])
        self.sent[path] += 1
        self.done[path] += self.move(cell, sha256(body), "PUT", ARTIFACTS + path, body, raw=True)

    def check(self, conn, faults, everything):
        for path, cell in self.names.items():
            cell.see(stored(conn, path), f"artifact {path}", faults)


class Uploads(Writer):
    """Uploads in parts. One that a kill cuts off goes on in the next life, or is left to the sweep."""

    def __init__(self, *where):
        super().__init__(*where)
        self.paths, self.fresh, self.open, self.count = {}, [], None, 0
        self.sent, self.done = Counter(), Counter()

    def begin(self):
        self.count += 1
        name, folder = f"u{self.count}.bin", f"parts/{self.number}"
        size, n = self.random.choice((700, 65536, 300000)), self.random.randrange(1, 6)
        sizes = [size] * (n - 1) + [self.random.randrange(1, size)]
        if self.random.random() < 0.2:
            sizes = [self.random.randrange(size) for _ in range(n)]
        bodies = [content(f"{folder}/{name}-{i}", k) for i, k in enumerate(sizes)]
        data = self.send("POST", PARTS + "create/" + folder, {"path": name, "num_parts": n})
        if data is not None:
            made = json.loads(data)
            urls = [urllib.parse.urlsplit(c["url"]) for c in made["credentials"]]
            self.open = {"id": made["upload_id"], "folder": folder, "name": name, "bodies": bodies,
                         "urls": [f"{u.path}?{u.query}" for u in urls], "there": set(),
                         "until": time.monotonic() + UPLOAD_KEEP / 2}
            self.paths[f"{folder}/{name}"] = Cell()
            self.fresh.append(f"{folder}/{name}")

    def one(self):
        u, luck = self.open, self.random.random()
        if u is None:
            self.begin()
            return
        path = f"{u['folder']}/{u['name']}"
        missing = [i for i in range(len(u["bodies"])) if i not in u["there"]]
        if time.monotonic() > u["until"] or luck < 0.02:
            self.open = None
        elif luck < 0.03:
            self.open = None  # and nothing happens when an earlier life has completed it
            self.send("POST", PARTS + "abort/" + u["folder"], {"path": u["name"], "upload_id": u["id"]})
        elif missing or luck < 0.1 and not self.paths[path].value:
            i = self.random.choice(missing or range(len(u["bodies"])))
            if self.send("PUT", u["urls"][i], u["bodies"][i], raw=True) is not None:
                u["there"].add(i)
        else:
            parts = [{"part_number": i + 1, "etag": f'"{sha256(b)}"'} for i, b in enumerate(u["bodies"])]
            self.sent[path] += 1
            if self.move(self.paths[path], sha256(b"".join(u["bodies"])), "POST", PARTS + "complete/" + u["folder"],
                         {"path": u["name"], "upload_id": u["id"], "parts": parts}):
                self.done[path] = 1  # a second one may answer for the first
                self.open = None

    def check(self, conn, faults, everything):
        for path in self.paths if everything else self.fresh:
            self.paths[path].see(stored(conn, path), f"upload {path}", faults)
        self.fresh = [f"{self.open['folder']}/{self.open['name']}"] if self.open else []


class Model:
    def __init__(self, name):
        self.name, self.there, self.stages, self.tag = name, Cell(False), Cell(()), Cell()
        self.aliases = {a: Cell() for a in ("champion", "a", "b")}

    def check(self, conn, faults):
        q = urllib.parse.quote
        status, data = conn.call("GET", API + "registered-models/get?name=" + self.name)
        self.there.see(status == 200, f"model {self.name} ({status})", faults)
        if status != 200:
            return
        got = json.loads(data)["registered_model"]
        aliases = {a["alias"]: int(a["version"]) for a in got.get("aliases", [])}
        for alias, cell in self.aliases.items():
            cell.see(aliases.pop(alias, None), f"alias {alias} of {self.name}", faults)
        if aliases:
            faults.append(f"INVENTED aliases {aliases} of {self.name}")
        self.tag.see({t["key"]: t["value"] for t in got.get("tags", [])}.get("n"), f"tag of {self.name}", faults)
        found = conn.ask("GET", API + "model-versions/search?max_results=1000&filter=" + q(f"name='{self.name}'"))
        versions = {int(v["version"]): v["current_stage"] for v in found.get("model_versions", [])}
        self.stages.see(tuple(versions.get(i + 1) for i in range(len(versions))), f"stages of {self.name}", faults)


class Registry(Writer):
    """Models, versions, and moves of aliases and stages; a webhook is told of most of it."""

    def __init__(self, *where):
        super().__init__(*where)
        self.models = []
        self.sent, self.done = Counter(), Counter()  # events

    def tell(self, event, cell, value, path, body):
        self.sent[event] += 1
        self.done[event] += self.move(cell, value, "POST", API + path, body)

    def one(self):
        m = self.models[-1] if self.models else None
        luck = self.random.random()
        if m is None or not m.there.value or luck < 0.03:
            m = Model(f"m{self.number}-{len(self.models)}")
            self.models.append(m)
            self.tell(("registered_model.created", m.name), m.there, True, "registered-models/create", {"name": m.name})
            return
        stages = m.stages.value
        version = self.random.randrange(len(stages)) + 1 if stages else 0
        if not version or luck < 0.25 and len(stages) < 12:
            self.tell(("model_version.created", m.name, str(len(stages) + 1)), m.stages, stages + ("None",),
                      "model-versions/create", {"name": m.name, "source": "s3://a/b"})
        elif luck < 0.6:
            alias = self.random.choice(list(m.aliases))
            version = len(stages) if alias == "champion" else version  # so it never goes back
            self.tell(("model_version_alias.created", m.name, alias, str(version)), m.aliases[alias], version,
                      "registered-models/alias", {"name": m.name, "alias": alias, "version": str(version)})
        elif luck < 0.9:
            stage = self.random.choice(STAGES)
            others = stage != "Archived" and self.random.random() < 0.7
            after = ["Archived" if others and s == stage else s for s in stages]
            after[version - 1] = stage
            self.move(m.stages, tuple(after), "POST", API + "model-versions/transition-stage",
                      {"name": m.name, "version": str(version), "stage": stage, "archive_existing_versions": others})
        else:
            value = str(self.random.random())
            self.move(m.tag, value, "POST", API + "registered-models/set-tag", {"name": m.name, "key": "n", "value": value})

    def check(self, conn, faults, everything):
        for m in self.models if everything else self.models[-1:]:
            m.check(conn, faults)


class Lifecycles(Writer):
    """Runs that end, are deleted and restored. A creation without an answer is sent again with its
    Idempotency-Key, so each name is there once."""

    def __init__(self, *where):
        super().__init__(*where)
        self.experiment = self.conn.ask("POST", API + "experiments/create", {"name": f"life{self.number}"})["experiment_id"]
        self.runs, self.pending = {}, None

    def one(self):
        if self.pending or len(self.runs) < 5 or self.random.random() < 0.15:
            self.pending = self.pending or f"r{len(self.runs)}"
            data = self.send("POST", API + "runs/create", {"experiment_id": self.experiment, "run_name": self.pending},
                             headers={"Idempotency-Key": f"{self.experiment}-{self.pending}"})
            if data is not None:
                self.runs[self.pending] = {"id": json.loads(data)["run"]["info"]["run_id"], "stage": Cell("active"),
                                           "status": Cell("RUNNING")}
                self.pending = None
            return
        run = self.runs[self.random.choice(list(self.runs)[-12:])]
        if run["stage"].value == "deleted":
            self.move(run["stage"], "active", "POST", API + "runs/restore", {"run_id": run["id"]})
        elif self.random.random() < 0.5:
            self.move(run["stage"], "deleted", "POST", API + "runs/delete", {"run_id": run["id"]})
        else:
            status = self.random.choice(("RUNNING", "FINISHED", "FAILED", "KILLED"))
            self.move(run["status"], status, "POST", API + "runs/update", {"run_id": run["id"], "status": status})

    def check(self, conn, faults, everything):
        infos = all_runs(conn, self.experiment, "ALL")
        by_name = {i["run_name"]: i for i in infos}
        if len(by_name) != len(infos) or set(by_name) - set(self.runs) - {self.pending}:
            faults.append(f"TWICE or INVENTED in experiment {self.experiment}: {sorted(i['run_name'] for i in infos)}")
        for name, run in self.runs.items():
            info = by_name.get(name)
            if not info or info["run_id"] != run["id"]:
                faults.append(f"LOST run {name} of experiment {self.experiment}: {info}")
                continue
            run["stage"].see(info["lifecycle_stage"], f"life cycle of run {name}", faults)
            run["status"].see(info["status"], f"status of run {name}", faults)
        active = {i["run_name"] for i in all_runs(conn, self.experiment)}
        if active != {n for n, i in by_name.items() if i["lifecycle_stage"] == "active"}:
            faults.append(f"experiment {self.experiment} finds other active runs than it has: {sorted(active)}")


class Traces(Writer):
    """OpenTelemetry requests with spans of two traces each, and deletions of traces."""

    def __init__(self, *where):
        super().__init__(*where)
        self.experiment = self.conn.ask("POST", API + "experiments/create", {"name": f"traces{self.number}"})["experiment_id"]
        self.requests = []    # whether request n was acknowledged
        self.gone = {}        # trace -> whether its deletion was acknowledged
        self.checked = 0

    def trace(self, n):
        return sha256(f"{SEED}-{self.number}-{n}".encode())[:32]

    def spans(self, n):
        """Of request n: the trace of each and its name."""
        return [(n, f"{n}-{k}") for k in range(3)] + [(n - 1, f"{n}-late")] * (n > 0)

    def one(self):
        n = len(self.requests)
        if n > 6 and self.random.random() < 0.15 and n - 6 not in self.gone:
            self.gone[n - 6] = False
            self.gone[n - 6] = self.send("POST", TRACES + "/delete-traces", {
                "experiment_id": self.experiment, "request_ids": ["tr-" + self.trace(n - 6)]}) is not None
            return
        spans = [{"traceId": self.trace(t), "spanId": sha256(name.encode())[:16], "name": name, "kind": 1,
                  "startTimeUnixNano": str(10 ** 18 + n), "endTimeUnixNano": str(10 ** 18 + n + 5),
                  **({} if name == f"{t}-0" else {"parentSpanId": sha256(f"{t}-0".encode())[:16]})}
                 for t, name in self.spans(n)]
        self.requests.append(False)
        self.requests[n] = self.send("POST", "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]},
                                     headers={"x-mlflow-experiment-id": self.experiment}) is not None

    def names(self, conn, traces):
        """Trace to the names of its spans."""
        out = {}
        for i in range(0, len(traces), 40):
            ids = "&".join("trace_ids=tr-" + self.trace(t) for t in traces[i:i + 40])
            for found in conn.ask("GET", f"{TRACES}/batchGet?{ids}").get("traces", []):
                out[found["trace_info"]["trace_id"]] = [s["name"] for s in found["spans"]]
        return {t: out.get("tr-" + self.trace(t), []) for t in traces}

    def check(self, conn, faults, everything):
        first = 0 if everything else max(0, self.checked - 8)
        self.checked = len(self.requests)
        seen = self.names(conn, list(range(max(0, first - 1), self.checked)))
        for t in [t for t in self.gone if t in seen]:
            if self.gone[t] and seen[t]:
                faults.append(f"trace {t} of experiment {self.experiment} is there though it was deleted: {seen[t]}")
            self.gone[t] = not seen[t]
        for n in range(first, self.checked):
            parts = {name: seen[t].count(name) for t, name in self.spans(n) if not self.gone.get(t)}
            whole = all(count == 1 for count in parts.values())
            if not whole and (self.requests[n] or any(parts.values())):
                faults.append(f"{'LOST' if self.requests[n] else 'TORN'} request {n} of experiment {self.experiment}: {parts}")
            self.requests[n] = whole


class Collector(Writer):
    """Collects blobs that nobody names, at once, while others upload the same contents."""

    def one(self):
        self.send("POST", "/api/v1/artifacts/gc")
        time.sleep(self.random.random() * 0.1)

    def check(self, conn, faults, everything):
        pass
