"""An event loop for tests that a worker may run while the browser of other tests is open."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

T = TypeVar("T")


def run_apart(call: Callable[[], Awaitable[T]], *, uses_uvloop: bool = False) -> T:
    """What a coroutine function returns, run by an event loop in a thread of its own.

    Playwright's synchronous interface keeps a loop running in the thread of the tests for as long
    as the browser is open, and no second one can run there.
    """
    with start_blocking_portal(backend_options={"use_uvloop": uses_uvloop}) as portal:
        return portal.call(call)
