"""The console's addresses, opened by the first person who asks for one: a worker that answers logins stays lean."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Send

from firstchair.publication.published import Published

# First parts of the paths that are pages; all else is the interface's.
PAGES = frozenset({
    "", "sign-in", "sign-out", "audition", "engagement", "drift", "reports", "decisions", "quality", "listener",
    "lineage", "by-hand", "promote", "rollback",
})  # fmt: skip

OpenConsole: TypeAlias = Callable[[Callable[[], Published | None]], ASGIApp]


class Pages:
    """Hands pages to the console and everything else to `otherwise`."""

    def __init__(self, open_console: Callable[[], ASGIApp], otherwise: ASGIApp) -> None:
        self._open, self._otherwise = open_console, otherwise
        self._opening = Lock()
        self._console: ASGIApp | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"].split("/", 2)[1] in PAGES:
            console = self._console
            if console is None:
                console = await asyncio.to_thread(self._opened)
            await console(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    def _opened(self) -> ASGIApp:
        with self._opening:  # who asks meanwhile waits for the one that opens
            if self._console is None:
                self._console = self._open()
            return self._console
