"""Deliver closed segments, each as one object of the event store, and slates as impressions."""

import fcntl
import os
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeAlias

import fsspec
import orjson

from firstchair.outbox.segment import SUFFIX

Paced: TypeAlias = Callable[[Iterable[bytes]], Iterable[bytes]]

UNREADABLE = ".unreadable"
# The lowest level, because the delivery process runs beside logins: level 5 takes twice as long and
# saves a fifth of the bytes.
COMPRESSION = 1
# zlib with gzip's header and trailer; the time in it is zero, so equal events give equal bytes.
GZIP = zlib.MAX_WBITS | 16


def deliver(root: Path, events_url: str, *, paced: Paced = iter) -> int:
    """Deliver every closed segment to the event store and remove it; return how many it delivered.

    A segment becomes the object of its name. So a segment that is delivered twice, after a crash
    before it was removed, gives the same object with the same events.

    Args:
        root: The spool.
        events_url: The event store.
        paced: Iterates over the lines of a segment, possibly with rests.
    """
    delivered = 0
    for path in sorted(root.glob(f"*{SUFFIX}")):
        try:
            file = path.open("r+b")  # a network file system locks only files open for writing
        except FileNotFoundError:
            continue  # another process has just delivered it
        with file:
            delivered += _deliver(path, file, events_url, paced)
    return delivered


def _deliver(path: Path, file: IO[bytes], events_url: str, paced: Paced) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False  # its process is alive and still writes to it
    if not os.fstat(file.fileno()).st_nlink:
        return False
    try:
        packed = _packed(paced(file))
    except (orjson.JSONDecodeError, KeyError):  # a failing disk: set it aside, deliver the others
        path.rename(path.with_suffix(UNREADABLE))
        return False
    brought = _put(events_url, path.stem, packed)
    path.unlink()
    return brought


def put(events_url: str, name: str, lines: Iterable[bytes]) -> bool:
    """Write the events of spooled lines as the object `name`; without any, no object, and False."""
    return _put(events_url, name, _packed(lines))


def is_written_to(root: Path) -> bool:
    """Whether a process is alive that writes to a segment of the spool."""
    for path in root.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def undelivered(root: Path) -> tuple[int, float]:
    """Bytes of closed, undelivered segments, and when the oldest of them was last written to."""
    found = []
    for path in root.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            found.append(os.fstat(file.fileno()))
    return sum(stat.st_size for stat in found), min((stat.st_mtime for stat in found), default=0.0)


def _packed(lines: Iterable[bytes]) -> bytes:
    """The events, a line each, as one gzip member; empty bytes where there are none.

    They are compressed line by line: all events of a segment at once would take half as long again
    and evict what logins need from the processor's caches.
    """
    packer = zlib.compressobj(COMPRESSION, wbits=GZIP)
    whole = [packer.compress(expanded(line)) for line in lines if line.endswith(b"\n")]
    return b"".join((*whole, packer.flush())) if whole else b""


def expanded(line: bytes) -> bytes:
    """The events of one spooled line, a line each: the event, or the impressions of the slate."""
    held = orjson.loads(line)
    if "event_id" in held:  # an event may have a field of any name, also `slate`
        return line
    slate, first = held["slate"], held["source_seq"]
    common = {
        "event_type": "impression",
        "occurred_at": held["occurred_at"],
        "user_id": slate["user_id"],
        "source": held["source"],
        "simulated": held["simulated"],
        "slate_id": slate["slate_id"],
        "model_version": slate["model"]["version"],
        "surface": "home",
    }
    # What impressions share is rendered once: a dictionary for each takes six times as long.
    shared = b'%b,"event_id":%b-' % (
        orjson.dumps(common)[:-1],
        orjson.dumps(slate["slate_id"])[:-1],
    )
    parts: list[bytes] = []
    for item in slate["items"]:
        position = item["position"]
        numbers = b'%d","source_seq":%d,"position":%d,"artist_id":' % (
            position,
            first + position - 1,
            position,
        )
        chance = b',"propensity":%b}\n' % orjson.dumps(item["propensity"])
        parts += (shared, numbers, orjson.dumps(item["artist_id"]), chance)
    return b"".join(parts)


def _put(events_url: str, name: str, packed: bytes) -> bool:
    if not packed:
        return False
    filesystem, base = fsspec.core.url_to_fs(events_url)
    path = f"{base.rstrip('/')}/api/{name}.jsonl.gz"
    filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(f"{path}.partial", packed)
    filesystem.mv(f"{path}.partial", path)
    return True
