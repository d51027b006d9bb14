# SPDX-License-Identifier: Apache-2.0
"""What systemd and a network would do to the daemon: TLS, readiness and watchdog messages, a socket
passed in, SIGTERM under load, an address with TLS and principals."""
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, Server, free_port, wait_until

tmp = tempfile.mkdtemp(prefix="quern-service-")


def certificate():
    cert, key = os.path.join(tmp, "cert.pem"), os.path.join(tmp, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


def tls_and_a_network_address():
    cert, key = certificate()
    data, port = os.path.join(tmp, "tls"), free_port()
    token = subprocess.run([BIN, "token", "create", "alice", "--data", data], check=True,
                           capture_output=True, text=True).stdout.strip()
    log = open(os.path.join(tmp, "tls.log"), "wb")
    p = subprocess.Popen([BIN, "serve", "--listen", f"0.0.0.0:{port}", "--data", data,
                          "--tls-cert", cert, "--tls-key", key], stderr=log)
    context = ssl.create_default_context(cafile=cert)

    def get(path, **headers):
        r = urllib.request.Request(f"https://localhost:{port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(r, context=context, timeout=5) as f:
                return f.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return 0

    try:
        wait_until("TLS", lambda: get("/readyz") == 200)
        assert get("/api/v1/whoami") == 401
        assert get("/api/v1/whoami", Authorization="Bearer " + token) == 200
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(10)
            s.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                plain = s.recv(100)
            except OSError:
                plain = b""
            assert b"200 OK" not in plain, "plain HTTP answered on the TLS port"
        old = ssl.create_default_context(cafile=cert)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            with socket.create_connection(("127.0.0.1", port)) as s:
                old.wrap_socket(s, server_hostname="localhost")
            raise AssertionError("TLS 1.1 was accepted")
        except (ssl.SSLError, OSError):
            pass
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0


def notify_watchdog_and_socket():
    path, port = os.path.join(tmp, "notify"), free_port()
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(path)
    told.settimeout(20)
    listener = socket.create_server(("127.0.0.1", port))
    data = os.path.join(tmp, "activated")
    # systemd passes the socket as descriptor 3 and names the process; a shell stands in for it here.
    script = 'exec 3<&$1; LISTEN_PID=$$; export LISTEN_PID; shift; exec "$@"'
    p = subprocess.Popen(
        ["bash", "-c", script, "bash", str(listener.fileno()), BIN, "serve", "--listen",
         f"127.0.0.1:{port}", "--data", data], pass_fds=[listener.fileno()],
        env={**os.environ, "NOTIFY_SOCKET": path, "LISTEN_FDS": "1", "WATCHDOG_USEC": "400000"},
        stderr=subprocess.DEVNULL)
    try:
        assert b"READY=1" in told.recv(1000)
        assert b"WATCHDOG=1" in told.recv(1000)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as f:
            assert f.status == 200
        p.send_signal(signal.SIGTERM)
        messages = b""
        while b"STOPPING=1" not in messages:
            messages = told.recv(1000)
        assert p.wait(30) == 0
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
        listener.close()


def sigterm_cuts_nothing_off():
    for _ in range(3):
        s = Server()
        run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
        acknowledged, broken = [], []

        def load(who):
            import http.client
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=20)
            for i in range(100000):
                body = '{"run_id":"%s","key":"k%d","value":%d,"timestamp":1,"step":%d}' % (run, who, i, i)
                try:
                    c.request("POST", "/api/2.0/mlflow/runs/log-metric", body,
                              {"Content-Type": "application/json"})
                    r = c.getresponse()
                    text = r.read()
                except ConnectionRefusedError:
                    return  # the next connection, after the listener closed
                except (OSError, http.client.HTTPException) as e:
                    broken.append(repr(e))
                    return
                if r.status == 200:
                    acknowledged.append((who, i))
                elif r.status == 503:
                    return
                else:
                    broken.append(text)
                    return
                if r.getheader("Connection") == "close":
                    c.close()

        threads = [threading.Thread(target=load, args=(w,)) for w in range(4)]
        for t in threads:
            t.start()
        wait_until("load", lambda: len(acknowledged) > 100)
        began = time.monotonic()
        assert s.stop() == 0
        took = time.monotonic() - began
        for t in threads:
            t.join()
        # A keep-alive connection may close between two requests; none may break inside an answer.
        hard = [b for b in broken if "RemoteDisconnected" not in str(b) and "ConnectionReset" not in str(b)
                and "BrokenPipe" not in str(b)]
        assert not hard, hard
        assert took < 15, took
        s.start()
        for who in range(4):
            have = s.mlflow(f"metrics/get-history?run_id={run}&metric_key=k{who}", method="GET").json
            steps = {m["step"] for m in have.get("metrics", [])}
            lost = [i for w, i in acknowledged if w == who and i not in steps]
            assert not lost, f"{len(lost)} acknowledged writes lost, first {lost[0]}"
        s.stop()
        shutil.rmtree(s.data)


tls_and_a_network_address()
notify_watchdog_and_socket()
sigterm_cuts_nothing_off()
shutil.rmtree(tmp)
print("ok")
