"""The first stage of the ranker: models that propose candidates, with their scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.models.als import ALS
from firstchair.models.blend import standardised
from firstchair.models.content import Content
from firstchair.models.item_item import ItemItem
from firstchair.models.protocol import Rows, TrainingData
from firstchair.models.selection import Floats, best, current_ids
from firstchair.models.shared import fitted
from firstchair.models.trending import Trending

CANDIDATES_EACH = 100
# `niche` is item-item with more damping of popular artists.
NICHE = {"user_damping": 1.0, "artist_damping": 0.5, "popularity_damping": 0.5}
MODELS: dict[str, Any] = {
    "als": ALS,
    "item_item": ItemItem,
    "niche": ItemItem,
    "content": Content,
    "trending": Trending,
}
SOURCES = tuple(MODELS)


@dataclass(frozen=True, slots=True)
class Proposed:
    """Candidates of some users, in order of users.

    user: int64 (n,), position in the rows asked for; column: int64 (n,), the artist in the data,
    ascending within a user. scores, z: float32 (n, sources), the source's score and the same
    standardised over the catalogue for each user, NaN for artists unknown to the source; ranks:
    likewise, 1 is the first, NaN if the source did not propose it.
    """

    user: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    scores: Floats
    z: Floats
    ranks: Floats


class Sources:
    """All of `MODELS`, fitted on the data that candidates come from."""

    def __init__(
        self, *, als: Mapping[str, Any] | None = None, item_item: Mapping[str, Any] | None = None
    ) -> None:
        self.settings = {"als": als or {}, "item_item": item_item or {}, "niche": NICHE}
        self.models = {name: model(**self.settings.get(name, {})) for name, model in MODELS.items()}

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Fit each on the same data, or use the fit of the family of that name."""
        self.models = {
            name: fitted(model, data, seed=seed, settings=self.settings.get(name))
            for name, model in MODELS.items()
        }
        return self

    def rename(self, redirects: Mapping[str, str]) -> None:
        """Use the current ids of artists in each model (`current_ids`)."""
        for model in self.models.values():
            model.artist_ids = current_ids(model.artist_ids, redirects)

    def __getitem__(self, name: str) -> Any:
        return self.models[name]

    def propose(
        self,
        data: TrainingData,
        rows: Rows,
        taken: sparse.csr_matrix,
        *,
        each: int = CANDIDATES_EACH,
        only: tuple[Rows, Rows] | None = None,
        known: Mapping[str, Floats] | None = None,
    ) -> Proposed:
        """The union of the best `each` artists of each source that are not in `taken`.

        A source proposes only artists above its mean score, so a source that knows nothing of a
        user proposes nothing. Trending always proposes, so that no list is short. With `only`,
        pairs (position in `rows`, column) are described instead, proposed or not. `known` holds
        scores by source that are known already. `taken` are the rows of `data.taken()`.
        """
        known = known or {}
        scored = [
            known[name] if name in known else model.score(data, rows)
            for name, model in self.models.items()
        ]
        z = [standardised(scores) for scores in scored]
        width = len(data.artist_ids)
        least = [-np.inf if name == "trending" else 0.0 for name in MODELS]
        found = (
            _best_codes(values, taken, each, width, above)
            for values, above in zip(z, least, strict=True)
        )
        codes, places = zip(*found, strict=True)
        union = np.unique(np.concatenate(codes) if only is None else only[0] * width + only[1])
        user, column = union // width, union % width
        ranks = np.full((len(union), len(MODELS)), np.nan, dtype=np.float32)
        for number, (code, place) in enumerate(zip(codes, places, strict=True)):
            wanted = np.isin(code, union) if only is not None else slice(None)
            ranks[np.searchsorted(union, code[wanted]), number] = place[wanted]
        return Proposed(user, column, _at(scored, user, column), _at(z, user, column), ranks)

    def save(self, folder: Path) -> None:
        """Write each in its own folder."""
        for name, model in self.models.items():
            model.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        found = cls()
        found.models = {name: model.load(folder / name) for name, model in MODELS.items()}
        return found


def _best_codes(
    z: Floats, taken: sparse.csr_matrix, each: int, width: int, least: float
) -> tuple[Rows, Rows]:
    """Row × width + column of the best scores above `least`, and their ranks."""
    if least >= 0 and not z.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    lists = best(z, taken, each)
    row, slot = np.nonzero((lists.artists >= 0) & (lists.scores > least))
    return row * width + lists.artists[row, slot], slot + 1


def _at(matrices: list[Floats], user: Rows, column: Rows) -> Floats:
    values = np.column_stack([matrix[user, column] for matrix in matrices])
    return np.where(np.isfinite(values), values, np.nan).astype(np.float32)
