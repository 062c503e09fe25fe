"""The API server: gunicorn keeps one listening socket, and uvicorn workers that accept from it.

python -m firstchair.http.server [HOST]
"""

import asyncio
import os
import resource
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
# Seconds after which a worker that does not end, or whose loop is blocked, is killed. What it
# spooled is delivered all the same.
KILL_SECONDS, STUCK_SECONDS = 20, 60
# Seconds that open requests have to end before the spool is delivered.
ANSWER_SECONDS = 5
# Idle connections are kept longer than load balancers keep them (60 s is the most common).
KEEP_ALIVE_SECONDS = 75
NOTIFY_SECONDS = 1
# libuv accepts one connection per round on a listening socket, and a round answers a login of each
# open connection. With this many copies of the socket, it accepts this many connections per round.
ACCEPTED_AT_ONCE = 64
# Descriptors of each process, where the machine allows so many; the usual limit is 1,024.
DESCRIPTORS = 65_536


class Worker(UvicornWorker):  # type: ignore[misc]
    """Answers logins by `LoginProtocol`; it ends with its parent, however the parent ended."""

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
        """Handle the signals that end the worker."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def run(self) -> None:
        """Serve until a signal ends it."""
        self.sockets: list[Any] = [
            _copy(shared) for shared in self.sockets for _ in range(ACCEPTED_AT_ONCE)
        ]
        super().run()

    def _install_sigquit_handler(self) -> None:
        """End at SIGQUIT, which gunicorn sends after Ctrl-C, as at SIGTERM."""
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGQUIT, signal.raise_signal, signal.SIGTERM
        )

    async def callback_notify(self) -> None:
        """Report to the parent that the event loop runs; end if the parent is gone."""
        await super().callback_notify()
        if os.getppid() != self.ppid:
            signal.raise_signal(signal.SIGTERM)


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn, configured by our settings alone, without its files or command line."""

    def __init__(self, settings: Settings, host: str) -> None:
        self._settings, self._host = settings, host
        super().__init__()

    def load_config(self) -> None:
        """Set the options that differ from gunicorn's defaults."""
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
        """The application of one worker, made after the fork."""
        return worker.app(self._host)


def main(host: str | None = None) -> None:
    """Serve until a signal ends it, at `host` or at the address of the settings.

    `worker` is imported above, so that each forked worker has it already.
    """
    settings = load_settings()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    # A worker forked while the server ends would treat the signal as the server's, and stay alive.
    hold, release = (
        partial(signal.pthread_sigmask, how, ENDING)
        for how in (signal.SIG_BLOCK, signal.SIG_UNBLOCK)
    )
    os.register_at_fork(before=hold, after_in_parent=release)
    Server(settings, host or settings.api_host).run()


def _copy(shared: Any) -> socket.socket:
    """A copy of gunicorn's socket wrapper that accepts from the same queue."""
    return socket.socket(fileno=os.dup(shared.fileno()))


if __name__ == "__main__":
    main(*sys.argv[1:])
