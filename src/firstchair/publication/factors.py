"""The mapped files that a fold-in needs: ALS factors, rows of the matrix, lengths of tracks."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.models.diversity import Diversity
from firstchair.publication.layout import UNKNOWN_USER

Floats = npt.NDArray[np.float32]
# Part of the manifest about the order of diverse lists; absent where the models' order is kept.
DIVERSITY = "diversity"
# Length of a track that is not in the catalogue.
NO_LENGTH = 0


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one ALS version for all artists of the catalogue.

    vectors: float32 (artists, factors), zeros for an artist that the model does not know. unknown:
    int64, the numbers of these artists. gram: float32 (factors, factors), the model's own
    V'V + regularization I. longest: the largest |v|.
    """

    version: str
    alpha: float
    longest: float
    vectors: Floats
    gram: Floats
    unknown: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """A user's row of the matrix.

    artists: int32 (n,), ascending. confidence: float32 (n,), < 0 where the preference is 0.
    """

    artists: npt.NDArray[np.int32]
    confidence: Floats

    @property
    def liked(self) -> npt.NDArray[np.int32]:
        """Numbers of the artists with a preference of 1."""
        return self.artists[self.confidence > 0]


@dataclass(frozen=True, slots=True)
class Folding:
    """Everything for fold-ins of one published version, mapped.

    models: by registered version, the ALS models whose lists a role shows, and that of
    `unknown_user_version`. unknown_user_version: registered version that makes the list of a user
    without a published one: the champion where it is an ALS, else the ALS of the day.
    offsets, artists, confidence: the users' rows as CSR. track_keys: uint64, ascending.
    track_ms: int32, the length of each of these tracks. diversity: orders the lists; None where
    the models' order is kept.
    """

    models: dict[str, Factors]
    unknown_user_version: str
    offsets: npt.NDArray[np.int64]
    artists: npt.NDArray[np.int32]
    confidence: Floats
    track_keys: memoryview
    track_ms: memoryview
    diversity: Diversity | None = None

    def row(self, number: int) -> Row:
        """Row of the user of that number; an empty row for a negative number."""
        start, end = (self.offsets[number], self.offsets[number + 1]) if number >= 0 else (0, 0)
        return Row(self.artists[start:end], self.confidence[start:end])

    def length_ms(self, track_id: str) -> int:
        """Length of a track; `NO_LENGTH` where it is not known."""
        key = track_key(track_id)
        place = bisect_left(self.track_keys, key)
        found = place < len(self.track_keys) and self.track_keys[place] == key
        return int(self.track_ms[place]) if found else NO_LENGTH


def track_key(track_id: str) -> int:
    """The key under which a track's length is stored, 0..2^64 - 1."""
    return int.from_bytes(
        blake2b(track_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    )


def open_folding(folder: Path, facts: Mapping[str, Any] | None) -> Folding | None:
    """Map the files of `folding_files`; `facts` is their part of the manifest. None without it."""
    if facts is None:
        return None
    models = {
        number: factors_of(folder, number, of_model, stem=f"als.{number}")
        for number, of_model in facts["models"].items()
    }
    return Folding(
        models,
        facts[UNKNOWN_USER],
        offsets=mapped(folder / "row.offsets.npy"),
        artists=mapped(folder / "row.artists.npy"),
        confidence=mapped(folder / "row.confidence.npy"),
        track_keys=mapped(folder / "track.keys.npy").data,
        track_ms=mapped(folder / "track.ms.npy").data,
        diversity=_diversity(folder, facts.get(DIVERSITY)),
    )


def _diversity(folder: Path, facts: Mapping[str, Any] | None) -> Diversity | None:
    if facts is None:
        return None
    offsets, numbers = (mapped(folder / f"genre.{name}.npy") for name in ("offsets", "numbers"))
    return Diversity(facts["weight"], offsets, numbers, facts["genres"])


def factors_of(folder: Path, version: str, facts: Mapping[str, Any], *, stem: str) -> Factors:
    """The factors in files whose names begin with `stem`; `facts`: their part of the manifest."""
    arrays = (mapped(folder / f"{stem}.{name}.npy") for name in ("vectors", "gram", "unknown"))
    return Factors(version, facts["alpha"], facts["longest"], *arrays)


def mapped(path: Path) -> npt.NDArray[Any]:
    """An array mapped from disk; all processes that map it share its pages."""
    return np.asarray(np.load(path, mmap_mode="r"))
