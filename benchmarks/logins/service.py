"""The API as `firstchair up` starts it, over a home of its own, and the processes behind it."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil

from firstchair.commands.up import api_service
from firstchair.settings import Settings

TOKEN = "a benchmark's token"
PATIENCE_SECONDS = 120
# The load generator has a processor of its own where there are two: left to share, Linux puts both
# on one for tenths of a second, and what is measured is how long each waited for the other.
ALL = sorted(os.sched_getaffinity(0))
OF_SERVERS, OF_GENERATOR = (ALL[:-1], ALL[-1:]) if len(ALL) > 1 else (ALL, ALL)


def settings_of(home: Path, *, workers: int = 1) -> Settings:
    """Settings of a service with a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return Settings(
        home=home,
        api_port=port,
        api_workers=workers,
        api_token=TOKEN,
        pseudonym_key="a benchmark's key",
    )


@contextmanager
def serving(settings: Settings, *, processors: list[int] = ALL) -> Iterator[psutil.Process]:
    """Run the service: ready when the block begins, all spooled events delivered when it ends."""
    databases = {
        "database_url": settings.database_url,
        "source_database_url": settings.source_database_url,
    }
    own = {f"FIRSTCHAIR_{name.upper()}": url for name, url in databases.items() if url} | {
        "FIRSTCHAIR_HOME": str(settings.home),
        "FIRSTCHAIR_EVENTS_URL": settings.events_url,
        "FIRSTCHAIR_API_PORT": str(settings.api_port),
        "FIRSTCHAIR_API_WORKERS": str(settings.api_workers),
        "FIRSTCHAIR_API_TOKEN": TOKEN,
        "FIRSTCHAIR_PSEUDONYM_KEY": settings.pseudonym_key.get_secret_value(),
    }
    with running(
        api_service(settings).command, settings.api_port, "/readyz", own, processors
    ) as process:
        yield process
    wait_for(lambda: not list(settings.spool.glob("*.spool")))


@contextmanager
def running(
    command: tuple[str, ...],
    port: int,
    path: str,
    environment: dict[str, str],
    processors: list[int] = ALL,
) -> Iterator[psutil.Process]:
    """A server, from its first answer until it was told to end and did."""
    with starting_on(processors):
        process = subprocess.Popen(command, env={**os.environ, **environment})
    with process:
        try:
            wait_for(lambda: asked(port, path) is not None)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def starting_on(processors: list[int]) -> Iterator[None]:
    """What is started meanwhile runs on these processors, and all that it starts."""
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ALL)


def asked(port: int, path: str) -> Any:
    """The JSON at a path; None where nobody answers with it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
            return json.load(page)
    except (OSError, ValueError):
        return None


def workers(server: psutil.Process) -> list[psutil.Process]:
    """Its worker processes."""
    return [
        child
        for child in server.children()
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]


def processor_seconds(server: psutil.Process) -> float:
    """User and system time of its workers."""
    spent = [worker.cpu_times() for worker in workers(server)]
    return float(sum(times.user + times.system for times in spent))


def memory(process: psutil.Process) -> dict[str, float]:
    """MB: proportional (shared pages split among those who share them), own, and resident."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:]}
    own = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return {"pss": sizes["Pss"], "uss": own, "rss": sizes["Rss"]}


def generated(port: int, *, processors: list[int] = ALL, **arguments: object) -> dict[str, Any]:
    """Run the load generator to its end; `stolen` is the share of processor time not granted."""
    before = psutil.cpu_times()
    with starting_on(processors):
        process = generator(port, **arguments)
    with process:
        told, _ = process.communicate()
    spent = [now - then for now, then in zip(psutil.cpu_times(), before, strict=True)]
    return dict(json.loads(told)) | {"stolen": spent[before._fields.index("steal")] / sum(spent)}


def generator(port: int, **arguments: object) -> subprocess.Popen[str]:
    """The load generator, started."""
    given = [
        f"--{name}" if value is True else f"--{name}={value}" for name, value in arguments.items()
    ]
    command = [sys.executable, "-m", "benchmarks.logins.generator", str(port), TOKEN, *given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Any, seconds: float = PATIENCE_SECONDS) -> None:
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


def answered(path: Path) -> list[dict[str, Any]]:
    """The answers that the generator was given."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def impressions(slates: Iterable[dict[str, Any]]) -> set[tuple[str, int, str]]:
    """Slate, position and artist of everything that was shown."""
    return {
        (slate["slate_id"], item["position"], item["artist_id"])
        for slate in slates
        for item in slate["items"]
    }


def delivered(events_url: str) -> tuple[int, set[tuple[str, int, str]]]:
    """Events in the store, and slate, position and artist of each."""
    count, found = 0, set()
    for path in Path(events_url).rglob("*.jsonl.gz"):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            event = orjson.loads(line)
            count += 1
            found.add((event["slate_id"], event["position"], event["artist_id"]))
    return count, found
