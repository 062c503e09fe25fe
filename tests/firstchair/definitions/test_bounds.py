"""One user's weight in a sum over users."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.definitions.bounds import MOST_AVERAGES, bounded, bounded_parts, bounds_sql
from firstchair.lake import connect

# Many small weights, so that a large one can exceed the bound, and a few of any size.
weights = st.builds(
    lambda small, large: np.array([*small, *large], dtype=np.float64),
    st.lists(st.integers(0, 20), min_size=60, max_size=120),
    st.lists(st.integers(0, 10**9), max_size=6),
)


@given(weights)
@settings(max_examples=30, deadline=None)
# pragma: allowlist nextline secret
def test_nobody_weighs_more_than_so_many_mean_users_and_the_others_weigh_what_they_did(
    found: np.ndarray,
) -> None:
    counted = bounded(found)
    present = counted[counted > 0]
    cut = counted < found

    assert (counted <= found).all()
    if len(present):
        assert present.max() <= MOST_AVERAGES * present.mean() * (1 + 1e-9)
    if cut.any():
        assert counted[cut] == pytest.approx(np.full(cut.sum(), MOST_AVERAGES * present.mean()))
    else:
        assert counted is found


@given(weights)
@settings(max_examples=30, deadline=None)
def test_a_rate_stays_whatever_its_weight(found: np.ndarray) -> None:
    clicks = np.floor(found / 3)
    parts, counted = bounded_parts(clicks, found)

    known = found > 0
    assert parts[known] / counted[known] == pytest.approx(clicks[known] / found[known])
    assert not parts[~known].any()


@pytest.mark.parametrize("size", [1e5, 1e9, 1e15])
def test_what_is_cut_off_does_not_raise_the_bound(size: float) -> None:
    users = np.array([10.0] * 999 + [size])

    assert bounded(users)[-1] == pytest.approx(50 * 9_990 / 950)


@given(weights)
@settings(max_examples=15, deadline=None)
def test_the_database_finds_the_same_bound(found: np.ndarray) -> None:
    users = [f"{user:03}" for user in range(len(found))]
    columns = {
        "cell": np.repeat([1, 2], len(found)),
        "user_key": users * 2,
        "n": np.tile(found.astype(np.int64), 2),
    }
    with connect() as connection:
        connection.register("of_users", pa.table(columns))
        bounds = connection.sql(bounds_sql("of_users", cell="cell", weight="n")).fetchall()

    counted = bounded(found)
    if (counted < found).any():
        assert dict(bounds) == {cell: round(counted.max()) for cell in (1, 2)}
    else:
        assert bounds == []
