"""A local append-only spool: what was said to be accepted is on disk first, and in the event store soon after."""

import fcntl
import gzip
import mmap
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import fsspec
import orjson

SUFFIX, UNREADABLE = ".spool", ".unreadable"
# A segment is closed, and so delivered, when it holds so much or is so old; ROOM_BYTES of disk are taken for it before.
SEGMENT_BYTES, SEGMENT_SECONDS = 8 << 20, 2.0
ROOM_BYTES = 32 << 20
# Slates are synced when their segment is closed, which is looked at this often; whoever waits for a sync has it at
# once, with all that came in the meantime.
SYNC_SECONDS = 0.5

Settled: TypeAlias = Callable[[OSError | None], None]


class Outbox(Protocol):
    """Where a login leaves its impressions: one `source`, numbered from 0 on without a hole."""

    source: str
    sequence: int

    def append(self, lines: bytes, events: int) -> None:
        """Take lines (JSON, each with its line feed) that stand for so many events."""


class Spool:
    """The segments of one process, which is a `source` of its own; a segment is delivered when it is closed.

    Lines are copied into a mapping of the file, so they are the kernel's at once and survive a kill, and a login pays
    for no system call (one would also hand the interpreter to another thread). A process that is killed leaves whole
    lines and at most one torn one, which nobody was told is accepted, before zeros. The open segment is locked for as
    long as the process lives; what a dead one left is delivered by whoever finds it (`deliver`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = f"api-{uuid.uuid4().hex[:12]}"
        self.sequence = 0
        # Why the last segment could not be made, or the last sync failed; None once one succeeded.
        self.fault: OSError | None = None
        self._written = self._synced = self._used = 0
        self._segment: tuple[int, mmap.mmap] | None = None
        self._closed: list[tuple[int, int, int]] = []
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Settled]] = []
        self._stop, self._wanted = threading.Event(), threading.Event()
        root.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._keep, daemon=True, name="spool")

    def start(self) -> None:
        """Begin to sync and to close segments in the background."""
        with suppress(OSError), self._lock:
            self._turn()
        self._thread.start()

    def append(self, lines: bytes, events: int) -> None:
        """Write lines (JSON, each with its line feed) that stand for so many events; they survive a kill on return.

        Raises:
            OSError: The disk is full or failing; nothing of the lines stands in the spool.
        """
        with self._lock:
            segment = self._segment
            if segment is None or self._used + len(lines) > ROOM_BYTES:
                segment = self._turn()
            end = self._used + len(lines)
            segment[1][self._used : end] = lines
            self._used = end
            self._written += len(lines)
        self.sequence += events

    def when_synced(self, call: Settled) -> None:
        """Call, from another thread, once all that is written now would also survive a power cut, or cannot be."""
        with self._lock:
            self._waiting.append((self._written, call))
        self._wanted.set()

    def close(self) -> None:
        """Close the segment and let it go; nothing may be appended after it. Harmless when repeated."""
        self._stop.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._retire()
        self._sync()

    def _turn(self) -> tuple[int, mmap.mmap]:
        """A new segment in place of the one before, which is closed by the thread; the lock is held."""
        try:
            descriptor = self._made()
        except OSError as error:
            self.fault = error
            raise
        self._retire()
        self._segment = segment = descriptor, mmap.mmap(descriptor, ROOM_BYTES)
        self._used, self._began, self.fault = 0, time.monotonic(), None
        return segment

    def _retire(self) -> None:
        if self._segment is not None:
            descriptor, mapped = self._segment
            mapped.close()
            self._closed.append((descriptor, self._used, self._written))
            self._segment = None

    def _made(self) -> int:
        """A file with its room on the disk, so that no write to it can find the disk full, and its lock."""
        path = self.root / f"{self.source}-{self._written:015d}{SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.posix_fallocate(descriptor, 0, ROOM_BYTES)
        except OSError:
            path.unlink(missing_ok=True)  # who delivers may have, before it was locked
            os.close(descriptor)
            raise
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)  # who delivers saw it unlocked, and removed it
        return self._made()

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait(SYNC_SECONDS)
            self._wanted.clear()
            with suppress(OSError), self._lock:
                old = self._used and time.monotonic() - self._began > SEGMENT_SECONDS
                if self._segment is None or self._used > SEGMENT_BYTES or old:
                    self._turn()
            self._sync()

    def _sync(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, []
            # A login that writes to a page which is being synced would wait for the disk.
            open_one = self._segment if self._waiting else None
            held = open_one and (os.dup(open_one[0]), ROOM_BYTES, self._written)
        for descriptor, size, upto in [*closed, held] if held else closed:
            self._settle(descriptor, size, upto)

    def _settle(self, descriptor: int, size: int, upto: int) -> None:
        """Cut to its size, sync what was written up to a place, close, and tell those who wait for it."""
        fault = None
        try:
            if size < ROOM_BYTES:
                os.ftruncate(descriptor, size)
            if upto > self._synced:
                os.fdatasync(descriptor)  # what is written through the mapping too
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
    return [
        orjson.dumps(
            {
                **common,
                "event_id": f"{slate['slate_id']}-{place + 1}",
                "source_seq": held["source_seq"] + place,
                "position": place + 1,
                "artist_id": artist,
                "propensity": slate["explored_propensity"] if place == slate["explored"] else slate["propensity"],
            }
        )
        for place, artist in enumerate(slate["artist_ids"])
    ]


def _put(events_url: str, name: str, events: bytes) -> bool:
    if not events:
        return False
    filesystem, base = fsspec.core.url_to_fs(events_url)
    path = f"{base.rstrip('/')}/api/{name}.jsonl.gz"
    filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(f"{path}.partial", gzip.compress(events, 5, mtime=0))
    filesystem.mv(f"{path}.partial", path)
    return True
