"""Keep services alive: each is started again after a wait that grows, and none ends another."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1, 60
# Deaths in a row, after which the wait is the longest anyway.
MOST_COUNTED = 10
# One that has run for so long is well again: its next death counts as its first.
HEALTHY_SECONDS = 300


class Process(Protocol):
    """What is asked of a process, as of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""


@dataclass(slots=True)
class _Kept:
    """One service. deaths: in a row. since: when it was started, or is to be, on the clock."""

    start: Callable[[], Process]
    process: Process | None = None
    deaths: int = 0
    since: float = float("-inf")


class Supervisor:
    """Starts services, and again those that end, the second time after a second, then two, four.

    The wait doubles up to a minute, and the count of deaths begins anew once a service has run for
    `HEALTHY_SECONDS`. A start that fails is a death. No service is given up, and none is ended
    because of another one.

    Args:
        starts: Starts each service, by its name, in the order in which they start.
        tell: Called with a sentence when a service has ended, and when it is well again.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        starts: Mapping[str, Callable[[], Process]],
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = {name: _Kept(start) for name, start in starts.items()}
        self._tell, self._clock = tell, clock

    def check(self) -> None:
        """Start what is due, and see which services have ended; to be called again and again."""
        now = self._clock()
        for name, one in self._kept.items():
            if one.process is None:
                if now >= one.since:
                    self._begin(name, one, now)
            elif (code := one.process.poll()) is not None:
                self._ended(name, one, f"it has ended with code {code}", now)
            elif one.deaths and now - one.since >= HEALTHY_SECONDS:
                one.deaths = 0
                self._tell(f"{name} is well again.")

    def is_down(self, name: str) -> bool:
        """Whether a service has ended and has not been well since."""
        return self._kept[name].deaths > 0

    def _begin(self, name: str, one: _Kept, now: float) -> None:
        one.since = now
        try:
            one.process = one.start()
        except OSError as error:  # as where memory or the disk is full: others work on
            self._ended(name, one, f"it could not be started ({error})", now)

    def _ended(self, name: str, one: _Kept, why: str, now: float) -> None:
        one.deaths = min(one.deaths + 1, MOST_COUNTED)
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (one.deaths - 1))
        if now - one.since >= HEALTHY_SECONDS:
            one.deaths, wait = 1, FIRST_WAIT_SECONDS
        one.process, one.since = None, now + wait
        self._tell(
            f"{name} is down: {why}, and is started again in {wait} s. The other services go on."
        )
