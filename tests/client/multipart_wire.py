# SPDX-License-Identifier: Apache-2.0
"""Uploads in parts and signed URLs on the wire: order, repeats, odd sizes, limits, forged and spent
URLs, kills in the middle."""
import concurrent.futures
import hashlib
import http.client
import os
import random
import socket
import sqlite3
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402

API = "/api/2.0/mlflow-artifacts/"


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x)[:600] for x in seen)


def create(s, folder, name, parts, **kw):
    return s.post(API + "mpu/create/" + urllib.parse.quote(folder), {"path": name, "num_parts": parts}, **kw)


def call(url, method="PUT", body=b"", headers=None):
    u = urllib.parse.urlsplit(url)
    c = http.client.HTTPConnection(u.netloc, timeout=60)
    c.request(method, u.path + ("?" + u.query if u.query else ""), body, headers or {})
    r = c.getresponse()
    out = r.status, dict(r.getheaders()), r.read()
    c.close()
    return out


def send(credential, body):
    status, headers, text = call(credential["url"], body=body, headers=credential["headers"])
    check(status == 200 and headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()}"', status, headers, text)
    return {"part_number": credential["part_number"], "etag": headers["ETag"], "url": credential["url"]}


def complete(s, folder, name, upload_id, parts, **kw):
    return s.post(API + "mpu/complete/" + urllib.parse.quote(folder), {"path": name, "upload_id": upload_id, "parts": parts}, **kw)


def abort(s, folder, name, upload_id):
    return s.post(API + "mpu/abort/" + urllib.parse.quote(folder), {"path": name, "upload_id": upload_id})


def fetch(s, path):
    return s.get(API + "artifacts/" + urllib.parse.quote(path))


def folders(s):
    return os.listdir(os.path.join(s.data, "uploads"))


def whole(s, folder, name, bodies, order=None, local="/home/someone/"):
    made = create(s, folder, local + name, len(bodies))
    check(made.status == 200, made)
    credentials = made.json["credentials"]
    check([c["part_number"] for c in credentials] == list(range(1, len(bodies) + 1)), credentials[:3])
    done = [send(credentials[i], bodies[i]) for i in (order or range(len(bodies)))]
    random.shuffle(done)
    a = complete(s, folder, local + name, made.json["upload_id"], done)
    check(a.status == 200 and a.json == {}, a)
    a = fetch(s, folder + "/" + name)
    check(a.status == 200 and a.body == b"".join(bodies), a.status, len(a.body))
    check(a.headers["ETag"] == f'"sha256:{hashlib.sha256(b"".join(bodies)).hexdigest()}"', a.headers["ETag"])
    check(folders(s) == [], folders(s))
    return made.json["upload_id"], done


def shapes(s):
    part = os.urandom(100_000)
    whole(s, "1/r/artifacts", "regular.bin", [part, os.urandom(100_000), os.urandom(777)])
    whole(s, "1/r/artifacts/caf\u00e9 x", "100%.bin", [part, os.urandom(100_000), b"x"], order=[2, 0, 1])
    whole(s, "1/r/artifacts", "backwards.bin", [os.urandom(5000) for _ in range(7)], order=[6, 5, 4, 3, 2, 1, 0])
    whole(s, "1/r/artifacts", "odd.bin", [b"a" * 10, b"b" * 20, b"c" * 5, b"d" * 30])
    whole(s, "1/r/artifacts", "one.bin", [os.urandom(70_000)])
    whole(s, "1/r/artifacts", "empty.bin", [b""])
    whole(s, "1/r/artifacts", "growing.bin", [b"a" * 10, b"b" * 10, b"c" * 30])
    whole(s, "1/r/artifacts", "windows.bin", [b"w" * 10, b"x"], local="C:\\Users\\me\\")
    whole(s, "1/r/artifacts", "tail.bin", [b"w" * 10, b"x" * 10, b""])
    many = [bytes([i % 251]) * 1000 for i in range(300)]
    whole(s, "1/r/artifacts", "many.bin", many, order=random.sample(range(300), 300))
    whole(s, "1/r/artifacts", "regular.bin", [b"replaced"])


def repeats(s):
    """A part again, with the same and with other bytes; the last one counts. Complete again, abort after it."""
    bodies = [os.urandom(50_000) for _ in range(4)]
    made = create(s, "1/r/artifacts", "again.bin", 4).json
    cred, uid = made["credentials"], made["upload_id"]
    for i in range(4):
        send(cred[i], os.urandom(50_000))
    done = [send(cred[i], bodies[i]) for i in range(4)]
    done[2] = send(cred[2], bodies[2])
    check(complete(s, "1/r/artifacts", "other.bin", uid, done).status == 404, "another name completes it")
    check(complete(s, "1/r", "again.bin", uid, done).status == 404, "another folder completes it")
    wrong = [dict(p, etag='"' + "0" * 64 + '"') if p["part_number"] == 3 else p for p in done]
    for parts, word in ((done[:3], "Part 4 is not named"), (done + done[:1], "Part 1 is named twice"), (wrong, "Part 3 was received with another ETag"),
                        (done[:3] + [{"part_number": 5}], "Part 5 is none of this upload"), ([], "Part 1 is not named"), (done[:3] + [{"part_number": 0}], "Part 0"),
                        (done[:3] + [{"part_number": -4}], "Part -4"), (done[:3] + [{"etag": "x"}], "part_number")):
        a = complete(s, "1/r/artifacts", "again.bin", uid, parts)
        check(a.status == 400 and word in a.json["message"], word, a)
    for _ in range(3):
        a = complete(s, "1/r/artifacts", "again.bin", uid, [{"part_number": p["part_number"]} for p in done])
        check(a.status == 200 and a.json == {}, a)
    check(fetch(s, "1/r/artifacts/again.bin").body == b"".join(bodies), "not the last bytes of each part")
    check(abort(s, "1/r/artifacts", "again.bin", uid).json == {}, "abort after complete")
    check(fetch(s, "1/r/artifacts/again.bin").status == 200, "an abort removed the artifact")
    status, _, _ = call(cred[0]["url"], body=b"late")
    check(status in (404, 409), status)
    check(fetch(s, "1/r/artifacts/again.bin").body == b"".join(bodies), "a late part changed it")


def aborting(s):
    made = create(s, "1/r/artifacts", "gone.bin", 3).json
    send(made["credentials"][0], b"x" * 1000)
    check(len(folders(s)) == 1, folders(s))
    check(abort(s, "1/r/artifacts", "gone.bin", made["upload_id"]).json == {}, "abort")
    check(folders(s) == [], folders(s))
    check(abort(s, "1/r/artifacts", "gone.bin", made["upload_id"]).json == {}, "abort again")
    check(abort(s, "1/r/artifacts", "gone.bin", "unknown").json == {}, "abort of nothing")
    check(call(made["credentials"][1]["url"], body=b"y")[0] in (403, 404), "a part after the abort")
    check(complete(s, "1/r/artifacts", "gone.bin", made["upload_id"], [{"part_number": 1}]).status == 404, "complete after abort")
    check(fetch(s, "1/r/artifacts/gone.bin").status == 404, "there")
    check(folders(s) == [], folders(s))


def limits(s):
    for parts in (0, -1, 10001, 2 ** 62):
        a = create(s, "1/r/artifacts", "x", parts)
        check(a.status == 400 and "num_parts" in a.json["message"], parts, a)
    a = create(s, "1/r/artifacts", "x", 10000)
    check(a.status == 200 and len(a.json["credentials"]) == 10000, a.status)
    abort(s, "1/r/artifacts", "x", a.json["upload_id"])
    for body, word in (({"num_parts": 1}, "path"), ({"path": "", "num_parts": 1}, "path"), ({"path": "x", "num_parts": "many"}, "num_parts")):
        a = s.post(API + "mpu/create/1/r/artifacts", body)
        check(a.status == 400 and word in a.json["message"], body, a)
    a = s.post(API + "mpu/create/1/r/artifacts", {"path": "x"})
    check(a.status == 200 and len(a.json["credentials"]) == 1, a)
    abort(s, "1/r/artifacts", "x", a.json["upload_id"])
    made = create(s, "1/r/artifacts", "dir-or-file", 1).json
    s.request("PUT", API + "artifacts/1/r/artifacts/dir-or-file/below", b"x", raw=True)
    part = send(made["credentials"][0], b"x")
    a = complete(s, "1/r/artifacts", "dir-or-file", made["upload_id"], [part])
    check(a.status == 400, a)
    abort(s, "1/r/artifacts", "dir-or-file", made["upload_id"])


def cap():
    with Server(args=["--artifact-upload-cap", "1M"]) as s:
        made = create(s, "1/r/artifacts", "big", 3).json
        done = [send(made["credentials"][i], b"x" * 500_000) for i in range(2)]
        try:
            status = call(made["credentials"][2]["url"], body=b"x" * 500_000)[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413
        check(status == 413, status)
        check(complete(s, "1/r/artifacts", "big", made["upload_id"], done).status == 400, "complete")
        check(abort(s, "1/r/artifacts", "big", made["upload_id"]).status == 200, "abort")
        check(folders(s) == [], folders(s))
        # A far part while another has told the size: it has no place, and no file grows to reach one.
        made = create(s, "1/r/artifacts", "far", 10000).json
        u = urllib.parse.urlsplit(made["credentials"][0]["url"])
        with socket.create_connection(("127.0.0.1", s.port), 10) as c:
            c.sendall(f"PUT {u.path}?{u.query} HTTP/1.1\r\nHost: {u.netloc}\r\nContent-Length: 500000\r\n\r\n".encode() + b"x" * 1000)
            folder = os.path.join(s.data, "uploads", made["upload_id"])
            wait_until("the first part", lambda: os.path.exists(os.path.join(folder, "data")))
            send(made["credentials"][9998], b"y" * 500_000)
            sizes = {n: os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder)}
            check(max(sizes.values()) <= 1 << 20, sizes)
        check(abort(s, "1/r/artifacts", "far", made["upload_id"]).status == 200, "abort")
        wait_until("the folder", lambda: folders(s) == [])


def traversal(s):
    names = ["..", "%2e%2e", "%252e%252e", ".", "a/..", "..\\..", "a\\..", "a#b", "a\x00b", "%00", "a/%2e%2e", "..%2f..%2fx", "a\nb"]
    before = sorted(os.listdir(s.data))
    for name in names:
        a = create(s, "1/r/artifacts", name, 1)
        check(a.status == 400, name, a)
    for folder in ("..", "%2e%2e/%2e%2e", "1/../..", "1/%252e%252e/x", "1//x", "/etc", "C:/x", "1/r/..%5c..", "1/r%23x"):
        for verb, body in (("create", {"path": "x", "num_parts": 1}), ("complete", {"path": "x", "upload_id": "../x", "parts": [{"part_number": 1}]}),
                           ("abort", {"path": "x", "upload_id": "../../x"})):
            a = s.post(API + f"mpu/{verb}/{folder}", body)
            check(400 <= a.status < 500 or (verb == "abort" and a.status == 200), verb, folder, a)
        for path in (f"presigned/{folder}", f"presigned/{folder}/quern.db", f"signed/{folder}/quern.db?project=1&sha256=x&expires=9999999999&signature=" + "0" * 64):
            a = s.get(API + path)
            check(400 <= a.status < 500, path, a)
    for uid in ("..", "%2e%2e", "../..", "a%2fb", "x" * 300, "%00", "."):
        a = s.request("PUT", API + f"parts/{uid}/1?expires=9999999999&signature=" + "0" * 64, b"x", raw=True)
        check(400 <= a.status < 500, uid, a)
    check(sorted(os.listdir(s.data)) == before, os.listdir(s.data), before)
    check(folders(s) == [], folders(s))


def forged(s):
    """One member of a signed URL changed at a time."""
    s.request("PUT", API + "artifacts/1/r/artifacts/secret.bin", b"0123456789", raw=True)
    s.request("PUT", API + "artifacts/1/r/artifacts/other.bin", b"other", raw=True)
    a = s.get(API + "presigned/1/r/artifacts/secret.bin")
    check(a.status == 200 and a.json["file_size"] == 10 and a.json["headers"] == {}, a)
    url = a.json["url"]
    check(url.startswith(s.url + "/"), url)
    status, headers, body = call(url, "GET")
    check(status == 200 and body == b"0123456789" and headers["Content-Disposition"].startswith("attachment"), status, headers)
    status, headers, body = call(url, "GET", headers={"Range": "bytes=3-5"})
    check(status == 206 and body == b"345" and headers["Content-Range"] == "bytes 3-5/10", status, headers, body)
    made = create(s, "1/r/artifacts", "forge.bin", 2).json
    parts = [c["url"] for c in made["credentials"]]
    up = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]
    a = s.post("/api/2.0/mlflow/artifacts/presigned-upload-url", {"run_id": up["run_id"], "path": "up.bin"})
    check(a.status == 200 and a.json["presigned_url"].startswith(s.url), a)
    put = a.json["presigned_url"]

    def change(text, **members):
        u = urllib.parse.urlsplit(text)
        q = dict(urllib.parse.parse_qsl(u.query))
        for k, v in members.items():
            if v is None:
                q.pop(k, None)
            else:
                q[k] = v
        return urllib.parse.urlunsplit(u._replace(query=urllib.parse.urlencode(q)))

    later = str(int(time.time()) + 10 ** 6)
    other = hashlib.sha256(b"other").hexdigest()
    tried = [(change(url, expires=later), "GET"), (change(url, project="2"), "GET"), (change(url, sha256=other), "GET"), (change(url, signature="0" * 64), "GET"),
             (change(url, signature=""), "GET"), (change(url, signature=None), "GET"), (change(url, expires=None), "GET"), (change(url, expires="-1"), "GET"),
             (url.replace("secret", "other"), "GET"), (url, "PUT"), (change(url, by="local"), "PUT"),
             (change(parts[0], expires=later), "PUT"), (parts[0].replace("/1?", "/2?"), "PUT"), (parts[0].replace("/1?", "/01?"), "PUT*"),
             (parts[0].replace(made["upload_id"], made["upload_id"][::-1]), "PUT"), (change(parts[0], signature="f" * 64), "PUT"), (parts[0], "GET"),
             (change(put, by="root"), "PUT"), (change(put, project="2"), "PUT"), (put.replace("up.bin", "down.bin"), "PUT"), (put, "GET"),
             (change(put, expires=later), "PUT")]
    for text, method in tried:
        status, _, body = call(text, method[:3], b"forged" if method != "GET" else b"")
        check(status in (400, 403, 405) or method == "PUT*", method, text, status, body)
        check(b"0123456789" not in body, text)
    check(fetch(s, "1/r/artifacts/secret.bin").body == b"0123456789", "written over")
    status, headers, _ = call(put, "PUT", b"fine")
    check(status == 200, status)
    a = s.get(f"/get-artifact?run_id={up['run_id']}&path=up.bin")
    check(a.body == b"fine", a)
    a = s.post("/api/2.0/mlflow/artifacts/presigned-download-url", {"run_id": up["run_id"], "path": "up.bin"})
    check(a.status == 200 and a.json["file_size"] == 4 and call(a.json["presigned_url"], "GET")[2] == b"fine", a)
    for body, word in (({"path": "x"}, "run_id"), ({"run_id": up["run_id"]}, "path"), ({"run_id": up["run_id"], "path": "../x"}, "Invalid path"),
                       ({"run_id": up["run_id"], "path": "x", "expiration": 0}, "expiration"), ({"run_id": up["run_id"], "path": "x", "expiration": 604801}, "expiration")):
        for door in ("upload", "download"):
            a = s.post(f"/api/2.0/mlflow/artifacts/presigned-{door}-url", body)
            check(a.status == 400 and word in a.json["message"], door, body, a)
    # The content stays what it was when the URL was made; the URL dies with the name.
    s.request("PUT", API + "artifacts/1/r/artifacts/secret.bin", b"abcdefghij", raw=True)
    check(call(url, "GET", headers={"Range": "bytes=0-2"})[2] == b"012", "pieces of two files")
    s.request("DELETE", API + "artifacts/1/r/artifacts/secret.bin")
    check(call(url, "GET")[0] == 404, "a deleted artifact is sent")
    check(abort(s, "1/r/artifacts", "forge.bin", made["upload_id"]).status == 200, "abort")
    text = s.log_text(1 << 24)
    check("signature=" not in text and urllib.parse.urlsplit(url).query not in text, "a signature is in the log")


def spent():
    """Uploads that nobody completes end with their time."""
    with Server(args=["--artifact-upload-keep", "2s"]) as s:
        made = create(s, "1/r/artifacts", "old.bin", 2).json
        send(made["credentials"][0], b"x" * 100)
        time.sleep(3.2)
        check(call(made["credentials"][1]["url"], body=b"y")[0] == 403, "a spent URL")
        s.stop()
        s.start()  # housekeeping begins with a turn
        wait_until("the sweep", lambda: folders(s) == [])
        db = sqlite3.connect(f"file:{s.data}/quern.db?mode=ro", uri=True)
        wait_until("the rows", lambda: db.execute("SELECT count(*) FROM upload").fetchone()[0] == 0)
        db.close()
        os.makedirs(os.path.join(s.data, "uploads", "leftover"))
        s.stop()
        s.start()
        wait_until("the orphan", lambda: folders(s) == [])


def hosts():
    with Server(args=["--public-url", "https://models.example/q/"]) as s:
        a = create(s, "1/r/artifacts", "x", 1)
        check(a.json["credentials"][0]["url"].startswith("https://models.example/q/api/2.0/mlflow-artifacts/parts/"), a)
    with Server() as s:
        a = create(s, "1/r/artifacts", "x", 1, headers={"Host": f"localhost:{s.port}"})
        check(a.json["credentials"][0]["url"].startswith(f"http://localhost:{s.port}/"), a)
        a = create(s, "1/r/artifacts", "x", 1, headers={"Host": "evil.example"})
        check(a.status == 403, a)


def parallel(s):
    bodies = [os.urandom(1 << 20) for _ in range(24)] + [os.urandom(12345)]
    made = create(s, "1/p/artifacts", "parallel.bin", 25).json
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        twice = list(range(25)) * 2
        random.shuffle(twice)
        got = list(pool.map(lambda i: send(made["credentials"][i], bodies[i]), twice))
    done = list({p["part_number"]: p for p in got}.values())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: complete(s, "1/p/artifacts", "parallel.bin", made["upload_id"], done).status, range(4)))
    check(200 in answers and set(answers) <= {200, 503, 409}, answers)
    check(fetch(s, "1/p/artifacts/parallel.bin").body == b"".join(bodies), "differs")
    check(folders(s) == [], folders(s))


def kills():
    """kill -9 among parts: what was acknowledged counts, the rest is sent again."""
    bodies = [os.urandom(1 << 20) for _ in range(12)] + [os.urandom(999)]
    with Server() as s:
        made = create(s, "1/k/artifacts", "killed.bin", 13).json
        done, rng = {}, random.Random(7)
        for turn in range(6):
            stop = threading.Event()

            def work(seed):
                r = random.Random(seed)
                while not stop.is_set():
                    i = r.randrange(13)
                    try:
                        done[i] = send(made["credentials"][i], bodies[i])
                    except (OSError, http.client.HTTPException):
                        return

            threads = [threading.Thread(target=work, args=(turn * 10 + k,)) for k in range(4)]
            for t in threads:
                t.start()
            time.sleep(rng.uniform(0.05, 0.3))
            s.kill9()
            stop.set()
            for t in threads:
                t.join()
            s.start()
        for i in range(13):
            if i not in done:
                done[i] = send(made["credentials"][i], bodies[i])
        # A completion that is cut off, over and over, and then is let through.
        for turn in range(20):
            answer = []
            t = threading.Thread(target=lambda: answer.append(try_complete(s, made, done)))
            t.start()
            time.sleep(rng.uniform(0.0, 0.03))
            s.kill9()
            t.join()
            s.start()
            check(fetch(s, "1/k/artifacts/killed.bin").status in (200, 404), "half")
        status = complete(s, "1/k/artifacts", "killed.bin", made["upload_id"], list(done.values())).status
        check(status == 200, status)
        check(fetch(s, "1/k/artifacts/killed.bin").body == b"".join(bodies), "differs")
        s.stop()
        s.start()  # housekeeping begins with a turn
        wait_until("the folder", lambda: folders(s) == [])


def try_complete(s, made, done):
    try:
        return complete(s, "1/k/artifacts", "killed.bin", made["upload_id"], list(done.values())).status
    except (OSError, http.client.HTTPException):
        return None


def torn_part(s):
    """A part that ends early leaves no trace; the same part is then taken whole."""
    made = create(s, "1/t/artifacts", "torn.bin", 2).json
    u = urllib.parse.urlsplit(made["credentials"][0]["url"])
    with socket.create_connection(("127.0.0.1", s.port), 10) as c:
        c.sendall(f"PUT {u.path}?{u.query} HTTP/1.1\r\nHost: {u.netloc}\r\nContent-Length: 100000\r\n\r\n".encode() + b"t" * 5000)
        time.sleep(0.2)
    time.sleep(0.3)
    done = [send(made["credentials"][0], b"w" * 100000), send(made["credentials"][1], b"end")]
    check(complete(s, "1/t/artifacts", "torn.bin", made["upload_id"], done).status == 200, "complete")
    check(fetch(s, "1/t/artifacts/torn.bin").body == b"w" * 100000 + b"end", "differs")


if __name__ == "__main__":
    random.seed(5)
    with Server() as server:
        for test in (shapes, repeats, aborting, limits, traversal, forged, torn_part, parallel):
            test(server)
            print("ok", test.__name__)
    for test in (cap, spent, hosts, kills):
        test()
        print("ok", test.__name__)
