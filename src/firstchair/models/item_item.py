"""Item-item: artists that other users like together with the user's artists (RP3beta)."""

import numpy as np
from scipy import sparse

from firstchair.definitions.families import Family
from firstchair.models.bases import Arrays, PersonalModel, csr_arrays, csr_of
from firstchair.models.known import explain_known
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, block, columns_for, narrow, power_of, spread


class ItemItem(PersonalModel):
    """A random walk of three steps: from a user to their artists, to other users, to artists.

    With B the 0/1 matrix of positive signals (users × artists), Du and Di its row and column sums:

        G = B' Du^-user_damping B
        S = Di^-artist_damping G Di^-popularity_damping
        x_u = B_u S

    User damping lowers the weight of power users in G, artist damping that of popular artists in a
    user's row, and popularity damping recommends popular artists less. It is RP3beta (Christoffel
    et al. 2015, "Blockbusters and wallflowers"; Paudel et al. 2017) with three free exponents, and
    S is not cut to the nearest neighbours. It is deterministic. The published score is x_u ÷ its
    maximum over the catalogue, 0..1. Users without positive signals get what is trending.
    """

    family = Family.ITEM_ITEM

    def __init__(
        self,
        *,
        user_damping: float = 1.0,
        artist_damping: float = 0.7,
        popularity_damping: float = 0.1,
    ) -> None:
        super().__init__(
            user_damping=user_damping,
            artist_damping=artist_damping,
            popularity_damping=popularity_damping,
        )
        self.user_damping = user_damping
        self.artist_damping, self.popularity_damping = artist_damping, popularity_damping
        self.similarity: sparse.csr_matrix = sparse.csr_matrix(np.zeros((0, 0), dtype=np.float32))

    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Compute the damped similarities of artists; `seed` changes nothing."""
        liked = data.liked()
        activity, listeners = (
            np.diff(liked.indptr),
            np.bincount(liked.indices, minlength=liked.shape[1]),
        )
        weighted = sparse.csr_matrix(sparse.diags(power_of(activity, -self.user_damping)) @ liked)
        similarity = sparse.csr_matrix(liked.T.tocsr() @ weighted)
        similarity.data *= np.repeat(
            power_of(listeners, -self.artist_damping), np.diff(similarity.indptr)
        )
        similarity.data *= power_of(listeners, -self.popularity_damping)[similarity.indices]
        similarity.sort_indices()
        return csr_arrays(similarity)

    def restore(self) -> None:
        """The damped similarities as a matrix."""
        self.similarity = csr_of(self.arrays, (len(self.artist_ids), len(self.artist_ids)))

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), 0..1; 0 for users of whom nothing is known."""
        columns = columns_for(data, self.artist_ids)
        walked = (narrow(data.liked(rows), columns) @ self.similarity).toarray()
        largest = walked.max(axis=1, keepdims=True, initial=0)
        walked /= np.where(largest > 0, largest, 1)
        return spread(walked, columns, len(data.artist_ids))

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The artists of the user that add most to each item's x_ui."""
        return explain_known(self, data, rows, lists)

    def added(self, artists: Rows, confidence: Floats, listed: Rows) -> tuple[Rows, Floats]:
        """Parts of x_ui: the similarities S_ji of the user's artists j."""
        liked = artists[confidence > 0]
        return liked, block(self.similarity, liked, listed)
