"""Requests with something wrong in them, to every path of a running server: none may be a fault.

Run with `python -m benchmarks.mutated_requests HOME [--requests N] [--seed N]` on a home that has
models and lists, such as a demo's. Valid requests to the API and, signed in, to the console are
changed at a few places each: bytes flipped, cut, repeated or exchanged with other requests, values
of parameters replaced. Each is sent on a connection of its own to the server as `up` starts it.

Prints answers by path and status, and fails where one is 500 or above (but 503 with a problem that
says what to do), or where a request gets no answer and the server is not ready afterwards. After a
request that was cut short the connection is half closed, and the server may close it unanswered.
"""

import argparse
import json
import os
import random
import re
import socket
import sys
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

TOKEN = "a benchmark's token"
HOST = "127.0.0.1"
READS = (
    *("/healthz", "/readyz", "/metrics", "/v1/champion", "/v1/decisions", "/openapi.json"),
    *("/v1/users/user-000001/recommendations?k=10", "/v1/decisions?limit=3"),
)
PAGES = (
    *("/", "/audition?stage=0", "/engagement?segment=country&days=28", "/drift?day=2026-01-10"),
    *("/quality", "/decisions?decision=hold&text=users&before=9&at=2026-01-10T10:00", "/lineage"),
    *("/decisions/1", "/reports/data_drift/2026-01-10", "/listener", "/by-hand", "/sign-in"),
)
FORMS = {
    "/listener": "user_id=user-000001",
    "/promote": "version=1&reason=why",
    "/rollback": "reason=why",
    "/sign-in": "token=no",
}
EVENT = {
    "event_id": "mutated",
    "event_type": "click",
    "occurred_at": "2026-01-10T10:00:00Z",
    "user_id": "user-000001",
    "source": "web",
    "source_seq": 1,
    "slate_id": "s",
    "artist_id": "a",
    "position": 1,
}
# Values that parsers of numbers, dates, paths and texts meet rarely.
ODD = (
    *("", "-1", "0", "1e9", "99999999999999999999", "0001-01-01", "9999-12-31T23:59:60Z", "NaN"),
    *("2026-02-30", "%00", "%ff", "..%2f..%2f", "٣", "é", "null", "[]", "true", "a" * 4000),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid request: its path without the query, for the count, and its bytes."""

    path: str
    data: bytes


def main() -> None:
    """Send so many requests and print what was answered."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("home", type=Path)
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", action="store_true")
    asked = arguments.parse_args()
    os.environ |= {"FIRSTCHAIR_HOME": str(asked.home), "FIRSTCHAIR_API_TOKEN": TOKEN}
    report = measured(asked.requests, asked.seed)
    print(json.dumps(report) if asked.json else _as_text(report))
    sys.exit(1 if report["faults"] else 0)


def measured(requests: int, seed: int) -> dict[str, object]:
    """Answers by path and status, and the requests that met a fault."""
    from benchmarks.logins.service import asked, running, settings_of
    from firstchair.commands.up import api_service
    from firstchair.settings import load_settings

    settings = load_settings()
    settings = settings.model_copy(update={"api_port": settings_of(settings.home).api_port})
    draw = random.Random(seed)
    answers: Counter[tuple[str, str]] = Counter()
    faults: list[str] = []
    environment = {"FIRSTCHAIR_API_PORT": str(settings.api_port), "FIRSTCHAIR_API_TOKEN": TOKEN}
    with running(api_service(settings).command, settings.api_port, "/readyz", environment):
        samples = _samples(_session(settings.api_port))
        for _ in range(requests):
            sample = draw.choice(samples)
            data = _mutated(sample.data, samples, draw)
            status = _answer(settings.api_port, data)
            answers[sample.path, status] += 1
            is_fault = status.startswith("5") and status != "503"
            if is_fault or (status == "none" and asked(settings.api_port, "/readyz") is None):
                faults.append(f"{status}: {data[:2000]!r}")
    by_path: dict[str, dict[str, int]] = {}
    for (path, status), count in sorted(answers.items()):
        by_path.setdefault(path, {})[status] = count
    return {"requests": requests, "seed": seed, "answers": by_path, "faults": faults}


def _session(port: int) -> str:
    """The cookie of somebody who has signed in to the console."""
    form = urllib.parse.urlencode({"token": TOKEN}).encode()
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: {HOST}:{port}\r\nOrigin: http://{HOST}:{port}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    )
    heard = _exchanged(port, head.encode() + form).decode("latin-1")
    lines = heard.split("\r\n")
    cookie = next((line for line in lines if line.lower().startswith("set-cookie: ")), None)
    assert cookie is not None, heard[:500]
    return cookie.partition(": ")[2].partition(";")[0]


def _samples(cookie: str) -> list[Sample]:
    bearer = f"Authorization: Bearer {TOKEN}\r\n"
    signed_in = f"Cookie: {cookie}\r\nOrigin: http://{HOST}\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    events = json.dumps([EVENT, EVENT | {"event_type": "login"}])
    found = [_sample("GET", path, bearer) for path in READS]
    found += [_sample("GET", path, signed_in) for path in PAGES]
    found += [_sample("POST", path, signed_in + form, body) for path, body in FORMS.items()]
    found += [_sample("POST", "/v1/events", bearer, body) for body in (events, json.dumps(EVENT))]
    return found


def _sample(verb: str, target: str, headers: str, body: str = "") -> Sample:
    length = f"Content-Length: {len(body)}\r\n" if verb == "POST" else ""
    head = f"{verb} {target} HTTP/1.1\r\nHost: {HOST}\r\n{headers}{length}Connection: close\r\n\r\n"
    return Sample(target.partition("?")[0], (head + body).encode())


def _mutated(data: bytes, samples: list[Sample], draw: random.Random) -> bytes:
    """Mostly the target or the body is changed, for parsers behind that of HTTP to be met."""
    head, _, body = data.partition(b"\r\n\r\n")
    verb, target, rest = head.split(b" ", 2)
    place = draw.random()
    if place < 0.15:
        return _changed(data, samples, draw)
    if body and place < 0.6:
        length = b"Content-Length: %d" % len(body)
        body = _changed(body, samples, draw)
        rest = rest.replace(length, b"Content-Length: %d" % len(body))
    else:
        target = _changed(target, samples, draw)
    return b"%b %b %b\r\n\r\n%b" % (verb, target, rest, body)


def _changed(data: bytes, samples: list[Sample], draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 2)):
        start = draw.randrange(len(data) or 1)
        stop = min(len(data), start + draw.randint(1, 12))
        kind = draw.randrange(7)
        if kind == 0:
            data = data[:start] + bytes([draw.randrange(256)]) + data[start + 1 :]
        elif kind == 1:
            data = data[:start] + data[stop:]
        elif kind == 2:
            data = data[:stop] + data[start:stop] * draw.randint(1, 20) + data[stop:]
        elif kind == 3:
            other = draw.choice(samples).data
            place = draw.randrange(len(other))
            data = data[:start] + other[place : place + draw.randint(1, 60)] + data[stop:]
        else:
            data = _with_odd_value(data, draw)
    return data


def _with_odd_value(data: bytes, draw: random.Random) -> bytes:
    """An odd value in place of what stands between two signs that part values."""
    signs = [place for place, sign in enumerate(data) if sign in b'/?&=":, ']
    if not signs:
        return data
    number = draw.randrange(len(signs))
    start, stop = signs[number] + 1, [*signs, len(data)][number + 1]
    return data[:start] + draw.choice(ODD).encode() + data[stop:]


def _answer(port: int, data: bytes) -> str:
    """The status of the answer; "none" where the server closed the connection without one."""
    heard = _exchanged(port, data)
    return heard[9:12].decode("latin-1") if heard.startswith(b"HTTP/1.") else "none"


def _exchanged(port: int, data: bytes) -> bytes:
    """The head of the answer; empty without one."""
    heard = b""
    with socket.create_connection((HOST, port), timeout=60) as link:
        try:
            link.sendall(data)
            if not _is_whole(data):
                link.shutdown(socket.SHUT_WR)
            while b"\r\n\r\n" not in heard and (some := link.recv(1 << 16)):
                heard += some
        except OSError:  # the server closed the connection, or waits for more
            pass
    return heard


def _is_whole(data: bytes) -> bool:
    """Whether a server need not wait for more of a request."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: *([0-9]{1,9})\r", head.lower() + b"\r")
    if b"\ntransfer-encoding" in head.lower():
        return False
    return bool(end) and (length is None or len(body) >= int(length[1]))


def _as_text(report: dict[str, object]) -> str:
    answers = report["answers"]
    assert isinstance(answers, dict)
    lines = [
        f"{path:40} " + ", ".join(f"{count} of {status}" for status, count in found.items())
        for path, found in answers.items()
    ]
    faults = report["faults"]
    assert isinstance(faults, list)
    return "\n".join([*lines, f"{report['requests']} requests, {len(faults)} faults", *faults[:20]])


if __name__ == "__main__":
    main()
