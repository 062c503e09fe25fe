"""Deliver closed segments, each as one object of the event store, and slates as impressions."""

import fcntl
import os
import sys
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeAlias

import fsspec
import orjson

from firstchair.files import replace_file
from firstchair.outbox.segment import SUFFIX

Paced: TypeAlias = Callable[[Iterable[bytes]], Iterable[bytes]]

# Suffix of the files that keep the lines which no event could be read from.
UNREADABLE = ".unreadable"
# What such a line raises.
FAULTS = (ValueError, KeyError, TypeError)
# The lowest level, because the delivery process runs beside logins: level 5 takes twice as long and
# saves a fifth of the bytes.
COMPRESSION = 1
# zlib with gzip's header and trailer; the time in it is zero, so equal events give equal bytes.
GZIP = zlib.MAX_WBITS | 16


def deliver(root: Path, events_url: str, *, paced: Paced = iter) -> int:
    """Deliver every closed segment to the event store and remove it; return how many it delivered.

    A segment becomes the object of its name. So a segment that is delivered twice, after a crash
    before it was removed, gives the same object with the same events. Lines that a failing disk
    spoilt are kept in a file of their own beside the segment (`unreadable_bytes`).

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
    unreadable: list[bytes] = []
    packed = _packed(paced(file), unreadable)
    if unreadable:  # before the segment goes, whether or not the store can be reached
        _set_aside(path.with_suffix(UNREADABLE), unreadable)
    brought = _put(events_url, path.stem, packed)
    path.unlink()
    return brought


def _set_aside(path: Path, lines: list[bytes]) -> None:
    """Keep the lines in a file and report it, once; the store may be away for many attempts."""
    if not path.exists():
        print(
            f"{len(lines):,} accepted lines of {path.stem} cannot be read: the disk is failing. "
            f"They are kept in {path}; the others are delivered. Read the file before "
            "`firstchair maintain` removes it after spool_retention_days, and replace the disk.",
            file=sys.stderr,
        )
    replace_file(path, b"".join(lines), mode=0o600)


def put(events_url: str, name: str, lines: Iterable[bytes]) -> bool:
    """Write the events of spooled lines as the object `name`; without any, no object, and False.

    Raises:
        ValueError, KeyError, TypeError: A line holds no event and no slate; nothing is written.
    """
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
    """Bytes of closed, undelivered segments, and when the oldest of them was last written to.

    One into which nothing was written is brought away too, and has no bytes: of a process that was
    killed, it has room alone.
    """
    waiting, written = 0, []
    for path in root.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            stat = os.fstat(file.fileno())
            waiting += stat.st_size if file.read(1).strip(b"\0") else 0
            written.append(stat.st_mtime)
    return waiting, min(written, default=0.0)


def unreadable_bytes(root: Path) -> int:
    """Bytes of accepted lines from which no event could be read, and which are kept aside."""
    found = 0
    for path in root.glob(f"*{UNREADABLE}"):
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    return found


def _packed(lines: Iterable[bytes], unreadable: list[bytes] | None = None) -> bytes:
    """The events, a line each, as one gzip member; empty bytes where there are none.

    A line that holds none is put into `unreadable`; without that, it raises one of `FAULTS`.

    They are compressed line by line: all events of a segment at once would take half as long again
    and evict what logins need from the processor's caches.
    """
    packer = zlib.compressobj(COMPRESSION, wbits=GZIP)
    whole = []
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        try:
            whole.append(packer.compress(expanded(line)))
        except FAULTS:
            if unreadable is None:
                raise
            unreadable.append(line)
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
