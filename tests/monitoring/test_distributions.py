import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.comparison import Rate
from monitoring.distributions import OTHER, panel_of_numbers, panel_of_rates, panel_of_values

VALUE_AND_USER = st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 12))
SIDES = st.lists(VALUE_AND_USER, min_size=1, max_size=80)


def users_by_value(side: list[tuple[str, int]]) -> dict[str, int]:
    return {name: len({user for value, user in side if value == name}) for name in "abcdefgh"}


@given(reference=SIDES, current=SIDES, k=st.integers(1, 6))
def test_no_value_of_few_users_is_drawn_and_nothing_is_lost(
    reference: list[tuple[str, int]], current: list[tuple[str, int]], k: int
) -> None:
    sides = [np.array([value for value, _ in side]) for side in (reference, current)]
    users = [np.array([user for _, user in side]) for side in (reference, current)]

    panel = panel_of_values("country", *sides, *users, k_anonymity=k)

    for frame, side in ((panel.reference, reference), (panel.current, current)):
        assert frame["share"].sum() == pytest.approx(1)
        drawn = [name for name in frame["value"] if name != OTHER]
        assert all(
            users_by_value(side)[name] == 0 or users_by_value(side)[name] >= k for name in drawn
        )
        others = {user for value, user in side if value not in drawn}
        assert not others or len(others) >= k or not drawn
    assert list(panel.reference["value"]) == list(panel.current["value"])


@given(
    reference=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    current=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
)
def test_every_number_falls_into_a_bin(reference: list[float], current: list[float]) -> None:
    panel = panel_of_numbers("plays", np.array(reference), np.array(current))

    assert panel.reference["share"].sum() == pytest.approx(1)
    assert panel.current["share"].sum() == pytest.approx(1)


def test_a_rate_is_drawn_with_its_interval() -> None:
    shown = np.full(400, 10.0)
    clicks = np.tile([0.0, 2.0], 200)

    panel = panel_of_rates("ctr", Rate(clicks, shown), Rate(clicks / 2, shown))

    (before,), (now,) = panel.reference["share"], panel.current["share"]
    assert (before, now) == (pytest.approx(0.1), pytest.approx(0.05))
    # Clicks of a user have the standard deviation 1: 1.96 / sqrt(400) / 10.
    assert panel.reference["half"][0] == pytest.approx(0.0098, rel=0.01)
