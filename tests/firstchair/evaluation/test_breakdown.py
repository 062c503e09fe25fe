"""A metric by segment and history length, worked out by hand."""

import numpy as np
import pytest

from firstchair.evaluation.breakdown import broken_down, history_names
from firstchair.evaluation.intervals import mean_interval
from tests.firstchair.models.toys import USERS, checkerboard


def test_lengths_fall_into_the_bins_that_hold_them() -> None:
    names = history_names(np.array([0, 1, 2, 3, 4, 5, 6, 10, 11, 19, 20, 500]))

    assert names.tolist() == [
        "0",
        "1",
        "2-3",
        "2-3",
        "4-5",
        "4-5",
        "6-10",
        "6-10",
        "11-19",
        "11-19",
        "20+",
        "20+",
    ]


def test_each_cell_has_the_mean_of_its_users() -> None:
    data, rows = checkerboard(), np.arange(USERS)
    values = np.where(rows % 2 == 0, 0.75, 0.25)

    cells = {(cell.segment, cell.value): cell for cell in broken_down(values, rows, data, seed=1)}

    assert cells["all", "all"].mean == 0.5
    assert (cells["country", "CL"].mean, cells["country", "SE"].mean) == (0.75, 0.25)
    assert cells["country", "CL"].users == USERS / 2
    assert cells["all", "all"].lower < 0.5 < cells["all", "all"].upper


def test_a_cell_of_few_users_is_merged_into_other() -> None:
    data = checkerboard()
    data.users["country"] = ["AQ"] * 5 + ["CL"] * (USERS - 5)

    cells = broken_down(np.ones(USERS), np.arange(USERS), data, seed=1)

    assert {cell.value: cell.users for cell in cells if cell.segment == "country"} == {
        "CL": USERS - 5,
        "other": 5,
    }


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(4).normal(0.5, 0.1, 2_000)

    lower, upper = mean_interval(values, samples=2_000, alpha=0.05, seed=1)

    assert upper - lower == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)
