"""Two versions on days that neither was fitted on."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from firstchair import models
from firstchair.evaluation.versions import list_change, measure_versions, population_stability
from firstchair.lake import tables as t
from firstchair.models import Family
from tests.firstchair.models.toys import checkerboard

AS_OF = date(2026, 2, 3)
SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=200).map(np.array)


def rows(*lists: str, scores: list[list[float]] | None = None) -> pa.Table:
    """Rows of one version: a list a user, one letter an artist."""
    columns = {
        "user_key": [f"u{number}" for number in range(len(lists))],
        "artist_ids": [list(artists) for artists in lists],
        "scores": scores or [[0.5] * len(artists) for artists in lists],
    }
    return pa.table(columns)


def test_the_same_lists_have_not_changed() -> None:
    same = rows("abc", "bcd")

    change = list_change(same, same, catalogue=8)

    assert (change.overlap, change.coverage_before, change.coverage_change) == (1.0, 0.5, 0.0)
    assert change.score_shift == 0.0


def test_overlap_is_the_mean_share_of_common_artists_and_coverage_counts_artists_once() -> None:
    change = list_change(rows("ab", "ab"), rows("ac", "cd"), catalogue=4)

    assert change.overlap == pytest.approx((1 / 2 + 0) / 2)
    assert (change.coverage_before, change.coverage_after) == (2 / 4, 3 / 4)
    assert change.coverage_change == pytest.approx(0.5)


def test_a_list_that_became_shorter_has_less_in_common() -> None:
    assert list_change(rows("abcd"), rows("ab"), catalogue=4).overlap == 0.5


def test_scores_that_move_to_another_tenth_are_a_major_shift() -> None:
    old = [[number / 100 for number in range(100)]]
    new = [[0.9 + number / 1000 for number in range(100)]]
    letters = "".join(chr(200 + number) for number in range(100))

    change = list_change(rows(letters, scores=old), rows(letters, scores=new), catalogue=100)

    assert change.score_shift > 0.25


@given(SCORES, SCORES)
def test_the_stability_index_is_never_negative_and_zero_for_a_sample_against_itself(
    one: np.ndarray, other: np.ndarray
) -> None:
    assert population_stability(one, other) >= 0
    assert population_stability(one, one) == 0


@pytest.mark.parametrize("after", [0.9, 0.5 + 1e-9, -0.9])
@pytest.mark.parametrize("before", [[0.5], [0.1, 0.5, 0.5]])
def test_scores_above_a_frequent_one_are_a_shift_as_those_below_it_are(
    before: list[float], after: float
) -> None:
    assert population_stability(np.array(before * 50), np.full(150, after)) > 1


def test_each_version_is_measured_on_the_users_who_took_up_something() -> None:
    data = checkerboard()
    found = {
        "7": models.fit(Family.ALS, data, seed=1),
        "8": models.fit(Family.RANDOM, data, seed=1),
    }
    shape = (len(data.user_keys), len(data.artist_ids))
    wanted = found["7"].recommend(data, np.array([0, 3]), 1).artists[:, 0]
    positives = sparse.csr_matrix((np.ones(2), ([0, 3], wanted)), shape=shape)

    table = measure_versions(found, data, positives, as_of=AS_OF, purpose="refresh")

    assert table.schema == t.VERSION_EVIDENCE.schema
    by_als = table.filter(pa.compute.equal(table.column("version"), "7"))
    assert by_als.column("user_key").to_pylist() == [data.user_keys[0], data.user_keys[3]]
    assert by_als.column("ndcg_at_10").to_pylist() == [1.0, 1.0]
    assert [row[0] for row in by_als.column("artist_ids").to_pylist()] == list(
        data.artist_ids[wanted]
    )
    assert set(table.column("test_from").to_pylist()) == {data.as_of}


def test_days_on_which_nobody_took_up_anything_have_no_rows() -> None:
    data = checkerboard()
    nothing = sparse.csr_matrix((len(data.user_keys), len(data.artist_ids)))

    table = measure_versions(
        {"7": models.fit(Family.ALS, data, seed=1)}, data, nothing, as_of=AS_OF, purpose="refresh"
    )

    assert table.num_rows == 0
