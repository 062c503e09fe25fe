"""Logged slates: what was shown where, how likely it was to stand there, and whether it was taken."""

from datetime import date

import ibis
import ibis.expr.types as ir

from firstchair.events.vocabulary import EventType
from firstchair.features.history import History, before


def slate_items(history: History, *, start: date, end: date) -> ir.Table:
    """Every artist shown on a slate from `start` to `end` whose propensity was logged.

    Args:
        history: The history to read; nothing at or after `end` is used.
        start: First day of impressions (UTC, inclusive).
        end: First day that may not be used (UTC, exclusive); a click on it or later is not seen.

    Returns:
        One row per slate × position, no order: slate_id, user_key, artist_id, position (>= 1), propensity
        (0..1, exclusive of 0), taken (bool: the artist was clicked on that slate, or played from it).
    """
    events = before(history.events, end)
    events = events.filter(events.event_date >= ibis.literal(start), events.slate_id.notnull())
    shown = events.filter(
        events.event_type == EventType.IMPRESSION, events.propensity.notnull(), events.artist_id.notnull()
    )
    items = shown.group_by("slate_id", "position", "user_key", "artist_id").aggregate(propensity=shown.propensity.min())
    answers = events.filter(events.event_type.isin([EventType.CLICK, EventType.PLAY]), events.artist_id.notnull())
    answered = answers.group_by(of_slate=answers.slate_id, of_artist=answers.artist_id).aggregate(times=answers.count())
    joined = items.left_join(answered, [items.slate_id == answered.of_slate, items.artist_id == answered.of_artist])
    return joined.select("slate_id", "user_key", "artist_id", "position", "propensity", taken=joined.times.notnull())
