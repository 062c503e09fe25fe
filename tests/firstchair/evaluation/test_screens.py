"""Many tests at once."""

import numpy as np

from firstchair.evaluation.screens import holm


def test_holm_stops_at_the_first_that_stands() -> None:
    found = holm(np.array([0.010, 0.030, 0.020, 0.900]), alpha=0.05)

    assert found.tolist() == [True, False, False, False]


def test_holm_is_wrong_about_any_of_many_truths_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(2)

    wrong = sum(holm(rng.random(30), alpha=0.05).any() for _ in range(2_000))

    assert wrong <= 135


def test_what_is_not_known_neither_falls_nor_counts() -> None:
    assert holm(np.array([np.nan, 0.04, np.nan]), alpha=0.05).tolist() == [False, True, False]
    assert holm(np.array([]), alpha=0.05).tolist() == []
