"""A second look at what was built: rows that can only stem from events at or after `as_of`."""

from datetime import date

import ibis.expr.types as ir

from firstchair.errors import LeakageError
from firstchair.events.vocabulary import EventType
from firstchair.features.history import Day, History, as_day, days_before, midnight
from firstchair.lake import unread
from firstchair.lake.tables import INTERACTIONS, USER_FEATURES

# Temporary table of the connection that holds what was built.
STAGED = "staged"


def leaked_users(everything: History, *, as_of: Day) -> ir.Table:
    """Staged rows of user features that know a play, a login or more events than happened before `as_of`.

    It recounts from the events by a condition of its own, so a fault in the cut that the features share
    is seen too.
    """
    known = _known(everything, as_of)
    since = days_before(as_of, 28)
    counts = known.group_by(known_user=known.user_key).aggregate(
        known_impressions=(known.event_type == EventType.IMPRESSION).sum(),
        known_clicks=(known.event_type == EventType.CLICK).sum(),
        known_logins=((known.event_type == EventType.LOGIN) & (known.event_date >= since)).sum(),
    )
    staged = unread(USER_FEATURES, STAGED)
    rows = staged.left_join(counts, staged.user_key == counts.known_user)
    last_play = rows.recent_tracks.map(lambda play: play["played_at"]).maxs()
    leaked = (
        (rows.impressions > rows.known_impressions.fill_null(0))
        | (rows.clicks > rows.known_clicks.fill_null(0))
        | (rows.logins_28d > rows.known_logins.fill_null(0))
        | (rows.days_since_last_login < 0).fill_null(False)
        | (last_play >= midnight(as_of)).fill_null(False)
    )
    return rows.filter(leaked).select("user_key")


def leaked_pairs(everything: History, *, as_of: Day) -> ir.Table:
    """Staged pairs that know a signal of the day itself, or more events than happened before it."""
    known = _known(everything, as_of)
    counts = known.group_by(known_user=known.user_key, known_artist=known.artist_id).aggregate(
        known_plays=(known.event_type == EventType.PLAY).sum(),
        known_clicks=(known.event_type == EventType.CLICK).sum(),
        known_impressions=(known.event_type == EventType.IMPRESSION).sum(),
    )
    staged = unread(INTERACTIONS, STAGED)
    same = [staged.user_key == counts.known_user, staged.artist_id == counts.known_artist]
    rows = staged.left_join(counts, same)
    leaked = (
        (rows.plays > rows.known_plays.fill_null(0))
        | (rows.clicks > rows.known_clicks.fill_null(0))
        | (rows.impressions > rows.known_impressions.fill_null(0))
        | (rows.last_signal_on >= as_day(as_of)).fill_null(False)
    )
    return rows.filter(leaked).select("user_key", "artist_id")


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


def _known(everything: History, as_of: Day) -> ir.Table:
    """Events by the date of their instant alone; the `event_date` they were stored under is not trusted."""
    return everything.events.filter(everything.events.occurred_at.date() < as_day(as_of))
