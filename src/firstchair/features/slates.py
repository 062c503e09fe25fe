"""Logged slates: items with position, propensity and outcome."""

import ibis.expr.types as ir

from firstchair.definitions.attribution import shown
from firstchair.features.history import Day, History, as_day, before


def slate_items(history: History, *, start: Day, end: Day) -> ir.Table:
    """Every artist shown on a slate from `start` to `end` whose propensity was logged.

    Args:
        history: The history to read; nothing at or after `end` is used.
        start: First day of impressions (UTC, inclusive).
        end: First day that may not be used (UTC, exclusive); a click on it or later is not seen.

    Returns:
        One row per item shown (`firstchair.definitions.attribution`), no order: slate_id,
        user_key, artist_id, position (>= 1), propensity (0..1, exclusive of 0), taken (bool: the
        artist was clicked on that slate, or played from it).
    """
    events = before(history.events, end)
    items = shown(events.filter(events.event_date >= as_day(start)))
    items = items.drop_null(["slate_id", "artist_id", "propensity"])
    # For Spark alone `drop_null` drops these as well (Ibis 12.0).
    items = items.filter(~items.propensity.isnan())
    taken = items.clicked | items.played
    return items.select("slate_id", "user_key", "artist_id", "position", "propensity", taken=taken)
