"""One BLAS thread for models that have threads of their own, or must give the same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit every BLAS of this process to one thread."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Finds the libraries of the process, which takes as long as a small fit: done once."""
    import implicit.cpu.als  # noqa: F401 brings a BLAS of its own, which must be there to be found

    return ThreadpoolController()
