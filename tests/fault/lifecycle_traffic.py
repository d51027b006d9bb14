# SPDX-License-Identifier: Apache-2.0
"""Life cycles under kills: runs, and an experiment with more of them than one write marks."""
import json
import time

from registry_traffic import API
from run_traffic import all_runs
from traffic import Cell, Writer


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


class Experiment(Writer):
    """Deleted and restored with all its runs, which a search does not see one by one."""
    RUNS = 700

    def __init__(self, *where):
        super().__init__(*where)
        self.id = self.conn.ask("POST", API + "experiments/create", {"name": f"large{self.number}"})["experiment_id"]
        for _ in range(self.RUNS):
            self.conn.ask("POST", API + "runs/create", {"experiment_id": self.id})
        self.stage = Cell("active")

    def one(self):
        time.sleep(self.random.random() * 0.4)  # these are large writes: others want to go on
        active = self.stage.value == "active"
        self.move(self.stage, "deleted" if active else "active", "POST",
                  API + ("experiments/delete" if active else "experiments/restore"), {"experiment_id": self.id})

    def check(self, conn, faults, everything):
        seen = conn.ask("GET", API + "experiments/get?experiment_id=" + self.id)["experiment"]["lifecycle_stage"]
        self.stage.see(seen, f"stage of experiment {self.id}", faults)
        for view, want in (("ACTIVE_ONLY", "active"), ("DELETED_ONLY", "deleted")):
            n = len(all_runs(conn, self.id, view))
            if n != (self.RUNS if seen == want else 0):
                faults.append(f"experiment {self.id} is {seen} and has {n} runs of {view}")
