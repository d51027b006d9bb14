# SPDX-License-Identifier: Apache-2.0
"""What happens without being asked: spent rows go in bounded batches, blobs that nothing refers to
are collected, doctor tells of orphans and foreign files; names that follow a rename."""
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, Server

DAY = 24 * 3600 * 1000


def eventually(what, holds, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen = holds()
        if seen is True:
            return
        time.sleep(0.05)
    raise AssertionError(f"{what}: {seen}")


def rows(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as d:
        return [r[0] for r in d.execute(sql)]


def spent_rows_go():
    s = Server()
    with s:
        s.stop()
        path = os.path.join(s.data, "quern.db")
        now = int(time.time() * 1000)
        with sqlite3.connect(path) as d:
            for i in range(1300):  # more than two batches
                d.execute("INSERT INTO idempotency VALUES (1, 'p', ?, 'r', x'00', 200, '', x'', ?)",
                          (f"k{i}", now - DAY - 1000 - i))
                d.execute("INSERT INTO event (project_id, type, subject, data, created_ms) VALUES (1, 't', 'model:m', '{}', ?)",
                          (now - 31 * DAY,))
            d.execute("INSERT INTO idempotency VALUES (1, 'p', 'young', 'r', x'00', 200, '', x'', ?)", (now - DAY + 600000,))
            for name, expires, run in (("dead", now - 1000, "r1"), ("living", now + DAY, "r2"), ("user", now - 1000, None)):
                d.execute("INSERT INTO token (hash, id, run_id, project_id, last4, created_ms, expires_ms) VALUES (?, ?, ?, 1, 'xxxx', 0, ?)",
                          (hashlib.sha256(name.encode()).digest(), name, run, expires))
        s.start()
        eventually("idempotency", lambda: (lambda k: k == ["young"] or k[:3])(rows(path, "SELECT key FROM idempotency")))
        eventually("tokens", lambda: (lambda k: k == ["living", "user"] or k)(rows(path, "SELECT id FROM token ORDER BY id")))
        # The last event stays: numbers of later ones must not begin again at 1.
        eventually("events", lambda: (lambda k: k == [1300] or len(k))(rows(path, "SELECT seq FROM event")))
        s.mlflow("registered-models/create", {"name": "m"})
        s.mlflow("model-versions/create", {"name": "m", "source": "s3://b/m"})
        got = rows(path, "SELECT seq FROM event ORDER BY seq")
        # one for the model, two for its version: for pipelines and endpoints, and for webhooks
        assert got == [1300, 1301, 1302, 1303], got


def old_deliveries_go():
    s = Server()
    with s:
        s.stop()
        path = os.path.join(s.data, "quern.db")
        now = int(time.time() * 1000)
        with sqlite3.connect(path) as d:
            d.execute("INSERT INTO webhook VALUES ('w', 1, 'h', '', 'https://8.8.8.8/', 'DISABLED', NULL, 0, 0, 0, NULL)")
            for i in range(1200):
                d.execute("INSERT INTO webhook_delivery (delivery_id, webhook, event_seq, event, body, state, next_ms,"
                          " created_ms, updated_ms) VALUES (?, 'w', ?, 'prompt.created', '{}', 'delivered', 0, 0, ?)",
                          (f"old{i}", i, now - 8 * DAY))
            for name, state, age in (("young", "failed", 6), ("waiting", "pending", 9)):
                d.execute("INSERT INTO webhook_delivery (delivery_id, webhook, event_seq, event, body, state, next_ms,"
                          " created_ms, updated_ms) VALUES (?, 'w', ?, 'prompt.created', '{}', ?, 0, 0, ?)",
                          (name, 5000 + age, state, now - age * DAY))
        s.start()
        eventually("deliveries", lambda: (lambda k: k == ["waiting", "young"] or len(k))(
            rows(path, "SELECT delivery_id FROM webhook_delivery ORDER BY 1")))


def blobs_on_disk(data):
    return [os.path.join(d, f) for d, _, fs in os.walk(os.path.join(data, "blobs")) for f in fs]


def blobs_are_collected():
    url = "/api/2.0/mlflow-artifacts/artifacts/9/"
    with Server(args=["--artifact-gc-every", "200ms", "--artifact-gc-grace", "0ms"]) as s:
        for name in ("keep", "drop"):
            assert s.request("PUT", url + name, name.encode() * 9, raw=True).status == 200
        assert s.request("DELETE", url + "drop").status == 200
        kept = s.get("/api/v1/trash?kind=artifact").json["things"]  # holds its bytes until it is erased
        assert len(kept) == 1 and len(blobs_on_disk(s.data)) == 2, kept
        assert s.request("DELETE", f"/api/v1/trash/artifact/{kept[0]['id']}").status == 200
        eventually("one blob is left", lambda: len(blobs_on_disk(s.data)) == 1 or blobs_on_disk(s.data))
        assert s.get(url + "keep").body == b"keep" * 9
        audit = s.get("/api/v1/audit").text
        eventually("audited", lambda: "artifact.gc" in s.get("/api/v1/audit").text or audit[:300])
    with Server(args=["--artifact-gc-every", "0s", "--artifact-gc-grace", "0ms"]) as s:
        assert s.request("PUT", url + "drop", b"x", raw=True).status == 200
        assert s.request("DELETE", url + "drop").status == 200
        kept = s.get("/api/v1/trash?kind=artifact").json["things"]
        assert s.request("DELETE", f"/api/v1/trash/artifact/{kept[0]['id']}").status == 200
        time.sleep(0.5)
        assert len(blobs_on_disk(s.data)) == 1, "0 is off"


def doctor_tells_of_strangers():
    def artifacts(s):
        return next(c for c in s.get("/api/v1/doctor").json["checks"] if c["name"] == "artifacts")
    with Server() as s:
        put = "/api/2.0/mlflow-artifacts/artifacts/9/a"
        assert s.request("PUT", put, b"a", raw=True).status == 200
        seen = artifacts(s)
        assert seen["verdict"] == "ok" and "1 blobs" in seen["detail"] and "0 unreferenced" in seen["detail"], seen
        s.request("DELETE", put)
        assert "0 unreferenced" in artifacts(s)["detail"]  # the trash refers to it
        kept = s.get("/api/v1/trash?kind=artifact").json["things"]
        assert s.request("DELETE", f"/api/v1/trash/artifact/{kept[0]['id']}").status == 200
        seen = artifacts(s)
        assert seen["verdict"] == "ok" and "1 unreferenced" in seen["detail"], seen
        folder = os.path.dirname(blobs_on_disk(s.data)[0])
        with open(os.path.join(folder, "note.txt"), "w") as f:
            f.write("not a blob")
        seen = artifacts(s)
        assert seen["verdict"] == "warn" and "1 foreign files" in seen["detail"], seen
        assert s.request("PUT", put, b"b", raw=True).status == 200
        os.unlink(next(p for p in blobs_on_disk(s.data)
                       if os.path.basename(os.path.dirname(p)) + os.path.basename(p) == hashlib.sha256(b"b").hexdigest()))
        seen = artifacts(s)
        assert seen["verdict"] == "bad" and "1 missing" in seen["detail"], seen
        s.stop()
        r = subprocess.run([BIN, "doctor", "--data", s.data], capture_output=True, text=True)
        assert r.returncode == 1 and "1 missing" in r.stdout, r


def names_follow():
    with Server() as s:
        run = s.mlflow("runs/create", {"experiment_id": "0", "run_name": "first",
                                       "tags": [{"key": "mlflow.source.git.commit", "value": "abcdef12"}]}).json["run"]["info"]["run_id"]

        def label():
            nodes = s.get(f"/api/v1/lineage?node=run:{run}&direction=upstream").json["nodes"]
            return nodes[0]["label"]
        assert label() == "first", label()
        s.mlflow("runs/update", {"run_id": run, "run_name": "second"})
        assert label() == "second", label()
        s.mlflow("runs/set-tag", {"run_id": run, "key": "mlflow.runName", "value": "third"})
        assert label() == "third", label()
        alone = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
        assert s.mlflow("runs/update", {"run_id": alone, "run_name": "x"}).status == 200
        assert s.get(f"/api/v1/lineage?node=run:{alone}").status == 404, "a rename made a node"


def a_logged_model_knows_its_versions():
    with Server() as s:
        made = s.mlflow("logged-models", {"experiment_id": "0", "name": "m"}).json["model"]["info"]["model_id"]
        s.mlflow("registered-models/create", {"name": "reg"})

        def tag():
            tags = s.get(f"/api/2.0/mlflow/logged-models/{made}").json["model"]["info"].get("tags", [])
            return json.loads({t["key"]: t["value"] for t in tags}.get("mlflow.modelVersions", "[]"))
        create = {"name": "reg", "source": f"models:/{made}", "model_id": made}
        assert s.mlflow("model-versions/create", create).status == 200
        assert tag() == [{"name": "reg", "version": 1}], tag()
        # The client writes its own form; both stay, and the next version joins them.
        both = tag() + [{"name": "reg", "version": "2"}]
        s.request("PATCH", f"/api/2.0/mlflow/logged-models/{made}/tags",
                  {"model_id": made, "tags": [{"key": "mlflow.modelVersions", "value": json.dumps(both)}]})
        assert s.mlflow("model-versions/create", create).status == 200
        assert tag() == both, tag()
        assert s.mlflow("model-versions/create", create).status == 200
        assert tag() == both + [{"name": "reg", "version": 3}], tag()
        s.request("PATCH", f"/api/2.0/mlflow/logged-models/{made}/tags",
                  {"model_id": made, "tags": [{"key": "mlflow.modelVersions", "value": "no json"}]})
        assert s.mlflow("model-versions/create", create).status == 200
        assert tag() == [{"name": "reg", "version": 4}], tag()


def a_token_of(run, data):
    """A step's token as the daemon makes them, put into the database of a stopped one."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = "qn_" + "a" * 43
    v = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
    for _ in range(6):
        text += alphabet[v % 62]
        v //= 62
    with sqlite3.connect(os.path.join(data, "quern.db")) as d:
        d.execute("INSERT INTO token (hash, id, run_id, project_id, last4, created_ms, expires_ms) VALUES (?, 'step', ?, 1, 'xxxx', 0, ?)",
                  (hashlib.sha256(text.encode()).digest(), run, int(time.time() * 1000) + DAY))
    return text


def a_step_claims_nothing_of_others():
    with Server() as s:
        own, other = (s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"] for _ in "12")
        mine, theirs = (s.mlflow("logged-models", {"experiment_id": "0", "source_run_id": r}).json["model"]["info"]["model_id"]
                        for r in (own, other))
        s.mlflow("registered-models/create", {"name": "reg"})
        s.stop()
        bearer = {"Authorization": "Bearer " + a_token_of(own, s.data)}
        s.start()

        def call(path, body, want):
            a = s.post("/api/2.0/mlflow/" + path, body, headers=bearer)
            assert a.status == want, (path, body, a)
        call("runs/outputs", {"run_id": own, "models": [{"model_id": mine, "step": 0}]}, 200)
        call("runs/outputs", {"run_id": own, "models": [{"model_id": theirs, "step": 0}]}, 403)
        new = {"name": "reg", "source": "models:/" + mine}
        call("model-versions/create", new, 200)
        call("model-versions/create", {**new, "model_id": mine, "run_id": own}, 200)
        call("model-versions/create", {**new, "run_id": other}, 403)
        call("model-versions/create", {**new, "model_id": theirs}, 403)
        call("model-versions/create", {**new, "source": "models:/" + theirs, "run_id": own}, 403)
        call("model-versions/create", {**new, "source": "s3://b/m"}, 403)
        tags = s.get("/api/2.0/mlflow/logged-models/" + theirs).json["model"]["info"].get("tags")
        assert not tags, tags
        # A measurement of another run's model is what evaluations are made of.
        call("runs/log-metric", {"run_id": own, "key": "m", "value": 1, "timestamp": 1, "model_id": theirs}, 200)


spent_rows_go()
old_deliveries_go()
blobs_are_collected()
doctor_tells_of_strangers()
names_follow()
a_logged_model_knows_its_versions()
a_step_claims_nothing_of_others()
print("ok")
