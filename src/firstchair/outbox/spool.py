"""A local append-only spool of accepted events, which are soon delivered to the event store."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeAlias

from firstchair.outbox.segment import Segment

# A segment is closed, and then delivered, when it is full or this old. To make one, the kernel
# clears and maps its space while logins wait for the processor; a small segment delays them less.
ROOM_BYTES, SEGMENT_SECONDS = 1 << 21, 2.0
# How often the thread checks whether to close, and so sync, a segment. A caller that waits for a
# sync gets it at once, together with all that was written in the meantime.
SYNC_SECONDS = 0.5

Settled: TypeAlias = Callable[[OSError | None], None]


class Outbox(Protocol):
    """Where a login writes its impressions: one `source`, numbered from 0 on without a gap."""

    source: str
    sequence: int

    def append(self, lines: bytes, events: int) -> None:
        """Take lines (JSON, each with its line feed) that stand for `events` events."""


class Spool:
    """The segments of one process, which is a `source` of its own; closed segments are delivered.

    Lines are copied into a mapping of the file. So the kernel has them at once and they survive a
    kill, and a login makes no system call (which would also release the interpreter to another
    thread). A killed process leaves whole lines, at most one torn line, which was never reported as
    accepted, and zeros. The open segment is locked for as long as the process lives; any other
    process delivers what a dead one left (`deliver`). The next segment is made while the present
    one is filled.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = f"api-{uuid.uuid4().hex[:12]}"
        self.sequence = 0
        self._unmade: OSError | None = None
        self._unsynced: OSError | None = None
        self._written = 0
        self._numbers = itertools.count(
            1
        )  # one step each, so that two threads never make the same file
        self._began = 0.0
        self._segment: Segment | None = None
        self._next: Segment | None = None
        self._closed: list[tuple[Segment, int]] = []
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, Settled]] = []
        self._stop, self._wanted = threading.Event(), threading.Event()
        root.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._keep, daemon=True, name="spool")

    @property
    def fault(self) -> OSError | None:
        """Why the last segment could not be made, or else why the last sync failed.

        It is None after a success of both; without lines too, both are tried again and again.
        """
        return self._unmade or self._unsynced

    def start(self) -> None:
        """Begin to sync and to close segments in the background."""
        with suppress(OSError), self._lock:
            self._turn()
        self._thread.start()

    def append(self, lines: bytes, events: int) -> None:
        """Write lines that stand for `events` events; after the return they survive a kill.

        Args:
            lines: JSON, each with its line feed.
            events: How many events the lines stand for.

        Raises:
            OSError: The disk is full or failing; none of the lines is in the spool.
        """
        with self._lock:
            segment = self._segment
            if segment is None or segment.used + len(lines) > segment.room:
                segment = self._turn(len(lines))
            end = segment.used + len(lines)
            segment.mapped[segment.used : end] = lines
            segment.used = end
            self._written += len(lines)
        self.sequence += events

    def when_synced(self, call: Settled) -> None:
        """Call `call` from another thread once all that is written now is synced, or cannot be.

        It gets None after a sync, which survives a power cut, and the error otherwise.
        """
        with self._lock:
            self._waiting.append((self._written, call))
        self._wanted.set()

    def close(self) -> None:
        """Close the segment; nothing may be appended afterwards. It is idempotent."""
        self._stop.set()
        self._wanted.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._retire()
            self._segment, self._next = self._next, None
            self._retire()
        self._sync()

    def _turn(self, wanted: int = 0) -> Segment:
        """Replace the present segment, which the thread then closes; the caller holds the lock."""
        following, self._next = self._next, None
        if following is None or following.room < wanted:
            if following is not None:
                self._closed.append((following, 0))  # too small, and nothing is in it
            following = self._make(max(ROOM_BYTES, wanted))
        self._retire()
        self._segment, self._began = following, time.monotonic()
        self._wanted.set()
        return following

    def _make(self, room: int) -> Segment:
        try:
            made = Segment(self.root / f"{self.source}-{next(self._numbers):09d}", room)
        except OSError as error:
            self._unmade = error
            raise
        self._unmade = None
        return made

    def _retire(self) -> None:
        if self._segment is not None:
            self._closed.append((self._segment, self._written))
            self._segment = None

    def _keep(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait(SYNC_SECONDS)
            self._wanted.clear()
            with suppress(OSError):
                self._prepare()
            with self._lock:
                old = time.monotonic() - self._began > SEGMENT_SECONDS
                if self._segment is None or (old and self._segment.used):
                    self._turn_if_possible()
            self._sync()

    def _turn_if_possible(self) -> None:
        """Replace the present segment; on a full disk close it, so that what it has is delivered.

        The caller holds the lock.
        """
        try:
            self._turn()
        except OSError:
            self._retire()

    def _prepare(self) -> None:
        """Make the next segment in advance, so that no login has to."""
        if self._next is None:
            made = self._make(ROOM_BYTES)
            with self._lock:
                self._next = made

    def _sync(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, []
            # A login that writes to a page which is being synced would wait for the disk.
            is_wanted = self._waiting or self._unsynced is not None
            held, upto = self._segment if is_wanted else None, self._written
        for segment, end in closed:
            self._settle(segment.end, end)
        if held is not None:
            self._settle(held.sync, upto)

    def _settle(self, sync: Callable[[], None], upto: int) -> None:
        """Sync what was written up to a byte count, and call the callbacks that wait for it."""
        fault: OSError | None = None
        try:
            sync()
        except OSError as error:
            fault = error
        self._unsynced = fault
        with self._lock:
            ready = [call for at, call in self._waiting if at <= upto]
            self._waiting = [(at, call) for at, call in self._waiting if at > upto]
        for call in ready:
            call(fault)
