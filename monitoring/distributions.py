"""Data of a column's panel: both sides by value, without cells of few users."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from monitoring.comparison import Floats, Rate, Users, variance

BINS, MOST_VALUES, CONFIDENCE = 12, 12, 0.95
# Upper end of the bins; the last one holds all larger values, so that outliers do not flatten
# the plot.
LAST_EDGE = 0.99
OTHER = "other"
NO_CELLS = pd.DataFrame({"column": [], "value": [], "share": [], "half": []}).astype(
    {"column": str, "value": str, "share": float, "half": float}
)


@dataclass(frozen=True, slots=True)
class Panel:
    """The data of a column's plot, reference and current: one row per value, in axis order.

    Columns: `column`; `value`, text: a value, a bin of numbers, or the rate's name; `share`:
    user-days with that value ÷ user-days of its side, 0..1, or the rate; `half`: half of the rate's
    95 % interval, NaN for shares.
    """

    reference: pd.DataFrame
    current: pd.DataFrame


def panel_of_numbers(column: str, reference: Floats, current: Floats) -> Panel:
    """Shares of `BINS` bins of equal width, the same on both sides."""
    both = np.concatenate([reference, current])
    low, high = float(both.min()), float(np.quantile(both, LAST_EDGE))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    names = [f"{left:.3g} to {right:.3g}" for left, right in pairwise(edges)]
    names[-1] = f"{edges[-2]:.3g} and more"
    sides = [
        np.histogram(np.minimum(side, edges[-1]), bins=edges)[0] / len(side)
        for side in (reference, current)
    ]
    return Panel(*(_frame(column, names, shares) for shares in sides))


def panel_of_values(
    column: str,
    reference: Users,
    current: Users,
    reference_of: Users,
    current_of: Users,
    *,
    k_anonymity: int,
) -> Panel:
    """Shares of the most frequent values; values with few users (`k_anonymity`) are in `other`."""
    values, numbers = np.unique(
        np.concatenate([reference, current]).astype(str), return_inverse=True
    )
    sides = np.split(numbers, [len(reference)])
    shares = [np.bincount(side, minlength=len(values)) / len(side) for side in sides]
    pairs = [
        pd.DataFrame({"value": side, "user": users}).drop_duplicates()
        for side, users in zip(sides, (reference_of, current_of), strict=True)
    ]
    kept = _published(pairs, shares, k_anonymity)
    hidden = np.setdiff1d(np.arange(len(values)), kept)
    names = [*values[kept], *([OTHER] if len(hidden) else [])]
    drawn = [[*side[kept], *([side[hidden].sum()] if len(hidden) else [])] for side in shares]
    return Panel(*(_frame(column, names, np.array(side)) for side in drawn))


def panel_of_rates(column: str, reference: Rate, current: Rate) -> Panel:
    """The two rates, each with its 95 % interval by the delta method over users."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    sides = []
    for side in (reference, current):
        half = z * variance(side, around=side.rate) ** 0.5
        sides.append(_frame(column, [column], np.array([side.rate]), np.array([half])))
    return Panel(*sides)


def _frame(
    column: str, names: list[str], shares: Floats, halves: Floats | None = None
) -> pd.DataFrame:
    half = np.full(len(names), np.nan) if halves is None else halves
    made: dict[str, Any] = {"column": column, "value": names, "share": shares, "half": half}
    return pd.DataFrame(made)


def _published(pairs: list[pd.DataFrame], shares: list[Floats], k_anonymity: int) -> list[int]:
    """Numbers of the values to draw, most frequent first; `pairs` has each user of a value once.

    The rest is `other`. If it has too few users, the least frequent value joins it.
    """
    few: set[int] = set()
    for side in pairs:
        users = side["value"].value_counts()
        few |= {int(value) for value in users.index[users < k_anonymity]}
    frequent = np.argsort(-np.maximum(*shares), kind="stable")
    kept = [int(value) for value in frequent if value not in few][:MOST_VALUES]
    while kept and any(0 < _others(side, kept) < k_anonymity for side in pairs):
        kept.pop()
    return kept


def _others(side: pd.DataFrame, kept: list[int]) -> int:
    """Number of distinct users of the values that are merged."""
    return int(side.loc[~side["value"].isin(kept), "user"].nunique())
