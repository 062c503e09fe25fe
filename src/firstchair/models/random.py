"""Random lists: the floor of every comparison; a list depends on the seed and the user alone."""

import hashlib

import numpy as np

from firstchair.definitions.families import Family
from firstchair.models.bases import ArrayModel, Arrays
from firstchair.models.protocol import Rows, TrainingData
from firstchair.models.selection import Floats


class Random(ArrayModel):
    """Uniform scores in -1..1, drawn for each user from the seed and their key."""

    family = Family.RANDOM
    sentence = "A random pick"

    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Keep the seed."""
        return {"seed": np.array([seed])}

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), -1..1; the same whoever else is asked for."""
        width, seed = len(data.artist_ids), self._seed
        drawn = [
            _of_user(seed, str(data.user_keys[row])).random(width, dtype=np.float32) for row in rows
        ]
        return 2 * np.stack(drawn) - 1 if drawn else np.zeros((0, width), dtype=np.float32)

    def parameters(self) -> dict[str, float | int | str]:
        """The seed."""
        return {"seed": self._seed}

    @property
    def _seed(self) -> int:
        return int(self.arrays["seed"][0])


def _of_user(seed: int, user_key: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{user_key}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
