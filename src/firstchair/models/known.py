"""Lists and explanations of personal models, with trending for users without signals."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from firstchair.models.explanations import blank, combined
from firstchair.models.folding import because_of, strongest
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import (
    Floats,
    best,
    chunks,
    columns_for,
    in_chunks,
    narrow,
    own_columns,
)
from firstchair.models.trending import Trending


class Personal(Protocol):
    """A model of users with positive interactions, with `trending` for users without any."""

    @property
    def trending(self) -> Trending:
        """The model for users of whom nothing is known."""
        ...

    def informed(self, data: TrainingData, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which of `rows` it can tell artists apart for."""
        ...

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """Every artist for each of `rows`."""
        ...

    def best(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The `k` best untaken artists by `score` for each of `rows`, all of them `informed`."""
        ...


def recommend_known(model: Personal, data: TrainingData, rows: Rows, k: int) -> Lists:
    """Lists by `model.best`; trending for users of whom the model knows nothing.

    Artists with a score of 0, which the model cannot tell apart, come in the order of trending.
    The cost grows with `rows`, not with all users of `data`.
    """
    informed = model.informed(data, rows)
    lists = Lists(
        np.full((len(rows), k), -1, dtype=np.int32), np.zeros((len(rows), k), dtype=np.float32)
    )
    for part, listed in ((informed, model.best), (~informed, model.trending.recommend)):
        if part.any():
            found = listed(data, rows[part], k)
            lists.artists[part], lists.scores[part] = found.artists, found.scores
    unrelated = informed & ((lists.artists >= 0) & (lists.scores == 0)).any(axis=1)
    for chunk in chunks(np.flatnonzero(unrelated), len(data.artist_ids)):
        trending = _trending_where_zero(model, data, rows[chunk], k)
        _exchange_zeros(lists, chunk, trending)
    return lists


def _trending_where_zero(model: Personal, data: TrainingData, rows: Rows, k: int) -> Lists:
    """The `k` artists that trend most among those to which the model gives a score of 0."""
    trend = model.trending.score(data, rows)
    # An artist that trending does not know comes after all others.
    order = np.where(np.isfinite(trend), trend, -1)
    order[model.score(data, rows) != 0] = -np.inf
    return best(order, data.taken(rows), k, scratch=True)


def _exchange_zeros(lists: Lists, rows: Rows, trending: Lists) -> None:
    """Put artists of `trending`, in their order, where lists have one with a score of 0.

    To a model of what users have in common, artists that share nothing with the user are alike; in
    the order of their ids, the first of the catalogue would be shown to all.
    """
    zero = (lists.artists[rows] >= 0) & (lists.scores[rows] == 0)
    row, slot = np.nonzero(zero)
    place = (np.cumsum(zero, axis=1) - 1)[row, slot]
    found = trending.artists[row, place]
    kept = found >= 0
    lists.artists[rows[row[kept]], slot[kept]] = found[kept]


def with_known_artists(
    data: TrainingData, artist_ids: npt.NDArray[np.str_], rows: Rows
) -> npt.NDArray[np.bool_]:
    """Which of `rows` have a positive interaction with an artist that a model knows.

    Newer data may hold users whose artists are all newer than the fit.

    Args:
        data: What lists are made of.
        artist_ids: The artists of the data that the model was fitted on, ascending.
        rows: Users.
    """
    warm = data.warm(rows)
    if np.array_equal(data.artist_ids, artist_ids):
        return warm
    liked = narrow(data.confidence[rows], columns_for(data, artist_ids)) > 0
    return np.asarray(warm & (liked.getnnz(axis=1) > 0))


class Scoring(Protocol):
    """A model that scores every artist."""

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """Every artist for each of `rows`."""
        ...


def best_scored(model: Scoring, data: TrainingData, rows: Rows, k: int) -> Lists:
    """The `k` best untaken artists by `model.score` for each of `rows`."""

    def listed(chunk: Rows) -> Lists:
        return best(model.score(data, chunk), data.taken(chunk), k, scratch=True)

    return in_chunks(rows, len(data.artist_ids), listed)


class Additive(Personal, Protocol):
    """A personal model whose score of an item is a sum over the user's artists."""

    @property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        """The artists of the data it was fitted on, ascending."""
        ...

    def added(self, artists: Rows, confidence: Floats, listed: Rows) -> tuple[Rows, Floats]:
        """The amount that each artist of one user adds to the score of each listed artist.

        Args:
            artists: Numbers of the model's artists that the user has a signal of.
            confidence: float32, signed, in their order.
            listed: Numbers of the model's artists.

        Returns:
            The user's artists (numbers of the model's) and float32 (their count, len(listed)).
        """
        ...


def explain_known(model: Additive, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
    """The user's artists that add most to each item; trending for users without artists.

    Trending is also the reason of items with a score of 0.
    """
    names = data.artists["name"].to_numpy(dtype=object)
    found = blank(lists.artists.shape, names)
    columns, own = columns_for(data, model.artist_ids), own_columns(data, model.artist_ids)
    liking = narrow(data.confidence[rows], columns)
    listed = own[lists.artists]
    explained = np.zeros(listed.shape, dtype=bool)
    asked = (np.diff(liking.indptr) > 0) & (listed >= 0).any(axis=1)
    for user in np.flatnonzero(asked).tolist():
        cells = slice(liking.indptr[user], liking.indptr[user + 1])
        slots = np.flatnonzero(listed[user] >= 0)
        artists = liking.indices[cells].astype(np.int64)
        liked, added = model.added(artists, liking.data[cells], listed[user, slots])
        if len(liked):
            parts, found.amounts[user, slots] = strongest(added)
            found.parts[user, slots] = np.where(parts >= 0, columns[liked[parts]], -1)
            explained[user, slots] = lists.scores[user, slots] != 0
    found.sentences[explained] = because_of(found.parts[explained], names)
    return explained_known(found, model.trending, data, rows, lists)


def explained_known(
    own: Explanations, trending: Trending, data: TrainingData, rows: Rows, lists: Lists
) -> Explanations:
    """The model's own explanations, with those of `trending` for items without one."""
    silent = (own.sentences == "") & (lists.artists >= 0)
    asked = np.flatnonzero(silent.any(axis=1))
    if not len(asked):
        return own
    found = trending.explain(data, rows[asked], Lists(lists.artists[asked], lists.scores[asked]))
    whole = Explanations(
        sentences=_placed(found.sentences, asked, own.sentences, ""),
        labels=found.labels,
        parts=_placed(found.parts, asked, own.parts, -1),
        amounts=_placed(found.amounts, asked, own.amounts, 0),
    )
    return combined(own, whole, silent)


def _placed(
    values: npt.NDArray[Any], rows: Rows, like: npt.NDArray[Any], absent: object
) -> npt.NDArray[Any]:
    wide = np.full(like.shape, absent, dtype=like.dtype)
    wide[rows] = values
    return wide
