"""When a condition becomes a cause: held long enough, once an episode, and not too soon after the last time."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

from firstchair.platform.journal import FIRED

NOT_HELD, SAME_EPISODE, COOL_DOWN = "not_held", "same_episode", "cool_down"


class Patience(Protocol):
    """Days a condition holds first, is gone for its episode to end, and is quiet after it caused something."""

    @property
    def hold_days(self) -> int:
        """At least 1."""
        ...

    @property
    def clear_days(self) -> int:
        """0: each day is an episode of its own."""
        ...

    @property
    def cool_down_days(self) -> int:
        """0 and up."""
        ...


def outcome(rule: Patience, held: Mapping[date, bool], fired_on: Sequence[date], *, as_of: date) -> str | None:
    """What the condition comes to on `as_of`; None where it does not hold.

    An episode goes on over gaps shorter than `clear_days` and causes something once; with `clear_days` 0 each day is
    an episode. A condition that comes and goes therefore causes at most one thing in `cool_down_days`, and none while
    it does not hold `hold_days` in a row.

    Args:
        rule: Of the cause.
        held: Whether it held, by as_of; days that were not looked at count as not held.
        fired_on: As_of on which it fired before; this one is left out.
        as_of: Day that is judged.
    """
    if not held.get(as_of, False):
        return None
    if not all(held.get(as_of - timedelta(days=number), False) for number in range(rule.hold_days)):
        return NOT_HELD
    earlier = [day for day in fired_on if day < as_of]
    if not earlier:
        return FIRED
    if rule.clear_days and not _was_clear(held, max(earlier), as_of, rule.clear_days):
        return SAME_EPISODE
    return COOL_DOWN if (as_of - max(earlier)).days < rule.cool_down_days else FIRED


def _was_clear(held: Mapping[date, bool], since: date, until: date, clear_days: int) -> bool:
    """Whether between the two days the condition was gone for so many days in a row."""
    run = 0
    for number in range(1, (until - since).days):
        run = 0 if held.get(since + timedelta(days=number), False) else run + 1
        if run >= clear_days:
            return True
    return False
