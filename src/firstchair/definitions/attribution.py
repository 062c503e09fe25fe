"""What was shown, and which clicks, plays and follows came of it."""

from functools import cache

import ibis
import ibis.expr.types as ir

from firstchair.definitions.slates import SLATE_DAYS

THING = ("user_key", "slate_id", "artist_id")
# Columns of the events that are read here, and their Ibis types.
EVENTS = {
    "event_id": "string",
    "event_type": "string",
    "occurred_at": "timestamp('UTC')",
    "event_date": "date",
    "user_key": "string",
    "simulated": "boolean",
    "slate_id": "string",
    "position": "int32",
    "artist_id": "string",
    "model_version": "string",
    "propensity": "float64",
}


def shown(events: ir.Table) -> ir.Table:
    """Everything shown, with the clicks, plays and follows that came of it.

    A thing shown is an artist on a slate of a user on a UTC day; several impressions of it on that
    day are one. An outcome is a click or a play of the same user, slate and artist, or a follow of
    the same user and artist. It

    - belongs to the day of the thing shown, whatever its own day is,
    - never precedes the first impression of the thing (it may happen at the same instant),
    - happens on the UTC day of the thing or in the `SLATE_DAYS` days after it,
    - counts once: for the latest thing shown that it may have come of, and several clicks, plays
      or follows of one thing make one `clicked`, `played` or `followed`.

    The rows of a day depend on the events of that day and of the `SLATE_DAYS` days after it, so
    they are the same whatever else is given. Until those days are over, outcomes may be added.

    Args:
        events: The columns `EVENTS`, one row per event.

    Returns:
        One row per user × slate × artist × UTC day of an impression, no order: user_key, slate_id,
        artist_id, event_date (that day), shown_at (first impression), position (>= 1),
        model_version and propensity (0..1; the least, should impressions differ), clicked_on (date
        of the first click, null without one), clicked, played, followed (bool), plays (event_id of
        each play; null without one), simulated (bool: an impression or an outcome is).
    """
    impressions = _impressions(events).alias("impressions")
    outcomes = _by_thing(_outcomes(events, impressions))
    joined = impressions.left_join(outcomes, [*THING, "event_date"])
    return joined.select(
        *impressions.drop("simulated").columns,
        "clicked_on",
        "plays",
        clicked=joined.clicked_on.notnull(),
        played=joined.played.fill_null(False),
        followed=joined.followed.fill_null(False),
        simulated=impressions.simulated | joined.outcome_simulated.fill_null(False),
    )


@cache
def shown_sql(events: str) -> str:
    """DuckDB text of `shown` over the table or view named `events`."""
    return str(ibis.to_sql(shown(ibis.table(EVENTS, name=events)), dialect="duckdb"))


def _impressions(events: ir.Table) -> ir.Table:
    seen = events.filter(events.event_type == "impression")
    return seen.group_by(*THING, "event_date").aggregate(
        shown_at=seen.occurred_at.min(),
        position=seen.position.min(),
        model_version=seen.model_version.min(),
        propensity=seen.propensity.min(),
        simulated=seen.simulated.any(),
    )


def _outcomes(events: ir.Table, impressions: ir.Table) -> ir.Table:
    """One row per outcome event, with the thing shown that it came of."""
    of_slates = events.filter(events.event_type.isin(["click", "play"]))
    follows = events.filter(events.event_type == "follow")
    possible = ibis.union(
        _possible(impressions, of_slates, THING),
        _possible(impressions, follows, ("user_key", "artist_id")),
    )
    newest_first = [ibis.desc("shown_at"), ibis.desc("slate_id")]
    place = ibis.row_number().over(ibis.window(group_by="event_id", order_by=newest_first))
    return possible.mutate(place=place).filter(ibis._.place == 0)


def _possible(impressions: ir.Table, outcomes: ir.Table, same: tuple[str, ...]) -> ir.Table:
    """Each outcome beside every thing shown that it may have come of."""
    days_after = outcomes.event_date.delta(impressions.event_date, unit="day")
    in_time = [outcomes.occurred_at >= impressions.shown_at, days_after <= SLATE_DAYS]
    return impressions.inner_join(outcomes, [*same, *in_time]).select(
        *(impressions[name] for name in (*THING, "event_date", "shown_at")),
        *(outcomes[name] for name in ("event_id", "event_type")),
        happened_on=outcomes.event_date,
        outcome_simulated=outcomes.simulated,
    )


def _by_thing(outcomes: ir.Table) -> ir.Table:
    kind = outcomes.event_type
    return outcomes.group_by(*THING, "event_date").aggregate(
        clicked_on=outcomes.happened_on.min(where=kind == "click"),
        played=(kind == "play").any(),
        followed=(kind == "follow").any(),
        plays=outcomes.event_id.collect(where=kind == "play"),
        outcome_simulated=outcomes.outcome_simulated.any(),
    )
