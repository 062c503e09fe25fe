"""Popularity: the reference that every recommender has to beat; never registered or served."""

import numpy as np

from firstchair.models import Lists, TrainingData
from firstchair.models.protocol import Rows
from firstchair.models.selection import best, in_chunks


class Popularity:
    """The artists with most listeners first, without those a user has interacted with."""

    def __init__(self, data: TrainingData) -> None:
        self.listeners = np.asarray(
            data.confidence.multiply(data.confidence > 0).getnnz(axis=0), dtype=np.float32
        )

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """The same order for everybody."""

        def listed(chunk: Rows) -> Lists:
            return best(np.tile(self.listeners, (len(chunk), 1)), data.taken(chunk), k)

        return in_chunks(rows, len(data.artist_ids), listed)
