"""Implicit ALS: the champion's family (Hu, Koren and Volinsky 2008)."""

from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from firstchair.models import storage
from firstchair.models.protocol import Family, Lists, TrainingData
from firstchair.models.selection import Floats, Rows, best, chunks, columns_for, narrow, spread
from firstchair.models.trending import Trending

NAMED = 2
SCORE_DECIMALS = 6


class ALS:
    """Factors of artists by implicit; those of a user are solved from his row when a list is asked for.

    So a list always rests on the data it is asked with, a user who came after the fit has one too, and a
    score is exactly the sum of what each of his artists adds (`reasons`). Ranked by the inner product; the
    published score is u.v / (|u| max|v|): within -1..1, and in the order of the ranking, which the cosine is
    not. A user without a positive signal gets what is trending.
    """

    family = Family.ALS

    def __init__(
        self, *, factors: int = 32, alpha: float = 5.0, regularization: float = 50.0, iterations: int = 15
    ) -> None:
        self.factors, self.alpha = factors, alpha
        self.regularization, self.iterations = regularization, iterations
        self.artist_ids: npt.NDArray[np.str_] = np.array([], dtype=str)
        self.artist_factors: Floats = np.zeros((0, factors), dtype=np.float32)
        self.trending = Trending()

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Factorise the confidence matrix; negative entries are preference 0 with that confidence."""
        from implicit.cpu.als import AlternatingLeastSquares

        with threadpool_limits(limits=1, user_api="blas"):  # else BLAS and implicit fight for the cores
            model = AlternatingLeastSquares(
                factors=self.factors,
                alpha=self.alpha,
                regularization=self.regularization,
                iterations=self.iterations,
                random_state=np.random.default_rng(seed),
            )
            model.fit(data.confidence.astype(np.float32), show_progress=False)
        self.artist_ids = data.artist_ids
        self.artist_factors = np.asarray(model.item_factors, dtype=np.float32)
        self.trending = Trending().fit(data, seed=seed)
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """By inner product; users without a positive signal by what is trending."""
        taken = data.taken()
        lists = self.trending.recommend(data, rows, k)
        warm = np.flatnonzero(data.warm()[rows])
        for part in chunks(warm, len(data.artist_ids)):
            found = best(self.scores(data, rows[part]), taken[rows[part]], k)
            lists.artists[part], lists.scores[part] = found.artists, found.scores
        return lists

    def scores(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), -1..1; 0 for users of whom nothing is known."""
        columns = columns_for(data, self.artist_ids)
        users = self.user_factors(narrow(data.confidence, columns)[rows])
        longest = max(float(np.linalg.norm(self.artist_factors, axis=1).max(initial=0)), 1e-12)
        lengths = np.maximum(np.linalg.norm(users, axis=1, keepdims=True), 1e-12)
        # Rounded, so that how many users are asked for at once cannot turn two artists around.
        scores = np.round((users / lengths).astype(np.float64) @ (self.artist_factors / longest).T, SCORE_DECIMALS)
        return spread(np.clip(scores, -1, 1).astype(np.float32), columns, len(data.artist_ids))

    def user_factors(self, confidence: sparse.csr_matrix) -> Floats:
        """Least-squares factors of each row: float32 (rows, factors); equation 4 of the paper."""
        found = np.zeros((confidence.shape[0], self.factors), dtype=np.float32)
        gram = self._gram()
        for row in range(confidence.shape[0]):
            weights, factors = self._weighted(confidence, row)
            if len(weights):
                found[row] = np.linalg.solve(*_normal_equations(gram, weights, factors))
        return found

    def reasons(self, data: TrainingData, rows: Rows, lists: Lists) -> npt.NDArray[np.object_]:
        """The artists of the user that add most to each item's score (section 5 of the paper)."""
        said = self.trending.reasons(data, rows, lists)
        names = data.artists["name"].to_numpy(dtype=object)
        columns = columns_for(data, self.artist_ids)
        of_data = {int(column): own for own, column in enumerate(columns) if column >= 0}
        confidence = narrow(data.confidence, columns)
        gram = self._gram()
        for out, row in enumerate(rows):
            weights, factors = self._weighted(confidence, int(row))
            liked = confidence.indices[confidence.indptr[row] : confidence.indptr[row + 1]][weights > 0]
            slots = [slot for slot, artist in enumerate(lists.artists[out]) if int(artist) in of_data]
            if not len(liked) or not slots:
                continue
            own = [of_data[int(lists.artists[out, slot])] for slot in slots]
            left, _ = _normal_equations(gram, weights, factors)
            towards = np.linalg.solve(left, self.artist_factors[own].T)
            added = (factors[weights > 0] @ towards) * weights[weights > 0, None]
            for number, slot in enumerate(slots):
                said[out, slot] = _because(added[:, number], names[columns[liked]])
        return said

    def _weighted(self, confidence: sparse.csr_matrix, row: int) -> tuple[Floats, Floats]:
        """Alpha times a row's entries, and the factors of their artists."""
        stretch = slice(confidence.indptr[row], confidence.indptr[row + 1])
        weights = np.asarray(self.alpha * confidence.data[stretch], dtype=np.float32)
        return weights, self.artist_factors[confidence.indices[stretch]]

    def _gram(self) -> Floats:
        ridge = self.regularization * np.eye(self.factors, dtype=np.float32)
        return np.asarray(self.artist_factors.T @ self.artist_factors + ridge, dtype=np.float32)

    def parameters(self) -> dict[str, float | int | str]:
        """As implicit names them."""
        return {
            "factors": self.factors,
            "alpha": self.alpha,
            "regularization": self.regularization,
            "iterations": self.iterations,
        }

    def save(self, folder: Path) -> None:
        """Factors of the artists, and the trending model for cold users."""
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


def _normal_equations(gram: Floats, weights: Floats, factors: Floats) -> tuple[Floats, Floats]:
    """Left and right side of a user's solve; a negative weight is preference 0 with its absolute value."""
    left = gram + (factors.T * (np.abs(weights) - 1)) @ factors
    right = factors.T @ np.maximum(weights, 0)
    return left, right


def _because(added: Floats, names: npt.NDArray[np.object_]) -> str:
    order = np.argsort(-added, kind="stable")[:NAMED]
    helpful = [str(names[number]) for number in order if added[number] > 0]
    return f"Because you listen to {' and '.join(helpful)}" if helpful else "Liked by listeners like you"
