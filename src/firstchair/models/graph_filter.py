"""Graph filter: a smooth low-pass filter of a user's artists on the graph of shared listeners."""

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev
from scipy import sparse

from firstchair.definitions.families import Family
from firstchair.models.bases import Arrays, PersonalModel, csr_arrays, csr_of
from firstchair.models.folding import SCORE_DECIMALS
from firstchair.models.known import explain_known
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, block, columns_for, narrow, power_of, spread
from firstchair.models.threads import one_blas_thread

# Of the subspace iteration: vectors beyond those kept, and rounds (Halko et al. 2011, section 4.5).
OVERSAMPLED, ROUNDS = 32, 5
# Where no eigenvalue is left out, the line is fitted on this stretch.
LEAST_STRETCH = 1e-3


class GraphFilter(PersonalModel):
    """A polynomial of the normalised artist graph, and its smoothest part once more.

    With B the 0/1 matrix of positive signals (users × artists), Du and Di its row and column sums:

        R = Du^-1/2 B Di^-1/2,    P = R' R,    eigenvalues 0..1
        x_u = B_u Di^-damping (p(P) + ideal_weight V V') Di^damping

    p is the Chebyshev interpolant of degree `order` of the filter 1/2 - sign(x) |x|^flatness / 2 at
    x = 1 - 2 P, so that it passes what neighbours on the graph share; V holds the eigenvectors of
    the `rank` largest eigenvalues. It is ChebyCF (Kim, Sung, Han and Lee, SIGIR 2025), whose
    settings for Gowalla are the defaults here, with one difference: p is kept exactly for these
    eigenvectors and is a line, fitted to it, for all smaller eigenvalues. So a fit is a sparse
    matrix and two narrow ones, a new user's row needs nothing else, and a score is a sum over the
    user's artists. What p adds to an artist on its own account is left out, as only artists that
    are not yet taken are listed. The published score is x_u over its largest absolute value: -1..1.
    A user without a positive signal gets what is trending.
    """

    family = Family.GRAPH_FILTER

    def __init__(
        self,
        *,
        order: int = 8,
        flatness: float = 1.5,
        rank: int = 512,
        ideal_weight: float = 0.2,
        damping: float = 0.4,
    ) -> None:
        super().__init__(
            order=order, flatness=flatness, rank=rank, ideal_weight=ideal_weight, damping=damping
        )
        self.order, self.flatness, self.rank = order, flatness, rank
        self.ideal_weight, self.damping = ideal_weight, damping
        self.similarity = sparse.csr_matrix(np.zeros((0, 0), dtype=np.float32))

    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Compute the graph, its smoothest eigenvectors and the line for all others."""
        liked = data.liked()
        listeners = np.bincount(liked.indices, minlength=liked.shape[1])
        normal = _scaled(power_of(np.diff(liked.indptr), -0.5), liked, power_of(listeners, -0.5))
        values, vectors = smoothest(normal, min(self.rank, *normal.shape), seed=seed)
        filtered, slope = self._filtered(values)
        rising, falling = power_of(listeners, self.damping), power_of(listeners, -self.damping)
        graph = sparse.csr_matrix(normal.T.tocsr() @ normal)
        similarity = _scaled(slope * falling, graph, rising)
        similarity.sort_indices()
        return {
            **csr_arrays(similarity),
            "left": (falling[:, None] * vectors * filtered).astype(np.float32),
            "right": (rising[:, None] * vectors).astype(np.float32),
        }

    def _filtered(self, values: npt.NDArray[np.float64]) -> tuple[Floats, float]:
        """What each eigenvector gets beyond the line, and the slope of the line."""
        nodes = chebyshev.chebpts1(self.order + 1)
        polynomial = chebyshev.chebfit(nodes, self._passed(nodes), self.order)
        stretch = np.linspace(0, max(values.min(initial=1), LEAST_STRETCH), 200)
        slope, start = np.polyfit(stretch, chebyshev.chebval(1 - 2 * stretch, polynomial), 1)
        beyond = chebyshev.chebval(1 - 2 * values, polynomial) - start - slope * values
        return np.asarray(beyond + self.ideal_weight, dtype=np.float32), float(slope)

    def _passed(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(0.5 - np.sign(x) * np.abs(x) ** self.flatness / 2)

    def restore(self) -> None:
        """The line's part as a sparse matrix."""
        self.similarity = csr_of(self.arrays, (len(self.artist_ids), len(self.artist_ids)))

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), -1..1; 0 for users of whom nothing is known."""
        columns = columns_for(data, self.artist_ids)
        liked = narrow(data.liked(rows), columns)
        smooth = (liked @ self.arrays["left"]).astype(np.float64)
        found = smooth @ self.arrays["right"].T + (liked @ self.similarity).toarray()
        largest = np.abs(found).max(axis=1, keepdims=True, initial=0)
        # Rounded, so that how many users are asked for at once cannot turn two artists around.
        found = np.round(found / np.where(largest > 0, largest, 1), SCORE_DECIMALS)
        return spread(found.astype(np.float32), columns, len(data.artist_ids))

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The artists of the user that add most to each item's x_ui."""
        return explain_known(self, data, rows, lists)

    def added(self, artists: Rows, confidence: Floats, listed: Rows) -> tuple[Rows, Floats]:
        """Parts of x_ui: what each of the user's artists passes on to each listed one."""
        liked = artists[confidence > 0]
        along_edges = block(self.similarity, liked, listed)
        smooth = self.arrays["left"][liked] @ self.arrays["right"][listed].T
        return liked, np.asarray(along_edges + smooth, dtype=np.float32)


def smoothest(
    normal: sparse.csr_matrix, rank: int, *, seed: int
) -> tuple[npt.NDArray[np.float64], Floats]:
    """The largest eigenvalues of R'R and their eigenvectors, by subspace iteration.

    Args:
        normal: R, float32 (users, artists).
        rank: How many; at most the smaller side of R.
        seed: Of the first subspace.

    Returns:
        float64 (rank,), descending, and float32 (artists, rank).
    """
    width = min(rank + OVERSAMPLED, normal.shape[1])
    start = np.random.default_rng(seed).normal(size=(normal.shape[1], width))
    basis, turned = start.astype(np.float32), normal.T.tocsr()
    # In one thread, so that the same data give the same bytes.
    with one_blas_thread():
        for _ in range(ROUNDS):
            basis, _ = np.linalg.qr(turned @ (normal @ basis))
        projected = normal @ basis
        values, turns = np.linalg.eigh((projected.T @ projected).astype(np.float64))
        vectors = basis @ turns[:, ::-1][:, :rank].astype(np.float32)
    return np.clip(values[::-1][:rank], 0, 1), vectors


def _scaled(left: Floats, matrix: sparse.csr_matrix, right: Floats) -> sparse.csr_matrix:
    scaled = sparse.diags(left) @ matrix @ sparse.diags(right)
    return sparse.csr_matrix(scaled, dtype=np.float32)
