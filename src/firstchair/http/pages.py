"""The console's paths. The console is loaded at their first request, which keeps workers small."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Send

from firstchair.publication.published import Published

# First parts of the paths that are pages; all other paths belong to the interface.
PAGES = frozenset({
    "", "sign-in", "sign-out", "audition", "engagement", "drift", "reports", "decisions", "quality",
    "listener", "lineage", "by-hand", "promote", "rollback",
})  # fmt: skip

OpenConsole: TypeAlias = Callable[[Callable[[], Published | None]], ASGIApp]


class Pages:
    """Passes requests for pages to the console and all others to `otherwise`."""

    def __init__(self, open_console: Callable[[], ASGIApp], otherwise: ASGIApp) -> None:
        self._open, self._otherwise = open_console, otherwise
        self._opening = Lock()
        self._console: ASGIApp | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer an ASGI request."""
        if scope["type"] == "http" and scope["path"].split("/", 2)[1] in PAGES:
            console = self._console
            if console is None:
                console = await asyncio.to_thread(self._opened)
            await console(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    def _opened(self) -> ASGIApp:
        with self._opening:  # other requests wait for the first one, which opens the console
            if self._console is None:
                self._console = self._open()
            return self._console
