# SPDX-License-Identifier: Apache-2.0
"""A webhook's receiver that believes nothing: it looks for what it is told of in the daemon, checks
signatures, and counts the deliveries of each event."""
import json
import random
import threading
import time
from collections import Counter

from receiver import Receiver
from registry_traffic import API
from traffic import SEED, Connection, Lost

EVENTS = [{"entity": e, "action": "CREATED"} for e in ("REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_ALIAS")]
SECRET = "between us"


class Witness:
    def __init__(self, port, life):
        self.life = life
        self.port, self.faults, self.later = port, [], []
        self.told = {}        # event -> ids of its deliveries
        self.bodies = {}      # id -> body
        self.random, self.lock = random.Random(f"{SEED}-witness"), threading.Lock()
        self.receiver = Receiver(self.reply)

    def reply(self, post, n):
        data = post.json["data"]
        event = (post.event, *(str(data[k]) for k in ("name", "alias", "version") if k in data))
        try:
            self.look(event)
        except Lost:
            with self.lock:
                self.later.append(event)
        with self.lock:
            if not post.signed_with(SECRET):
                self.faults.append(f"a wrong signature: {post}")
            if self.bodies.setdefault(post.id, post.body) != post.body:
                self.faults.append(f"one delivery id, two bodies: {post}")
            self.told.setdefault(event, set()).add(post.id)
            pause = self.random.random() * 0.01
        self.life.strike(("Witness", "sent"))
        time.sleep(pause)
        return 200, b"", {}

    def look(self, event):
        """Another connection does not see what is not committed."""
        kind, name, *more = event
        conn = Connection(self.port)
        if kind == "registered_model.created":
            status, data = conn.call("GET", API + f"registered-models/get?name={name}")
        elif kind == "model_version.created":
            status, data = conn.call("GET", API + f"model-versions/get?name={name}&version={more[0]}")
        else:
            status, data = conn.call("GET", API + f"registered-models/alias?name={name}&alias={more[0]}")
        conn.close()
        if status == 503:
            raise Lost
        # This alias only ever moves to greater versions.
        early = status == 200 and more[:1] == ["champion"] and int(json.loads(data)["model_version"]["version"]) < int(more[1])
        if status != 200 or early:
            with self.lock:
                self.faults.append(f"told of {event} before it was there: {status} {data[:200]!r}")

    def look_again(self):
        with self.lock:
            events, self.later = self.later, []
        for event in events:
            self.look(event)

    def subscribe(self, conn):
        conn.ask("POST", API + "webhooks", {"name": "h", "url": self.receiver.url, "events": EVENTS, "secret": SECRET})

    def untold(self, registries):
        with self.lock:
            return [(e, n) for r in registries for e, n in r.done.items() if len(self.told.get(e, ())) < n]

    def invented(self, registries):
        sent = sum((r.sent for r in registries), Counter())
        return [f"INVENTED event {e}, {len(ids)} times" for e, ids in self.told.items() if len(ids) > sent[e]]
