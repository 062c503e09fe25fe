"""What closed segments hold, brought to the event store: each becomes one object, and slates become impressions."""

import fcntl
import gzip
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

import fsspec
import orjson

from firstchair.serving.segment import SUFFIX

UNREADABLE = ".unreadable"
# The least: a courier works beside logins, and a level of 5 takes twice as long for a fifth less.
COMPRESSION = 1


def deliver(root: Path, events_url: str) -> int:
    """Bring every closed segment to the event store and remove it; how many were brought.

    A segment becomes the object of its name, so one that is delivered twice, after a crash between the two steps,
    is the same object with the same events.
    """
    delivered = 0
    for path in sorted(root.glob(f"*{SUFFIX}")):
        try:
            file = path.open("r+b")  # a network file system locks only what is open for writing
        except FileNotFoundError:
            continue  # another one delivered it just now
        with file:
            delivered += _deliver(path, file, events_url)
    return delivered


def _deliver(path: Path, file: IO[bytes], events_url: str) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # its process is alive and still writes to it
    if not os.fstat(file.fileno()).st_nlink:
        return False
    try:
        events = _events(file)
    except (orjson.JSONDecodeError, KeyError):  # of a failing disk: set aside, so that the others go on
        path.rename(path.with_suffix(UNREADABLE))
        return False
    brought = _put(events_url, path.stem, events)
    path.unlink()
    return brought


def put(events_url: str, name: str, lines: Iterable[bytes]) -> bool:
    """Write the events of spooled lines as the object of that name; False where there are none, and no object."""
    return _put(events_url, name, _events(lines))


def undelivered(root: Path) -> tuple[int, float]:
    """Bytes of closed segments that are not in the event store, and when the oldest was last written to."""
    found = []
    for path in root.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            found.append(os.fstat(file.fileno()))
    return sum(stat.st_size for stat in found), min((stat.st_mtime for stat in found), default=0.0)


def _events(lines: Iterable[bytes]) -> bytes:
    whole = (line for line in lines if line.endswith(b"\n"))
    return b"".join(b"%b\n" % event for line in whole for event in expanded(line))


def expanded(line: bytes) -> list[bytes]:
    """The events of one line: itself, or the impressions of the slate that it is."""
    held = orjson.loads(line)
    if "slate" not in held:
        return [line.rstrip(b"\n")]
    slate = held["slate"]
    common = {
        "event_type": "impression",
        "occurred_at": held["occurred_at"],
        "user_id": slate["user_id"],
        "source": held["source"],
        "simulated": held["simulated"],
        "slate_id": slate["slate_id"],
        "model_version": slate["model_version"],
        "surface": "home",
    }
    # What impressions share is written once: each as a dictionary of its own takes four times as long.
    shared, slate_id = orjson.dumps(common)[:-1], orjson.dumps(slate["slate_id"])[:-1]
    chance, by_chance = orjson.dumps(slate["propensity"]), orjson.dumps(slate["explored_propensity"])
    first, explored = held["source_seq"], slate["explored"]
    return [
        b'%b,"event_id":%b-%d","source_seq":%d,"position":%d,"artist_id":%b,"propensity":%b}'
        % (
            *(shared, slate_id, place + 1, first + place, place + 1, orjson.dumps(artist)),
            by_chance if place == explored else chance,
        )
        for place, artist in enumerate(slate["artist_ids"])
    ]


def _put(events_url: str, name: str, events: bytes) -> bool:
    if not events:
        return False
    filesystem, base = fsspec.core.url_to_fs(events_url)
    path = f"{base.rstrip('/')}/api/{name}.jsonl.gz"
    filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(f"{path}.partial", gzip.compress(events, COMPRESSION, mtime=0))
    filesystem.mv(f"{path}.partial", path)
    return True
