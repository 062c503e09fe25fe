"""Decayed popularity: what a user's country and age group like, older signals counting less."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from firstchair.definitions.families import Family
from firstchair.models.bases import ArrayModel, Arrays
from firstchair.models.protocol import Rows, TrainingData
from firstchair.models.selection import Floats, columns_for, spread
from firstchair.models.trending import CELLS, UNKNOWN

# A cell whose users have so much confidence in all artists together counts as much as the whole.
PRIOR_CONFIDENCE = 2_000.0


class DecayedPopularity(ArrayModel):
    """Shares of confidence, each cell's shrunk towards the whole.

    Confidence halves with the age of its signals (`firstchair.features.confidence`, half-life
    there), so an artist that was liked long ago ranks below one that is liked now. With c_ui the
    confidence of positive interactions and p_i artist i's share of all of it, a cell (a country,
    an age group) has

        p_ci = (sum of c_ui over its users + m p_i) / (sum over all artists + m)

    with m = `PRIOR_CONFIDENCE`, as in `Trending`. A user's score is the mean of their cells' p_ci
    over the largest of the catalogue: 0..1. Where users have no cells, it is p_i.
    """

    family, sentence = Family.DECAYED_POPULARITY, "Popular with many, lately most"

    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Sum confidence by cell; nothing is drawn by chance."""
        liked = data.confidence.multiply(data.confidence > 0).tocsr()
        names, shares = [UNKNOWN], [_shares(liked.sum(axis=0))]
        for cell in CELLS:
            values = _values(data, cell)
            for value in sorted(set(values) - {UNKNOWN}):
                confidence = np.asarray(liked[np.flatnonzero(values == value)].sum(axis=0)).ravel()
                names.append(f"{cell}={value}")
                shares.append(_shares(confidence + PRIOR_CONFIDENCE * shares[0]))
        return {"cells": np.array(names), "shares": np.stack(shares)}

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), 0..1."""
        known = pd.Index(self.arrays["cells"])
        named = (pd.Index([f"{cell}={v}" for v in _values(data, cell)[rows]]) for cell in CELLS)
        place = np.stack([known.get_indexer(of_users) for of_users in named])
        # A user of no known cell is placed at the whole, which stands first.
        found = np.where((place < 0).all(axis=0), 0, place)
        weights = (found >= 0).astype(np.float32)
        shares = sum(
            weight[:, None] * self.arrays["shares"][np.maximum(at, 0)]
            for weight, at in zip(weights, found, strict=True)
        )
        means = np.asarray(shares / weights.sum(axis=0)[:, None], dtype=np.float32)
        means /= np.maximum(means.max(axis=1, keepdims=True, initial=0), 1e-12)
        return spread(means, columns_for(data, self.artist_ids), len(data.artist_ids))


def _values(data: TrainingData, cell: str) -> npt.NDArray[np.str_]:
    """Each user's value of a cell; unknown where the data have no such column."""
    if cell not in data.users:
        return np.full(len(data.user_keys), UNKNOWN)
    return data.users[cell].to_numpy(dtype=str)


def _shares(confidence: npt.NDArray[np.float32]) -> Floats:
    """Over the sum, artists without any still above 0."""
    positive = np.asarray(confidence, dtype=np.float64).ravel() + 1e-6
    return np.asarray(positive / positive.sum(), dtype=np.float32)
