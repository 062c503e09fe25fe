"""Importance of the ranker's features: Shapley values of a sample of candidates, and a plot."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from firstchair.models.protocol import TrainingData
from firstchair.models.ranker import Ranker
from firstchair.models.ranker_features import NAMES, PairTable
from firstchair.models.ranker_training import as_matrix
from firstchair.models.selection import Floats

USERS = 200
# Some 4,000 exact values are computed per second; means are stable with far fewer.
PAIRS = 2_000
SHOWN = 15


@dataclass(frozen=True, slots=True)
class ShapSummary:
    """Exact Shapley values (Lundberg et al. 2020, "From local explanations", section 2).

    features, contributions: float32 (pairs, len(NAMES)); what each feature is, NaN where unknown,
    and what it adds to the margin of the pair. expected: the margin that all contributions are
    added to.
    """

    features: Floats
    contributions: Floats
    expected: float

    def mean_absolute(self) -> dict[str, float]:
        """Mean |contribution| of each contributing feature, most first, in units of the margin."""
        means = np.abs(self.contributions).mean(axis=0)
        order = sorted(range(len(NAMES)), key=lambda number: (-means[number], NAMES[number]))
        return {NAMES[number]: float(means[number]) for number in order if means[number] > 0}

    def picture(self) -> Any:
        """A matplotlib figure of `SHOWN` features: a dot per pair, dark if the feature is large."""
        from matplotlib.figure import Figure

        names = list(self.mean_absolute())[:SHOWN][::-1]
        figure = Figure(figsize=(7, 1.2 + 0.3 * len(names)), dpi=100, layout="constrained")
        axes = figure.subplots()
        for place, name in enumerate(names):
            number = NAMES.index(name)
            added, size = self.contributions[:, number], _share_below(self.features[:, number])
            axes.scatter(
                added,
                place + _apart(len(added)),
                c=size,
                cmap="cividis_r",
                vmin=0,
                vmax=1,
                s=3,
                linewidths=0,
            )
        axes.axvline(0, color="#888888", linewidth=0.8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xlabel("added to the margin; dark: the feature is large", fontsize=8)
        axes.set_title(f"SHAP of {len(self.features)} candidates", fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        return figure


def shap_summary(model: Ranker, data: TrainingData, *, seed: int) -> ShapSummary | None:
    """Summarise `PAIRS` candidates of `USERS` users; None without trees or candidates."""
    if model.booster is None:
        return None
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(data.user_keys))[:USERS]).astype(np.int64)
    pairs = PairTable(model.sources, data).of(rows)
    drawn = np.sort(rng.permutation(len(pairs.user))[:PAIRS])
    if not len(drawn):
        return None
    features = pairs.features[drawn]
    added = model.booster.predict(as_matrix(features), pred_contribs=True)
    return ShapSummary(features, added[:, :-1].astype(np.float32), float(added[0, -1]))


def _share_below(values: Floats) -> Floats:
    """Rank of each value among all, 0..1; 0 for unknown ones."""
    known = np.isfinite(values)
    share = np.zeros(len(values), dtype=np.float32)
    levels, level = np.unique(values[known], return_inverse=True)
    share[known] = level / max(1, len(levels) - 1)
    return share


def _apart(count: int) -> Floats:
    """Vertical offsets that separate dots of equal value, -0.35..0.35."""
    return ((np.arange(count) * 0.6180339887) % 1 * 0.7 - 0.35).astype(np.float32)
