# SPDX-License-Identifier: Apache-2.0
"""Traces under kills: a request is stored whole or not at all, what was deleted stays so."""
from registry_traffic import API
from traffic import SEED, Writer, sha256

TRACES = "/api/3.0/mlflow/traces"


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
