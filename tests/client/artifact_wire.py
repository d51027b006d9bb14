# SPDX-License-Identifier: Apache-2.0
"""The artifact proxy and the blob routes, byte by byte, without any client library.
With --large: an upload of 2 GiB must not make the daemon grow by 64 MiB."""
import hashlib
import http.client
import json
import os
import socket
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def url(path):
    return PROXY + "/" + urllib.parse.quote(path)


def put(s, path, body):
    a = s.request("PUT", url(path), body, raw=True)
    check(a.status == 200 and a.json == {}, path, a)
    return a


def listing(s, path=None):
    a = s.get(PROXY + ("" if path is None else "?path=" + urllib.parse.quote(path)))
    check(a.status == 200, a)
    return a.json


def raw(s, head, body=b""):
    with socket.create_connection(("127.0.0.1", s.port), 10) as c:
        c.sendall(head.encode("latin-1") + body)
        out = b""
        while b"\r\n\r\n" not in out:
            more = c.recv(65536)
            if not more:
                break
            out += more
        return out


def round_trips(s):
    cases = {
        "1/r/artifacts/plain.txt": b"hello",
        "1/r/artifacts/with blank.bin": os.urandom(70000),
        "1/r/artifacts/\u00e9t\u00e9/\u65e5\u672c.csv": b"a,b\n",
        "1/r/artifacts/100%.txt": b"percent",
        "1/r/artifacts/a%20b/x": b"literally percent twenty",
        "1/r/artifacts/quote\"and'.txt": b"quotes",
        "1/r/artifacts/a/b/c/d": b"nested",
        "1/r/artifacts/semi;colon&amp=+.txt": b"signs",
        "1/r/artifacts/empty": b"",
    }
    for path, body in cases.items():
        put(s, path, body)
    for path, body in cases.items():
        a = s.get(url(path))
        digest = hashlib.sha256(body).hexdigest()
        check(a.status == 200 and a.body == body, path, a.status, a.body[:80])
        check(a.headers["ETag"] == f'"sha256:{digest}"', path, a.headers["ETag"])
        check(a.headers["Content-Disposition"].startswith("attachment"), a.headers["Content-Disposition"])
        check(a.headers["X-Content-Type-Options"] == "nosniff", dict(a.headers))
        again = s.get(url(path), headers={"If-None-Match": a.headers["ETag"]})
        check(again.status == 304 and again.body == b"", path, again)
    a = s.get(url("1/r/artifacts/\u00e9t\u00e9/\u65e5\u672c.csv"))
    check("filename*=UTF-8''%E6%97%A5%E6%9C%AC.csv" in a.headers["Content-Disposition"], a.headers["Content-Disposition"])
    check(a.headers["Content-Type"] == "text/plain", a.headers["Content-Type"])
    put(s, "1/r/artifacts/plain.txt", b"replaced")
    check(s.get(url("1/r/artifacts/plain.txt")).body == b"replaced", "not replaced")


def listings(s):
    root = listing(s, "1/r/artifacts")["files"]
    names = [f["path"] for f in root]
    check(names == sorted(names, key=lambda n: n.encode()) and "100%.txt" in names, names)
    by = {f["path"]: f for f in root}
    check(by["a"] == {"path": "a", "is_dir": True}, by["a"])
    check(by["empty"] == {"path": "empty", "is_dir": False}, by["empty"])
    check(by["plain.txt"] == {"path": "plain.txt", "is_dir": False, "file_size": 8}, by["plain.txt"])
    check(listing(s, "1/r/artifacts/plain.txt") == {}, "a file lists itself")
    check(listing(s, "1/r/nowhere") == {}, "a missing folder lists something")
    check(listing(s) == {"files": [{"path": "1", "is_dir": True}]}, listing(s))
    check(listing(s, "") == listing(s), "empty path is the root")
    ajax = s.get("/ajax-api/2.0/mlflow-artifacts/artifacts?path=1/r/artifacts")
    check(ajax.json["files"] == root, ajax)


def ranges(s):
    body = bytes(range(256)) * 40
    put(s, "1/r/artifacts/range.bin", body)
    for spec, want in (("bytes=0-9", body[:10]), ("bytes=10000-", body[10000:]), ("bytes=-5", body[-5:]),
                       ("bytes=10239-99999", body[10239:])):
        a = s.get(url("1/r/artifacts/range.bin"), headers={"Range": spec})
        check(a.status == 206 and a.body == want, spec, a.status, len(a.body))
        check(a.headers["Content-Range"].endswith("/10240"), a.headers["Content-Range"])
    a = s.get(url("1/r/artifacts/range.bin"), headers={"Range": "bytes=10240-"})
    check(a.status == 416, a.status)
    a = s.request("HEAD", url("1/r/artifacts/range.bin"))
    check(a.status == 200 and a.headers["Content-Length"] == "10240" and a.body == b"", a.status, dict(a.headers))


def empty_chunked(s):
    head = (f"PUT {url('1/r/artifacts/chunked-empty')} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    out = raw(s, head, b"0\r\n\r\n")
    check(out.startswith(b"HTTP/1.1 200"), out[:200])
    check(s.get(url("1/r/artifacts/chunked-empty")).body == b"", "not empty")
    head = head.replace("chunked-empty", "chunked")
    out = raw(s, head, b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
    check(out.startswith(b"HTTP/1.1 200"), out[:200])
    check(s.get(url("1/r/artifacts/chunked")).body == b"abcdefg", "chunks differ")


def broken_upload(s):
    """A body that ends early leaves nothing under the name."""
    with socket.create_connection(("127.0.0.1", s.port), 10) as c:
        c.sendall((f"PUT {url('1/r/artifacts/torn')} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
                   "Content-Length: 1000000\r\n\r\n").encode() + b"x" * 1000)
        time.sleep(0.2)
    time.sleep(0.5)
    check(s.get(url("1/r/artifacts/torn")).status == 404, s.get(url("1/r/artifacts/torn")))
    check(os.listdir(os.path.join(s.data, "tmp")) == [], os.listdir(os.path.join(s.data, "tmp")))


def errors(s):
    a = s.get(url("1/r/artifacts/none"))
    check(a.status == 404 and a.json["error_code"] == "RESOURCE_DOES_NOT_EXIST", a)
    check("No such artifact: '1/r/artifacts/none'" in a.json["message"], a)
    a = s.get(url("1/r/artifacts/a"))
    check(a.status == 400 and a.json["error_code"] == "INVALID_PARAMETER_VALUE", a)
    a = s.request("PUT", url("1/r/artifacts/a"), b"x", raw=True)
    check(a.status == 400, a)
    a = s.request("PUT", url("1/r/artifacts/a/b/c/d/e"), b"x", raw=True)
    check(a.status == 400, a)
    a = s.request("DELETE", url("1/r/never"))
    check(a.status == 200 and a.json == {}, a)
    for name in ("1/r/artifacts/a", "1/r/artifacts/none"):
        a = s.get("/api/2.0/mlflow-artifacts/presigned/" + name)
        check(a.status in (400, 404), name, a)


def small_upload(s):
    """The web page's own upload: raw body, empty answer, at most 10 MiB."""
    run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
    door = "/ajax-api/2.0/mlflow/upload-artifact?"

    def up(body, **query):
        return s.request("POST", door + urllib.parse.urlencode(query), body, raw=True)

    a = up(b"\x00\xffbytes", run_uuid=run, path="a/b c.bin")
    check(a.status == 200 and a.body == b"", a)
    check(s.get(f"/get-artifact?run_id={run}&path=a/b%20c.bin").body == b"\x00\xffbytes", "differs")
    check(s.get(f"/get-artifact?run_uuid={run}&path=a/b%20c.bin").status == 200, "run_uuid")
    check(up(b"z" * (10 << 20), run_uuid=run, path="ten").status == 200, "10 MiB")
    for body, query, status in ((b"", {"run_uuid": run, "path": "none"}, 400),
                                (b"x", {"path": "x"}, 400), (b"x", {"run_uuid": run}, 400), (b"x", {"run_uuid": "0" * 32, "path": "x"}, 404),
                                (b"x", {"run_uuid": run, "path": "../x"}, 400), (b"x", {"run_uuid": run, "path": "%2e%2e/x"}, 400),
                                (b"x", {"run_uuid": run, "path": "/x"}, 400), (b"x", {"run_uuid": run, "path": "a"}, 400)):
        a = up(body, **query)
        check(a.status == status, query, a)
    out = raw(s, f"POST {door}run_uuid={run}&path=over HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\nContent-Length: {(10 << 20) + 1}\r\n\r\n")
    check(out.startswith(b"HTTP/1.1 413"), out[:300])
    s.mlflow("runs/delete", {"run_id": run})
    check(up(b"x", run_uuid=run, path="late").status == 400, "a deleted run takes an artifact")


def media_types(s):
    want = {"a.txt": "text/plain", "MLmodel": "text/plain", "MLproject": "text/plain", "a.YAML": "text/plain", "a.json": "text/plain", "a.py": "text/plain",
            "a.html": "text/html", "a.svg": "image/svg+xml", "a.png": "image/png", "a.pdf": "application/pdf", "a.unknown": "application/octet-stream",
            "noextension": "application/octet-stream", "a.csv": "text/plain"}
    run = s.mlflow("runs/create", {"experiment_id": "0"}).json["run"]["info"]["run_id"]
    for name, kind in want.items():
        put(s, f"0/{run}/artifacts/{name}", b"x")
        for a in (s.get(url(f"0/{run}/artifacts/{name}")), s.get(f"/get-artifact?run_id={run}&path={name}")):
            check(a.headers["Content-Type"] == kind, name, dict(a.headers))
            check(a.headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in a.headers["Content-Security-Policy"], name, dict(a.headers))
            check(a.headers["Content-Disposition"].startswith("attachment") and name in a.headers["Content-Disposition"], name, dict(a.headers))


def traversal(s):
    """Nothing of a file next to the data folder is ever answered, stored over or deleted."""
    canary = os.path.join(os.path.dirname(s.data), os.path.basename(s.data) + "-canary")
    with open(canary, "w") as f:
        f.write("CANARY-7e57")
    name = os.path.basename(canary)
    ups = ["..", "%2e%2e", "%2E%2e", ".%2e", "%252e%252e", "%25252e%25252e", "..%5c..", "..\\..", "..%00", "%c0%ae%c0%ae",
           "..;", "#..", "%23..", "..%252f..", "..%255c", "%2e%2e%2f", "..%2f..", "/etc", "//etc", "file:", "C:"]
    tried = 0
    for up in ups:
        for depth in (1, 2, 4):
            for path in ("/".join([up] * depth) + "/" + name, "1/r/" + "/".join([up] * depth) + "/" + name):
                for method in ("GET", "PUT", "DELETE"):
                    body = b"overwritten" if method == "PUT" else b""
                    out = raw(s, f"{method} {PROXY}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
                                 f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n", body)
                    tried += 1
                    status = int(out.split(b" ")[1]) if out else 0
                    # ".." inside a longer name is an ordinary character string; it must stay below.
                    harmless = up in ("..;", "C:", "file:") and status == 200
                    check(harmless or 400 <= status < 500, method, path, out[:200])
                    check(b"CANARY" not in out, method, path, out)
                for query in ("artifacts?path=",):
                    out = raw(s, f"GET {PROXY[:-9]}{query}{path.replace('#', '%23')} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
                                 "Connection: close\r\n\r\n")
                    check(b"CANARY" not in out and b"quern.db" not in out, path, out)
    with open(canary) as f:
        check(f.read() == "CANARY-7e57", "the canary was changed")
    os.unlink(canary)
    check(tried > 300, tried)
    for odd in ("1/r/..;", "1/r/file:", "1/r/C:"):
        s.request("DELETE", url(odd))


def delete(s):
    check(s.request("DELETE", url("1/r/artifacts/a")).json == {}, "delete")
    check(s.get(url("1/r/artifacts/a/b/c/d")).status == 404, "still there")
    check(s.get(url("1/r/artifacts/100%.txt")).status == 200, "deleted too much")


def blobs(s):
    digest = hashlib.sha256(b"percent").hexdigest()
    a = s.get(f"/api/v1/blobs/{digest}")
    check(a.status == 200 and a.body == b"percent", a)
    check(s.get(f"/api/v1/blobs/{'0' * 64}").status == 404, "unknown blob")
    a = s.get("/api/v1/blobs/xyz")
    check(a.status == 400 and a.json["status"] == 400 and a.json["field"] == "sha256", a)
    for t in s.get("/api/v1/trash?kind=artifact").json["things"]:  # keeps deleted content
        check(s.request("DELETE", f"/api/v1/trash/artifact/{t['id']}").status == 200, t)
    a = s.post("/api/v1/artifacts/gc")
    check(a.status == 200 and a.json["blobs"] >= 1, a)  # the server runs without a grace
    check(s.get(f"/api/v1/blobs/{digest}").body == b"percent", "collected although named")
    nested = hashlib.sha256(b"nested").hexdigest()
    check(not os.path.exists(os.path.join(s.data, "blobs", nested[:2], nested[2:])), "orphan not collected")


def damaged(s):
    digest = hashlib.sha256(b"percent").hexdigest()
    with open(os.path.join(s.data, "blobs", digest[:2], digest[2:]), "r+b") as f:
        f.write(b"PERCENT")
    a = s.get(url("1/r/artifacts/100%.txt"))
    check(a.status == 500 and b"PERCENT" not in a.body, a)


def concurrent(s):
    """The same content from many connections at once is stored once."""
    body = os.urandom(3_000_000)
    digest = hashlib.sha256(body).hexdigest()
    failures = []

    def one(i):
        a = s.request("PUT", url(f"1/c/artifacts/{i}"), body, raw=True)
        if a.status != 200:
            failures.append(a)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not failures, failures)
    for i in range(16):
        check(s.get(url(f"1/c/artifacts/{i}")).body == body, i)
    check(os.path.getsize(os.path.join(s.data, "blobs", digest[:2], digest[2:])) == len(body), "size")
    check(os.listdir(os.path.join(s.data, "tmp")) == [], "tmp is not empty")


def upload_cap():
    with Server(args=["--artifact-upload-cap", "1M"]) as s:
        put(s, "1/u/artifacts/fits", b"z" * (1 << 20))
        for head, body in ((f"Content-Length: {2 << 20}", b""),
                           ("Transfer-Encoding: chunked", (b"10000\r\n" + b"z" * 0x10000 + b"\r\n") * 32 + b"0\r\n\r\n")):
            try:
                out = raw(s, f"PUT {url('1/u/artifacts/over')} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n{head}\r\n\r\n", body)
            except (BrokenPipeError, ConnectionResetError):
                out = b"HTTP/1.1 413 closed while sending"
            check(out.startswith(b"HTTP/1.1 413"), head, out[:300])
        check(s.get(url("1/u/artifacts/over")).status == 404, "kept although too large")
        check(listing(s, "1/u/artifacts")["files"] == [{"path": "fits", "is_dir": False, "file_size": 1 << 20}], "listing")
        end = time.monotonic() + 5
        while os.listdir(os.path.join(s.data, "tmp")) and time.monotonic() < end:
            time.sleep(0.05)
        check(os.listdir(os.path.join(s.data, "tmp")) == [], os.listdir(os.path.join(s.data, "tmp")))


def kill_during_upload():
    with Server() as s:
        c = socket.create_connection(("127.0.0.1", s.port), 10)
        c.sendall((f"PUT {url('1/k/artifacts/torn')} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n"
                   "Content-Length: 50000000\r\n\r\n").encode() + b"y" * 5_000_000)
        put(s, "1/k/artifacts/whole", b"acknowledged")
        s.kill9()
        c.close()
        s.start()
        check(s.get(url("1/k/artifacts/whole")).body == b"acknowledged", "an acknowledged upload is lost")
        check(s.get(url("1/k/artifacts/torn")).status == 404, "a torn upload is there")
        check(os.listdir(os.path.join(s.data, "tmp")) == [], os.listdir(os.path.join(s.data, "tmp")))


def rss(pid, what="VmRSS"):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(what)


def large(size=2 << 30):
    with Server() as s:
        put(s, "1/l/artifacts/warm", os.urandom(1 << 20))
        before, peak, done = rss(s.process.pid), 0, False

        def watch():
            nonlocal peak
            while not done:
                peak = max(peak, rss(s.process.pid))
                time.sleep(0.02)

        t = threading.Thread(target=watch)
        t.start()
        c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=600)
        c.putrequest("PUT", url("1/l/artifacts/large.bin"))
        c.putheader("Content-Length", str(size))
        c.endheaders()
        block, h, start = os.urandom(1 << 20), hashlib.sha256(), time.monotonic()
        for i in range(size >> 20):
            part = i.to_bytes(8, "big") + block[8:]
            h.update(part)
            c.send(part)
        r = c.getresponse()
        answer = r.read()
        spent = time.monotonic() - start
        check(r.status == 200, r.status, answer)
        c.request("GET", url("1/l/artifacts/large.bin"))
        r, got, n = c.getresponse(), hashlib.sha256(), 0
        while True:
            part = r.read(1 << 20)
            if not part:
                break
            got.update(part)
            n += len(part)
        done = True
        t.join()
        check(n == size and got.hexdigest() == h.hexdigest(), n, got.hexdigest())
        grown = peak - before
        print(f"{size >> 20} MiB in {spent:.1f} s ({(size >> 20) / spent:.0f} MiB/s with the sender's own hashing), "
              f"memory {before >> 20} MiB, peak {peak >> 20} MiB, grown {grown / 1048576:.1f} MiB")
        check(grown < 64 << 20, grown)
        check(r.headers["ETag"] == f'"sha256:{h.hexdigest()}"', r.headers["ETag"])


if __name__ == "__main__":
    if "--large" in sys.argv:
        large()
    else:
        with Server(args=["--artifact-gc-grace", "0ms"]) as server:
            for test in (round_trips, listings, ranges, empty_chunked, broken_upload, errors, small_upload, media_types, traversal, delete, blobs,
                         damaged, concurrent):
                test(server)
                print("ok", test.__name__)
        for test in (upload_cap, kill_during_upload):
            test()
            print("ok", test.__name__)
