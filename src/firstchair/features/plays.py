"""Plays of a user: the latest tracks, and the share of the tracks that was heard."""

import ibis
import ibis.expr.types as ir

from firstchair.events.vocabulary import EventType
from firstchair.features.history import Day, History, before
from firstchair.features.signals import track_lengths

RECENT_TRACKS = 100


def recent_tracks(history: History, *, as_of: Day) -> ir.Table:
    """The latest plays of each user before `as_of`.

    Returns:
        One row per user with a play: user_key, recent_tracks (up to 100 structs, latest first, ties
        by event_id, the later one first). listen_ratio is ms_played ÷ the track's average ms_played
        over all users before `as_of`: >= 0, 1 is the average, null if the average is 0.
    """
    plays = _plays(history, as_of)
    latest = ibis.window(
        group_by=plays.user_key, order_by=[plays.occurred_at.desc(), plays.event_id.desc()]
    )
    ranked = plays.mutate(place=ibis.row_number().over(latest))
    ranked = ranked.filter(ranked.place < RECENT_TRACKS)
    heard = plays.group_by(heard_track=plays.track_id).aggregate(
        total_ms=plays.ms_played.sum(), plays=plays.count()
    )
    joined = ranked.left_join(heard, ranked.track_id == heard.heard_track)
    ratio = joined.ms_played.cast("float64") * joined.plays / joined.total_ms.nullif(0)
    entries = joined.select(
        "user_key",
        entry=ibis.struct(
            {
                "place": joined.place,
                "track_id": joined.track_id,
                "artist_id": joined.artist_id,
                "played_at": joined.occurred_at,
                "ms_played": joined.ms_played,
                "listen_ratio": ratio,
            }
        ),
    )
    collected = entries.group_by("user_key").aggregate(entries=entries.entry.collect())
    return collected.select(
        "user_key",
        recent_tracks=collected.entries.sort().map(
            lambda e: ibis.struct(
                {
                    name: e[name]
                    for name in ("track_id", "artist_id", "played_at", "ms_played", "listen_ratio")
                }
            )
        ),
    )


def listen_through(history: History, *, as_of: Day) -> ir.Table:
    """The share that each user heard of the tracks played before `as_of`.

    Returns:
        One row per user with a play of a track of known length: user_key, listen_through = sum of
        min(ms_played, duration) ÷ sum of duration, 0..1.
    """
    plays = _plays(history, as_of)
    lengths = track_lengths(history.tracks)
    joined = plays.inner_join(lengths, plays.track_id == lengths.length_of)
    heard_ms = ibis.least(joined.ms_played, joined.track_ms)
    return joined.group_by("user_key").aggregate(
        listen_through=heard_ms.sum().cast("float64") / joined.track_ms.sum().cast("float64")
    )


def _plays(history: History, as_of: Day) -> ir.Table:
    events = before(history.events, as_of)
    plays = events.filter(events.event_type == EventType.PLAY)
    return plays.select(
        "user_key",
        "event_id",
        "occurred_at",
        "artist_id",
        "track_id",
        ms_played=plays.ms_played.fill_null(0),
    )
