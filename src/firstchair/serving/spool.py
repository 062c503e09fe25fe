"""A local append-only spool: what was said to be accepted is on disk first, and in the event store soon after."""

import fcntl
import gzip
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import fsspec
import orjson

SUFFIX = ".spool"
SEGMENT_BYTES = 8 << 20
# A segment that is not full is delivered after this long.
SEGMENT_SECONDS = 2.0
SYNC_SECONDS = 0.02


class Outbox(Protocol):
    """Where a login leaves its impressions: one `source`, numbered from 0 on without a hole."""

    source: str
    sequence: int

    def append(self, line: bytes, events: int) -> None:
        """Take a line (JSON, with its line feed) that stands for so many events."""


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
        self._written = self._synced = 0
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._stop = threading.Event()
        root.mkdir(parents=True, exist_ok=True)
        self._open()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="spool")

    def start(self) -> None:
        """Begin to sync and to close segments in the background."""
        self._thread.start()

    def append(self, line: bytes, events: int) -> None:
        """Write a line (JSON, with its line feed) that stands for so many events; survives a kill on return."""
        with self._lock:
            os.write(self._descriptor, line)
            self._written += len(line)
        self.sequence += events

    def when_synced(self, call: Callable[[], None]) -> None:
        """Call once all that is written now would also survive a power cut; from another thread."""
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
        self._path = self.root / f"{self.source}-{self.sequence:012d}{SUFFIX}"
        while True:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                break
            os.close(self._descriptor)  # one who delivers found it empty before the lock was ours, and removed it
        self._began, self._offset = time.monotonic(), self._written

    def _keep(self) -> None:
        while not self._stop.wait(SYNC_SECONDS):
            self._sync()
            old = time.monotonic() - self._began > SEGMENT_SECONDS
            size = self._written - self._offset
            if size > SEGMENT_BYTES or (size and old):
                with self._lock:
                    before = self._descriptor
                    self._open()
                os.fdatasync(before)
                os.close(before)

    def _sync(self) -> None:
        with self._lock:
            upto, descriptor = self._written, os.dup(self._descriptor)
        if upto > self._synced:
            os.fdatasync(descriptor)
            self._synced = upto
        os.close(descriptor)
        with self._lock:
            ready = [call for at, call in self._waiting if at <= upto]
            self._waiting = [(at, call) for at, call in self._waiting if at > upto]
        for call in ready:
            call()


def deliver(root: Path, events_url: str) -> int:
    """Bring every closed segment to the event store and remove it; how many were brought.

    A segment becomes the object of its name, so one that is delivered twice, after a crash between the two steps,
    is the same object with the same events.
    """
    delivered = 0
    for path in sorted(root.glob(f"*{SUFFIX}")):
        with path.open("r+b") as file:  # a network file system locks only what is open for writing
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its process is alive and still writes to it
            if not path.exists():
                continue  # another one delivered it just now
            delivered += put(events_url, path.stem, (line for line in file if line.endswith(b"\n")))
            path.unlink()
    return delivered


def put(events_url: str, name: str, lines: Iterable[bytes]) -> bool:
    """Write the events of spooled lines as the object of that name; False where there are none, and no object."""
    events = b"".join(b"%b\n" % event for line in lines for event in expanded(line))
    if not events:
        return False
    filesystem, base = fsspec.core.url_to_fs(events_url)
    path = f"{base.rstrip('/')}/api/{name}.jsonl.gz"
    filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(f"{path}.partial", gzip.compress(events, 5, mtime=0))
    filesystem.mv(f"{path}.partial", path)
    return True


def expanded(line: bytes) -> list[bytes]:
    """The events of one line: itself, or the impressions of the slate that it is."""
    held = orjson.loads(line)
    if "slate" not in held:
        return [line.rstrip(b"\n")]
    slate = held["slate"]
    common = {
        "event_type": "impression",
        "occurred_at": slate["occurred_at"],
        "user_id": slate["user_id"],
        "source": slate["source"],
        "simulated": slate["simulated"],
        "slate_id": slate["slate_id"],
        "model_version": slate["model_version"],
        "surface": "home",
    }
    return [
        orjson.dumps(
            {
                **common,
                "event_id": f"{slate['slate_id']}-{place + 1}",
                "source_seq": slate["source_seq"] + place,
                "position": place + 1,
                "artist_id": artist,
                "propensity": slate["explored_propensity"] if place == slate["explored"] else slate["propensity"],
            }
        )
        for place, artist in enumerate(slate["artist_ids"])
    ]
