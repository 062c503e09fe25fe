"""The API as it runs: workers of granian that accept from one socket, which outlives each of them.

python -m firstchair.serving.server [HOST]
"""

import os
import signal
import sys
from functools import partial
from typing import Any

from granian import net
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from firstchair.serving import worker
from firstchair.serving.api import ENDING
from firstchair.settings import load_settings

# A worker that is told to end before it can hear it is killed after so long; what it spooled is delivered all the same.
KILL_SECONDS = 20


class Server(MPServer):
    """Granian whose workers share one listening socket.

    Left alone, it gives each worker a socket of its own (SO_REUSEPORT), and a worker that dies takes down the
    connections that wait at his: refused outright where he is the only one. Here they wait for the next worker.
    """

    def _init_shared_socket(self) -> None:
        self._ssp = self._sso = None
        self._shd: Any = net.SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()  # type: ignore[attr-defined]


def main(host: str | None = None) -> None:
    """Serve until told to end, at `host` or where the settings say.

    `worker` was imported above, so a new worker is a fork that has it already.
    """
    settings = load_settings()
    # A worker that is forked while the server ends would take the signal to end for the server's own, and stay.
    hold, release = (partial(signal.pthread_sigmask, how, ENDING) for how in (signal.SIG_BLOCK, signal.SIG_UNBLOCK))
    os.register_at_fork(before=hold, after_in_parent=release)
    Server(
        f"{worker.__name__}:{worker.app.__name__}",
        address=host or settings.api_host,
        port=settings.api_port,
        interface=Interfaces.RSGI,
        factory=True,
        workers=settings.api_workers,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
    ).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
