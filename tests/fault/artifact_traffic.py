# SPDX-License-Identifier: Apache-2.0
"""Artifacts under kills: names that are written over and removed, uploads in parts, collections."""
import json
import time
import urllib.parse
from collections import Counter

from run_traffic import ARTIFACTS
from traffic import Cell, Writer, content, sha256

PARTS = "/api/2.0/mlflow-artifacts/mpu/"
UPLOAD_KEEP = 6       # seconds, as the daemon is told


def stored(conn, path):
    """The digest of what lies under the name, None when nothing does."""
    status, data = conn.call("GET", ARTIFACTS + path)
    return None if status == 404 else sha256(data) if status == 200 else f"{status} {data[:200]!r}"


class Artifacts(Writer):
    """A few names, written over and removed, with contents that many share."""

    def __init__(self, *where):
        super().__init__(*where)
        self.names = {f"mixed/{self.number}/f{i}.bin": Cell() for i in range(6)}
        self.sent, self.done = Counter(), Counter()

    def one(self):
        path, cell = self.random.choice(list(self.names.items()))
        if self.random.random() < 0.1:
            self.move(cell, None, "DELETE", ARTIFACTS + path)
            return
        n = self.random.randrange(60)
        body = content(f"shared-{n}", (0, 1, 900, 30000, 250000)[n % 5])
        self.sent[path] += 1
        self.done[path] += self.move(cell, sha256(body), "PUT", ARTIFACTS + path, body, raw=True)

    def check(self, conn, faults, everything):
        for path, cell in self.names.items():
            cell.see(stored(conn, path), f"artifact {path}", faults)


class Uploads(Writer):
    """Uploads in parts. One that a kill cuts off goes on in the next life, or is left to the sweep."""

    def __init__(self, *where):
        super().__init__(*where)
        self.paths, self.fresh, self.open, self.count = {}, [], None, 0
        self.sent, self.done = Counter(), Counter()

    def begin(self):
        self.count += 1
        name, folder = f"u{self.count}.bin", f"parts/{self.number}"
        size, n = self.random.choice((700, 65536, 300000)), self.random.randrange(1, 6)
        sizes = [size] * (n - 1) + [self.random.randrange(1, size)]
        if self.random.random() < 0.2:
            sizes = [self.random.randrange(size) for _ in range(n)]
        bodies = [content(f"{folder}/{name}-{i}", k) for i, k in enumerate(sizes)]
        data = self.send("POST", PARTS + "create/" + folder, {"path": name, "num_parts": n})
        if data is not None:
            made = json.loads(data)
            urls = [urllib.parse.urlsplit(c["url"]) for c in made["credentials"]]
            self.open = {"id": made["upload_id"], "folder": folder, "name": name, "bodies": bodies,
                         "urls": [f"{u.path}?{u.query}" for u in urls], "there": set(),
                         "until": time.monotonic() + UPLOAD_KEEP / 2}
            self.paths[f"{folder}/{name}"] = Cell()
            self.fresh.append(f"{folder}/{name}")

    def one(self):
        u, luck = self.open, self.random.random()
        if u is None:
            self.begin()
            return
        path = f"{u['folder']}/{u['name']}"
        missing = [i for i in range(len(u["bodies"])) if i not in u["there"]]
        if time.monotonic() > u["until"] or luck < 0.02:
            self.open = None
        elif luck < 0.03:
            self.open = None  # and nothing happens when an earlier life has completed it
            self.send("POST", PARTS + "abort/" + u["folder"], {"path": u["name"], "upload_id": u["id"]})
        elif missing or luck < 0.1 and not self.paths[path].value:
            i = self.random.choice(missing or range(len(u["bodies"])))
            if self.send("PUT", u["urls"][i], u["bodies"][i], raw=True) is not None:
                u["there"].add(i)
        else:
            parts = [{"part_number": i + 1, "etag": f'"{sha256(b)}"'} for i, b in enumerate(u["bodies"])]
            self.sent[path] += 1
            if self.move(self.paths[path], sha256(b"".join(u["bodies"])), "POST", PARTS + "complete/" + u["folder"],
                         {"path": u["name"], "upload_id": u["id"], "parts": parts}):
                self.done[path] = 1  # a second one may answer for the first
                self.open = None

    def check(self, conn, faults, everything):
        for path in self.paths if everything else self.fresh:
            self.paths[path].see(stored(conn, path), f"upload {path}", faults)
        self.fresh = [f"{self.open['folder']}/{self.open['name']}"] if self.open else []


class Collector(Writer):
    """Collects blobs that nobody names, at once, while others upload the same contents."""

    def one(self):
        self.send("POST", "/api/v1/artifacts/gc")
        time.sleep(self.random.random() * 0.1)
