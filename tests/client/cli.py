# SPDX-License-Identifier: Apache-2.0
"""The command line of operators: settings with their origin, refusals at start, tokens with and
without a server, backup under load, restore, doctor."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, Server, free_port

tmp = tempfile.mkdtemp(prefix="quern-cli-")


def quern(*args, env=None, code=0, timeout=60):
    r = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})}, cwd=tmp)
    assert r.returncode == code, f"{args}: exit {r.returncode}, wanted {code}\n{r.stdout}{r.stderr}"
    return r


def settings_know_their_origin():
    conf = os.path.join(tmp, "q.conf")
    with open(conf, "w") as f:
        f.write("# comment\ndb.queue = 100\nworkers = 3\nlog-level = warn\n")
    r = quern("config", "show", "--json", "--config", conf, "--workers", "7",
              env={"QUERN_DB_BATCH": "99", "QUERN_WORKERS": "5"})
    rows = json.loads(r.stdout)
    assert str(rows["workers"]["value"]) == "7" and rows["workers"]["origin"] == "flag", rows["workers"]
    assert str(rows["db.batch"]["value"]) == "99", rows["db.batch"]
    assert rows["db.batch"]["origin"].startswith("env"), rows["db.batch"]
    assert str(rows["db.queue"]["value"]) == "100" and "q.conf:2" in rows["db.queue"]["origin"], rows["db.queue"]
    assert rows["http.threads"]["origin"] == "default", rows["http.threads"]
    for bad, said in ((["--workers", "many"], "workers"), (["--workers", "0"], "workers"),
                      (["--nonsense"], "nonsense"), (["--config", conf + "x"], "q.confx")):
        r = quern("config", "show", *bad, code=2)
        assert said in r.stderr, r.stderr


def starts_are_refused_with_a_remedy():
    data = os.path.join(tmp, "d1")
    r = quern("serve", "--listen", f"0.0.0.0:{free_port()}", "--data", data, code=1)
    assert "TLS" in r.stderr and "--tls-cert" in r.stderr, r.stderr
    r = quern("serve", "--listen", f"0.0.0.0:{free_port()}", "--behind-proxy", "--data", data, code=1)
    assert "token create" in r.stderr, r.stderr
    with Server(data=data) as s:
        r = quern("serve", "--listen", f"127.0.0.1:{free_port()}", "--data", data, code=1)
        assert "use" in r.stderr or "lock" in r.stderr, r.stderr
        r = quern("serve", "--listen", f"127.0.0.1:{s.port}", "--data", data + "x", code=1)
        assert str(s.port) in r.stderr, r.stderr
    quern("nonsense", code=2)
    quern("backup", code=2)
    quern("--help")
    quern("serve", "--help")


def tokens_offline_and_online():
    data = os.path.join(tmp, "d2")
    token = quern("token", "create", "alice", "--data", data).stdout.strip()
    assert token.startswith("qn_") and len(token) == 52, token
    with Server(data=data) as s:
        assert s.get("/api/v1/whoami").status == 401
        me = s.get("/api/v1/whoami", headers={"Authorization": "Bearer " + token})
        assert me.json["name"] == "alice" and me.json["level"] == "system", me
        env = {"QUERN_URL": s.url, "QUERN_TOKEN": token}
        bob = quern("token", "create", "bob", "--role", "reader", "--expires", "1h", env=env).stdout.strip()
        me = s.get("/api/v1/whoami", headers={"Authorization": "Bearer " + bob})
        assert me.json["level"] == "read", me
        assert s.post("/api/2.0/mlflow/experiments/create", {"name": "x"},
                      headers={"Authorization": "Bearer " + bob}).status == 403
        rows = json.loads(quern("token", "list", "--json", env=env).stdout)["tokens"]
        assert {r["principal"] for r in rows} == {"alice", "bob"}, rows
        assert token not in json.dumps(rows) and bob not in json.dumps(rows)
        bob_id = next(r["id"] for r in rows if r["principal"] == "bob")
        quern("token", "revoke", bob_id, env=env)
        assert s.get("/api/v1/whoami", headers={"Authorization": "Bearer " + bob}).status == 401
        quern("token", "revoke", bob_id, env=env, code=4)
        quern("token", "list", env={"QUERN_URL": s.url, "QUERN_TOKEN": bob}, code=6)
        text = s.log_text(1 << 20)
        assert token not in text and bob not in text, "a token stands in the log"


def backup_under_load_restores_a_prefix():
    back, data = os.path.join(tmp, "back"), os.path.join(tmp, "restored")
    stop = threading.Event()
    with Server() as s:
        run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
        s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a.bin",
                  os.urandom(1 << 20), raw=True)
        logged = [0]

        def load():
            while not stop.is_set():
                a = s.mlflow("runs/log-metric", {"run_id": run, "key": "m", "value": logged[0],
                                                 "step": logged[0], "timestamp": 1})
                assert a.status == 200, a
                logged[0] += 1

        t = threading.Thread(target=load)
        t.start()
        while logged[0] < 50:
            pass
        before = logged[0]
        r = quern("backup", back, env={"QUERN_URL": s.url}, timeout=120)
        after = logged[0]
        stop.set()
        t.join()
        assert "verified" in r.stdout, r.stdout
        quern("backup", back, env={"QUERN_URL": s.url}, code=5)
        assert os.listdir(os.path.join(s.data, "backups")) == [], "the server kept its copy"
        doctor = json.loads(quern("doctor", "--json", env={"QUERN_URL": s.url}).stdout)
        assert doctor["healthy"], doctor
    quern("restore", back, "--data", data)
    quern("restore", back, "--data", data, code=5)
    r = quern("doctor", "--data", data)
    assert "bad" not in r.stdout, r.stdout
    with Server(data=data) as s:
        m = s.mlflow(f"metrics/get-history?run_id={run}&metric_key=m", method="GET").json["metrics"]
        steps = sorted(x["step"] for x in m)
        assert steps == list(range(len(steps))), "the backup is no prefix"
        assert before <= len(steps) <= after + 1, (before, len(steps), after)
    blob = next(os.path.join(d, f) for d, _, fs in os.walk(os.path.join(data, "blobs")) for f in fs)
    os.chmod(blob, 0o600)
    with open(blob, "r+b") as f:
        f.write(b"torn")
    r = quern("doctor", "--data", data, code=1)
    assert "bad" in r.stdout and "artifacts" in r.stdout, r.stdout


def a_signal_drains():
    s = Server()
    s.process.send_signal(signal.SIGTERM)
    assert s.process.wait(30) == 0
    assert "stopped cleanly" in s.log_text(), s.log_text()


settings_know_their_origin()
starts_are_refused_with_a_remedy()
tokens_offline_and_online()
backup_under_load_restores_a_prefix()
a_signal_drains()
print("ok")
