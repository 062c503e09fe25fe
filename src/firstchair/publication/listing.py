"""Lists of users, made block by block: by the engine of the lake, with the same code on each."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from firstchair.lake import Lake
from firstchair.models import Lists, Recommender, TrainingData
from firstchair.models.diversity import Diversity
from firstchair.models.protocol import Rows
from firstchair.models.selection import own_columns

USERS_AT_ONCE = 4096
# The reason of each artist of a user who has taken all that could be new to them.
NOTHING_NEW = "You know every artist that could be recommended; this is one of them"


@dataclass(frozen=True, slots=True)
class Listed:
    """Lists of a block of users.

    rows: int64 (n_users,), row numbers of the data. reasons: str (n_users, k), "" where a list is
    shorter than k.
    """

    rows: Rows
    lists: Lists
    reasons: npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Listing:
    """What lists are made of and how; the blocks are the same on every engine.

    data: Of the day. length: Artists in a list. diverse: Orders each list; None: as the model does.
    users_at_once: Users of a block.
    """

    data: TrainingData
    length: int
    diverse: Diversity | None
    users_at_once: int

    @classmethod
    def of(cls, data: TrainingData, length: int, diversity: float) -> Self:
        """With a weight of diversity, 0 (as the model orders) .. 1."""
        diverse = Diversity.of(diversity, data.artists["genres"]) if diversity else None
        return cls(data, length, diverse, USERS_AT_ONCE)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-len(self.data.user_keys) // self.users_at_once)

    def block(self, model: Recommender, number: int) -> Listed:
        """The lists of a block, `number` from 0."""
        start = number * self.users_at_once
        stop = min(start + self.users_at_once, len(self.data.user_keys))
        rows = np.arange(start, stop, dtype=np.int64)
        lists = model.recommend(self.data, rows, self.length)
        reasons = model.explain(self.data, rows, lists).sentences
        self._repeat(model, rows, lists, reasons)
        if self.diverse is None:
            return Listed(rows, lists, reasons)
        order = self.diverse.order(lists.artists, lists.scores)
        reasons = np.take_along_axis(reasons, order, axis=1)
        artists = np.take_along_axis(lists.artists, order, axis=1)
        scores = np.take_along_axis(lists.scores, order, axis=1)
        return Listed(rows, Lists(artists, scores), reasons)

    def _repeat(
        self, model: Recommender, rows: Rows, lists: Lists, reasons: npt.NDArray[np.object_]
    ) -> None:
        """Give users who have taken all that the model can list the best artists that they know.

        `lists` and `reasons` are overwritten. A user without a list to whom an artist could be new
        is left without: a fault of the model.
        """
        empty = np.flatnonzero((lists.artists < 0).all(axis=1))
        if not len(empty):
            return
        can_list = own_columns(self.data, model.artist_ids)[:-1] >= 0
        taken = self.data.taken(rows[empty])[:, can_list].getnnz(axis=1)
        done = empty[taken == can_list.sum()]
        if not len(done):
            return
        found = model.recommend(replace(self.data, repeats=True), rows[done], self.length)
        lists.artists[done], lists.scores[done] = found.artists, found.scores
        reasons[done] = np.where(found.artists >= 0, NOTHING_NEW, "")


# Makes the lists of all users by the model that it is given a loader of, block by block.
Maker = Callable[[Callable[[], Recommender]], Iterator[Listed]]


def opened_maker(lake: Lake, listing: Listing) -> AbstractContextManager[Maker]:
    """What makes lists on the engine of the lake; what it made is gone after the `with`.

    Raises:
        SettingsError, RunError: The engine cannot run here, or failed.
    """
    if lake.engine != "spark":
        return _here(listing)
    from firstchair.publication.lists_on_spark import on_spark

    return on_spark(lake.spark, listing)


@contextmanager
def _here(listing: Listing) -> Iterator[Maker]:
    """In this process, each block when it is asked for."""

    def made(load: Callable[[], Recommender]) -> Iterator[Listed]:
        model = load()
        for number in range(listing.blocks):
            yield listing.block(model, number)

    yield made
