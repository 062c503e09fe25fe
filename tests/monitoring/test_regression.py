"""A fall of the CTR: what counts is days whose clicks are all in."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import Regression, engagement_regression, load_rules

AS_OF = date(2026, 3, 31)
RULES = load_rules().engagement
USUAL = [0.099, 0.101, 0.1] * 7


def change(lake: Lake, newest: list[float]) -> Regression:
    """The change at `AS_OF` after `USUAL` days and the newest ones, which end the day before."""
    found = [*USUAL, *newest]
    days = [AS_OF - timedelta(days=len(found) - number) for number in range(len(found))]
    blank = dict.fromkeys(t.ENGAGEMENT_DAILY.schema.names)
    blank |= {"segment": "all", "segment_value": "all", "model_version": "all"}
    blank |= {"impressions": 500}
    rows = [blank | {"event_date": day, "ctr": ctr} for day, ctr in zip(days, found, strict=True)]
    table = pa.Table.from_pylist(rows, schema=t.ENGAGEMENT_DAILY.schema)
    lake.replace_range(t.ENGAGEMENT_DAILY, table, days[0], days[-1])
    return engagement_regression(lake, as_of=AS_OF, days=1, rules=RULES)[AS_OF]


@pytest.mark.parametrize("unfinished", [0.001, 0.1, 0.5])
def test_a_day_that_may_still_be_clicked_is_neither_a_fall_nor_a_rise(
    lake: Lake, unfinished: float
) -> None:
    steady = change(lake, [0.1, 0.101, 0.099, unfinished])

    assert not steady.fallen
    assert steady.relative_change == pytest.approx(0, abs=0.01)


def test_complete_days_that_are_lower_are_a_fall_whatever_the_unfinished_one_is(lake: Lake) -> None:
    lower = change(lake, [0.07, 0.071, 0.069, 0.1])

    assert lower.fallen
    assert lower.recent == (AS_OF - timedelta(days=4), AS_OF - timedelta(days=2))
    assert lower.before == (AS_OF - timedelta(days=25), AS_OF - timedelta(days=5))
    assert lower.recent_ctr == pytest.approx(0.07, rel=0.01)
    assert lower.before_ctr == pytest.approx(0.1, rel=0.01)
    assert lower.relative_change == pytest.approx(lower.recent_ctr / lower.before_ctr - 1)
    assert lower.relative_change == pytest.approx(-0.3, abs=0.01)


@pytest.mark.parametrize("newest", [[0.0, 0.0, 0.0], [0.002, 0.0, 0.001]])
def test_days_without_a_click_are_a_fall(lake: Lake, newest: list[float]) -> None:
    lower = change(lake, [*newest, 0.1])

    assert lower.fallen
    assert lower.relative_change < -0.98
