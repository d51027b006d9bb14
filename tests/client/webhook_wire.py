# SPDX-License-Identifier: Apache-2.0
"""Deliveries over bare HTTP: retries and their times, what is final, disabling, delivering anew,
receivers that hang, secrets at rest and a lost key, the egress guard, TLS, permissions."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402
from quern import Server, wait_until  # noqa: E402
from receiver import Receiver  # noqa: E402

OPEN = ["--net-allow", "127.0.0.1", "--net-allow-http"]
MODEL = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
turn = 0


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def hook(s, url, status=200, **more):
    a = s.mlflow("webhooks", {"name": "h", "url": url, "events": MODEL, **more})
    check(a.status == status, url, a)
    return a.json["webhook"]["webhook_id"] if status == 200 else a.json["message"]


def change(s):
    global turn
    turn += 1
    name = f"model{turn}"
    check(s.mlflow("registered-models/create", {"name": name}).status == 200)
    return name


def log(s, w, query=""):
    a = s.get(f"/api/v1/webhooks/{w}/deliveries{query}")
    check(a.status == 200, a)
    return a.json["deliveries"]


def ended(s, w, state, name=None, seconds=30):
    """The delivery that tells of the last model made, or of `name`, once it is in that state."""
    told = f'"name":"{name or "model%d" % turn}"'

    def find():
        return [d for d in log(s, w) if told in d["body"] and d["state"] == state]
    wait_until(f"a delivery of {told} that is {state}", find, seconds)
    return find()[0]


def delete(s, w):
    check(s.request("DELETE", "/api/2.0/mlflow/webhooks/" + w).status == 200)


def retries(s):
    r = Receiver(lambda post, n: (503, b"busy", {}) if n < 3 else (200, b"done", {}))
    w = hook(s, r.url)
    change(s)
    d = ended(s, w, "delivered")
    check(d["attempts"] == 3 and d["response_status"] == 200 and d["response_body"] == "done" and "error" not in d, d)
    posts = r.of()
    check(len(posts) == 3 and len({p.id for p in posts}) == 1 and len({p.body for p in posts}) == 1, posts)
    gaps = [b.at - a.at for a, b in zip(posts, posts[1:])]
    check(0.9 < gaps[0] < 3 and 1.9 < gaps[1] < 4, gaps)
    check("X-MLflow-Signature" not in posts[0].headers, posts[0].headers.items())
    delete(s, w)
    r.close()


def exhausted_and_redelivered(s):
    r = Receiver(lambda post, n: (500, b"broken", {}))
    w = hook(s, r.url)
    change(s)
    wait_until("the first attempt", lambda: log(s, w) and log(s, w)[0]["attempts"] == 1)
    d = log(s, w)[0]
    check(d["state"] == "pending" and d["next_try_ms"] > d["updated_ms"] and d["response_status"] == 500, d)
    again = s.post(f"/api/v1/webhooks/{w}/deliveries/{d['delivery_id']}/redeliver")
    check(again.status == 409, again)
    d = ended(s, w, "failed")
    check(d["attempts"] == 4 and d["response_body"] == "broken" and "500" in d["error"] and "next_try_ms" not in d, d)
    check(len(r.of()) == 4, r.posts)
    check(log(s, w, "?state=failed") and not log(s, w, "?state=pending"), log(s, w))
    r.reply = lambda post, n: (200, b"ok", {})
    again = s.post(f"/api/v1/webhooks/{w}/deliveries/{d['delivery_id']}/redeliver")
    check(again.status == 202 and again.json["state"] == "pending", again)
    done = ended(s, w, "delivered")
    check(done["delivery_id"] == d["delivery_id"] == r.of()[-1].id and done["body"] == d["body"], done)
    none = s.post(f"/api/v1/webhooks/{w}/deliveries/nope/redeliver")
    check(none.status == 404, none)
    check(s.get(f"/api/v1/webhooks/nope/deliveries").status == 404)
    check(s.get(f"/api/v1/webhooks/{w}/deliveries?state=odd").status == 400)
    check(s.get(f"/api/v1/webhooks/{w}/deliveries?max_results=0").status == 400)
    delete(s, w)
    r.close()


def final_answers(s):
    for status in (400, 404, 410, 302):
        r = Receiver(lambda post, n: (status, b"", {"Location": "/elsewhere"}))
        w = hook(s, r.url)
        change(s)
        d = ended(s, w, "failed")
        check(d["attempts"] == 1 and d["response_status"] == status and str(status) in d["error"], d)
        check(len(r.of()) == 1, r.posts)
        delete(s, w)
        r.close()


def answers_kept(s):
    """Much of an answer that explains a failure, little of the many that explain nothing."""
    text = "é" * 12000
    r = Receiver(lambda post, n: (400 if post.path.endswith("/no") else 200, text.encode(), {}))
    for path, state, most in (("/no", "failed", 16384), ("/yes", "delivered", 1024)):
        w = hook(s, r.url + path)
        change(s)
        kept = ended(s, w, state)["response_body"]
        check(kept and text.startswith(kept) and most - 2 <= len(kept.encode()) <= most, len(kept.encode()), kept[-3:])
        delete(s, w)
    r.close()


def nothing_of_the_url_is_logged(s):
    """Many receivers know their senders by the path or query of the URL alone."""
    r = Receiver(lambda post, n: (400, b"", {}))
    w = hook(s, r.url + "/open-sesame?token=open-sesame")
    change(s)
    d = ended(s, w, "failed")
    gone = hook(s, f"http://127.0.0.1:{quern.free_port()}/open-sesame")
    test = s.mlflow(f"webhooks/{gone}/test", {}).json["result"]
    hook(s, "http://user:open-sesame@127.0.0.1/", 400)
    hook(s, "http://10.0.0.1/open-sesame", 400)
    places = {"log": s.log_text(1 << 20), "metrics": s.get("/metrics").text, "delivery": repr(d),
              "test": repr(test), "audit": s.get("/api/v1/audit?max_results=1000").text}
    check(len(r.of()) == 1 and "webhook.failed" in places["log"], places["log"][-2000:])
    for place, text in places.items():
        at = text.find("open-sesame")
        check(at < 0, place, text[max(0, at - 300):at + 50])
    delete(s, w)
    delete(s, gone)
    r.close()


def retry_after(s):
    r = Receiver(lambda post, n: (429, b"", {"Retry-After": "4"}) if n == 1 else (204, b"", {}))
    w = hook(s, r.url)
    change(s)
    ended(s, w, "delivered")
    gap = r.of()[1].at - r.of()[0].at
    check(3.9 < gap < 6.5, gap)
    delete(s, w)
    r.close()


def nobody_there(s):
    port = quern.free_port()
    w = hook(s, f"http://127.0.0.1:{port}/late")
    change(s)
    wait_until("a refused connection", lambda: log(s, w) and log(s, w)[0]["attempts"] >= 1)
    check("127.0.0.1" in log(s, w)[0]["error"] and "response_status" not in log(s, w)[0], log(s, w))
    r = Receiver(port=port)
    check(ended(s, w, "delivered")["attempts"] >= 2)
    delete(s, w)
    r.close()


def disabled(s):
    r = Receiver(lambda post, n: (503, b"", {}))
    w = hook(s, r.url)
    change(s)
    r.wait(1)
    check(s.request("PATCH", "/api/2.0/mlflow/webhooks/" + w, {"status": "DISABLED"}).status == 200)
    d = ended(s, w, "cancelled")
    change(s)
    seen = len(r.of())
    time.sleep(2.5)
    check(len(r.of()) == seen and len(log(s, w)) == 1, r.posts, log(s, w))
    again = s.post(f"/api/v1/webhooks/{w}/deliveries/{d['delivery_id']}/redeliver")
    check(again.status == 409, again)
    r.reply = lambda post, n: (200, b"", {})
    check(s.request("PATCH", "/api/2.0/mlflow/webhooks/" + w, {"status": "ACTIVE"}).status == 200)
    name = change(s)  # what happened meanwhile stays untold
    wait_until("news", lambda: [p for p in r.of() if p.json["data"]["name"] == name])
    check(len(log(s, w)) == 2, log(s, w))
    delete(s, w)
    r.close()


def cancelled_under_way(s):
    """Disabled, deleted in the middle of a delivery: its end is not taken for that of another one."""
    release = []

    def slowly(post, n):
        if n == 1:
            wait_until("release", lambda: release, 60)
            return 500, b"late", {}
        return 200, b"anew", {}
    r = Receiver(slowly)
    w = hook(s, r.url)
    change(s)
    r.wait(1)
    for status in ("DISABLED", "ACTIVE"):
        check(s.request("PATCH", "/api/2.0/mlflow/webhooks/" + w, {"status": status}).status == 200)
    d = ended(s, w, "cancelled")
    again = f"/api/v1/webhooks/{w}/deliveries/{d['delivery_id']}/redeliver"
    a = s.post(again)
    check(a.status == 409 and "not ended" in a.text, a)
    release.append(True)
    wait_until("the end of the first attempt", lambda: s.post(again).status == 202)
    d = ended(s, w, "delivered")
    check(d["response_body"] == "anew" and d["attempts"] == 1 and len(r.of()) == 2, d, r.posts)
    release.clear()
    change(s)
    r.wait(3)
    delete(s, w)
    release.append(True)
    check(s.get(f"/api/v1/webhooks/{w}/deliveries").status == 404)
    r.close()


def hanging(s):
    """Receivers that never answer, twelve webhooks on one of them, and one that does: it does not
    wait for them, neither at first nor when they are known to be slow."""
    release = []

    def never(post, n):
        wait_until("release", lambda: release, 60)
        return 200, b"", {}
    slow = [Receiver(never) for _ in range(6)]
    fast = Receiver()
    hooks = [hook(s, r.url) for r in slow] + [hook(s, slow[0].url + str(i)) for i in range(11)]
    hooks.append(hook(s, fast.url))
    took = []
    for start in (0, 8):  # seconds: before and after the first time-outs of 5 s
        time.sleep(start)
        count, began = len(fast.of()), time.monotonic()
        names = [change(s) for _ in range(30)]
        fast.wait(count + 30, seconds=10)
        took.append(time.monotonic() - began)
        check({p.json["data"]["name"] for p in fast.of()} >= set(names), fast.posts)
    check(max(took) < 4, took)
    check(all(r.of() for r in slow), [len(r.of()) for r in slow])
    release.append(True)
    for i in hooks:
        delete(s, i)
    for r in [*slow, fast]:
        r.close()
    return max(took)


def secrets(s):
    r = Receiver()
    secret = "correct-horse-battery-staple"
    w = hook(s, r.url, secret=secret)
    change(s)
    r.wait(1)
    check(r.of()[0].signed_with(secret), r.of()[0].headers.items())
    check(os.stat(os.path.join(s.data, "secret.key")).st_mode & 0o777 == 0o600)
    for path in glob.glob(s.data + "/quern.db*"):
        with open(path, "rb") as f:
            check(secret.encode() not in f.read(), path)
    check(secret not in s.get("/api/2.0/mlflow/webhooks").text + s.log_text(1 << 20))
    # Without the key everything can be read; only this webhook's deliveries fail, and say why.
    key = os.path.join(s.data, "secret.key")
    os.rename(key, key + ".away")
    plain = hook(s, r.url)
    change(s)
    d = ended(s, w, "failed")
    check("secret" in d["error"] and "key file is missing" in d["error"] and d["attempts"] == 1, d)
    ended(s, plain, "delivered")
    check(s.get("/api/2.0/mlflow/webhooks/" + w).status == 200)
    test = s.mlflow(f"webhooks/{w}/test", {})
    check(test.status == 200 and not test.json["result"]["success"]
          and "key file is missing" in test.json["result"]["error_message"], test)
    other = hook(s, r.url, secret="another")  # makes a new key
    change(s)
    d = ended(s, w, "failed")
    check("another key" in d["error"], d)
    ended(s, other, "delivered")
    os.rename(key + ".away", key)
    s.post(f"/api/v1/webhooks/{w}/deliveries/{d['delivery_id']}/redeliver")
    ended(s, w, "delivered")
    check([p for p in r.of() if p.id == d["delivery_id"]][-1].signed_with(secret), r.of()[-1].headers.items())
    # An empty secret ends the signing.
    check(s.request("PATCH", "/api/2.0/mlflow/webhooks/" + w, {"secret": ""}).status == 200)
    change(s)
    d = ended(s, w, "delivered")
    last = next(p for p in r.of() if p.id == d["delivery_id"])
    check("X-MLflow-Signature" not in last.headers, last.headers.items())
    for i in (w, plain, other):
        delete(s, i)
    r.close()


def guard():
    with Server() as s:
        for url, part in (("https://127.0.0.1/x", "'127.0.0.1' resolves to 127.0.0.1"),
                          ("https://localhost/", "non-public IP address"),
                          ("https://[::1]/", "non-public IP address. '::1'"),
                          ("https://169.254.169.254/latest/meta-data", "non-public"),
                          ("https://2130706433/", "resolves to 127.0.0.1"),
                          ("https://[::ffff:10.0.0.1]/", "non-public"),
                          ("https://u:p@8.8.8.8/", "user name or password"),
                          ("https://8.8.8.8/#f", "fragment"),
                          ("http://8.8.8.8/", "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."),
                          ("file:///etc/passwd", "Invalid webhook URL scheme: 'file'"),
                          ("https:///x", "must include a hostname"),
                          ("https://no-such-host.invalid/", "Cannot resolve Webhook URL hostname"),
                          ("https://8.8.8.8/" + "x" * 3000, "maximum length"),
                          (" ", "cannot be empty or just whitespace")):
            message = hook(s, url, 400)
            check(part in message, url, message)
        w = hook(s, "https://8.8.8.8/")
        a = s.request("PATCH", "/api/2.0/mlflow/webhooks/" + w, {"url": "https://127.0.0.1/"})
        check(a.status == 400, a)
        for body in ({"name": "x", "url": "https://8.8.8.8/", "events": MODEL, "status": "ODD"},
                     {"name": "x", "url": "https://8.8.8.8/", "events": "x"},
                     {"name": "x", "url": "https://8.8.8.8/", "events": [{"entity": "PROMPT"}]},
                     {"name": "x", "url": "https://8.8.8.8/", "events": [{"entity": "PROMPT", "action": "SET"}]},
                     {"name": "x", "url": 5, "events": MODEL}, {"name": "x"}, []):
            a = s.mlflow("webhooks", body)
            check(a.status == 400 and a.json["error_code"] == "INVALID_PARAMETER_VALUE", body, a)
        twice = s.mlflow("webhooks", {"name": "x", "url": "https://8.8.8.8/", "events": MODEL + MODEL})
        check(twice.status == 200 and twice.json["webhook"]["events"] == MODEL, twice)
    # What was allowed once is judged again at each delivery.
    data = tempfile.mkdtemp(prefix="quern-test-")
    r = Receiver()
    try:
        with Server(data=data, args=OPEN) as s:
            w = hook(s, r.url)
        with Server(data=data, args=["--net-allow-http"]) as s:
            change(s)
            d = ended(s, w, "failed")
            check("127.0.0.1" in d["error"] and "net.allow" in d["error"] and not r.of(), d, r.posts)
            blocked = re.search(r'quern_egress_blocked_total{reason="a loopback address"} (\d+)', s.get("/metrics").text)
            check(blocked and int(blocked[1]) >= 1, blocked)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    bad = subprocess.run([quern.BIN, "serve", "--data", data, "--net-allow", "10.0.0.1/8"],
                         capture_output=True, text=True, timeout=20)
    check(bad.returncode != 0 and "net.allow" in bad.stderr, bad)
    shutil.rmtree(data, ignore_errors=True)


def certificate(folder, name, alternative):
    cert, key = f"{folder}/{name}.pem", f"{folder}/{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hook",
                    "-addext", "subjectAltName=" + alternative, "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def tls():
    folder = tempfile.mkdtemp(prefix="quern-test-")
    cert, key = certificate(folder, "right", "IP:127.0.0.1")
    other = certificate(folder, "other", "IP:127.0.0.2,DNS:localhost")
    r = Receiver(tls=(cert, key))
    wrong = Receiver(tls=other)
    with Server(args=["--net-allow", "127.0.0.1", "--net-ca-file", other[0]]) as s:
        result = s.mlflow(f"webhooks/{hook(s, wrong.url)}/test", {}).json["result"]
        check(not result["success"] and "TLS" in result["error_message"] and not wrong.of(), result)
    wrong.close()
    with Server(args=["--net-allow", "127.0.0.1"]) as s:
        result = s.mlflow(f"webhooks/{hook(s, r.url)}/test", {}).json["result"]
        check(not result["success"] and "TLS" in result["error_message"] and not r.of(), result)
    with Server(args=["--net-allow", "127.0.0.1", "--net-ca-file", cert]) as s:
        result = s.mlflow(f"webhooks/{hook(s, r.url)}/test", {}).json["result"]
        check(result["success"] and len(r.of()) == 1, result)
    r.close()
    shutil.rmtree(folder)


def permissions():
    """Webhooks are the business of a project's admins, and of their own project alone."""
    r = Receiver()
    with Server(args=OPEN) as s:
        root = s.post("/api/v1/tokens", {"principal": "root", "system": True}).json["token"]

        def caller(token, project="default"):
            return {"Authorization": "Bearer " + token, "X-Quern-Project": project}
        for project in ("alpha", "beta"):
            a = s.post("/api/v1/projects", {"name": project}, headers=caller(root))
            check(a.status in (200, 201), a)
        who = {}
        for name, role, project in (("ann", "admin", "alpha"), ("wes", "writer", "alpha"), ("bea", "admin", "beta")):
            a = s.post("/api/v1/tokens", {"principal": name, "role": role}, headers=caller(root, project))
            check(a.status == 200, a)
            who[name] = caller(a.json["token"], project)
        base = "/api/2.0/mlflow/webhooks"
        body = {"name": "h", "url": r.url, "events": MODEL}
        a = s.post(base, body, headers=who["ann"])
        check(a.status == 200, a)
        w = a.json["webhook"]["webhook_id"]
        for name, status in (("wes", 403), ("bea", 404)):
            for method, path, sent in (("GET", f"{base}/{w}", None), ("PATCH", f"{base}/{w}", {"name": "x"}),
                                       ("DELETE", f"{base}/{w}", None), ("POST", f"{base}/{w}/test", {}),
                                       ("GET", f"/api/v1/webhooks/{w}/deliveries", None),
                                       ("POST", f"/api/v1/webhooks/{w}/deliveries/x/redeliver", {})):
                a = s.request(method, path, sent, headers=who[name])
                check(a.status == status, name, method, path, a)
        check(s.post(base, body, headers=who["wes"]).status == 403)
        check(s.get(base, headers=who["bea"]).json == {}, s.get(base, headers=who["bea"]))
        create = "/api/2.0/mlflow/registered-models/create"
        check(s.post(create, {"name": "of-beta"}, headers=who["bea"]).status == 200)
        check(s.post(create, {"name": "of-alpha"}, headers=who["wes"]).status == 200)
        post = r.wait(1)[0]
        check(post.json["data"]["name"] == "of-alpha" and post.json["workspace"] == "alpha", post)
        time.sleep(0.3)
        check(len(r.of()) == 1, r.posts)
        a = s.get("/api/v1/audit?limit=1000", headers=caller(root, "alpha"))
        check("webhook.webhooks.create" in a.text and "h" in a.text, a)
    r.close()


def backup():
    """A backup holds no secret and no key; after a restore the key is put back."""
    folder = tempfile.mkdtemp(prefix="quern-test-")
    r = Receiver()
    secret = "correct-horse-battery-staple"
    with Server(args=OPEN) as s:
        w = hook(s, r.url, secret=secret)
        shutil.copy(s.data + "/secret.key", folder + "/kept")
        b = subprocess.run([quern.BIN, "backup", folder + "/b"], capture_output=True, text=True,
                           env={**os.environ, "QUERN_URL": s.url})
        check(b.returncode == 0, b)
    for d, _, files in os.walk(folder + "/b"):
        for f in files:
            check(f != "secret.key", d)
            with open(os.path.join(d, f), "rb") as file:
                check(secret.encode() not in file.read(), d, f)
    b = subprocess.run([quern.BIN, "restore", folder + "/b", "--data", folder + "/new"], capture_output=True, text=True)
    check(b.returncode == 0, b)
    with Server(data=folder + "/new", args=OPEN) as s:
        change(s)
        check("key file is missing" in ended(s, w, "failed")["error"], log(s, w))
        shutil.copy(folder + "/kept", folder + "/new/secret.key")
        change(s)
        ended(s, w, "delivered")
        check(r.of()[-1].signed_with(secret), r.posts)
    r.close()
    shutil.rmtree(folder)


def stopping():
    """A stop does not wait for a receiver that hangs; the delivery is made after the start."""
    data = tempfile.mkdtemp(prefix="quern-test-")
    release = []
    r = Receiver(lambda post, n: (wait_until("release", lambda: release, 60), (200, b"", {}))[1])
    s = Server(data=data, args=OPEN)
    w = hook(s, r.url)
    change(s)
    r.wait(1)
    began = time.monotonic()
    check(s.stop() == 0, s.log_text())
    took = time.monotonic() - began
    check(took < 5, took)
    release.append(True)
    s.start()
    d = ended(s, w, "delivered")
    check(d["attempts"] == 1 and len(r.of()) == 2, d, r.posts)
    s.stop()
    r.close()
    shutil.rmtree(data, ignore_errors=True)


def main():
    parts = sys.argv[1:]
    with Server(args=OPEN + ["--webhook-timeout", "3s"]) as s:
        for part in (retries, exhausted_and_redelivered, cancelled_under_way, final_answers, answers_kept,
                     nothing_of_the_url_is_logged, retry_after, nobody_there, disabled, secrets):
            if not parts or part.__name__ in parts:
                part(s)
                print("ok", part.__name__, flush=True)
    if not parts or "hanging" in parts:
        with Server(args=OPEN + ["--webhook-timeout", "5s"]) as s:
            print("ok hanging: 30 deliveries beside 6 dead receivers in %.2f s" % hanging(s), flush=True)
    for part in (guard, tls, permissions, backup, stopping):
        if not parts or part.__name__ in parts:
            part()
            print("ok", part.__name__, flush=True)


if __name__ == "__main__":
    main()
