"""No feature may know the day itself: what happens at or after `as_of` changes nothing."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis.expr.types as ir
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from firstchair import features
from firstchair.events.vocabulary import EventType
from firstchair.features import History
from firstchair.features.history import before
from tests.firstchair.features.conftest import Scene, compiled, in_order

AS_OF = date(2026, 1, 20)
MIDNIGHT = datetime(2026, 1, 20, tzinfo=UTC)
MINUTES_OF_40_DAYS = 40 * 24 * 60

Feature = Callable[..., ir.Table]

drawn_events = st.lists(
    st.tuples(
        st.sampled_from(list(EventType)),
        st.sampled_from("abd"),
        st.sampled_from("xyz"),
        st.one_of(st.just(0), st.just(-1), st.integers(-MINUTES_OF_40_DAYS, MINUTES_OF_40_DAYS)),
        st.sampled_from([0, 14_999, 60_000, 900_000]),
    ),
    max_size=30,
)
# One event of each type on the very day, on a pair that nothing else touches: no draw can miss a
# leak of that type.
ONE_OF_EACH = [
    (kind, "c", "x", minutes, 200_000) for kind in EventType for minutes in (0, 600, 3_000)
]


def _makes_a_table_from_a_history(thing: Callable[..., Any]) -> bool:
    return (
        "history" in _parameters(thing) and inspect.signature(thing).return_annotation is ir.Table
    )


def _parameters(thing: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(thing).parameters)


def _cut(feature: Feature) -> dict[str, date]:
    """The arguments that cut the history at AS_OF, whichever of the two forms the feature takes."""
    if "as_of" in _parameters(feature):
        return {"as_of": AS_OF}
    return {"start": AS_OF - timedelta(days=7), "end": AS_OF}


def as_of_features() -> dict[str, Feature]:
    """Every public function of the room that builds a table from a history, by its signature."""
    found = {}
    for module in pkgutil.iter_modules(features.__path__, "firstchair.features."):
        for name, thing in inspect.getmembers(
            importlib.import_module(module.name), inspect.isfunction
        ):
            if not name.startswith("_") and _makes_a_table_from_a_history(thing):
                found[f"{thing.__module__.rpartition('.')[2]}.{name}"] = thing
    return found


def assert_no_leak(feature: Feature, scene: Scene) -> None:
    """Fails unless `feature` gives the same rows without the events at or after `as_of`."""
    made_of = compiled(feature(scene.history([]), **_cut(feature)))

    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.nested_given],
    )
    @given(drawn_events)
    def ignores_what_comes_later(drawn: list[tuple[EventType, str, str, int, int]]) -> None:
        events = [
            scene.event(
                kind,
                user * 32,
                MIDNIGHT + timedelta(minutes=minutes),
                artist_id=None if kind == EventType.LOGIN else artist,
                track_id=f"{artist}1" if kind == EventType.PLAY else None,
                ms_played=ms_played if kind == EventType.PLAY else None,
            )
            for kind, user, artist, minutes, ms_played in [*drawn, *ONE_OF_EACH]
        ]
        known = [event for event in events if event["occurred_at"] < MIDNIGHT]
        assert in_order(made_of(events)) == in_order(made_of(known))

    ignores_what_comes_later()


@pytest.mark.parametrize("name", sorted(as_of_features()))
def test_feature_ignores_everything_from_as_of_on(name, scene):
    assert_no_leak(as_of_features()[name], scene)


def test_every_exported_feature_is_among_them():
    exported = {getattr(features, name) for name in features.__all__}
    exported = {
        thing for thing in exported if inspect.isfunction(thing) and "history" in _parameters(thing)
    }

    assert len(exported) >= 4
    assert exported <= set(as_of_features().values())


def reads_the_day_itself(history: History, *, as_of: date) -> ir.Table:
    events = history.events.filter(history.events.event_date <= as_of)
    return events.group_by("user_key").aggregate(clicks=(events.event_type == "click").sum())


def reads_everything_for_a_popularity(history: History, *, as_of: date) -> ir.Table:
    known = before(history.events, as_of)
    popular = history.events.group_by("artist_id").aggregate(plays=history.events.count())
    return (
        known.select("user_key", "artist_id")
        .distinct()
        .left_join(popular, "artist_id")
        .drop("artist_id_right")
    )


def reads_follows_up_to_midnight_included(history: History, *, as_of: date) -> ir.Table:
    cut = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)
    events = history.events.filter(
        history.events.occurred_at <= cut, history.events.event_type == "follow"
    )
    return events.select("user_key", "artist_id")


@pytest.mark.parametrize(
    "leak",
    [
        reads_the_day_itself,
        reads_everything_for_a_popularity,
        reads_follows_up_to_midnight_included,
    ],
)
def test_planted_leak_is_found(leak, scene):
    with pytest.raises(AssertionError):
        assert_no_leak(leak, scene)
