# SPDX-License-Identifier: Apache-2.0
"""The registry under kills: models, versions, moves of aliases and stages, and what is deleted and
restored whole."""
import json
import time
import urllib.parse
from collections import Counter

from traffic import Cell, Writer

API = "/api/2.0/mlflow/"
STAGES = ("Staging", "Production", "Archived")


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


class Trash(Writer):
    """A model that is deleted and restored, with all that hangs on it."""

    def __init__(self, *where):
        super().__init__(*where)
        m = self.model = Model(f"kept{self.number}")
        for path, body in (("registered-models/create", {"tags": [{"key": "n", "value": "7"}]}),
                           *[("model-versions/create", {"source": "s3://a/b"})] * 3,
                           ("model-versions/transition-stage", {"version": "2", "stage": "Staging", "archive_existing_versions": False}),
                           ("registered-models/alias", {"alias": "champion", "version": "3"})):
            self.conn.ask("POST", API + path, {"name": m.name, **body})
        m.there, m.stages, m.tag = Cell(True), Cell(("None", "Staging", "None")), Cell("7")
        m.aliases = {"champion": Cell(3)}

    def one(self):
        m = self.model
        time.sleep(self.random.random() * 0.1)
        if m.there.value:
            self.move(m.there, False, "DELETE", API + "registered-models/delete", {"name": m.name})
        else:
            self.move(m.there, True, "POST", f"/api/v1/trash/registered_model/{m.name}/restore")

    def check(self, conn, faults, everything):
        self.model.check(conn, faults)
