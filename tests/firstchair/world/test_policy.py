"""The chances that the policy logs are those it acts by."""

import numpy as np

from firstchair.world.policy import EXPLORATION, SLATE, make_slates

ARTISTS, DRAWS = 16, 40_000


def test_logged_propensities_are_the_frequencies_of_what_is_shown() -> None:
    view = np.linspace(1, 0, ARTISTS, dtype=np.float32)
    slates = make_slates(np.repeat(view[None, :], DRAWS, axis=0), np.random.default_rng(2))

    counts = np.zeros((ARTISTS, SLATE))
    np.add.at(counts, (slates.artists, np.arange(SLATE)[None, :]), 1)
    outside = EXPLORATION / SLATE / (ARTISTS - SLATE)
    expected = np.full((ARTISTS, SLATE), outside) * (np.arange(ARTISTS)[:, None] >= SLATE)
    expected[np.arange(SLATE), np.arange(SLATE)] = 1 - EXPLORATION / SLATE

    error = 5 * np.sqrt(np.maximum(expected * (1 - expected), 1e-9) / DRAWS)
    assert (np.abs(counts / DRAWS - expected) <= error).all()


def test_each_shown_artist_carries_his_own_chance() -> None:
    view = np.linspace(1, 0, ARTISTS, dtype=np.float32)
    slates = make_slates(np.repeat(view[None, :], 2_000, axis=0), np.random.default_rng(3))

    explored = slates.artists >= SLATE
    assert explored.any()
    np.testing.assert_allclose(
        slates.propensities[explored], EXPLORATION / SLATE / (ARTISTS - SLATE)
    )
    np.testing.assert_allclose(slates.propensities[~explored], 1 - EXPLORATION / SLATE)
    assert (np.sort(slates.artists, axis=1)[:, 1:] != np.sort(slates.artists, axis=1)[:, :-1]).all()
