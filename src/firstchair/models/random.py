"""Random: the floor of every comparison; a user's list depends on the seed and their key alone."""

import hashlib
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from firstchair.models import storage
from firstchair.models.explanations import blank
from firstchair.models.protocol import Explanations, Family, Lists, TrainingData
from firstchair.models.selection import Floats, Rows, best, in_chunks


class Random:
    """Uniform scores in -1..1, seeded per user: independent of who else is asked for, and of the order."""

    family = Family.RANDOM

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.artist_ids: npt.NDArray[np.str_] = np.array([], dtype=str)

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Keep the seed and the catalogue."""
        self.seed, self.artist_ids = seed, data.artist_ids
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """Artists drawn without replacement from what the user has not taken."""
        taken = data.taken()

        def listed(chunk: Rows) -> Lists:
            return best(self.score(data, chunk), taken[chunk], k)

        return in_chunks(rows, len(data.artist_ids), listed)

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """Random scores of each user, drawn from the seed and their key."""
        width = len(data.artist_ids)
        drawn = [
            self._of_user(str(data.user_keys[row])).random(width, dtype=np.float32) for row in rows
        ]
        return 2 * np.stack(drawn) - 1 if drawn else np.zeros((0, width), dtype=np.float32)

    def _of_user(self, user_key: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.seed}:{user_key}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """It says what it is; there is no number behind it."""
        said = blank(lists.artists.shape, [])
        said.sentences[lists.artists >= 0] = "A random pick"
        return said

    def parameters(self) -> dict[str, float | int | str]:
        """The seed."""
        return {"seed": self.seed}

    def save(self, folder: Path) -> None:
        """The seed and the catalogue."""
        arrays = {"artist_ids": self.artist_ids, "seed": np.array([self.seed])}
        storage.write(folder, {"family": self.family, "seed": self.seed}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, arrays = storage.read(folder)
        model = cls(seed=facts["seed"])
        model.artist_ids = arrays["artist_ids"]
        return model
