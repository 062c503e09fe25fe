"""Implicit ALS: the champion's family (Hu, Koren and Volinsky 2008)."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.definitions.families import Family
from firstchair.models import storage
from firstchair.models.folding import SCORE_DECIMALS, cell_weights, normal_equations
from firstchair.models.known import (
    best_scored,
    explain_known,
    recommend_known,
    with_known_artists,
)
from firstchair.models.products import GROUP, Artists, best_products
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, columns_for, narrow, spread
from firstchair.models.shared import fitted
from firstchair.models.threads import one_blas_thread
from firstchair.models.trending import Trending

if TYPE_CHECKING:
    from firstchair.lake import SparkSettings


class ALS:
    """Artist factors by implicit or Spark; a user's are solved from their row for each list.

    So a list always reflects the data that it is computed from, users who came after the fit get
    one too, and a score is exactly the sum of the contributions of the user's artists. Items are
    ranked by the inner product. The published score is u.v / (|u| max|v|): within -1..1, and in the
    order of the ranking, which the cosine is not. Users without positive signals get what is
    trending.
    """

    family = Family.ALS

    def __init__(
        self,
        *,
        factors: int = 32,
        alpha: float = 5.0,
        regularization: float = 50.0,
        iterations: int = 15,
    ) -> None:
        self.factors, self.alpha = factors, alpha
        self.regularization, self.iterations = regularization, iterations
        self.artist_ids: npt.NDArray[np.str_] = np.array([], dtype=str)
        self.artist_factors: Floats = np.zeros((0, factors), dtype=np.float32)
        self.trending = Trending()
        self._in_order: tuple[Floats, Rows, Artists] | None = None

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Factorise the matrix, with cells weighted by `cell_weights`."""
        weights = self._weighed(data.confidence)
        if data.als_on is None:
            self.artist_factors = self._by_implicit(weights, seed)
        else:
            self.artist_factors = self._by_spark(weights, data.als_on, seed)
        self.artist_ids = data.artist_ids
        self.trending = fitted(Trending, data, seed=seed)
        return self

    def _by_implicit(self, weights: sparse.csr_matrix, seed: int) -> Floats:
        with one_blas_thread():
            model = self._implicit(np.random.default_rng(seed))
            model.fit(weights, show_progress=False)
        return np.asarray(model.item_factors, dtype=np.float32)

    def _by_spark(self, weights: sparse.csr_matrix, spark: "SparkSettings", seed: int) -> Floats:
        from firstchair.models.als_on_spark import artist_factors

        return artist_factors(
            weights,
            spark,
            factors=self.factors,
            regularization=self.regularization,
            iterations=self.iterations,
            seed=seed,
        )

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The artists with the largest inner products; trending for users without signals."""
        return recommend_known(self, data, rows, k)

    def informed(self, data: TrainingData, rows: Rows) -> npt.NDArray[np.bool_]:
        """Users with a positive interaction with one of its artists."""
        return with_known_artists(data, self.artist_ids, rows)

    def best(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The best by `score`, without computing all scores of a large catalogue."""
        columns = columns_for(data, self.artist_ids)
        if len(columns) < GROUP * k:
            return best_scored(self, data, rows, k)
        users, artists = self._directions(data, rows, columns), self._listable(columns)
        return best_products(users, artists, data.taken(rows), k, decimals=SCORE_DECIMALS)

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), -1..1; 0 for users of whom nothing is known."""
        columns = columns_for(data, self.artist_ids)
        users = self._directions(data, rows, columns).astype(np.float64)
        # Rounded, so that the number of users in a call cannot change the order of two artists.
        scores = users @ self._scaled().T
        np.clip(np.round(scores, SCORE_DECIMALS, out=scores), -1, 1, out=scores)
        return spread(scores.astype(np.float32), columns, len(data.artist_ids))

    def _directions(self, data: TrainingData, rows: Rows, columns: Rows) -> Floats:
        """Users' factors of length 1: float32 (len(rows), factors)."""
        users = self.user_factors(narrow(data.confidence[rows], columns))
        lengths = np.maximum(np.linalg.norm(users, axis=1, keepdims=True), 1e-12)
        return np.asarray(users / lengths, dtype=np.float32)

    def _scaled(self) -> Floats:
        """Artists' factors ÷ the largest length: float32 (artists, factors)."""
        longest = max(float(np.linalg.norm(self.artist_factors, axis=1).max(initial=0)), 1e-12)
        return np.asarray(self.artist_factors / longest, dtype=np.float32)

    def _listable(self, columns: Rows) -> Artists:
        """The artists that can be listed, sorted once for each fit and catalogue."""
        known = self._in_order
        if (
            known is None
            or known[0] is not self.artist_factors
            or not np.array_equal(known[1], columns)
        ):
            known = self.artist_factors, columns, Artists.of(self._scaled(), columns)
            self._in_order = known
        return known[2]

    def user_factors(self, confidence: sparse.csr_matrix) -> Floats:
        """Least-squares factors of each row: float32 (rows, factors); equation 4 of the paper."""
        with one_blas_thread():
            model = self._implicit()
            model.item_factors = self.artist_factors
            rows = np.arange(confidence.shape[0])
            found = model.recalculate_user(rows, self._weighed(confidence))
        return np.asarray(found, dtype=np.float32)

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The artists of the user that add most to each item's score (section 5 of the paper)."""
        return explain_known(self, data, rows, lists)

    def added(self, artists: Rows, confidence: Floats, listed: Rows) -> tuple[Rows, Floats]:
        """Parts of u.v: v_i' W^-1 v_j c_j for the user's artists j; one solve for all items.

        implicit's own `explain` solves anew for each item.
        """
        weights = cell_weights(confidence, self.alpha)
        factors, positive = self.artist_factors[artists], weights > 0
        left, _ = normal_equations(self.gram, weights, factors)
        towards = np.linalg.solve(left, self.artist_factors[listed].T)
        return artists[positive], (factors[positive] @ towards) * weights[positive, None]

    @cached_property
    def gram(self) -> Floats:
        """Y'Y + regularization I of the fitted factors: float32 (factors, factors)."""
        ridge = self.regularization * np.eye(self.factors, dtype=np.float32)
        return np.asarray(self.artist_factors.T @ self.artist_factors + ridge, dtype=np.float32)

    def _weighed(self, confidence: sparse.csr_matrix) -> sparse.csr_matrix:
        weighed = confidence.astype(np.float32)
        weighed.data = cell_weights(weighed.data, self.alpha)
        return weighed

    def _implicit(self, rng: np.random.Generator | None = None) -> Any:
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.factors,
            alpha=1.0,  # alpha is in the weights already
            regularization=self.regularization,
            iterations=self.iterations,
            random_state=rng,
        )

    def parameters(self) -> dict[str, float | int | str]:
        """Hyperparameters by the names of implicit."""
        return {
            "factors": self.factors,
            "alpha": self.alpha,
            "regularization": self.regularization,
            "iterations": self.iterations,
        }

    def save(self, folder: Path) -> None:
        """Write the factors of the artists, and the trending model for cold users."""
        storage.write(
            folder,
            {"family": self.family, "parameters": self.parameters()},
            {"artist_ids": self.artist_ids, "artist_factors": self.artist_factors},
        )
        self.trending.save(folder / "trending")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, arrays = storage.read(folder)
        model = cls(**facts["parameters"])
        model.artist_ids, model.artist_factors = arrays["artist_ids"], arrays["artist_factors"]
        model.trending = Trending.load(folder / "trending")
        return model
