"""The largest inner products: as a whole multiplication finds them, whoever is asked for beside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from firstchair.models.products import TILE, Artists, best_products
from firstchair.models.protocol import Lists
from firstchair.models.selection import best

ARTISTS, FACTORS = 2 * TILE + 100, 12


def case(seed: int, users: int, *, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users of length 1, artists of length 1 at most, and a column of each, some left out."""
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(users, FACTORS)).astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    vectors = rng.normal(size=(ARTISTS, FACTORS)) * rng.lognormal(0, spread, size=(ARTISTS, 1))
    # Some artists are the same as others: only their columns tell them apart.
    vectors[rng.integers(0, ARTISTS, 500)] = vectors[0]
    vectors = (vectors / np.linalg.norm(vectors, axis=1).max()).astype(np.float32)
    columns = rng.permutation(ARTISTS)
    columns[rng.integers(0, ARTISTS, 50)] = -1
    return wanted, vectors, columns


def by_multiplication(
    users: np.ndarray, vectors: np.ndarray, columns: np.ndarray, taken: sparse.csr_matrix, k: int
) -> Lists:
    products = np.full((len(users), ARTISTS), -np.inf)
    exact = np.round(users.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    products[:, columns[columns >= 0]] = np.clip(exact, -1, 1)[:, columns >= 0]
    return best(products.astype(np.float32), taken, k)


def taken_by(users: int, seed: int) -> sparse.csr_matrix:
    return sparse.random(
        users, ARTISTS, density=0.05, format="csr", random_state=seed, dtype=np.float32
    )


@given(
    seed=st.integers(0, 2**16),
    users=st.integers(1, 20),
    k=st.integers(1, 60),
    spread=st.sampled_from([0.0, 1.0, 3.0]),
)
@settings(max_examples=15, deadline=None)
def test_lists_are_those_of_a_whole_multiplication(
    seed: int, users: int, k: int, spread: float
) -> None:
    wanted, vectors, columns = case(seed, users, spread=spread)
    taken = taken_by(users, seed)

    found = best_products(wanted, Artists.of(vectors, columns), taken, k, decimals=6)

    expected = by_multiplication(wanted, vectors, columns, taken, k)
    assert (found.artists == expected.artists).all()
    assert (found.scores == expected.scores).all()


def test_a_list_does_not_depend_on_who_is_asked_for_beside() -> None:
    wanted, vectors, columns = case(1, 300, spread=1.0)
    artists, taken = Artists.of(vectors, columns), taken_by(300, 1)

    together = best_products(wanted, artists, taken, 20, decimals=6)

    for row in (0, 255, 256, 299):
        alone = best_products(wanted[row : row + 1], artists, taken[row], 20, decimals=6)
        assert (alone.artists[0] == together.artists[row]).all()
        assert (alone.scores[0] == together.scores[row]).all()


@pytest.mark.parametrize("left", [0, 3])
def test_a_user_who_has_taken_nearly_all_gets_what_is_left(left: int) -> None:
    wanted, vectors, _ = case(2, 1, spread=1.0)
    taken = sparse.csr_matrix(np.ones((1, ARTISTS), dtype=np.float32))
    taken[0, :left] = 0
    taken.eliminate_zeros()
    artists = Artists.of(vectors, np.arange(ARTISTS))

    found = best_products(wanted, artists, sparse.csr_matrix(taken), 5, decimals=6)

    assert sorted(found.artists[0]) == [-1] * (5 - left) + list(range(left))
