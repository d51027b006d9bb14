# SPDX-License-Identifier: Apache-2.0
"""What an operator does wrong, or does twice: addresses, settings, data directories, signals,
backups and restores that were cut off, lists longer than a page."""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, Server, free_port, wait_until

tmp = tempfile.mkdtemp(prefix="quern-operator-")


def quern(*args, env=None, code=0, timeout=60, **kw):
    kw.setdefault("stdout", subprocess.PIPE)
    r = subprocess.run([BIN, *args], stderr=subprocess.PIPE, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})}, cwd=tmp, **kw)
    assert r.returncode == code, f"{args}: exit {r.returncode}, wanted {code}\n{r.stdout}{r.stderr}"
    return r


def bad_addresses_are_told_before_anything_is_made():
    data = os.path.join(tmp, "never")
    for listen in ("7780", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1",
                   "127.0.0.1:abc", "::1:7780", "[::1]", "[::1]:x", "[nonsense]:80", ":7780", ""):
        r = quern("serve", "--listen", listen, "--data", data, code=1)
        assert "--listen must be HOST:PORT" in r.stderr, (listen, r.stderr)
        assert not os.path.exists(data), listen
    # A name that only begins like a loopback address is none.
    r = quern("serve", "--listen", "127.example.invalid:80", "--data", data, code=1)
    assert "without TLS" in r.stderr, r.stderr
    r = quern("serve", "--listen", "127.0.0.1:0", "--tls-cert", "/x", "--data", data + "2", code=1)
    assert "--tls-key" in r.stderr, r.stderr


def port_0_and_ipv6_serve():
    hosts = ["127.0.0.1"]
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        hosts.append("[::1]")
    except OSError:
        pass
    for host in hosts:
        log = os.path.join(tmp, "port0.log")
        with open(log, "wb") as f:
            p = subprocess.Popen([BIN, "serve", "--listen", host + ":0", "--data",
                                  os.path.join(tmp, "port0")], stderr=f)
        try:
            wait_until("the address", lambda: "serve.ready" in open(log).read())
            url = re.search(r"http://\S+:\d+", open(log).read()).group()
            assert url.startswith(f"http://{host}:") and not url.endswith(":0"), url
            with urllib.request.urlopen(url + "/readyz", timeout=10) as f:
                assert f.status == 200
        finally:
            p.send_signal(signal.SIGTERM)
            assert p.wait(30) == 0


def settings_are_what_was_said():
    assert re.search(r"^data += +# flag", quern("config", "show", "--data", "").stdout, re.M)
    assert re.search(r"^behind-proxy += true", quern("config", "show", "--behind-proxy").stdout, re.M)
    for key, value in (("auth", "yes"), ("log-level", "loud"), ("log-format", "xml")):
        r = quern("config", "show", "--" + key, value, code=2)
        assert key in r.stderr and "none of" in r.stderr, r.stderr
        conf = os.path.join(tmp, "bad.conf")
        with open(conf, "w") as f:
            f.write(f"# first\n{key} = {value}\n")
        r = quern("serve", "--config", conf, code=2)
        assert "bad.conf:2" in r.stderr, r.stderr
    with open(conf, "w") as f:
        f.write('public-url = "http://host/ # not a comment" # one\n')
    rows = json.loads(quern("config", "show", "--json", "--config", conf).stdout)
    assert rows["public-url"]["value"] == "http://host/ # not a comment", rows["public-url"]


def commands_say_when_they_failed():
    r = quern("help", "nonsense", code=2)
    assert "no command 'nonsense'" in r.stderr, r.stderr
    quern("help", "serve")
    if os.path.exists("/dev/full"):
        for args in (["openapi"], ["help"], ["man"]):
            with open("/dev/full", "w") as full:
                r = quern(*args, code=1, stdout=full)
            assert "cannot be written" in r.stderr, (args, r.stderr)


def looking_makes_nothing():
    empty = os.path.join(tmp, "empty")
    os.mkdir(empty)
    for args in (["doctor"], ["token", "list"], ["token", "revoke", "tok-x"]):
        r = quern(*args, "--data", empty, code=1)
        assert "no data of quern" in r.stderr, r.stderr
        assert os.listdir(empty) == [], os.listdir(empty)
        quern(*args, "--data", empty + "x", code=4)
        assert not os.path.exists(empty + "x"), args


def a_closed_log_stops_nothing():
    r, w = os.pipe()
    port = free_port()
    p = subprocess.Popen([BIN, "serve", "--listen", f"127.0.0.1:{port}", "--data",
                          os.path.join(tmp, "pipe"), "--log-level", "debug"], stderr=w)
    os.close(w)
    os.close(r)

    def ready():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as f:
                return f.status == 200
        except OSError:
            return False

    wait_until("a server without a log", ready)
    p.send_signal(signal.SIGHUP)
    assert ready()
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0


def a_second_signal_does_not_wait():
    s = Server(args=["--drain-timeout", "60s"])
    run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
    with socket.create_connection(("127.0.0.1", s.port)) as c:
        c.sendall(f"PUT /api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/a HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Length: 1000000\r\n\r\nabc".encode())
        time.sleep(0.5)
        s.process.send_signal(signal.SIGTERM)
        wait_until("the first signal", lambda: "a second one ends it" in s.log_text())
        time.sleep(0.5)
        assert s.process.poll() is None, "an upload under way was not waited for"
        s.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        s.process.wait(20)
        assert time.monotonic() - began < 5
    s.start()  # and nothing is held against the next start
    assert s.mlflow(f"runs/get?run_id={run}", method="GET").status == 200
    assert s.stop() == 0
    shutil.rmtree(s.data)


def old_backups_go_at_start():
    with Server() as s:
        made = s.post("/api/v1/backups").json["id"]
        folder = os.path.join(s.data, "backups")
        assert os.listdir(folder) == [made]
        os.makedirs(os.path.join(folder, "0123456789abcdef", "blobs"))
        s.kill9()
        s.start()
        assert not os.path.exists(folder) or os.listdir(folder) == [], os.listdir(folder)


def a_restore_that_was_cut_off_is_not_served():
    back, data = os.path.join(tmp, "back"), os.path.join(tmp, "half")
    with Server() as s:
        s.mlflow("experiments/create", {"name": "kept"})
        quern("backup", back, env={"QUERN_URL": s.url})
    quern("restore", back, "--data", data)
    assert not [n for n in os.listdir(data) if n.startswith("restore")], os.listdir(data)
    with open(os.path.join(data, "restore.unfinished"), "w"):
        pass  # as a restore leaves it that is killed before its last step
    r = quern("serve", "--listen", "127.0.0.1:0", "--data", data, code=1)
    assert "restore" in r.stderr and "cut off" in r.stderr, r.stderr
    shutil.rmtree(data)
    # A file of the backup that is gone stops the restore before anything is made.
    path = os.path.join(back, "quern.db")
    os.rename(path, path + "x")
    quern("restore", back, "--data", data, code=1)
    assert not os.path.exists(data)
    os.rename(path + "x", path)
    # A schema of the future.
    with open(path, "r+b") as f:
        f.seek(60)
        f.write(struct.pack(">I", 900))
    import hashlib
    manifest = os.path.join(back, "manifest.json")
    rows = json.load(open(manifest))
    for row in rows["files"]:
        if row["path"] == "quern.db":
            row["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    json.dump(rows, open(manifest, "w"))
    r = quern("restore", back, "--data", data, code=1)
    assert "schema 900" in r.stderr and not os.path.exists(data), r.stderr


def lists_have_pages():
    data = os.path.join(tmp, "lists")
    token = quern("token", "create", "root", "--data", data).stdout.strip()
    head = {"Authorization": "Bearer " + token}
    with Server(data=data) as s:
        for i in range(5):
            assert s.post("/api/v1/projects", {"name": f"p{i}"}, headers=head).status == 200
            assert s.post("/api/v1/tokens", {"principal": f"u{i}"}, headers=head).status == 200

        def walk(path, key, name, most):
            seen, page = [], ""
            while True:
                r = s.get(f"{path}?max_results={most}&page_token={page}", headers=head)
                assert r.status == 200, r
                rows = r.json[key]
                assert 0 < len(rows) <= most, r
                seen += [row[name] for row in rows]
                page = r.json.get("next_page_token", "")
                if not page:
                    return seen
                assert len(rows) == most, r

        for path, key, name in (("/api/v1/projects", "projects", "name"),
                                ("/api/v1/tokens", "tokens", "id"),
                                ("/api/v1/principals", "principals", "name"),
                                ("/api/v1/audit", "rows", "seq")):
            whole = walk(path, key, name, 1000)
            assert len(whole) >= 6 and len(set(whole)) == len(whole), (path, whole)
            for most in (1, 2, len(whole) - 1, len(whole)):
                assert walk(path, key, name, most) == whole, (path, most)
            assert s.get(path + "?page_token=nonsense", headers=head).status == 400, path
            assert s.get(path + "?max_results=0", headers=head).status == 400, path
            assert s.get(path + "?max_results=1001", headers=head).status == 400, path
        assert walk("/api/v1/audit", "rows", "seq", 3) == list(range(1, len(whole) + 1))
    # More tokens than one page holds, as the command tells them.
    db = sqlite3.connect(os.path.join(data, "quern.db"))
    columns = [r[1] for r in db.execute("PRAGMA table_info(token)")]
    row = dict(zip(columns, db.execute("SELECT * FROM token").fetchone()))
    for i in range(1100):
        row["id"], row["hash"] = f"tok-{i:08d}", os.urandom(32)
        fields = [c for c in columns if c in row]
        db.execute(f"INSERT INTO token ({','.join(fields)}) VALUES ({','.join('?' * len(fields))})",
                   [row[c] for c in fields])
    db.commit()
    db.close()
    offline = json.loads(quern("token", "list", "--json", "--data", data).stdout)["tokens"]
    assert len({t["id"] for t in offline}) == 1106, len(offline)
    with Server(data=data) as s:
        env = {"QUERN_URL": s.url, "QUERN_TOKEN": token}
        online = json.loads(quern("token", "list", "--json", env=env).stdout)["tokens"]
        assert online == offline or {t["id"] for t in online} == {t["id"] for t in offline}
        assert len(quern("token", "list", env=env).stdout.splitlines()) == 1107


for check in (bad_addresses_are_told_before_anything_is_made, port_0_and_ipv6_serve,
              settings_are_what_was_said, commands_say_when_they_failed, looking_makes_nothing,
              a_closed_log_stops_nothing, a_second_signal_does_not_wait, old_backups_go_at_start,
              a_restore_that_was_cut_off_is_not_served, lists_have_pages):
    check()
    print("ok", check.__name__, flush=True)
shutil.rmtree(tmp)
