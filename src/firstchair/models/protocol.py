"""The protocol of recommenders, and the data they are fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from firstchair.definitions.families import Family

if TYPE_CHECKING:
    from firstchair.lake import SparkSettings

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TrainingData:
    """Everything known before `as_of` 00:00 UTC, with rows and columns in one fixed order.

    confidence: float32 CSR (n_users, n_artists). > 0: preference 1 with that confidence; < 0:
        preference 0 with the absolute value as confidence (negative feedback); absent: unknown.
    user_keys, artist_ids: the labels of rows and columns, ascending.
    users: one row a user, index user_key in row order; columns of gold/user_features at `as_of`,
        scalar ones only.
    artists: one row an artist of the catalogue, index artist_id in column order; columns name,
        first_active_on, followers, genres (list of str), plays_7d, plays_28d, listeners,
        impressions, clicks.
    fingerprint: content digest of what was read (32 hex digits); equal for two models of one day.
    labelled: the same data at an earlier cutoff, with the positive interactions between that cutoff
        and `as_of`; None if the history is too short. A ranker learns from it.
    newest_signal_on: UTC day of the newest positive signal in `confidence`; if it is not before
        `as_of`, there is a leak.
    recent: 1 if the newest positive signal of a pair is of the last 7 days, float32 CSR like
        `confidence`; None for signals without days.
    redirects: the current artist by each merged one; a model that was fitted before a merge finds
        its artists by it.
    repeats: whether lists may hold artists a user has interacted with, to measure what a model
        remembers.
    als_on: where Spark fits ALS on these data; None: it is fitted in this process.
    fits: models fitted on these data that several families use (`firstchair.models.shared`).
    """

    as_of: date
    user_keys: npt.NDArray[np.str_]
    artist_ids: npt.NDArray[np.str_]
    confidence: sparse.csr_matrix
    users: pd.DataFrame
    artists: pd.DataFrame
    fingerprint: str
    labelled: "LabelledHistory | None" = None
    newest_signal_on: date | None = None
    repeats: bool = False
    recent: sparse.csr_matrix | None = None
    redirects: Mapping[str, str] = field(default_factory=dict)
    als_on: "SparkSettings | None" = None
    fits: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def warm(self, rows: Rows | None = None) -> npt.NDArray[np.bool_]:
        """Whether users have a positive signal: bool (len(rows),); all users without `rows`."""
        return np.asarray(np.diff(self.liked(rows).indptr) > 0)

    def liked(self, rows: Rows | None = None) -> sparse.csr_matrix:
        """1 where a user has a positive signal: float32 CSR (len(rows), n_artists).

        Asked for some users it costs what their rows hold, not what the matrix holds.
        """
        positive = self.confidence.copy() if rows is None else self.confidence[rows]
        positive.data = (positive.data > 0).astype(np.float32)
        positive.eliminate_zeros()
        return positive

    def taken(self, rows: Rows | None = None) -> sparse.csr_matrix:
        """Artists left out of a user's list: all liked ones, or none if lists may repeat.

        Returns:
            float32 CSR (len(rows), n_artists), all users without `rows`.
        """
        taken = self.liked(rows)
        if self.repeats:
            taken.data[:] = 0
            taken.eliminate_zeros()
        return taken


@dataclass(frozen=True, slots=True)
class LabelledHistory:
    """Data at an earlier cutoff, and what users did after it, up to the later data's `as_of`.

    data: TrainingData at the earlier cutoff, same user_keys and artist_ids.
    positives: float32 CSR (n_users, n_artists), 1 for a first positive interaction after the
        cutoff.
    slates: Slates shown between the two cutoffs; None if none were logged.
    later: Positives of the last third of those days, or None if they have no days. A ranker learns
        from the earlier ones and uses these for early stopping.
    prompted: Positives that followed a slate; None without any. A ranker learns from them, but
        nothing is chosen by them, because the models that served chose them.
    """

    data: TrainingData
    positives: sparse.csr_matrix
    slates: "Slates | None" = None
    later: sparse.csr_matrix | None = None
    prompted: sparse.csr_matrix | None = None

    def unprompted(self) -> sparse.csr_matrix:
        """Positives that followed no slate, by which settings are chosen; float32 CSR."""
        if self.prompted is None:
            return self.positives
        found = sparse.csr_matrix(self.positives - self.prompted)
        found.eliminate_zeros()
        return found


@dataclass(frozen=True, slots=True)
class Slates:
    """Items of logged slates, each array (n,), sorted by slate and position.

    slate: int64, a number for each slate, ascending; row: int64, the user; column: int64, the
    artist;
    position: int64 >= 1; propensity: float64, 0..1, above 0; taken: bool.
    """

    slate: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    propensity: npt.NDArray[np.float64]
    taken: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lists:
    """Top lists of some users.

    artists: int32 (n_users, k), column numbers in rank order, -1 if a list is shorter than k.
    scores: float32 (n_users, k), in -1..1, descending in each row; 0 if artists is -1.
    """

    artists: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Explanations:
    """Reasons for the items of some lists: a sentence for the user, and numbers for engineers.

    sentences: str (n_users, k), "" where a list is shorter than k.
    labels: str (n_labels,), what `parts` points into: artists, genres or groups of features.
    parts: int32 (n_users, k, `NAMED`), numbers of the labels that add most to the item's score,
        most first; -1 for none.
    amounts: float32 like `parts`, what each adds, in the unit of the model's own ranking; 0 for
    none.
    """

    sentences: npt.NDArray[np.object_]
    labels: npt.NDArray[np.object_]
    parts: npt.NDArray[np.int32]
    amounts: npt.NDArray[np.float32]


@runtime_checkable
class WithCurves(Protocol):
    """A model with metrics of its fit.

    curves: a metric by name, one value per step of the fit; empty after loading.
    """

    curves: Mapping[str, Sequence[float]]


@runtime_checkable
class WithChoices(Protocol):
    """A model that chooses some of its settings on validation data while it is fitted."""

    def choices(self) -> dict[str, Any]:
        """What it chose, as arguments of its class; {} without validation data.

        A model that is made with them keeps them, and chooses nothing.
        """
        ...


class Recommender(Protocol):
    """One model family; the same seed and data give the same bytes."""

    family: Family

    @property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        """The artists of the data it was fitted on, ascending."""
        ...

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Learn from `data`; nothing at or after its `as_of` is in it."""
        ...

    def recommend(self, data: TrainingData, rows: npt.NDArray[np.int64], k: int) -> Lists:
        """Best `k` untaken artists for each of `rows` (row numbers of `data`)."""
        ...

    def score(self, data: TrainingData, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Score of every artist of `data` for each of `rows`: float32 (n, artists).

        In -1..1; -inf for artists that it cannot list.
        """
        ...

    def explain(
        self, data: TrainingData, rows: npt.NDArray[np.int64], lists: Lists
    ) -> Explanations:
        """A sentence for each item and its numbers, computed from the model."""
        ...

    def parameters(self) -> dict[str, float | int | str]:
        """Hyperparameters by their published names."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model as plain files (safetensors, npy, UBJ, JSON; never pickle)."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; refuses a format version it does not know."""
        ...
