"""Diverse lists: the greedy rule, against itself written plainly."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.models.diversity import AT_ONCE, Diversity

GENRES = ("fado", "jazz", "metal", "salsa")
CATALOGUE = st.lists(st.lists(st.sampled_from(GENRES), max_size=3) | st.none(), min_size=1)


def likeness(one: Sequence[str] | None, other: Sequence[str] | None) -> float:
    a, b = set(one or ()), set(other or ())
    return len(a & b) / (len(a) * len(b)) ** 0.5 if a and b else 0.0


@settings(max_examples=100, deadline=None)
@given(catalogue=CATALOGUE, weight=st.floats(0, 1), draw=st.data())
def test_each_place_has_the_artist_with_the_greatest_marginal_relevance(
    catalogue: list[list[str] | None], weight: float, draw: st.DataObject
) -> None:
    count = draw.draw(st.integers(0, len(catalogue)))
    listed = draw.draw(st.permutations(range(len(catalogue))))[:count]
    given_scores = st.lists(st.integers(-100, 100), min_size=count, max_size=count)
    scores = sorted((score / 100 for score in draw.draw(given_scores)), reverse=True)
    row = np.array([[*listed, -1, -1]], dtype=np.int32)
    values = np.array([[*scores, 0.0, 0.0]])

    order = Diversity.of(weight, catalogue).order(row, values)[0]

    assert sorted(order) == list(range(count + 2))
    assert set(order[count:]) == {count, count + 1}
    span = scores[0] - scores[-1] if count else 0.0
    relevance = [(score - scores[-1]) / span if span else 1.0 for score in scores]
    shown: list[int] = []
    for place in order[:count]:

        def value(candidate: int) -> float:
            above = (likeness(catalogue[listed[candidate]], catalogue[listed[s]]) for s in shown)
            return (1 - weight) * relevance[candidate] - weight * max(above, default=0.0)

        best = max(value(candidate) for candidate in range(count) if candidate not in shown)
        assert value(int(place)) >= best - 1e-5
        shown.append(int(place))


def test_a_weight_of_nought_keeps_the_order_and_many_users_are_ordered_as_one_alone() -> None:
    rng = np.random.default_rng(1)
    users, artists, k = AT_ONCE + 7, 200, 20
    catalogue = [rng.choice(GENRES, rng.integers(0, 3), replace=False) for _ in range(artists)]
    rows = np.array([rng.permutation(artists)[:k] for _ in range(users)], dtype=np.int32)
    scores = -np.sort(-rng.random((users, k)), axis=1)

    kept = Diversity.of(0.0, catalogue).order(rows, scores)
    diverse = Diversity.of(0.5, catalogue)
    together = diverse.order(rows, scores)
    alone = np.concatenate([diverse.order(rows[n : n + 1], scores[n : n + 1]) for n in range(5)])

    assert (kept == np.arange(k)).all()
    assert (together[:5] == alone).all()
    assert (together != kept).any()
    assert (together[:, 0] == 0).all()


def test_no_list_and_no_genre_are_no_fault() -> None:
    assert Diversity.of(0.5, [None]).order(np.zeros((0, 3), np.int32), np.zeros((0, 3))).size == 0
    assert Diversity.of(0.5, [None, []]).order(
        np.array([[1, 0]], np.int32), np.array([[0.5, 0.2]])
    ).tolist() == [[0, 1]]


def test_a_catalogue_of_many_genres_is_ordered_a_few_users_at_a_time() -> None:
    genres = [[f"of {number}", "of all"] for number in range(2_000)]
    whole = Diversity.of(0.5, genres)
    artists = np.arange(2_000, dtype=np.int32).reshape(20, 100)
    scores = np.tile(np.linspace(1, 0, 100), (20, 1))

    tracemalloc.start()
    together = whole.order(np.tile(artists, (20, 1)), np.tile(scores, (20, 1)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert most < 200e6  # the genres of these 400 lists are 320 MB
    assert (together == np.tile(whole.order(artists[:1], scores[:1]), (400, 1))).all()
