"""A second look at what was built: rows that can only stem from events at or after `as_of`."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from firstchair.errors import LeakageError
from firstchair.events.vocabulary import EventType
from firstchair.features.history import History, midnight


def leaked_users(history: History, features: ir.Table, *, as_of: date) -> int:
    """Rows of user features that know a play, a login or more events than happened before `as_of`.

    It recounts from the events by a condition of its own, so a fault in the cut that the features share
    is seen too.
    """
    known = _known(history, as_of)
    since = ibis.literal(as_of - timedelta(days=28))
    counts = known.group_by(known_user=known.user_key).aggregate(
        known_impressions=(known.event_type == EventType.IMPRESSION).sum(),
        known_clicks=(known.event_type == EventType.CLICK).sum(),
        known_logins=((known.event_type == EventType.LOGIN) & (known.event_date >= since)).sum(),
    )
    rows = features.left_join(counts, features.user_key == counts.known_user)
    last_play = rows.recent_tracks.map(lambda play: play["played_at"]).maxs()
    leaked = (
        (rows.impressions > rows.known_impressions.fill_null(0))
        | (rows.clicks > rows.known_clicks.fill_null(0))
        | (rows.logins_28d > rows.known_logins.fill_null(0))
        | (rows.days_since_last_login < 0).fill_null(False)
        | (last_play >= midnight(as_of)).fill_null(False)
    )
    return int(rows.filter(leaked).count().execute())


def leaked_pairs(history: History, matrix: ir.Table, *, as_of: date) -> int:
    """Rows of the user–item matrix that know a signal of the day itself, or more events than happened before it."""
    known = _known(history, as_of)
    counts = known.group_by(known_user=known.user_key, known_artist=known.artist_id).aggregate(
        known_plays=(known.event_type == EventType.PLAY).sum(),
        known_clicks=(known.event_type == EventType.CLICK).sum(),
        known_impressions=(known.event_type == EventType.IMPRESSION).sum(),
    )
    rows = matrix.left_join(counts, [matrix.user_key == counts.known_user, matrix.artist_id == counts.known_artist])
    leaked = (
        (rows.plays > rows.known_plays.fill_null(0))
        | (rows.clicks > rows.known_clicks.fill_null(0))
        | (rows.impressions > rows.known_impressions.fill_null(0))
        | (rows.last_signal_on >= ibis.literal(as_of)).fill_null(False)
    )
    return int(rows.filter(leaked).count().execute())


def refuse_leak(leaked_rows: int, rows: int, *, table: str, as_of: date) -> None:
    """Stop a build whose rows know the future.

    Raises:
        LeakageError: `leaked_rows` is not 0.
    """
    if leaked_rows:
        raise LeakageError(
            f"{leaked_rows} of {rows} rows know an event at or after as_of {as_of.isoformat()}.",
            where=f"{table}, as_of {as_of.isoformat()}",
            data="Nothing was written; the partition is as it was.",
            remedy="Filter the events by occurred_at < as_of before aggregating.",
        )


def _known(history: History, as_of: date) -> ir.Table:
    """Events by the date of their instant alone; the `event_date` they were stored under is not trusted."""
    return history.events.filter(history.events.occurred_at.date() < ibis.literal(as_of))
