"""A file of the spool, mapped: its room on the disk and its pages in memory are there before it is written to."""

import fcntl
import mmap
import os
from pathlib import Path

from firstchair.outbox.prefault import prefault_for_writing

SUFFIX = ".spool"
# Written at once: more, and the kernel looks long for a page so large.
_ZEROS = bytes(1 << 18)


class Segment:
    """Lines up to `used` of `room` bytes, zeros behind; locked for as long as it is open, whoever else looks at it."""

    __slots__ = ("_descriptor", "mapped", "room", "used")

    def __init__(self, stem: Path, room: int) -> None:
        self._descriptor = _made(stem.with_suffix(SUFFIX), room)
        self.mapped = mmap.mmap(self._descriptor, room)
        self.room, self.used = room, 0
        prefault_for_writing(self.mapped)

    def sync(self) -> None:
        """Bring what is written to the disk.

        Raises:
            OSError: The disk is failing.
        """
        os.fdatasync(self._descriptor)  # what is written through the mapping too

    def end(self) -> None:
        """Cut to what is used, sync, let go.

        Raises:
            OSError: The disk is failing; the segment is let go all the same.
        """
        self.mapped.close()
        try:
            os.ftruncate(self._descriptor, self.used)
            if self.used:
                self.sync()
        finally:
            os.close(self._descriptor)


def _made(path: Path, room: int) -> int:
    """A file with its room on the disk, so that no write to it can find the disk full, and its lock.

    It is filled with zeros: what is written at once gets a large page, and all of them take a third of the time of the
    small ones that a mapping is given.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.posix_fallocate(descriptor, 0, room)
        for start in range(0, room, len(_ZEROS)):
            os.pwrite(descriptor, _ZEROS[: room - start], start)
    except OSError:
        path.unlink(missing_ok=True)  # who delivers may have, before it was locked
        os.close(descriptor)
        raise
    if os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)  # who delivers saw it unlocked, and removed it
    return _made(path, room)
