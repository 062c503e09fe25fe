"""A mapped file of the spool; its disk space and its pages in memory are allocated in advance."""

import fcntl
import mmap
import os
from pathlib import Path

from firstchair.outbox.prefault import prefault_for_writing

SUFFIX = ".spool"
# Bytes written at once; for more, the kernel searches long for a page of that size.
_ZEROS = bytes(1 << 18)


class Segment:
    """A file of `room` bytes: lines up to `used`, then zeros; locked as long as it is open."""

    __slots__ = ("_descriptor", "mapped", "room", "used")

    def __init__(self, stem: Path, room: int) -> None:
        self._descriptor = _made(stem.with_suffix(SUFFIX), room)
        self.mapped = mmap.mmap(self._descriptor, room)
        self.room, self.used = room, 0
        prefault_for_writing(self.mapped)

    def sync(self) -> None:
        """Sync the written lines to the disk.

        Raises:
            OSError: The disk is failing.
        """
        os.fdatasync(self._descriptor)  # it includes what was written through the mapping

    def end(self) -> None:
        """Truncate the file to its used bytes, sync and close it.

        Raises:
            OSError: The disk is failing; the file is closed all the same.
        """
        self.mapped.close()
        try:
            os.ftruncate(self._descriptor, self.used)
            if self.used:
                self.sync()
        finally:
            os.close(self._descriptor)


def _made(path: Path, room: int) -> int:
    """A locked file with its space allocated, so that no write to it can find the disk full.

    It is filled with zeros, because a large write gets large pages, which take a third of the time
    of the small pages that a mapping gets.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.posix_fallocate(descriptor, 0, room)
        for start in range(0, room, len(_ZEROS)):
            os.pwrite(descriptor, _ZEROS[: room - start], start)
    except OSError:
        path.unlink(missing_ok=True)  # a delivery may have removed it before it was locked
        os.close(descriptor)
        raise
    if os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)  # a delivery saw it unlocked, and removed it
    return _made(path, room)
