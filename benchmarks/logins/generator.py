"""A load generator: one process with keep-alive connections and no pipelining.

Closed loop (no `--rate`): every connection sends as soon as it was answered. Open loop: request i
is due at i / rate, and its latency counts from then, whether or not a connection was free (no
coordinated omission), until it was heard. The generator looks at the clock and its connections
every 0.2 ms, so up to two such ticks are its own. It never sleeps on a connection: the server's
send would then pay for waking it, which no client on another machine costs a server. A connection
that is cut before a byte of the answer is opened again and the request repeated, as HTTP clients do
for GET (RFC 9110, 9.2.2); with `--keyed` each request has an Idempotency-Key, so a repetition is no
second impression.
"""

import argparse
import json
import select
import signal
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

TICK_SECONDS = 0.0002
HEAD_END, LENGTH = b"\r\n\r\n", b"content-length: "
# A request that was cut this often is counted as failed.
ATTEMPTS = 50


@dataclass(slots=True)
class Run:
    """What came of the requests; seconds of latency in the order of answers."""

    seconds: float = 0.0
    latency: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    repeated: int = 0

    def summary(self) -> dict[str, object]:
        """Counts, requests a second, and latency in milliseconds."""
        ordered = sorted(self.latency)
        at = {
            f"p{p}_ms": ordered[min(len(ordered) - 1, len(ordered) * p // 100)] * 1e3
            for p in (50, 99)
        }
        return {
            "answered": len(self.bodies),
            "failed": len(self.failed),
            "examples": self.failed[:3],
            "repeated": self.repeated,
            "seconds": self.seconds,
            "rate": len(self.bodies) / self.seconds,
            **at,
            "max_ms": ordered[-1] * 1e3,
        }


class Generator:
    """Sends `requests` over `connections` to a port of this machine."""

    def __init__(self, port: int, requests: list[bytes], *, connections: int, rate: float) -> None:
        self.port, self.requests, self.rate = port, requests, rate
        self.run = Run()
        self.ended = False
        self._poll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._asked: dict[int, int] = {}
        self._heard: dict[int, bytes] = {}
        self._attempts: dict[int, int] = {}
        self._due = [0.0] * len(requests)
        self._idle = deque(self._connect() for _ in range(connections))

    def go(self) -> Run:
        """Until everything is answered, or `ended` is set."""
        began, sent, count, clock = time.perf_counter(), 0, len(self.requests), time.perf_counter
        while not (self.ended or sent == count) or self._asked:
            now = clock()
            ready = min(count, int((now - began) * self.rate) + 1) if self.rate else count
            while sent < ready and self._idle and not self.ended:
                self._due[sent] = began + sent / self.rate if self.rate else now
                self._send(self._idle.popleft(), sent)
                sent += 1
            self._wait(now)
        self.run.seconds = clock() - began
        return self.run

    def _wait(self, since: float) -> None:
        """For the next tick, asleep, so that a core is left to the server; then hear what came."""
        time.sleep(max(since + TICK_SECONDS - time.perf_counter(), 0))
        for fd, _ in self._poll.poll(0):
            self._hear(fd)

    def _connect(self) -> int:
        link = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = link.fileno()
        self._open[fd] = link
        self._poll.register(fd, select.EPOLLIN)
        return fd

    def _send(self, fd: int, number: int) -> None:
        self._asked[fd] = number
        try:
            self._open[fd].send(self.requests[number])
        except OSError:
            self._cut(fd)

    def _hear(self, fd: int) -> None:
        try:
            data = self._open[fd].recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._cut(fd)
            return
        if held := self._heard.pop(fd, b""):
            data = held + data
        end = data.find(HEAD_END)
        at = data.find(LENGTH) + len(LENGTH)
        if end < 0 or len(data) < end + 4 + int(data[at : data.index(b"\r", at)]):
            self._heard[fd] = data
            return
        number = self._asked.pop(fd)
        if data.startswith(b"HTTP/1.1 200 "):
            self.run.latency.append(time.perf_counter() - self._due[number])
            self.run.bodies.append(data[end + 4 :])
        else:
            self.run.failed.append(data[:400].decode("latin-1"))
        self._idle.append(fd)

    def _cut(self, fd: int) -> None:
        self._poll.unregister(fd)
        self._open.pop(fd).close()
        number, heard = self._asked.pop(fd, None), self._heard.pop(fd, b"")
        again = self._connect()
        if number is None:
            self._idle = deque(other if other != fd else again for other in self._idle)
            return
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if heard or self._attempts[number] > ATTEMPTS:
            self.run.failed.append(
                f"request {number} was cut after {len(heard)} bytes of its answer"
            )
            self._idle.append(again)
        else:
            self.run.repeated += 1
            self._send(again, number)


def request(user_id: str, k: int, token: str, key: str = "") -> bytes:
    """The bytes of a login."""
    keyed = f"Idempotency-Key: {key}\r\n" if key else ""
    head = f"GET /v1/users/{user_id}/recommendations?k={k} HTTP/1.1\r\nHost: localhost\r\n"
    return f"{head}Authorization: Bearer {token}\r\n{keyed}\r\n".encode()


def main() -> None:
    """Print the summary as JSON; answers go to `--answers`, one a line; SIGTERM ends the load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("token")
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--keyed", action="store_true")
    parser.add_argument("--answers", type=Path)
    given = parser.parse_args()
    requests = [
        request(f"user-{n % given.users:06d}", given.k, given.token, f"r{n}" if given.keyed else "")
        for n in range(given.requests)
    ]
    generator = Generator(given.port, requests, connections=given.connections, rate=given.rate)
    signal.signal(signal.SIGTERM, lambda *_: setattr(generator, "ended", True))
    run = generator.go()
    if given.answers:
        given.answers.write_bytes(b"\n".join(run.bodies))
    print(json.dumps(run.summary()))


if __name__ == "__main__":
    main()
