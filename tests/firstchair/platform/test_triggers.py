"""What asks for a retraining, read from tables."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.platform.causes import outcome
from firstchair.platform.triggers import of_models
from monitoring import load_rules

FIRST, AS_OF = date(2026, 1, 1), date(2026, 1, 11)
FITTED = AS_OF - timedelta(days=3)
USERS = 200


def logins(user: str, day: date, count: int) -> pa.Table:
    """So many logins of one user on a day."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    row = {"event_type": "login", "event_date": day, "occurred_at": at, "user_key": user}
    rows = [dict.fromkeys(t.EVENTS.schema.names) | row] * count
    return pa.Table.from_pylist(rows, schema=t.EVENTS.schema)


def growth(lake: Lake, *, fitted: date = FITTED) -> float:
    """Events since the newest models ÷ those before, as the condition tells it."""
    found = {one.cause: one for one in of_models(lake, AS_OF, fitted, load_rules())}
    condition = found["volume"]
    assert condition.held[AS_OF] == (condition.evidence["growth"] >= 0.5)
    return float(condition.evidence["growth"])


@pytest.fixture
def served(lake: Lake) -> Lake:
    """A login of each user on each of ten days, seven of them before the models were fitted."""
    days = [FIRST + timedelta(days=number) for number in range(10)]
    each = (logins(f"u{n}", day, 1) for day in days for n in range(USERS))
    lake.append(t.EVENTS, pa.concat_tables(each))
    return lake


def test_the_volume_grows_by_the_events_since_the_models_were_fitted(served: Lake) -> None:
    assert growth(served) == pytest.approx(3 / 7)


def test_one_account_does_not_make_the_volume_grow(served: Lake) -> None:
    served.append(t.EVENTS, logins("u7", AS_OF - timedelta(days=1), 20_000))

    # The account counts as c = 50 (199 * 3 + c) / 200 events.
    assert growth(served) == pytest.approx((199 * 3 + 199) / (7 * USERS))


def test_events_before_which_there_were_none_are_growth(served: Lake) -> None:
    served.delete(t.EVENTS, f"event_date < '{FITTED}'")

    assert growth(served) == 3 * USERS


def unreadable(lake: Lake) -> Lake:
    """The lake, where whoever reads the rows of events fails."""
    for file in Path(lake.url, t.EVENTS.name).rglob("*.parquet"):
        file.unlink()
    return lake


def test_history_is_read_once_for_all_looks_until_events_come_in(served: Lake) -> None:
    before = growth(served)

    assert growth(unreadable(served)) == before

    served.overwrite(t.EVENTS, logins("u1", FITTED, 1))
    assert growth(served) == 1


def test_after_a_run_with_models_there_is_no_growth_and_no_history_is_read(served: Lake) -> None:
    assert growth(unreadable(served), fitted=AS_OF) == 0


@pytest.mark.parametrize(
    ("cause", "change", "first"),
    [
        ("freshness", {"hold_days": 2}, 2),
        ("schedule", {"hold_days": 3, "max_age_days": 5}, 7),
        ("volume", {"hold_days": 2, "min_growth": 0.25}, 3),
    ],
)
def test_a_condition_of_the_models_that_has_to_last_fires_when_it_has(
    served: Lake, cause: str, change: dict[str, float], first: int
) -> None:
    rules = load_rules()
    rule = getattr(rules.triggers, cause).model_copy(update=change)
    triggers = rules.triggers.model_copy(update={cause: rule})
    rules = rules.model_copy(update={"triggers": triggers})

    def came_to(age: int) -> str | None:
        as_of = FITTED + timedelta(days=age)
        conditions = {one.cause: one for one in of_models(served, as_of, FITTED, rules)}
        return outcome(conditions[cause].rule, conditions[cause].held, [], as_of=as_of)

    assert [came_to(first - 1), came_to(first)] == ["not_held", "fired"]
