"""The one cut by `as_of` that every feature reads through."""

from datetime import UTC, date, datetime

import ibis
import pytest

from firstchair.features import open_history
from firstchair.features.history import before, whole_days
from firstchair.lake import DuckDBEngine

AS_OF = date(2026, 1, 10)


def test_cut_keeps_the_last_microsecond_before_midnight_utc_and_nothing_later(scene):
    history = scene.history(
        [
            scene.event("login", scene.anna, "2026-01-09T23:59:59.999999", event_id="last"),
            scene.event("login", scene.anna, "2026-01-10T00:00:00", event_id="first of the day"),
            scene.event("login", scene.anna, "2026-01-11T12:00:00", event_id="later"),
        ]
    )

    kept = before(history.events, AS_OF).to_pyarrow()

    assert kept["event_id"].to_pylist() == ["last"]


def test_event_stored_under_an_earlier_day_than_its_instant_is_cut_all_the_same(scene):
    history = scene.history(
        [scene.event("login", scene.anna, "2026-01-10T08:00:00", event_date=date(2026, 1, 9))],
    )

    assert before(history.events, AS_OF).to_pyarrow().num_rows == 0


@pytest.mark.parametrize(
    ("since", "days"),
    [
        (datetime(2026, 1, 9, 0, 0, tzinfo=UTC), 1),
        (datetime(2026, 1, 9, 0, 0, 1, tzinfo=UTC), 0),
        (datetime(2025, 12, 11, 0, 0, tzinfo=UTC), 30),
        (datetime(2026, 1, 10, 6, 0, tzinfo=UTC), -1),
        (datetime(1969, 12, 31, 18, 0, tzinfo=UTC), 20463),
    ],
)
def test_days_are_whole_days_of_24_hours(scene, since, days):
    events = scene.history([scene.event("login", scene.anna, since)]).events

    assert events.select(days=whole_days(events.occurred_at, AS_OF)).to_pyarrow()[
        "days"
    ].to_pylist() == [days]


def test_lake_without_tables_is_a_history_without_rows(lake):
    with DuckDBEngine(lake) as engine:
        history = open_history(engine)

        assert [
            int(t.count().execute()) for t in (history.events, history.users, history.artists)
        ] == [0, 0, 0]
        assert isinstance(history.events, ibis.Table)
