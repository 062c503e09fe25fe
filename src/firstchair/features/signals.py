"""Positive signals, current follows, and first positive interactions with artists."""

import ibis
import ibis.expr.types as ir

from firstchair.definitions.bounds import DAY_MS
from firstchair.events.vocabulary import EventType
from firstchair.features.confidence import (
    ASSUMED_TRACK_MS,
    POSITIVE_LISTEN_RATIO,
    POSITIVE_MS_PLAYED,
)
from firstchair.features.history import Day, History, as_day, before


def first_taken(history: History, *, start: Day, end: Day) -> ir.Table:
    """First positive interactions of users with artists from `start` to `end`.

    A positive signal is a click, a follow, or a play of at least a tenth of the track or of 15
    seconds, as in `interactions`. A later unfollow does not undo it.

    Args:
        history: The history to read; nothing at or after `end` is used.
        start: First day that counts (UTC, inclusive).
        end: First day that may not be used (UTC, exclusive); after `start`.

    Returns:
        One row per user × artist whose first positive signal ever lies in [start, end):
        user_key, artist_id, first_on (UTC day), prompted (bool: that signal followed a slate,
        so it also depends on the model that served). No order.
    """
    signals = positive_signals(history, as_of=end)
    firsts = signals.group_by("user_key", "artist_id").aggregate(
        first_on=signals.event_date.min(),
        first_at=signals.occurred_at.min(),
        first_from_slate=signals.occurred_at.min(where=signals.slate_id.notnull()),
    )
    firsts = firsts.filter(firsts.first_on >= as_day(start))
    prompted = (firsts.first_from_slate <= firsts.first_at).fill_null(False)
    return firsts.select("user_key", "artist_id", "first_on", prompted=prompted)


def positive_signals(history: History, *, as_of: Day) -> ir.Table:
    """Every positive signal before `as_of`, one row each.

    Returns:
        user_key, artist_id, event_type (click, follow, play), event_id, occurred_at, event_date,
        slate_id (null without a slate), and listen_through: share of the track that was
        heard, 0..1 (1 for a click or a follow).
    """
    events = before(history.events, as_of)
    events = events.filter(
        events.event_type.isin([EventType.PLAY, EventType.CLICK, EventType.FOLLOW]),
        events.artist_id.notnull(),
    )
    lengths = track_lengths(history.tracks)
    joined = events.left_join(lengths, events.track_id == lengths.length_of)
    is_play = joined.event_type == EventType.PLAY
    ratio = joined.ms_played.fill_null(0).cast("float64") / joined.track_ms.fill_null(
        ASSUMED_TRACK_MS
    )
    heard = (ratio >= POSITIVE_LISTEN_RATIO) | (joined.ms_played.fill_null(0) >= POSITIVE_MS_PLAYED)
    return joined.filter(heard | ~is_play).select(
        "user_key",
        "artist_id",
        "event_type",
        "event_id",
        "occurred_at",
        "event_date",
        "slate_id",
        listen_through=is_play.ifelse(ibis.least(ratio, 1.0), 1.0),
    )


def without_impossible_days(events: ir.Table) -> ir.Table:
    """The events without plays of user-days with more hours of listening than the day has.

    Args:
        events: Columns of silver/events.

    Returns:
        The same columns, no order; all events but plays stay.
    """
    plays = events.filter(events.event_type == EventType.PLAY)
    heard = plays.group_by("user_key", "event_date").aggregate(ms=plays.ms_played.sum())
    impossible = heard.filter(heard.ms > DAY_MS).select("user_key", "event_date")
    kept = plays.anti_join(impossible, ["user_key", "event_date"])
    return ibis.union(events.filter(events.event_type != EventType.PLAY), kept)


def track_lengths(tracks: ir.Table) -> ir.Table:
    """The tracks whose length the catalogue knows: length_of (track_id), track_ms (> 0)."""
    known = tracks.filter(tracks.duration_ms > 0)
    return known.group_by(length_of=known.track_id).aggregate(track_ms=known.duration_ms.max())


def follow_states(history: History, *, as_of: Day) -> ir.Table:
    """The state of each follow: the latest of follow and unfollow before `as_of`, ties by event_id.

    Returns:
        One row per user × artist ever followed or unfollowed: user_key, artist_id, follows (bool),
        changed_at (instant), changed_on (UTC day).
    """
    events = before(history.events, as_of)
    changes = events.filter(
        events.event_type.isin([EventType.FOLLOW, EventType.UNFOLLOW]), events.artist_id.notnull()
    )
    latest = ibis.window(
        group_by=[changes.user_key, changes.artist_id],
        order_by=[changes.occurred_at.desc(), changes.event_id.desc()],
    )
    ranked = changes.mutate(age_rank=ibis.row_number().over(latest))
    return ranked.filter(ranked.age_rank == 0).select(
        "user_key",
        "artist_id",
        follows=ranked.event_type == EventType.FOLLOW,
        changed_at=ranked.occurred_at,
        changed_on=ranked.event_date,
    )
