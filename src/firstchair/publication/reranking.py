"""Re-ranking: order a user's candidates by a ranker's trees, with the signals of today."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from firstchair.publication.factors import Factors, factors_of, mapped
from firstchair.publication.foldin import Folded, scores_of

if TYPE_CHECKING:
    import pandas as pd

    from firstchair.models import TrainingData
    from firstchair.models.ranker import Ranker

# Number of the only user whose data the ranker is asked about.
ONLY = np.zeros(1, dtype=np.int64)


class Reranker:
    """One published version of the ranker, with the day's features of users and artists.

    It orders a user's candidates as the batch would with today's signals: the sources propose
    candidates again, and the trees use the features of the batch's day, except for those that are
    computed from the user's row. The model is read by `load`, or at its first use.

    factors: of its ALS. users: float32 (users, features), in the order of the published rows.
    artists: float32 (artists, features), in the order of the catalogue. cells: int64 (users, 2),
    numbers of each user's country and age group; lifts: float32 (cells + 1, artists) of each.
    """

    def __init__(
        self,
        folder: Path,
        version: str,
        facts: Mapping[str, Any],
        *,
        artist_ids: Sequence[str],
        as_of: date,
    ) -> None:
        stem = f"ranker.{version}"
        self.factors: Factors = factors_of(folder, version, facts, stem=stem)
        self.users, self.artists, self.cells = (
            mapped(folder / f"{stem}.{name}.npy") for name in ("users", "artists", "cells")
        )
        self.lifts = [mapped(folder / f"{stem}.lift.{name}.npy") for name, _ in facts["cells"]]
        self.named: Mapping[str, Sequence[str]] = dict(facts["cells"])
        self.artist_ids = np.array(artist_ids, dtype=str)
        self.as_of = as_of
        self._folder = folder / stem

    def load(self) -> None:
        """Read the model, so that no login waits for it."""
        self.model, self._catalogue  # noqa: B018 both are cached

    @cached_property
    def _catalogue(self) -> "pd.DataFrame":
        """The artists, without further columns; one frame for all logins."""
        import pandas as pd

        return pd.DataFrame(index=self.artist_ids)

    @cached_property
    def model(self) -> "Ranker":
        """The ranker; it predicts in one thread, since more would take the cores of logins."""
        from firstchair.models.ranker import Ranker

        model = Ranker.load(self._folder)
        if model.booster is not None:
            model.booster.set_param({"nthread": 1})
        return model

    def reordered(self, folded: Folded, user: int, *, k: int) -> Folded:
        """A fold-in by this version's factors, with its list replaced by the best `k` of the trees.

        Args:
            folded: The user's row with today's signals in it, solved.
            user: Number of the published row.
            k: Length, 1 to the length of the published lists.
        """
        from scipy import sparse

        from firstchair.models.ranker_features import DayFeatures, pair_features
        from firstchair.models.sources import CANDIDATES_EACH

        shape = (1, len(self.artist_ids))
        left_out = folded.left_out
        first = np.zeros(len(left_out), dtype=np.int64)
        taken: sparse.csr_matrix[np.float64] = sparse.csr_matrix(
            (np.ones(len(left_out)), (first, left_out)), shape
        )
        data = self._data(folded, user, shape)
        features = self.users[user : user + 1].copy()
        features[0, -1] = len(folded.whole.liked)
        lifts = [(self.cells[user : user + 1, n], lift) for n, lift in enumerate(self.lifts)]
        day = DayFeatures(features, self.artists, lifts, [])
        als = scores_of(self.factors, folded.user)[None]
        als[0, self.factors.unknown] = -np.inf
        each = max(CANDIDATES_EACH, k)
        found = self.model.sources.propose(data, ONLY, taken, each=each, known={"als": als})
        scores = self.model.scores_of(pair_features(found, ONLY, day, data.confidence))
        order = np.lexsort((found.column, -scores))[:k]
        return replace(folded, artists=found.column[order].tolist(), scores=scores[order].tolist())

    def _data(self, folded: Folded, user: int, shape: tuple[int, int]) -> "TrainingData":
        """Training data of this user alone, in the form that the sources take."""
        import pandas as pd
        from scipy import sparse

        from firstchair.models import TrainingData

        whole = folded.whole
        first = np.zeros(len(whole.artists), dtype=np.int64)
        row = (whole.confidence, (first, whole.artists))
        cells = zip(self.named.items(), self.cells[user].tolist(), strict=True)
        of_cells = {name: [*values, "unknown"][cell] for (name, values), cell in cells}
        return TrainingData(
            as_of=self.as_of,
            user_keys=np.array([""]),
            artist_ids=self.artist_ids,
            confidence=sparse.csr_matrix(row, shape),
            users=pd.DataFrame([of_cells], index=[""]),
            artists=self._catalogue,
            fingerprint="",
        )
