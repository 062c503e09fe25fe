"""One lifecycle: as an expression, as SQL text and in memory, and in every room that reads it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from firstchair.definitions.lifecycle import lifecycle, lifecycle_sql, lifecycles
from firstchair.lake import connect
from firstchair.lake.tables import UTC_INSTANT

Moment = datetime | None
Form = Callable[[list[Moment], date], list[str]]
MOMENT = timedelta(microseconds=1)
DAY = date(2026, 1, 31)
BORDER = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def engine() -> Backend:
    return ibis.duckdb.from_connection(connect())


def by_ibis(created_at: list[Moment], day: date) -> list[str]:
    engine().con.register("users", _table(created_at))
    users = engine().table("users")
    told = users.select("number", told=lifecycle(users.created_at, ibis.literal(day)))
    return list(told.order_by("number").to_pyarrow().column("told").to_pylist())


def by_sql(created_at: list[Moment], day: date) -> list[str]:
    engine().con.register("users", _table(created_at))
    told = lifecycle_sql("u.created_at", "d.day")
    query = f"select {told} from users u, (select date '{day}' as day) d order by number"
    return [row[0] for row in engine().con.execute(query).fetchall()]


def in_memory(created_at: list[Moment], day: date) -> list[str]:
    plain = [None if at is None else at.astimezone(UTC).replace(tzinfo=None) for at in created_at]
    return list(lifecycles(np.array(plain, dtype="datetime64[us]"), day))


def _table(created_at: list[Moment]) -> pa.Table:
    return pa.table(
        {"number": range(len(created_at)), "created_at": pa.array(created_at, UTC_INSTANT)}
    )


FORMS = pytest.mark.parametrize("form", [by_ibis, by_sql, in_memory])


@FORMS
@pytest.mark.parametrize(
    ("created_at", "told"),
    [
        (BORDER, "long_term"),
        (BORDER - MOMENT, "long_term"),
        (BORDER + MOMENT, "new"),
        (BORDER + timedelta(hours=12), "new"),
        (None, "new"),
        (BORDER.astimezone(timezone(timedelta(hours=14))), "long_term"),
        ((BORDER + MOMENT).astimezone(timezone(timedelta(hours=-12))), "new"),
        (datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=3))), "long_term"),
        (datetime(2025, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3))), "new"),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "long_term"),
        (datetime(1, 1, 2, tzinfo=UTC), "long_term"),
        (datetime(2026, 1, 31, tzinfo=UTC), "new"),
        (datetime(9999, 12, 30, tzinfo=UTC), "new"),
    ],
)
def test_an_account_is_new_until_30_times_24_hours_have_passed(
    form: Form, created_at: Moment, told: str
) -> None:
    assert form([created_at], DAY) == [told]


@FORMS
@pytest.mark.parametrize(
    "day", [date(1969, 12, 31), date(1970, 1, 15), date(2026, 4, 5), date(9999, 12, 31)]
)
def test_the_border_is_an_instant_on_any_day(form: Form, day: date) -> None:
    border = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=30)

    assert form([border - MOMENT, border, border + MOMENT], day) == [
        "long_term",
        "long_term",
        "new",
    ]


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
days = st.dates(date(1900, 1, 1), date(2200, 1, 1))
ages = st.one_of(
    st.timedeltas(timedelta(days=30) - 3 * MOMENT, timedelta(days=30) + 3 * MOMENT),
    st.timedeltas(timedelta(days=28), timedelta(days=32)),
    st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000)),
)


@settings(deadline=None)
@given(day=days, ages=st.lists(st.none() | st.tuples(ages, offsets), min_size=1, max_size=20))
def test_all_forms_agree_with_the_words_of_the_definition(
    day: date, ages: list[tuple[timedelta, timezone] | None]
) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    created_at = [None if age is None else (midnight - age[0]).astimezone(age[1]) for age in ages]

    told = ["new" if age is None or age[0] < timedelta(days=30) else "long_term" for age in ages]

    assert by_ibis(created_at, day) == by_sql(created_at, day) == in_memory(created_at, day) == told
