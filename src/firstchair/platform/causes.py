"""When a condition becomes a cause: if it held long enough, once an episode, after a cool-down."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

from firstchair.platform.journal import FIRED

ONE_DAY = timedelta(days=1)
NOT_HELD, SAME_EPISODE, COOL_DOWN = "not_held", "same_episode", "cool_down"


class Patience(Protocol):
    """A rule in days: how long a condition must hold, what ends its episode, and the cool-down."""

    @property
    def hold_days(self) -> int:
        """Days in a row that the condition must hold; at least 1."""
        ...

    @property
    def clear_days(self) -> int:
        """Days without the condition that end an episode; 0: each day is an episode of its own."""
        ...

    @property
    def cool_down_days(self) -> int:
        """Days after a cause without another one; at least 0."""
        ...


def outcome(
    rule: Patience,
    held: Mapping[date, bool],
    fired_on: Sequence[date],
    *,
    as_of: date,
    known_from: date = date.min,
) -> str | None:
    """The outcome of the condition on `as_of`; None where it does not hold.

    An episode continues over gaps shorter than `clear_days` and fires once; with `clear_days` 0,
    each day is an episode. So a condition that comes and goes fires at most once in
    `cool_down_days`, and never unless it holds `hold_days` in a row.

    Args:
        rule: The cause's rule.
        held: Whether the condition held, by as_of; missing days from `known_from` on count as not
            held.
        fired_on: The as_of days on which it fired before; `as_of` itself is ignored.
        as_of: The day that is judged.
        known_from: First day of which `held` tells; earlier ones end no episode.
    """
    if not held.get(as_of, False):
        return None
    if not all(held.get(as_of - timedelta(days=number), False) for number in range(rule.hold_days)):
        return NOT_HELD
    earlier = [day for day in fired_on if day < as_of]
    if not earlier:
        return FIRED
    since = max(max(earlier) + ONE_DAY, known_from)
    if rule.clear_days and not _was_clear(held, since, as_of, rule.clear_days):
        return SAME_EPISODE
    return COOL_DOWN if (as_of - max(earlier)).days < rule.cool_down_days else FIRED


def _was_clear(held: Mapping[date, bool], since: date, until: date, clear_days: int) -> bool:
    """Whether the condition was absent for `clear_days` days in a row from `since` to `until`."""
    run = 0
    for number in range((until - since).days):
        run = 0 if held.get(since + timedelta(days=number), False) else run + 1
        if run >= clear_days:
            return True
    return False
