"""Base classes of model families: all of `Recommender` except learning and scoring."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.definitions.families import Family
from firstchair.models import storage
from firstchair.models.explanations import blank
from firstchair.models.known import (
    best_scored,
    explained_known,
    recommend_known,
    with_known_artists,
)
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, columns_for, spread
from firstchair.models.shared import fitted
from firstchair.models.trending import Trending

Arrays = Mapping[str, npt.NDArray[Any]]


def csr_arrays(matrix: sparse.csr_matrix) -> Arrays:
    """A sparse matrix as named arrays; `csr_of` makes it of them."""
    return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}


def csr_of(arrays: Arrays, shape: tuple[int, int]) -> sparse.csr_matrix:
    """The sparse matrix that `csr_arrays` took apart."""
    return sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)


class ArrayModel(ABC):
    """A model that consists of its settings and some named arrays, which are saved as they are.

    A subclass names its `family`, gives a `sentence` as the reason of every item (or overrides
    `explain`), and implements `learn` and `score`. Settings are its keyword arguments.

    Attributes:
        settings: Hyperparameters by their published names.
        artist_ids: The artists of the data it was fitted on, ascending.
        arrays: What `learn` returned.
    """

    family: Family
    sentence: ClassVar[str] = ""

    def __init__(self, **settings: float | int | str) -> None:
        self.settings = settings
        self.artist_ids: npt.NDArray[np.str_] = np.array([], dtype=str)
        self.arrays: Arrays = {}

    @abstractmethod
    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Compute the model's arrays from `data`; nothing at or after its `as_of` is in it."""

    @abstractmethod
    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """Every artist of `data` for each of `rows`: float32 (n, artists), -1..1."""

    def restore(self) -> None:  # noqa: B027, few subclasses derive anything
        """Compute what is derived from `arrays`; called after `learn` and after loading."""

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Learn from `data`."""
        self.artist_ids, self.arrays = data.artist_ids, self.learn(data, seed=seed)
        self.restore()
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The artists with the best scores, without those already taken."""
        return best_scored(self, data, rows, k)

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The sentence of the family for every item, without numbers."""
        found = blank(lists.artists.shape, [])
        found.sentences[lists.artists >= 0] = self.sentence
        return found

    def parameters(self) -> dict[str, float | int | str]:
        """The settings."""
        return dict(self.settings)

    def save(self, folder: Path) -> None:
        """Write settings, artists and arrays."""
        facts = {"family": self.family, "parameters": self.settings}
        storage.write(folder, facts, {"artist_ids": self.artist_ids, **self.arrays})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, arrays = storage.read(folder)
        model = cls(**facts.get("parameters", {}))
        model.artist_ids = arrays.pop("artist_ids")
        model.arrays = arrays
        model.restore()
        return model


class SharedModel(ArrayModel):
    """An `ArrayModel` with one score for each artist, the same for all users.

    `learn` returns the array `scores`, float32 (n_artists,), -1..1.
    """

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`)."""
        scores = np.tile(self.arrays["scores"], (len(rows), 1))
        return spread(scores, columns_for(data, self.artist_ids), len(data.artist_ids))


class PersonalModel(ArrayModel):
    """An `ArrayModel` for users with a positive interaction with an artist that it knows.

    All others get what is trending.

    A subclass implements `explain` by `firstchair.models.known` if it can name the user's artists
    behind an item.
    """

    def __init__(self, **settings: float | int | str) -> None:
        super().__init__(**settings)
        self.trending = Trending()

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Learn from `data`, and what is trending in it."""
        self.trending = fitted(Trending, data, seed=seed)
        return super().fit(data, seed=seed)

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The artists with the best scores; trending for users of whom nothing is known."""
        return recommend_known(self, data, rows, k)

    def informed(self, data: TrainingData, rows: Rows) -> npt.NDArray[np.bool_]:
        """Users with a positive interaction with one of its artists."""
        return with_known_artists(data, self.artist_ids, rows)

    def best(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The artists with the best scores, for users of whom something is known."""
        return best_scored(self, data, rows, k)

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The sentence of the family; for users of whom nothing is known, that of trending."""
        found = super().explain(data, rows, lists)
        found.sentences[~self.informed(data, rows)] = ""
        return explained_known(found, self.trending, data, rows, lists)

    def save(self, folder: Path) -> None:
        """Write the model, and the trending one beside it."""
        super().save(folder)
        self.trending.save(folder / "trending")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = super().load(folder)
        model.trending = Trending.load(folder / "trending")
        return model
