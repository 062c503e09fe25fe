"""Trending: what is played now, by country and age group."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from firstchair.definitions.families import Family
from firstchair.models import storage
from firstchair.models.explanations import blank
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, best, columns_for, in_chunks, own_columns, spread

CELLS = ("country", "age_group")
UNKNOWN = "unknown"
# Weight of the whole against a cell: at so many recent pairs of user and artist both count half.
PRIOR_PAIRS = 2_000.0
# Least lift for a reason.
STANDS_OUT = 1.05
# Weight of a play of the last week relative to one of the three weeks before.
WEEK_WEIGHT = 2.0


class Trending:
    """Shares of recent plays, each cell's shrunk towards the whole.

    With w_i the weighted recent plays of artist i, p_i = w_i / sum w. For a cell c (a country, an
    age group) with r_ci of its users whose newest positive signal on i is of the last week:

        p_ci = (r_ci + m p_i) / (sum_j r_cj + m)

    m = `PRIOR_PAIRS` is the prior's weight: the posterior mean of a Dirichlet prior centred on the
    whole (empirical Bayes; Efron and Morris 1973 for the principle of shrinking towards the grand
    mean). Without days of signals (`TrainingData.recent`) there are no cells. A user's score is the
    mean of their cells' p_ci over the largest of the catalogue: 0..1.

    The model is counts alone. If it is called with newer data than it was fitted on, it counts
    these, so what is trending is never older than the list.
    """

    family = Family.TRENDING

    def __init__(self) -> None:
        self.artist_ids: npt.NDArray[np.str_] = np.array([], dtype=str)
        self.whole: Floats = np.zeros(0, dtype=np.float32)
        self.cells: dict[tuple[str, str], Floats] = {}
        self.as_of = date.min
        self._newest: Trending | None = None

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Count the plays; `seed` changes nothing."""
        recent = _column(data, "plays_28d") + (WEEK_WEIGHT - 1) * _column(data, "plays_7d")
        liked = data.confidence.multiply(data.confidence > 0).tocsr()
        ever = np.asarray(liked.sum(axis=0)).ravel()
        # All-time listening breaks ties, and an artist nobody ever played still has a place at the
        # end.
        self.artist_ids, self.as_of = data.artist_ids, data.as_of
        self.whole = _shares(recent + 0.01 * ever + 1e-6)
        self.cells = {}
        if data.recent is None:
            return self
        for name in CELLS:
            values = data.users[name].to_numpy(dtype=str)
            for value in sorted(set(values) - {UNKNOWN}):
                counts = np.asarray(
                    data.recent[np.flatnonzero(values == value)].sum(axis=0)
                ).ravel()
                self.cells[name, value] = _shares(counts + PRIOR_PAIRS * self.whole)
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """What is trending in the user's country and age group."""

        def listed(chunk: Rows) -> Lists:
            return best(self.score(data, chunk), data.taken(chunk), k)

        return in_chunks(rows, len(data.artist_ids), listed)

    def counted(self, data: TrainingData) -> "Trending":
        """A model of the counts of `data` if it is newer and has any, else this one."""
        if data.as_of <= self.as_of or "plays_28d" not in data.artists:
            return self
        if self._newest is None or self._newest.as_of != data.as_of:
            self._newest = Trending().fit(data, seed=0)
        return self._newest

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), 0..1; -inf for artists unknown to the model."""
        if (newest := self.counted(data)) is not self:
            return newest.score(data, rows)
        if not len(rows):
            return np.zeros((0, len(data.artist_ids)), dtype=np.float32)
        users = data.users.iloc[rows]
        groups = pd.MultiIndex.from_arrays([users[name].astype(str) for name in CELLS])
        distinct = groups.unique()
        table = np.stack([self._of_cell(dict(zip(CELLS, cell, strict=True))) for cell in distinct])
        found = table[distinct.get_indexer(groups)]
        return spread(found, columns_for(data, self.artist_ids), len(data.artist_ids))

    def _of_cell(self, cell: dict[str, str]) -> Floats:
        known = [self.cells[key] for key in cell.items() if key in self.cells] or [self.whole]
        mean = np.mean(known, axis=0)
        return np.asarray(mean / mean.max(), dtype=np.float32)

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The cell in which the artist's lift is largest, or that it is trending everywhere."""
        if (newest := self.counted(data)) is not self:
            return newest.explain(data, rows, lists)
        keys = sorted(self.cells)
        place = {key: number for number, key in enumerate(keys, start=1)}
        found = blank(lists.artists.shape, ["everywhere", *(value for _, value in keys)])
        sentences = np.array(["Trending now", *(_sentence(*key) for key in keys)], dtype=object)
        own = own_columns(data, self.artist_ids)[lists.artists]
        users = data.users.iloc[rows]
        groups = pd.MultiIndex.from_arrays([users[name].astype(str) for name in CELLS])
        for cell in groups.unique():
            asked = np.flatnonzero(groups == cell)
            known = [key for key in zip(CELLS, cell, strict=True) if key in self.cells]
            lifts = np.stack([np.ones(len(self.whole) + 1)] + [self._lifts(key) for key in known])[
                :, own[asked]
            ]
            strongest = np.argmax(lifts, axis=0)
            found.parts[asked, :, 0] = np.array([0, *(place[key] for key in known)])[strongest]
            found.amounts[asked, :, 0] = np.take_along_axis(lifts, strongest[None], axis=0)[0]
        found.sentences[:] = sentences[found.parts[:, :, 0]]
        empty = lists.artists < 0
        found.sentences[empty], found.parts[empty], found.amounts[empty] = "", -1, 0
        return found

    def _lifts(self, key: tuple[str, str]) -> Floats:
        """Lift of each artist in a cell; 0 if it is small, and for an unknown artist (-1)."""
        lift = self.cells[key] / self.whole
        return np.append(np.where(lift > STANDS_OUT, lift, 0), 0).astype(np.float32)

    def parameters(self) -> dict[str, float | int | str]:
        """Weights of the prior and of the last week."""
        return {"prior_pairs": PRIOR_PAIRS, "week_weight": WEEK_WEIGHT}

    def save(self, folder: Path) -> None:
        """Shares of the whole and of each cell."""
        keys = sorted(self.cells)
        table = (
            np.stack([self.cells[key] for key in keys])
            if keys
            else np.zeros((0, len(self.whole)), np.float32)
        )
        storage.write(
            folder,
            {
                "family": self.family,
                "cells": [list(key) for key in keys],
                "as_of": self.as_of.isoformat(),
            },
            {"artist_ids": self.artist_ids, "whole": self.whole, "table": table},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, arrays = storage.read(folder)
        model = cls()
        model.artist_ids, model.whole = arrays["artist_ids"], arrays["whole"]
        model.as_of = date.fromisoformat(facts["as_of"])
        model.cells = {(key[0], key[1]): arrays["table"][n] for n, key in enumerate(facts["cells"])}
        return model


def _sentence(name: str, value: str) -> str:
    return (
        f"Trending in {country_name(value)}"
        if name == "country"
        else f"Popular with listeners aged {value}"
    )


@cache
def country_name(code: str) -> str:
    """The country's short name in English; the code itself where it is none."""
    return str(_countries().convert(code, src="ISO2", to="name_short", not_found=code))


@cache
def _countries() -> Any:
    """The table of countries; `country_converter.convert` reads it anew for each name."""
    import country_converter

    return country_converter.CountryConverter()


def _column(data: TrainingData, name: str) -> npt.NDArray[np.float64]:
    if name not in data.artists:
        return np.zeros(len(data.artist_ids))
    return np.asarray(np.nan_to_num(data.artists[name].to_numpy(dtype=float)), dtype=np.float64)


def _shares(weights: npt.NDArray[Any]) -> Floats:
    return np.asarray(weights / weights.sum(), dtype=np.float32)
