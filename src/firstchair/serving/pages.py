"""The console's addresses, opened by the first person who asks for one: a worker that answers logins stays lean."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any, TypeAlias

from firstchair.serving.published import Published

# First parts of the paths that are pages; all else is the interface's.
PAGES = frozenset({
    "", "sign-in", "sign-out", "audition", "engagement", "drift", "reports", "decisions", "quality", "listener",
    "lineage", "by-hand", "promote", "rollback",
})  # fmt: skip

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
OpenConsole: TypeAlias = Callable[[Callable[[], Published | None]], Application]


class Pages:
    """Hands pages to the console and everything else to `otherwise`."""

    def __init__(self, open_console: Callable[[], Application], otherwise: Application) -> None:
        self._open, self._otherwise = open_console, otherwise
        self._opening = Lock()
        self._console: Application | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"].split("/", 2)[1] in PAGES:
            console = self._console
            if console is None:
                console = await asyncio.to_thread(self._opened)
            await console(scope, receive, send)
        else:
            await self._otherwise(scope, receive, send)

    def _opened(self) -> Application:
        with self._opening:  # who asks meanwhile waits for the one that opens
            if self._console is None:
                self._console = self._open()
            return self._console
