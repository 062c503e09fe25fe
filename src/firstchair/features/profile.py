"""The features of users: one row for every account, from events before `as_of`."""

import ibis
import ibis.expr.types as ir

from firstchair.definitions.lifecycle import lifecycle
from firstchair.events.vocabulary import EventType
from firstchair.features.follows import followed_artists
from firstchair.features.history import Day, History, as_day, before, days_before, whole_days
from firstchair.features.plays import listen_through, recent_tracks
from firstchair.lake import tables as lake_tables

LOGIN_DAYS = 28
NESTED = ("recent_tracks", "followed_artists", "self_normalised")


def user_features(history: History, *, as_of: Day) -> ir.Table:
    """Features of each user before `as_of` 00:00 UTC (docs/reference/contract.md, section 4).

    Returns:
        One row per row of silver/users (users without an event and accounts made later included),
        in the columns of gold/user_features, no order: recent_tracks: up to 100 plays, latest
        first; an empty list without plays. followed_artists: current follows, by artist_id;
        an empty list without follows. impressions, clicks: counts of events ever. clicks_per_100,
        clicks_per_200: clicks per that many impressions (may exceed 100 or 200); null without
        impressions. self_normalised: artist_id -> the user's clicks on the artist ÷ all the user's
        clicks, in 0..1 exclusive of 0, adding up to 1; an empty map without clicks. listen_through:
        0..1, time heard (each play capped at its track's length) ÷ those tracks' length, over plays
        of tracks of known length; null without one. logins_28d: logins of the last 28 days.
        days_since_last_login, tenure_days: whole days of 24 hours up to `as_of` since the last
        login (null: never) and since created_at (0 for later accounts). lifecycle: `new` or
        `long_term` at `as_of` (`definitions.lifecycle`).
    """
    users = user_scalars(history, as_of=as_of)
    for part in (
        recent_tracks(history, as_of=as_of),
        followed_artists(history, as_of=as_of),
        _self_normalised(history, as_of),
    ):
        users = users.left_join(part, "user_key").drop("user_key_right")
    users = users.mutate(**{name: _or_empty(users[name]) for name in NESTED})
    return users.select(*lake_tables.USER_FEATURES.schema.names)


def user_scalars(history: History, *, as_of: Day) -> ir.Table:
    """`user_features` without the lists and maps (`NESTED`), which cost most."""
    users = history.users.mutate(as_of=as_day(as_of))
    for part in (_activity(history, as_of), listen_through(history, as_of=as_of)):
        users = users.left_join(part, "user_key").drop("user_key_right")
    tenure_days = ibis.greatest(whole_days(users.created_at, as_of), 0)
    tenure_days = users.created_at.notnull().ifelse(tenure_days, ibis.null("int64"))
    users = users.mutate(
        impressions=users.impressions.fill_null(0),
        clicks=users.clicks.fill_null(0),
        logins_28d=users.logins_28d.fill_null(0),
        days_since_last_login=whole_days(users.last_login_at, as_of),
        tenure_days=tenure_days,
        lifecycle=lifecycle(users.created_at, users.as_of),
    )
    shown = users.impressions.nullif(0)
    users = users.mutate(
        clicks_per_100=100 * users.clicks / shown, clicks_per_200=200 * users.clicks / shown
    )
    names = lake_tables.USER_FEATURES.schema.names
    return users.select(*(name for name in names if name not in NESTED))


def _or_empty(column: ir.Column) -> ir.Column:
    """The list or map, or an empty one for users without it."""
    return column.fill_null(ibis.literal({} if column.type().is_map() else [], type=column.type()))


def _activity(history: History, as_of: Day) -> ir.Table:
    """Counts of each user's impressions, clicks and logins."""
    events = before(history.events, as_of)
    login = events.event_type == EventType.LOGIN
    recent = events.event_date >= days_before(as_of, LOGIN_DAYS)
    return events.group_by("user_key").aggregate(
        impressions=(events.event_type == EventType.IMPRESSION).sum().cast("int64"),
        clicks=(events.event_type == EventType.CLICK).sum().cast("int64"),
        logins_28d=(login & recent).sum().cast("int64"),
        last_login_at=events.occurred_at.max(where=login),
    )


def _self_normalised(history: History, as_of: Day) -> ir.Table:
    """Each user's clicks by artist as shares of all the user's clicks."""
    events = before(history.events, as_of)
    clicks = events.filter(events.event_type == EventType.CLICK, events.artist_id.notnull())
    counted = clicks.group_by("user_key", "artist_id").aggregate(n=clicks.count())
    total = counted.n.sum().over(ibis.window(group_by=counted.user_key))
    shares = counted.select(
        "user_key", share=ibis.struct({"artist_id": counted.artist_id, "share": counted.n / total})
    )
    collected = shares.group_by("user_key").aggregate(shares=shares.share.collect())
    ordered = collected.select("user_key", shares=collected.shares.sort())
    return ordered.select(
        "user_key",
        self_normalised=ibis.map(
            ordered.shares.map(lambda s: s["artist_id"]), ordered.shares.map(lambda s: s["share"])
        ),
    )
