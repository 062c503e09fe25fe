"""Churn: who counts, who is churned, and when that is final (docs/reference/contract.md).

A label belongs to a user, a horizon of h days and a cut, the first day of the horizon. The user
counts if active in the `BASE_DAYS` days before the cut, and is churned if not active on any of the
h days from the cut on. Two ways lead to the same label:

- `gold/churn` names it by `as_of`, the day after the horizon: the cut is `as_of` - h.
- `gold/evidence` names it by a day on which the user was there: the cut is the day after, so
  `as_of` is that day + h + 1, and the base are the `BASE_DAYS` days up to and including that day.
"""

from datetime import date, timedelta

HORIZONS_DAYS = (7, 14)
BASE_DAYS = 28
# Column or metric of each horizon, wherever labels of several horizons stand beside each other.
LABELS = {f"churned_{days}": days for days in HORIZONS_DAYS}
# SQL of what counts as activity, over the columns of silver/events.
ACTIVE = "event_type <> 'impression'"


def in_base(day: str, cut: str) -> str:
    """SQL of whether an active day puts its user into the base; null where `day` is."""
    return f"({day} >= {cut} - {BASE_DAYS} and {day} < {cut})"


def in_horizon(day: str, cut: str, horizon_days: int | str) -> str:
    """SQL of whether a day is one of the horizon; null where `day` is."""
    return f"({day} >= {cut} and {day} < {cut} + {horizon_days})"


def mature_until(known_until: date, *, late_tolerance_days: int) -> date:
    """Name the newest `as_of` whose labels are mature.

    A label is mature once its whole horizon is in the data and no event of it can come late.

    Args:
        known_until: First day (UTC) without complete data.
        late_tolerance_days: Days an event may be late; 0 asks for whole horizons alone.
    """
    return known_until - timedelta(days=late_tolerance_days)


def mature_day(today: int, horizon_days: int, *, late_tolerance_days: int) -> int:
    """Apply `mature_until` to numbered days of evidence.

    Args:
        today: Number of the newest complete day.
        horizon_days: One of `HORIZONS_DAYS`.
        late_tolerance_days: Days an event may be late.

    Returns:
        Number of the newest day whose label is mature; negative where day 0 is not yet.
    """
    known_until = today + 1
    as_of = known_until - late_tolerance_days
    return as_of - horizon_days - 1
