"""Independent check of what was built: rows that depend on events at or after `as_of`."""

from datetime import date

import ibis.expr.types as ir

from firstchair.errors import LeakageError
from firstchair.events.vocabulary import EventType
from firstchair.features.history import Day, History, as_day, days_before, midnight
from firstchair.lake import STAGED, unread
from firstchair.lake.tables import INTERACTIONS, USER_FEATURES


def leaked_users(everything: History, *, as_of: Day) -> ir.Table:
    """Count staged user features with a play, a login or more events than before `as_of`.

    Events are counted again by another condition, so that a fault in the features' cut is found.
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
    """Count staged pairs with a signal of the day itself, or more events than before it."""
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
    """Refuse a build with rows that depend on events at or after `as_of`.

    Raises:
        LeakageError: `leaked_rows` is not 0.
    """
    if leaked_rows:
        raise LeakageError(
            f"{leaked_rows} of {rows} rows depend on an event at or after as_of "
            f"{as_of.isoformat()}.",
            where=f"{table}, as_of {as_of.isoformat()}",
            data="Nothing was written; the partition is as it was.",
            remedy="Filter the events by occurred_at < as_of before aggregating.",
        )


def _known(everything: History, as_of: Day) -> ir.Table:
    """Events by the date of `occurred_at`; the stored `event_date` is not trusted."""
    return everything.events.filter(everything.events.occurred_at.date() < as_day(as_of))
