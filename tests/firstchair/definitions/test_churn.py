"""When a churn label is final, and that labels exist for exactly the horizons."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.console.pages.audition import NAMES
from firstchair.definitions.churn import HORIZONS_DAYS, LABELS, mature_day, mature_until
from firstchair.definitions.metrics import CHURN_HORIZONS
from firstchair.lake import tables as t
from firstchair.promotion.experiment import COLUMNS, Metric

START = date(2026, 3, 1)


def test_horizons_are_those_of_the_contract() -> None:
    assert HORIZONS_DAYS == (7, 14)
    assert LABELS == {"churned_7": 7, "churned_14": 14}


@pytest.mark.parametrize("names", [t.EVIDENCE.schema.names, COLUMNS, list(Metric), NAMES])
def test_labels_stand_wherever_they_are_kept_or_shown_for_exactly_the_horizons(
    names: list[str],
) -> None:
    assert [name for name in names if name.startswith("churned_")] == list(LABELS)


def test_every_horizon_is_a_metric_of_the_gate() -> None:
    assert {str(metric): days for metric, days in CHURN_HORIZONS.items()} == LABELS


@pytest.mark.parametrize(("late", "day_before", "day_itself"), [(0, False, True), (3, False, True)])
def test_a_label_is_mature_from_the_day_on_which_its_horizon_and_the_tolerance_are_over(
    late: int, day_before: bool, day_itself: bool
) -> None:
    as_of = START + timedelta(days=8)  # of the label of `START` at 7 days
    over = as_of + timedelta(days=late)

    for known_until, mature in ((over - timedelta(days=1), day_before), (over, day_itself)):
        assert (as_of <= mature_until(known_until, late_tolerance_days=late)) is mature
        newest_complete_day = (known_until - START).days - 1
        assert (mature_day(newest_complete_day, 7, late_tolerance_days=late) >= 0) is mature


@settings(deadline=None)
@given(today=st.integers(0, 60), horizon=st.sampled_from(HORIZONS_DAYS), late=st.integers(0, 10))
def test_numbered_days_and_dates_mature_alike(today: int, horizon: int, late: int) -> None:
    newest = START + timedelta(days=mature_day(today, horizon, late_tolerance_days=late))
    known_until = START + timedelta(days=today + 1)

    as_of = newest + timedelta(days=1 + horizon)

    assert as_of == mature_until(known_until, late_tolerance_days=late)
