# SPDX-License-Identifier: Apache-2.0
"""systemd's service protocol as its manager speaks it: readiness, watchdog and stop over
NOTIFY_SOCKET, a listening socket handed over as descriptor 3."""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN

tmp = tempfile.mkdtemp(prefix="quern-notify-")
log = open(os.path.join(tmp, "log"), "ab")


def messages_until(sock, word, seconds):
    got, end = [], time.monotonic() + seconds
    while not any(word in m for m in got):
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            got.append(sock.recv(4096).decode())
        except TimeoutError:
            raise AssertionError(f"no {word} within {seconds} s; got {got}\n"
                                 + open(log.name).read()[-4000:]) from None
    return got


def start(address, listener):
    """The shell puts its own pid into LISTEN_PID and becomes the daemon, as the manager does."""
    os.set_inheritable(listener.fileno(), True)
    return subprocess.Popen(
        ["bash", "-c", f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"',
         BIN, "serve", "--data", os.path.join(tmp, "data"), "--log-format", "json"],
        pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"})


def try_address(address, bind_to):
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(bind_to)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        p = start(address, listener)
    try:
        messages_until(notify, "READY=1", 30)
        # Only the passed socket is listened on: the default port was never asked for.
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=10) as r:
            assert r.status == 200, r.status
        for _ in range(3):
            messages_until(notify, "WATCHDOG=1", 5)
        p.send_signal(signal.SIGTERM)
        messages_until(notify, "STOPPING=1", 10)
        assert p.wait(30) == 0, p.returncode
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
        notify.close()


path = os.path.join(tmp, "notify.sock")
try_address(path, path)
try_address(f"@quern-notify-{os.getpid()}", f"\0quern-notify-{os.getpid()}")
print("ok")
