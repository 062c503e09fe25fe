"""Pages of a mapping made ready before they are needed: who is the first to touch one waits for the kernel."""

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The process that delivers the spool comes by here too, and needs no numpy.
    import numpy.typing as npt

# Of <sys/mman.h>, since Linux 5.14; Python has no names for them.
_POPULATE_READ, _POPULATE_WRITE = 22, 23
_libc = ctypes.CDLL(None)


def prefault_for_writing(mapped: mmap.mmap) -> None:
    """Back every page of a file that is written to; its first touch would wait for the file system's journal."""
    anchor = (ctypes.c_char * len(mapped)).from_buffer(mapped)
    _populate(ctypes.addressof(anchor), len(mapped), _POPULATE_WRITE)


def prefault_for_reading(mapped: "npt.NDArray[Any]") -> None:
    """Have a mapped array's pages in this process's tables; those that are only on disk are read."""
    start = mapped.ctypes.data
    within = start % mmap.PAGESIZE
    _populate(start - within, mapped.nbytes + within, _POPULATE_READ)


def _populate(start: int, length: int, how: int) -> None:
    """Through ctypes, which meanwhile leaves the interpreter to the logins. An older system does nothing."""
    _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), how)
