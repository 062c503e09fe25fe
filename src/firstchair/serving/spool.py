"""A local append-only spool: what was said to be accepted is on disk first, and in the event store soon after."""

import errno
import fcntl
import gzip
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeAlias

import fsspec
import orjson

SUFFIX, UNREADABLE = ".spool", ".unreadable"
SEGMENT_BYTES = 8 << 20
# A segment that is not full is delivered after this long.
SEGMENT_SECONDS = 2.0
SYNC_SECONDS = 0.02

Settled: TypeAlias = Callable[[OSError | None], None]


class Spool:
    """The segments of one process, which is a `source` of its own; a segment is delivered when it is closed.

    Every line ends with a line feed and is written by one call, so a process that is killed leaves whole lines and
    at most one torn one, which nobody was told is accepted. The open segment is locked for as long as the process
    lives; what a dead one left is delivered by whoever finds it (`deliver`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = f"api-{uuid.uuid4().hex[:12]}"
        self.sequence = 0
        # Why the last line, or the last sync, did not come to disk; None once one did.
        self.fault: OSError | None = None
        self._written = self._synced = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Settled]] = []
        self._stop = threading.Event()
        root.mkdir(parents=True, exist_ok=True)
        self._open()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="spool")

    def start(self) -> None:
        """Begin to sync and to close segments in the background."""
        self._thread.start()

    def append(self, lines: bytes, events: int) -> None:
        """Write lines (JSON, each with its line feed) that stand for so many events; they survive a kill on return.

        Raises:
            OSError: The disk is full or failing; nothing of the lines stands in the spool.
        """
        with self._lock:
            try:
                if os.write(self._descriptor, lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.root))
            except OSError as error:
                self.fault = error
                os.ftruncate(self._descriptor, self._written - self._offset)
                raise
            self._written += len(lines)
        self.sequence += events

    def when_synced(self, call: Settled) -> None:
        """Call, from another thread, once all that is written now would also survive a power cut, or cannot be."""
        with self._lock:
            self._waiting.append((self._written, call))

    def close(self) -> None:
        """Close the segment and let it go; nothing may be appended after it. Harmless when repeated."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sync()
        with self._lock:
            os.close(self._descriptor)

    def _open(self) -> None:
        path = self.root / f"{self.source}-{self._written:015d}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not os.fstat(descriptor).st_nlink:  # who delivers saw it empty and unlocked, and removed it
            os.close(descriptor)
            return self._open()
        self._descriptor = descriptor
        self._began, self._offset = time.monotonic(), self._written

    def _keep(self) -> None:
        while not self._stop.wait(SYNC_SECONDS):
            if self.fault is not None:
                with suppress(OSError):  # an empty line finds out whether there is space again
                    self.append(b"\n", 0)
            self._sync()
            old = time.monotonic() - self._began > SEGMENT_SECONDS
            size = self._written - self._offset
            if size > SEGMENT_BYTES or (size and old):
                self._next_segment()

    def _next_segment(self) -> None:
        """Closing the segment before gives up its lock, so that it is delivered; where none can be made it goes on."""
        with self._lock:
            before, upto = self._descriptor, self._written
            try:
                self._open()
            except OSError as error:
                self.fault = error
                return
        self._settle(before, upto)

    def _sync(self) -> None:
        with self._lock:
            descriptor, upto = os.dup(self._descriptor), self._written
        self._settle(descriptor, upto)

    def _settle(self, descriptor: int, upto: int) -> None:
        """Sync what was written up to a place, close, and tell those who wait for it."""
        fault = None
        try:
            if upto > self._synced:
                os.fdatasync(descriptor)
                self._synced, self.fault = upto, None
        except OSError as error:
            fault = self.fault = error
        finally:
            os.close(descriptor)
        with self._lock:
            ready = [call for at, call in self._waiting if at <= upto]
            self._waiting = [(at, call) for at, call in self._waiting if at > upto]
        for call in ready:
            call(fault)


def deliver(root: Path, events_url: str) -> int:
    """Bring every closed segment to the event store and remove it; how many were brought.

    A segment becomes the object of its name, so one that is delivered twice, after a crash between the two steps,
    is the same object with the same events.
    """
    filesystem, base = fsspec.core.url_to_fs(events_url)
    delivered = 0
    for path in sorted(root.glob(f"*{SUFFIX}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # another one delivered it just now
        with file:
            delivered += _deliver(path, file, filesystem, f"{base.rstrip('/')}/api/{path.stem}.jsonl.gz")
    return delivered


def _deliver(path: Path, file: IO[bytes], filesystem: fsspec.AbstractFileSystem, target: str) -> bool:
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
    if events:
        _put(filesystem, target, gzip.compress(events, 5, mtime=0))
    path.unlink()
    return bool(events)


def undelivered(root: Path) -> tuple[int, float]:
    """Bytes in the spool that are not in the event store, and when the oldest segment was begun or last written."""
    found = []
    for path in root.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            found.append(path.stat())
    held = [stat for stat in found if stat.st_size]
    return sum(stat.st_size for stat in held), min((stat.st_mtime for stat in held), default=0.0)


def _events(lines: Iterable[bytes]) -> bytes:
    whole = (line for line in lines if line.endswith(b"\n") and len(line) > 1)
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
        "model_version": slate["model"]["version"],
        "surface": "home",
    }
    return [
        orjson.dumps(
            {
                **common,
                "event_id": f"{slate['slate_id']}-{item['position']}",
                "source_seq": held["source_seq"] + item["position"] - 1,
                "position": item["position"],
                "artist_id": item["artist_id"],
                "propensity": item["propensity"],
            }
        )
        for item in slate["items"]
    ]


def _put(filesystem: fsspec.AbstractFileSystem, path: str, data: bytes) -> None:
    filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(f"{path}.partial", data)
    filesystem.mv(f"{path}.partial", path)
