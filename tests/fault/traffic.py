# SPDX-License-Identifier: Apache-2.0
"""What the tests that kill the daemon share: connections on which an answer may never come, the lives
of the daemon, writers that work in them, and values of which two may be there after a kill."""
import hashlib
import http.client
import json
import os
import random
import sys
import threading
import time
import traceback

SEED = int(os.environ.get("CRASH_SEED", str(int(time.time()))))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def content(name, size):
    """Bytes that follow from the name, so that any torn or mixed object shows."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Lost(Exception):
    """No answer: the outcome is unknown."""


class Connection:
    def __init__(self, port, timeout=30):
        self.port, self.timeout, self.http = port, timeout, None
        self.sent = None      # called between a request and its answer

    def call(self, method, path, body=None, raw=False, headers=None):
        headers = dict(headers or {})
        if body is not None and not raw:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            self.http.request(method, path, body=body, headers=headers)
            if self.sent:
                self.sent()
            r = self.http.getresponse()
            data = r.read()
            if r.will_close:
                self.close()
            return r.status, data
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise Lost(repr(e)) from e

    def ask(self, method, path, body=None):
        """The answer's JSON; it must be 200."""
        status, data = self.call(method, path, body)
        assert status == 200, f"{method} {path}: {status} {data[:300]!r}"
        return json.loads(data)

    def close(self):
        if self.http is not None:
            self.http.close()
            self.http = None


class Life:
    """Counts the daemon's starts, and who works in the present life. `kill` may end it at a random
    instant, or just after a request of some kind was sent or answered."""

    def __init__(self, kill=None):
        self.number, self.up, self.at_work, self.changed = 0, False, 0, threading.Condition()
        self.kill, self.aim, self.struck = kill, None, threading.Event()

    def begin(self):
        with self.changed:
            self.number += 1
            self.up = True
            self.changed.notify_all()

    def end(self):
        """Nothing is sent any more when this returns, and all that was sent is answered or lost."""
        with self.changed:
            self.up = False
            assert self.changed.wait_for(lambda: self.at_work == 0, timeout=120), "a writer hangs"

    def kill_at(self, kind, moment, patience=2):
        self.struck.clear()
        self.aim = kind, moment
        self.struck.wait(patience)
        self.strike(self.aim)

    def strike(self, aim):
        if not aim or aim != self.aim:
            return
        with self.changed:
            if aim == self.aim:
                self.aim = None
                self.kill()
                self.struck.set()

    def enter(self, before):
        """The number of a life after `before`, or None when there is none for a moment."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.up and self.number > before, timeout=0.1):
                return None
            self.at_work += 1
            return self.number

    def leave(self):
        with self.changed:
            self.at_work -= 1
            self.changed.notify_all()


class Cell:
    """A value that one writer moves. It is the last acknowledged one, or one on its way since."""

    def __init__(self, value=None):
        self.allowed = [value]

    @property
    def value(self):
        return self.allowed[-1]

    def see(self, seen, what, faults):
        if seen not in self.allowed:
            faults.append(f"{what}: {seen!r} is there, not one of {self.allowed!r}")
        self.allowed = [seen]


class Writer:
    """One thread's traffic. `one` does one thing; what was answered is kept by whoever derives."""

    def __init__(self, number, port, life, stop):
        self.number, self.life, self.stop_now = number, life, stop
        self.conn, self.kind = Connection(port), type(self).__name__
        self.conn.sent = self.was_sent
        self.random = random.Random(f"{SEED}-{self.kind}-{number}")
        self.acked = self.unknown = 0
        self.refused = []     # answers that were neither 200 nor a plain "busy", and faults in here
        self.lock = threading.Lock()

    def was_sent(self):
        if self.life.aim == (self.kind, "sent"):
            time.sleep(self.random.random() * 0.005)
            self.life.strike((self.kind, "sent"))

    def send(self, method, path, body=None, raw=False, headers=None):
        """The answer's bytes when acknowledged, None when refused; raises Lost."""
        status, data = self.conn.call(method, path, body, raw, headers)
        if status == 200:
            self.acked += 1
            self.life.strike((self.kind, "answered"))
            return data
        if status not in (429, 503):
            self.refused.append(f"{method} {path}: {status} {data[:300]!r}")
        return None

    def move(self, cell, value, method, path, body=None, raw=False):
        """Moves the cell by one request; whether it was acknowledged."""
        cell.allowed.append(value)
        done = self.send(method, path, body, raw) is not None
        cell.allowed = cell.allowed[-1:] if done else cell.allowed[:-1]
        return done

    def one(self):
        raise NotImplementedError

    def check(self, conn, faults, everything):
        """Compares the daemon that came back with what was acknowledged, lately or ever."""

    def run_loop(self):
        """Writes while the daemon is up; after a lost answer waits for its next life."""
        life = 0
        while not self.stop_now.is_set():
            current = self.life.enter(life)
            if current is None:
                continue
            self.conn.close()
            try:
                while not self.stop_now.is_set() and self.life.up and self.life.number == current:
                    self.one()
            except Lost:
                self.unknown += 1
            except Exception:
                self.refused.append(traceback.format_exc())
            finally:
                self.life.leave()
            life = current


def give_up(faults, server):
    print(f"seed {SEED}; data kept in {server.data}, log in {server.log_path}")
    for f in faults[:40]:
        print(f)
    print(f"{len(faults)} faults")
    if server.process.poll() is None:
        server.kill9()
    sys.exit(1)


def start(writers):
    threads = [threading.Thread(target=w.run_loop, daemon=True) for w in writers]
    for t in threads:
        t.start()
    return threads
