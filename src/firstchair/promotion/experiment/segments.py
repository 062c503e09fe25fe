"""Tests for harm to single segments (docs/gate.md, "Live evidence")."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.moments import Contrast
from firstchair.evaluation.screens import holm
from firstchair.evaluation.sequential import detectable_once, log_e
from firstchair.promotion.experiment.decision import SegmentFinding
from firstchair.promotion.experiment.evidence import Values
from firstchair.promotion.experiment.measures import Cells
from firstchair.promotion.rules import LiveRules

Flags = npt.NDArray[np.bool_]


@dataclass
class SegmentWatch:
    """Tests clicks in each segment at every evaluation.

    Arrays are in the order of `cells.parts` without the first.

    log_e: logarithm of the largest e-value for harm so far, by segment.
    """

    cells: Cells
    rho: Values
    rules: LiveRules
    log_e: Values = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.cells.parts) - 1
        self.log_e = np.full(count, -np.inf)

    def large(self, found: Contrast) -> Flags:
        """Segments with at least `segment_users` users in each arm."""
        least = np.minimum(found.n_control[1:], found.n_treatment[1:])
        return (least >= self.rules.segment_users) & np.isfinite(found.se[1:])

    def harmed(self, found: Contrast) -> Flags:
        """Segments proven worse, by always-valid p-values corrected by Holm (-> reject)."""
        large = self.large(found)
        d, se = np.where(large, found.d[1:], 0.0), np.where(large, found.se[1:], 1.0)
        now = log_e(-d, se, rho=self.rho[1:])
        self.log_e = np.where(large, np.maximum(self.log_e, now), self.log_e)
        return self.harmed_so_far()

    def harmed_so_far(self) -> Flags:
        """Segments proven worse at any evaluation so far."""
        p = np.where(np.isfinite(self.log_e), np.minimum(1.0, np.exp(-self.log_e)), np.nan)
        fallen: Flags = holm(p, alpha=self.rules.segment_alpha)
        return fallen

    def screen(self, found: Contrast, rest: Contrast) -> Flags:
        """Segments that look worse at an evaluation that may decide (-> hold).

        Two explanations of an effect below zero are compared: the segment has the same effect as
        everybody else, or it is harmed by `screen_harm`. If these two lie at least
        `screen_separation` standard errors apart, the segment is held when its own effect is nearer
        to the harm, which is then the likelier of two normal means. Any other segment is held if it
        is significantly worse than everybody else, corrected by Holm.

        Args:
            found: Clicks in each part, the first of all users.
            rest: Clicks of the users outside each part.
        """
        rules, variance = self.rules, found.se[1:] ** 2 + rest.se[1:] ** 2
        gap = rest.d[1:] + rules.screen_harm
        with np.errstate(invalid="ignore"):
            harmed = found.d[1:] < (rest.d[1:] - rules.screen_harm) / 2
            apart = ndtr((found.d[1:] - rest.d[1:]) / np.sqrt(variance))
            separable = self.large(found) & (gap >= rules.screen_separation * np.sqrt(variance))
        fallen = holm(np.where(self.large(found), apart, np.nan), alpha=rules.contrast_alpha)
        return np.asarray(((separable & harmed) | fallen) & (found.d[1:] < 0))

    def blind(self, found: Contrast) -> Flags:
        """Segments with too few users to detect a harm of `screen_harm`."""
        se = np.nan_to_num(found.se[1:], nan=np.inf)
        effect = detectable_once(1.0, alpha=self.rules.alpha, power=self.rules.power) * se
        present = found.n_control[1:] + found.n_treatment[1:] > 0
        unseen = ~self.large(found) | (effect > self.rules.screen_harm)
        return np.asarray(present & unseen)

    def blind_and_matters(self, found: Contrast) -> Flags:
        """Blind segments with at least `blind_share` of the users (`segment_blind`)."""
        return np.asarray(self.blind(found) & self._matters(found))

    def _matters(self, found: Contrast) -> Flags:
        users = found.n_control + found.n_treatment
        return np.asarray(users[1:] >= self.rules.blind_share * users[0])

    def names(self, chosen: Flags) -> list[str]:
        """Names of the chosen segments, such as `country CL`."""
        return [
            f"{name} {value}"
            for (name, value), is_in in zip(self.cells.parts[1:], chosen, strict=True)
            if is_in
        ]

    def findings(self, found: Contrast, harmed: Flags) -> tuple[SegmentFinding, ...]:
        """The findings of every segment with a known effect."""
        known = np.flatnonzero(np.isfinite(found.se[1:]))
        return tuple(
            SegmentFinding(
                segment=self.cells.parts[place + 1][0],
                value=self.cells.parts[place + 1][1],
                metric=str(Metric.CLICKS),
                relative_difference=float(found.d[place + 1]),
                se=float(found.se[place + 1]),
                p=float(min(1.0, np.exp(-self.log_e[place]))),
                deteriorated=bool(harmed[place]),
                minimum_detectable_effect=detectable_once(
                    float(found.se[place + 1]), alpha=self.rules.alpha, power=self.rules.power
                ),
                champion_users=int(found.n_control[place + 1]),
                challenger_users=int(found.n_treatment[place + 1]),
            )
            for place in known
        )
