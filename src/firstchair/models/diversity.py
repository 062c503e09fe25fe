"""Diverse lists: artists that are like those above them come later."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Users whose lists are compared at once, and the numbers that the genres of their artists and the
# likeness of each two of them may take: 80 MB.
AT_ONCE, NUMBERS_AT_ONCE = 512, 20_000_000
# Below every value that an artist can have; for empty places, which stay at the end.
LAST = -10.0


@dataclass(frozen=True, slots=True)
class Diversity:
    """Orders lists by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next artist of a list is the one with the greatest

        (1 - weight) relevance - weight * the greatest likeness to an artist above it

    Relevance is the score, 0 for the lowest of the list and 1 for the highest. Likeness is the
    cosine between two artists' genres: 1 where they are the same, 0 where they share none. A list
    keeps its artists, their scores and its first artist.

    weight: 0 (as the model orders) .. 1. offsets: int64 (n_artists + 1,) and numbers: int32, the
    numbers of each artist's genres as CSR. genres: how many there are.
    """

    weight: float
    offsets: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32]
    genres: int

    @classmethod
    def of(cls, weight: float, genres: Iterable[Any]) -> "Diversity":
        """By the genres of each artist of the catalogue, which may be null."""
        named = [genre_names(one) for one in genres]
        every = sorted({name for names in named for name in names})
        known = {name: number for number, name in enumerate(every)}
        offsets = np.cumsum([0, *map(len, named)], dtype=np.int64)
        numbers = np.array([known[name] for names in named for name in names], dtype=np.int32)
        return cls(weight, offsets, numbers, len(known))

    def order(
        self, artists: npt.NDArray[np.int32], scores: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.int64]:
        """Which place of each list comes first, second and so on: int64 (n_users, k).

        Args:
            artists: int32 (n_users, k), numbers of artists, best first, -1 for an empty place.
            scores: Likewise.
        """
        length = artists.shape[1]
        of_user = max(1, length * (self.genres + length))
        step = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // of_user))
        found = [
            self._order(artists[start : start + step], scores[start : start + step])
            for start in range(0, len(artists), step)
        ]
        return np.concatenate(found) if found else np.zeros(artists.shape, dtype=np.int64)

    def _order(
        self, artists: npt.NDArray[np.int32], scores: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.int64]:
        filled, user = artists >= 0, np.arange(len(artists))
        relevance = _relative(scores, filled)
        vectors = self._vectors(np.where(filled, artists, 0))
        alike = vectors @ vectors.transpose(0, 2, 1)
        closest = np.zeros(artists.shape, dtype=np.float32)
        taken = np.zeros(artists.shape, dtype=bool)
        order = np.empty(artists.shape, dtype=np.int64)
        for place in range(artists.shape[1]):
            value = np.where(filled, (1 - self.weight) * relevance - self.weight * closest, LAST)
            chosen = np.where(taken, -np.inf, value).argmax(axis=1)
            order[:, place] = chosen
            taken[user, chosen] = True
            closest = np.maximum(closest, alike[user, chosen])
        return order

    def _vectors(self, artists: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """The genres of artists as vectors of length 1: float32 (*artists.shape, genres)."""
        flat = artists.ravel()
        first, count = self.offsets[flat], np.diff(self.offsets)[flat]
        row = np.repeat(np.arange(len(flat)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        found = np.zeros((len(flat), self.genres), dtype=np.float32)
        length = np.sqrt(count[row]).astype(np.float32)
        found[row, self.numbers[np.repeat(first, count) + within]] = 1 / length
        return found.reshape(*artists.shape, self.genres)


def genre_names(genres: Any) -> list[str]:
    """Names of the genres of an artist, each once, ascending; none where they are not known."""
    is_list = isinstance(genres, list | tuple | np.ndarray)
    return sorted({str(genre) for genre in genres}) if is_list else []


def _relative(
    scores: npt.NDArray[np.floating], filled: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Scores as 0 for the lowest of each list and 1 for the highest; 1 where all are equal."""
    lowest = np.where(filled, scores, np.inf).min(axis=1, keepdims=True)
    highest = np.where(filled, scores, -np.inf).max(axis=1, keepdims=True)
    span = np.where(highest > lowest, highest - lowest, 1)
    above = np.where(filled & (highest > lowest), scores - lowest, span)
    return (above / span).astype(np.float32)
