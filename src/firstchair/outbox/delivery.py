"""A process beside a worker that brings closed segments of the spool to the event store."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson

from firstchair.outbox.spooled import deliver, undelivered

DELIVER_SECONDS = 1.0
END_SECONDS = 10.0
NICENESS = 19
# Lines of slates take some 10 us each. Rests are long enough to be worth the scheduler's while: Linux looks for work
# elsewhere only where a processor usually stands idle for more than half a millisecond.
LINES_AT_ONCE, REST_SECONDS = 100, 0.002


class Delivery:
    """Delivers for as long as its worker lives, and once more after the worker ends.

    It is a process of low priority beside the worker: in the worker itself, making impressions of
    slates would delay logins. Two may run over one spool; each segment is locked while it is
    delivered.
    """

    def __init__(self, spool: Path, events_url: str) -> None:
        self._spool = spool
        # What `main` reads from its standard input.
        self._arguments = orjson.dumps([str(spool), events_url], option=orjson.OPT_APPEND_NEWLINE)
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it where it does not run."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._started()
            give_way(self._process.pid)

    def _started(self) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "firstchair.outbox.delivery")
        # A process group of its own: what ends the worker's whole group must not end the last delivery. But no session
        # of its own: to Linux that is a group of its own for the scheduler too (sched(7), "The autogroup feature"), to
        # which it is the equal of the worker whatever its priority.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
        assert process.stdin is not None
        process.stdin.write(self._arguments)
        process.stdin.flush()
        return process

    def end(self) -> None:
        """Deliver what is closed by now; where the store is away, a process tries once more alone.

        It is a new process: nobody is answered any more, so it need not give way, and the one that
        does would wait on a busy machine for as long as anybody else works. A process may not raise
        its own priority again. What is killed in the middle of a segment is delivered whole by the
        next, as the same object.
        """
        if self._process is not None:
            with self._process as giving_way:
                giving_way.kill()
        _, oldest = undelivered(self._spool)
        if not oldest:
            return
        self._process = self._started()
        with suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=END_SECONDS)


def give_way(process: int) -> None:
    """Let all others come before a process: said from outside, since its imports alone take tenths of a second."""
    with suppress(AttributeError, OSError):  # where the system knows and allows it
        os.setpriority(os.PRIO_PROCESS, process, NICENESS)
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))


def unhurried(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, with rests.

    A process that never sleeps keeps its processor from standing idle, however low its priority; for tenths of a second
    Linux then leaves two busy processes at the other one, and logins wait.
    """
    for number, line in enumerate(lines):
        if number % LINES_AT_ONCE == 0:
            time.sleep(REST_SECONDS)
        yield line


def main() -> None:
    """Deliver every `DELIVER_SECONDS` until standard input ends, as it does when the worker dies."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    root, events_url = orjson.loads(sys.stdin.buffer.readline())
    ended = False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], DELIVER_SECONDS)[0])
        try:
            deliver(Path(root), events_url, paced=iter if ended else unhurried)
        except Exception as error:  # each store of fsspec has exceptions of its own; what is spooled stays on disk
            print(f"The event store cannot be written: {type(error).__name__}: {error}.", file=sys.stderr)


if __name__ == "__main__":
    main()
