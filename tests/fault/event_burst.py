# SPDX-License-Identifier: Apache-2.0
"""As many ready connections as the library takes events at once (128), and one less and more: all
are answered. libmicrohttpd 0.9.75 waits again, without a time-out, before it looks at a full list."""
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def answer(s):
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        assert part, f"closed after {data!r}"
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += s.recv(65536)
    return head.split(b"\r\n")[0]


def main():
    with quern.Server(args=["--http.threads", "1"]) as server:
        for count in (127, 128, 129, 256, 300):
            sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=10)
                       for _ in range(count)]
            for s in sockets:  # each is known to the daemon
                s.sendall(REQUEST)
                assert b" 200 " in answer(s)
            os.kill(server.process.pid, signal.SIGSTOP)  # so that all are ready when it wakes
            try:
                for s in sockets:
                    s.sendall(REQUEST)
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
            for i, s in enumerate(sockets):
                try:
                    line = answer(s)
                except socket.timeout:
                    raise AssertionError(f"connection {i} of {count} got no answer in 10 s") from None
                assert b" 200 " in line, line
                s.close()
            print(f"{count} at once: all answered")


if __name__ == "__main__":
    main()
