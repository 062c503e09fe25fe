"""Blend: a weighted sum of the z-scores of ALS and item-item."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firstchair.definitions.families import Family
from firstchair.models import storage
from firstchair.models.als import ALS
from firstchair.models.hits import hits_of, ndcg
from firstchair.models.item_item import ItemItem
from firstchair.models.known import (
    best_scored,
    explain_known,
    recommend_known,
    with_known_artists,
)
from firstchair.models.protocol import (
    Explanations,
    LabelledHistory,
    Lists,
    Rows,
    TrainingData,
)
from firstchair.models.selection import Floats, best, chunks
from firstchair.models.shared import fitted
from firstchair.models.trending import Trending

WEIGHTS = tuple(number / 10 for number in range(11))
# Users of the validation: enough to compare two weights, few enough to be quick.
VALIDATION_USERS = 3_000
DEPTH = 20
# The weight without validation data.
EQUAL = 0.5


class Blend:
    """(1 - w) z(ALS) + w z(item-item), each standardised over the catalogue for each user.

    Unless it is given, w is the best of `WEIGHTS` by NDCG@20 on the labelled history of the data:
    parts fitted at the earlier cutoff and validated on what came after it; `EQUAL` without
    validation data. The published score is z / (1 + |z|): -1..1, in the order of z.
    """

    family = Family.BLEND

    def __init__(
        self,
        *,
        als: Mapping[str, Any] | None = None,
        item_item: Mapping[str, Any] | None = None,
        weight: float | None = None,
    ) -> None:
        self.als, self.item_item = ALS(**(als or {})), ItemItem(**(item_item or {}))
        self._chosen = weight

    @property
    def weight(self) -> float:
        """The weight of item-item, 0..1."""
        return EQUAL if self._chosen is None else self._chosen

    @property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        """The artists of its parts."""
        return self.als.artist_ids

    @property
    def trending(self) -> Trending:
        """The model for users of whom nothing is known."""
        return self.als.trending

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Choose the weight on the labelled history, if any, and fit both parts on all data."""
        if self._chosen is None and data.labelled is not None and data.labelled.unprompted().nnz:
            self._chosen = self._best_weight(data.labelled, seed)
        self._fit_parts(data, seed)
        return self

    def _fit_parts(self, data: TrainingData, seed: int) -> None:
        self.als = fitted(ALS, data, seed=seed, settings=self.als.parameters())
        self.item_item = fitted(ItemItem, data, seed=seed, settings=self.item_item.parameters())

    def _best_weight(self, labelled: LabelledHistory, seed: int) -> float | None:
        """The best of `WEIGHTS`; None without a hit, where all are equally good."""
        earlier, positives = labelled.data, labelled.unprompted()
        users = np.flatnonzero((np.diff(positives.indptr) > 0) & earlier.warm())
        rows = np.sort(np.random.default_rng(seed).permutation(users)[:VALIDATION_USERS]).astype(
            np.int64
        )
        if not len(rows):
            return None
        self._fit_parts(earlier, seed)
        gained = np.zeros(len(WEIGHTS))
        for part in chunks(rows, 4 * len(earlier.artist_ids)):
            parts, taken = self._standardised(earlier, part), earlier.taken(part)
            for number, weight in enumerate(WEIGHTS):
                lists = best(_added(parts, weight), taken, DEPTH)
                wanted = positives[part]
                gained[number] += ndcg(
                    hits_of(lists.artists, wanted), np.diff(wanted.indptr), DEPTH
                ).sum()
        return WEIGHTS[int(np.argmax(gained))] if gained.any() else None

    def _standardised(self, data: TrainingData, rows: Rows) -> tuple[Floats, Floats]:
        return standardised(self.als.score(data, rows)), standardised(
            self.item_item.score(data, rows)
        )

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The artists with the best scores; trending for users without positive signals."""
        return recommend_known(self, data, rows, k)

    def informed(self, data: TrainingData, rows: Rows) -> npt.NDArray[np.bool_]:
        """Users with a positive interaction with one of its artists."""
        return with_known_artists(data, self.artist_ids, rows)

    def best(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The best by `score`, over the whole catalogue."""
        return best_scored(self, data, rows, k)

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), -1..1; 0 for users of whom nothing is known."""
        z = _added(self._standardised(data, rows), self.weight)
        z[np.isfinite(z)] /= 1 + np.abs(z[np.isfinite(z)])
        return z

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The user's artists that add most to both scores of an item, as shares of each score."""
        return explain_known(self, data, rows, lists)

    def added(self, artists: Rows, confidence: Floats, listed: Rows) -> tuple[Rows, Floats]:
        """Weighted shares of the user's artists in the score of each part."""
        liked, by_factors = self.als.added(artists, confidence, listed)
        _, by_neighbours = self.item_item.added(artists, confidence, listed)
        return liked, (1 - self.weight) * _shares(by_factors) + self.weight * _shares(by_neighbours)

    def choices(self) -> dict[str, Any]:
        """The weight; {} without validation data."""
        return {} if self._chosen is None else {"weight": self._chosen}

    def parameters(self) -> dict[str, float | int | str]:
        """The weight of item-item, and the parameters of both parts."""
        parts = {"als": self.als.parameters(), "item_item": self.item_item.parameters()}
        named = {
            f"{part}_{name}": value
            for part, values in parts.items()
            for name, value in values.items()
        }
        return {"weight": self.weight, **named}

    def save(self, folder: Path) -> None:
        """Write the weight, and both parts in their own folders."""
        storage.write(
            folder,
            {"family": self.family, "weight": self.weight},
            {"format": np.array([storage.FORMAT])},
        )
        self.als.save(folder / "als")
        self.item_item.save(folder / "item-item")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, _ = storage.read(folder)
        model = cls(weight=facts["weight"])
        model.als, model.item_item = ALS.load(folder / "als"), ItemItem.load(folder / "item-item")
        return model


def standardised(scores: Floats) -> Floats:
    """Standardise each row over the artists that can be listed; 0 if all scores are equal."""
    known = np.isfinite(scores)
    if not known.all():
        return _standardised_known(scores, known)
    z = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.einsum("ij,ij->i", z, z) / max(1, scores.shape[1]))
    return np.asarray(
        z / np.where(deviation > 0, deviation, np.inf).astype(np.float32)[:, None], dtype=np.float32
    )


def _standardised_known(scores: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """As `standardised`, for columns that some row can list; the others stay -inf."""
    filled = np.where(known, scores, np.nan).astype(np.float64)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    z = filled - np.nansum(filled, axis=1, keepdims=True) / count
    deviation = np.sqrt(np.nansum(z * z, axis=1, keepdims=True) / count)
    return np.where(known, z / np.where(deviation > 0, deviation, np.inf), -np.inf).astype(
        np.float32
    )


def _added(parts: tuple[Floats, Floats], weight: float) -> Floats:
    if weight in (0, 1):  # 0 times -inf is NaN
        return parts[int(weight)].copy()
    return (1 - np.float32(weight)) * parts[0] + np.float32(weight) * parts[1]


def _shares(added: Floats) -> Floats:
    total = np.abs(added).sum(axis=0, keepdims=True)
    return np.asarray(added / np.where(total > 0, total, 1), dtype=np.float32)
