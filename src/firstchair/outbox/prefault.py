"""Make the pages of a mapping ready in advance, because the first access to a page is slow."""

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The delivery process imports this module too, and needs no numpy.
    import numpy.typing as npt

# Constants of <sys/mman.h>, since Linux 5.14; Python has no names for them.
_POPULATE_READ, _POPULATE_WRITE = 22, 23
_libc = ctypes.CDLL(None)


def prefault_for_writing(mapped: mmap.mmap) -> None:
    """Prepare the pages of a file for writing.

    The first write to a page would otherwise wait for the file system's journal.
    """
    anchor = (ctypes.c_char * len(mapped)).from_buffer(mapped)
    _populate(ctypes.addressof(anchor), len(mapped), _POPULATE_WRITE)


def prefault_for_reading(mapped: "npt.NDArray[Any]") -> None:
    """Enter a mapped array's pages in this process's page tables, and read those not in memory."""
    start = mapped.ctypes.data
    within = start % mmap.PAGESIZE
    _populate(start - within, mapped.nbytes + within, _POPULATE_READ)


def _populate(start: int, length: int, how: int) -> None:
    """Call madvise by ctypes, which releases the interpreter to logins; older systems ignore it."""
    _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), how)
