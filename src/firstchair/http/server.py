"""The API as it runs: gunicorn keeps one listening socket and the workers that accept from it, each a uvicorn.

python -m firstchair.http.server [HOST]
"""

import asyncio
import os
import signal
import socket
import sys
from functools import partial
from typing import Any

from gunicorn.app.base import BaseApplication
from uvicorn_worker import UvicornWorker

from firstchair.http import worker
from firstchair.http.api import Api
from firstchair.http.protocol import LoginProtocol
from firstchair.settings import Settings, load_settings

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
# A worker that does not end is killed after so long, and one whose loop stands still too; what it spooled is delivered
# all the same.
KILL_SECONDS, STUCK_SECONDS = 20, 60
# Requests under way have so long to end before the spool is brought away.
ANSWER_SECONDS = 5
# Idle connections of load balancers are kept longer than those keep them themselves (60 s is the most common).
KEEP_ALIVE_SECONDS = 75
NOTIFY_SECONDS = 1
# libuv takes one connection for each time that it looks at a listening socket, with a login of each open connection in
# between. As many copies of the socket, as many connections at once.
ACCEPTED_AT_ONCE = 64


class Worker(UvicornWorker):  # type: ignore[misc]
    """Answers logins by `LoginProtocol`; ends with its parent, however that ended."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - of the class above
        "loop": "uvloop",
        "http": LoginProtocol,
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "timeout_notify": NOTIFY_SECONDS,
        "timeout_graceful_shutdown": ANSWER_SECONDS,
    }

    def init_signals(self) -> None:
        """From here on the worker hears for itself that it is to end."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def run(self) -> None:
        """Until told to end."""
        self.sockets: list[Any] = [_copy(shared) for shared in self.sockets for _ in range(ACCEPTED_AT_ONCE)]
        super().run()

    def _install_sigquit_handler(self) -> None:
        """What gunicorn sends after a Ctrl-C ends a worker too; the handler of the class above tells nobody."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, signal.raise_signal, signal.SIGTERM)

    async def callback_notify(self) -> None:
        """Tell the parent that the loop turns."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            signal.raise_signal(signal.SIGTERM)


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, told everything by our settings and nothing by files or the command line."""

    def __init__(self, settings: Settings, host: str) -> None:
        self._settings, self._host = settings, host
        super().__init__()

    def load_config(self) -> None:
        """What differs from gunicorn's defaults."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        options = {
            "bind": f"{host}:{self._settings.api_port}",
            "workers": self._settings.api_workers,
            "worker_class": Worker,
            "timeout": STUCK_SECONDS,
            "graceful_timeout": KILL_SECONDS,
            "keepalive": KEEP_ALIVE_SECONDS,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Api:
        """The application of one worker, after it was forked."""
        return worker.app()


def main(host: str | None = None) -> None:
    """Serve until told to end, at `host` or where the settings say.

    `worker` was imported above, so a new worker is a fork that has it already.
    """
    settings = load_settings()
    # A worker that is forked while the server ends would take the signal to end for the server's own, and stay.
    hold, release = (partial(signal.pthread_sigmask, how, ENDING) for how in (signal.SIG_BLOCK, signal.SIG_UNBLOCK))
    os.register_at_fork(before=hold, after_in_parent=release)
    Server(settings, host or settings.api_host).run()


def _copy(shared: Any) -> socket.socket:
    """Of gunicorn's own around a socket: one that accepts from the same queue."""
    return socket.socket(fileno=os.dup(shared.fileno()))


if __name__ == "__main__":
    main(*sys.argv[1:])
