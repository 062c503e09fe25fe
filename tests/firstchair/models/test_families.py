"""What every family must do, and what those that learn must find."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from firstchair import models
from firstchair.errors import ModelError
from firstchair.models import Family, LabelledHistory, Lists, Recommender, TrainingData
from tests.firstchair.models.toys import (
    ARTISTS,
    AS_OF,
    USERS,
    checkerboard,
    training_data,
    withheld,
)

ROWS = np.arange(USERS)
LEARNERS = (
    Family.ALS,
    Family.ITEM_ITEM,
    Family.GRAPH_FILTER,
    Family.BLEND,
    Family.XGBOOST,
    Family.CONTENT,
)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return checkerboard()


@pytest.fixture(scope="module")
def fitted(data: TrainingData) -> dict[Family, Recommender]:
    return {family: models.fit(family, data, seed=1) for family in Family}


@pytest.fixture(params=list(Family))
def model(request: pytest.FixtureRequest, fitted: dict[Family, Recommender]) -> Recommender:
    return fitted[request.param]


def same(one: Lists, other: Lists) -> bool:
    return bool(
        (one.artists == other.artists).all() and np.allclose(one.scores, other.scores, atol=1e-6)
    )


@pytest.mark.parametrize("family", LEARNERS)
def test_the_withheld_artist_of_the_own_parity_comes_first(
    family: Family, fitted: dict[Family, Recommender], data: TrainingData
) -> None:
    lists = fitted[family].recommend(data, ROWS, 1)

    assert (lists.artists[:, 0] == withheld(ROWS)).mean() > 0.9


def test_no_list_holds_an_artist_twice_or_one_already_taken(
    model: Recommender, data: TrainingData
) -> None:
    lists = model.recommend(data, ROWS, 15)

    taken = data.taken().toarray() > 0
    for user, row in enumerate(lists.artists):
        listed = row[row >= 0]
        assert len(set(listed)) == len(listed)
        assert not taken[user, listed].any()


def test_scores_lie_within_bounds_and_never_rise_along_a_list(
    model: Recommender, data: TrainingData
) -> None:
    scores = model.recommend(data, ROWS, 15).scores

    assert -1 <= scores.min() <= scores.max() <= 1
    assert (np.diff(scores, axis=1) <= 1e-6).all()


def test_a_list_longer_than_the_catalogue_ends_with_what_there_is(
    model: Recommender, data: TrainingData
) -> None:
    lists = model.recommend(data, ROWS, ARTISTS + 10)

    left = ARTISTS - np.diff(data.taken().indptr)
    assert ((lists.artists >= 0).sum(axis=1) == left).all()
    assert (lists.scores[lists.artists < 0] == 0).all()


def test_one_user_at_a_time_is_the_same_as_all_at_once(
    model: Recommender, data: TrainingData
) -> None:
    together = model.recommend(data, ROWS, 10)

    for user in (0, 7, 31):
        alone = model.recommend(data, np.array([user]), 10)
        assert (alone.artists[0] == together.artists[user]).all()


def test_every_item_has_a_reason(model: Recommender, data: TrainingData) -> None:
    lists = model.recommend(data, ROWS, 10)
    said = model.explain(data, ROWS, lists).sentences

    assert said.shape == lists.artists.shape
    assert all(
        bool(text) == (artist >= 0)
        for text, artist in zip(said.flat, lists.artists.flat, strict=True)
    )


def test_saved_and_loaded_it_gives_the_same_lists(
    model: Recommender, data: TrainingData, tmp_path: Path
) -> None:
    model.save(tmp_path / "model")
    back = models.load(model.family, tmp_path / "model")

    assert same(back.recommend(data, ROWS, 10), model.recommend(data, ROWS, 10))
    assert (back.artist_ids == data.artist_ids).all()


def test_the_same_seed_and_data_give_the_same_bytes(
    model: Recommender, data: TrainingData, tmp_path: Path
) -> None:
    models.fit(model.family, data, seed=1).save(tmp_path / "one")
    models.fit(model.family, checkerboard(), seed=1).save(tmp_path / "two")

    files = {name: sorted((tmp_path / name).rglob("*.*")) for name in ("one", "two")}
    assert [path.read_bytes() for path in files["one"]] == [
        path.read_bytes() for path in files["two"]
    ]


def test_nothing_is_pickled(model: Recommender, tmp_path: Path) -> None:
    model.save(tmp_path / "model")

    kinds = {path.suffix for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".ubj"}


def test_a_format_from_the_future_is_refused(model: Recommender, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    document = tmp_path / "model" / "model.json"
    document.write_text(document.read_text().replace('"format": 2', '"format": 99'))

    with pytest.raises(ModelError, match="format 99"):
        models.load(model.family, tmp_path / "model")


def test_a_user_without_any_signal_gets_a_full_list(model: Recommender, data: TrainingData) -> None:
    nobody = data.confidence.toarray()
    nobody[0] = 0
    cold = training_data(nobody, data.as_of, fingerprint="newer")

    assert (model.recommend(cold, np.array([0]), 10).artists >= 0).all()


def test_newer_data_with_other_artists_is_served_by_their_names(
    model: Recommender, data: TrainingData
) -> None:
    wider = np.zeros((USERS + 3, ARTISTS + 4), dtype=np.float32)
    wider[:USERS, :ARTISTS] = data.confidence.toarray()
    newer = training_data(wider, data.as_of, fingerprint="newer")

    lists = model.recommend(newer, np.arange(USERS + 3), 10)

    assert lists.artists.shape == (USERS + 3, 10)
    assert (lists.artists[:, 0] >= 0).all()


@pytest.mark.parametrize(
    "family", [Family.ALS, Family.ITEM_ITEM, Family.GRAPH_FILTER, Family.BLEND, Family.CONTENT]
)
def test_who_likes_nothing_but_what_is_newer_than_the_fit_is_shown_what_is_trending(
    family: Family,
) -> None:
    liked = np.add.outer(np.arange(USERS), np.arange(ARTISTS + 1)) % 2 == 0
    liked[:, 10:] &= np.arange(USERS)[:, None] < 20  # some artists are liked more than others
    liked[0] = np.arange(ARTISTS + 1) == ARTISTS
    newer = training_data(liked.astype(np.float32), AS_OF + timedelta(days=1))
    model = models.fit(family, training_data(liked[:, :ARTISTS].astype(np.float32), AS_OF), seed=1)

    found = model.recommend(newer, np.array([0]), 5)
    reasons = model.explain(newer, np.array([0]), found).sentences

    trending = model.trending.recommend(newer, np.array([0]), 5)
    assert same(found, trending)
    said = model.trending.explain(newer, np.array([0]), trending).sentences
    assert reasons.tolist() == said.tolist()


@pytest.mark.parametrize("family", [Family.ITEM_ITEM, Family.GRAPH_FILTER, Family.CONTENT])
def test_artists_that_share_nothing_with_a_user_come_in_the_order_of_what_is_trending(
    family: Family,
) -> None:
    liked = np.add.outer(np.arange(USERS), np.arange(ARTISTS)) % 2 == 0
    liked &= np.arange(USERS)[:, None] < 20 + np.arange(ARTISTS)  # the last are liked most
    liked[0], liked[:, 4] = np.arange(ARTISTS) == 4, False
    liked[0, 4] = True  # nobody else likes it
    data = training_data(liked.astype(np.float32), AS_OF)
    alone = data.artists["genres"].to_list()
    alone[4] = ["of its own"]
    data = replace(data, artists=data.artists.assign(genres=alone, first_active_on=None))
    model = models.fit(family, data, seed=1)

    found = model.recommend(data, np.array([0]), 10)
    said = model.explain(data, np.array([0]), found).sentences

    assert not found.scores.any()
    trending = model.trending.recommend(data, np.array([0]), 10)
    assert found.artists.tolist() == trending.artists.tolist()
    assert said.tolist() == model.trending.explain(data, np.array([0]), trending).sentences.tolist()


def test_an_artist_renamed_since_the_fit_keeps_what_was_learnt(
    model: Recommender,
    data: TrainingData,
) -> None:
    names = {"a010": "a010 renamed"}
    renamed = replace(
        data,
        artist_ids=np.array([names.get(artist, artist) for artist in data.artist_ids]),
        artists=data.artists.rename(index=names),
        redirects=names,
    )

    found, before = (model.recommend(known, ROWS, 15) for known in (renamed, data))

    assert (before.artists == 10).any()
    assert same(found, before)


def test_an_artist_merged_into_one_that_the_model_knows_leaves_the_others_as_they_were(
    model: Recommender, data: TrainingData
) -> None:
    left = data.artist_ids != "a010"
    confidence = sparse.csr_matrix(data.confidence.toarray()[:, left])
    merged = replace(
        data,
        artist_ids=data.artist_ids[left],
        artists=data.artists[left],
        confidence=confidence,
        recent=None,
        redirects={"a010": "a012"},
    )

    lists = model.recommend(merged, ROWS, 15)

    assert (lists.artists[:, 0] >= 0).all()
    assert lists.artists.max() < left.sum()


def test_nobody_asked_for_gets_no_list(model: Recommender, data: TrainingData) -> None:
    nobody = np.zeros(0, dtype=np.int64)

    lists = model.recommend(data, nobody, 10)

    assert lists.artists.shape == lists.scores.shape == (0, 10)
    assert model.score(data, nobody).shape == (0, ARTISTS)
    assert model.explain(data, nobody, lists).sentences.shape == (0, 10)


def test_who_took_everything_has_an_empty_list(model: Recommender, data: TrainingData) -> None:
    everything = data.confidence.toarray()
    everything[0] = 2
    sated = training_data(everything, data.as_of)

    lists = model.recommend(sated, np.array([0]), 5)

    assert (lists.artists == -1).all()
    assert (model.explain(sated, np.array([0]), lists).sentences == "").all()


def quiet(kind: str) -> TrainingData:
    """Data of which a part is empty, as days without any new pair leave it."""
    data = checkerboard()
    assert data.labelled is not None
    nothing = sparse.csr_matrix(data.confidence.shape, dtype=np.float32)
    unplayed = data.artists.assign(plays_7d=0, plays_28d=0)
    history, none_lately = data.labelled, replace(data.labelled, later=nothing)
    return {
        "no positive signal in the recent window": replace(data, recent=nothing, artists=unplayed),
        "no labelled pair": replace(data, labelled=replace(history, positives=nothing)),
        "no labelled pair of the last days": replace(data, labelled=none_lately),
        "no pair before the labels": replace(
            data, labelled=replace(history, data=replace(history.data, confidence=nothing))
        ),
        "negative feedback alone": replace(data, confidence=-0.1 * data.liked(), recent=nothing),
        "no pair at all": replace(
            data,
            confidence=nothing,
            recent=nothing,
            labelled=LabelledHistory(replace(data, confidence=nothing, recent=nothing), nothing),
        ),
    }[kind]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize(
    "kind",
    [
        "no positive signal in the recent window",
        "no labelled pair",
        "no labelled pair of the last days",
        "no pair before the labels",
        "negative feedback alone",
        "no pair at all",
    ],
)
def test_every_family_lists_for_everybody_whatever_is_empty(kind: str, family: Family) -> None:
    data = quiet(kind)

    model = models.fit(family, data, seed=1)
    lists = model.recommend(data, ROWS, 10)
    said = model.explain(data, ROWS, lists).sentences

    assert (lists.artists >= 0).all()
    assert -1 <= lists.scores.min() <= lists.scores.max() <= 1
    assert all(said.flat)


def test_a_blend_whose_parts_found_nothing_weighs_them_alike() -> None:
    data = checkerboard()
    assert data.labelled is not None
    taken_already = replace(data.labelled, positives=data.labelled.data.liked())

    model = models.fit(Family.BLEND, replace(data, labelled=taken_already), seed=1)

    assert model.parameters()["weight"] == 0.5


def test_shown_and_never_taken_pulls_als_away() -> None:
    liked = checkerboard(labelled=False).confidence.toarray()
    target = withheld(np.array([0]))[0]
    before = models.fit(Family.ALS, training_data(liked, checkerboard().as_of), seed=1)
    liked[0, target] = -1.0
    data = training_data(liked, checkerboard().as_of)

    after = models.fit(Family.ALS, data, seed=1).recommend(data, np.array([0]), ARTISTS)
    plain = before.recommend(checkerboard(labelled=False), np.array([0]), ARTISTS)

    assert score_of(after, target) < score_of(plain, target)


def score_of(lists: Lists, artist: int) -> float:
    return float(lists.scores[0][lists.artists[0] == artist][0])


def test_als_reasons_name_artists_that_the_user_has() -> None:
    data = checkerboard(labelled=False)
    model = models.fit(Family.ALS, data, seed=1)

    reason = model.explain(data, np.array([0]), model.recommend(data, np.array([0]), 1)).sentences[
        0, 0
    ]

    named = reason.removeprefix("Because you listen to ").split(" and ")
    taken = {f"Artist {column}" for column in data.taken()[0].indices}
    assert set(named) <= taken


def test_content_finds_an_artist_nobody_has_played() -> None:
    liked = checkerboard(labelled=False).confidence.toarray()
    liked[:, 6] = 0
    data = training_data(liked, checkerboard().as_of)

    lists = models.fit(Family.CONTENT, data, seed=1).recommend(data, np.array([0]), 3)

    assert 6 in lists.artists[0]


def test_trending_differs_by_country() -> None:
    data = checkerboard(labelled=False)
    model = models.fit(Family.TRENDING, data, seed=1)
    cold = training_data(np.zeros((2, ARTISTS)), data.as_of, fingerprint="cold")

    lists = model.recommend(cold, np.array([0, 1]), 5)

    assert set(lists.artists[0] % 2) == {0}
    assert set(lists.artists[1] % 2) == {1}
    said = model.explain(cold, np.array([0]), Lists(lists.artists[:1], lists.scores[:1]))
    assert "Chile" in said.sentences[0, 0]


def test_a_country_trends_by_its_last_week_whatever_it_has_long_liked() -> None:
    data = checkerboard(labelled=False)
    played = np.zeros(data.confidence.shape, dtype=np.float32)
    played[::2, [1, 3, 5]] = 1  # Chile, which has always liked even ones
    data = replace(data, recent=sparse.csr_matrix(played))
    model = models.fit(Family.TRENDING, data, seed=1)

    chile, sweden = model.score(data, np.array([0, 1]))

    lift = chile / sweden
    assert lift[[1, 3, 5]].min() > np.delete(lift, [1, 3, 5]).max()


def test_what_is_trending_is_never_older_than_the_data_it_is_asked_with() -> None:
    data = checkerboard(labelled=False)
    model = models.fit(Family.TRENDING, data, seed=1)
    liked = np.zeros((2, ARTISTS), dtype=np.float32)
    newer = training_data(liked, data.as_of + timedelta(days=9), fingerprint="newer")
    newer.artists.loc["a007", ["plays_7d", "plays_28d"]] = 900

    lists = model.recommend(newer, np.array([0, 1]), 3)

    assert lists.artists[:, 0].tolist() == [7, 7]


def test_a_random_list_depends_on_the_user_and_the_seed_alone(data: TrainingData) -> None:
    one, other = (
        models.fit(Family.RANDOM, data, seed=seed).recommend(data, ROWS, 10) for seed in (1, 2)
    )
    again = models.fit(Family.RANDOM, data, seed=1).recommend(data, ROWS[::-1], 10)

    assert (one.artists != other.artists).any()
    assert (again.artists[::-1] == one.artists).all()


def test_without_labels_the_ranker_keeps_the_order_of_als() -> None:
    data = checkerboard(labelled=False)

    ranked = models.fit(Family.XGBOOST, data, seed=1).recommend(data, ROWS, 5)

    assert (
        ranked.artists == models.fit(Family.ALS, data, seed=1).recommend(data, ROWS, 5).artists
    ).mean() > 0.95
    assert isinstance(data.confidence, sparse.csr_matrix)


def test_a_ranker_without_trees_shows_a_user_without_signals_what_is_trending() -> None:
    liked = checkerboard(labelled=False).confidence.toarray()
    liked[0] = 0
    data = training_data(liked, AS_OF)

    ranked = models.fit(Family.XGBOOST, data, seed=1).recommend(data, np.array([0]), 5)

    assert same(ranked, models.fit(Family.TRENDING, data, seed=1).recommend(data, np.array([0]), 5))


def test_a_catalogue_that_says_minus_one_for_unknown_followers_is_ranked_and_explained() -> None:
    data = checkerboard()
    assert data.labelled is not None
    artists = data.artists.assign(followers=-1)
    before = replace(data.labelled, data=replace(data.labelled.data, artists=artists))
    data = replace(data, artists=artists, labelled=before)

    model = models.fit(Family.XGBOOST, data, seed=1)
    lists = model.recommend(data, ROWS, 5)

    assert all(model.explain(data, ROWS, lists).sentences.flat)


def test_the_registry_names_every_family_once_and_says_what_it_is_for() -> None:
    entries = models.FAMILIES

    assert set(entries) == set(Family)
    assert len({entry.model for entry in entries.values()}) == len(Family)
    assert all(entry.model.family is family for family, entry in entries.items())


@pytest.mark.parametrize(
    ("contenders", "not_fitted", "listed"),
    [
        (("als", "xgboost"), set(), {"als", "xgboost", "trending"}),
        (("graph-filter",), {"xgboost"}, {"graph-filter", "trending"}),
        (("xgboost", "trending"), set(), {"xgboost", "trending"}),
    ],
)
def test_families_that_may_not_challenge_are_fitted_only_for_the_others(
    contenders: tuple[Family, ...], not_fitted: set[str], listed: set[str]
) -> None:
    assert set(Family) - models.fitted_families(contenders) == not_fitted
    assert set(models.listed_families(contenders)) == listed
