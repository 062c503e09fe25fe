"""A process beside a worker that delivers closed segments of the spool to the event store."""

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
# A line of a slate takes some 10 us. A rest is long enough for the scheduler to use it: Linux moves
# work to a processor only if that is usually idle for more than half a millisecond.
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
        """Start the process if it does not run."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._started()
            give_way(self._process.pid)

    def _started(self) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "firstchair.outbox.delivery")
        # It has a process group of its own, so that a signal to the worker's whole group does not
        # end the last delivery. It has no session of its own: Linux schedules sessions as groups of
        # equal weight (sched(7), "The autogroup feature"), whatever the priority of their
        # processes.
        process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
        assert process.stdin is not None
        process.stdin.write(self._arguments)
        process.stdin.flush()
        return process

    def end(self) -> None:
        """Deliver all closed segments; if the store cannot be reached, a process tries once more.

        A new process does it, at normal priority: the worker answers no more logins, a process of
        low priority would wait on a busy machine for as long as others work, and a process may not
        raise its own priority. If the old process is killed in the middle of a segment, the next
        one delivers the whole segment, as the same object.
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
    """Give a process the lowest priority.

    The parent does it, because the imports of the process alone take tenths of a second.
    """
    with suppress(AttributeError, OSError):  # the system may not know it, or not allow it
        os.setpriority(os.PRIO_PROCESS, process, NICENESS)
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))


def unhurried(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines, with a rest after every `LINES_AT_ONCE`.

    A process that never sleeps keeps its processor busy, however low its priority. For tenths of a
    second, Linux then leaves two busy processes on the other processor, and logins wait.
    """
    for number, line in enumerate(lines):
        if number % LINES_AT_ONCE == 0:
            time.sleep(REST_SECONDS)
        yield line


def main() -> None:
    """Deliver every `DELIVER_SECONDS` until standard input ends, as when the worker dies."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    root, events_url = orjson.loads(sys.stdin.buffer.readline())
    ended = False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], DELIVER_SECONDS)[0])
        try:
            deliver(Path(root), events_url, paced=iter if ended else unhurried)
        except (
            Exception
        ) as error:  # each store of fsspec has exceptions of its own; what is spooled stays on disk
            print(
                f"The event store cannot be written: {type(error).__name__}: {error}.",
                file=sys.stderr,
            )


if __name__ == "__main__":
    main()
