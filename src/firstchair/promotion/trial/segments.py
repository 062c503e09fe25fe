"""Segments that a challenger harms while it serves others well (docs/gate.md, "Live evidence")."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from firstchair.definitions.metrics import Metric
from firstchair.evaluation.moments import Contrast
from firstchair.evaluation.screens import holm
from firstchair.evaluation.sequential import detectable_once, log_e
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial.decision import SegmentFinding
from firstchair.promotion.trial.evidence import Values
from firstchair.promotion.trial.measures import Cells

Flags = npt.NDArray[np.bool_]


@dataclass
class SegmentWatch:
    """What is remembered of each segment from look to look, in the order of `cells.parts` without the first.

    log_e: largest e-value for harm so far.
    """

    cells: Cells
    rho: Values
    rules: LiveRules
    log_e: Values = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.cells.parts) - 1
        self.log_e = np.full(count, -np.inf)

    def large(self, found: Contrast) -> Flags:
        """Segments with users enough to speak of."""
        least = np.minimum(found.n_control[1:], found.n_treatment[1:])
        return (least >= self.rules.segment_users) & np.isfinite(found.se[1:])

    def harmed(self, found: Contrast) -> Flags:
        """Segments proven to be worse, Holm over all of them on p-values valid at every look (-> reject)."""
        large = self.large(found)
        d, se = np.where(large, found.d[1:], 0.0), np.where(large, found.se[1:], 1.0)
        now = log_e(-d, se, rho=self.rho[1:])
        self.log_e = np.where(large, np.maximum(self.log_e, now), self.log_e)
        return self.harmed_so_far()

    def harmed_so_far(self) -> Flags:
        """The same by what has been seen until now."""
        p = np.where(np.isfinite(self.log_e), np.minimum(1.0, np.exp(-self.log_e)), np.nan)
        fallen: Flags = holm(p, alpha=self.rules.segment_alpha)
        return fallen

    def screen(self, found: Contrast, rest: Contrast) -> Flags:
        """Segments that look worse at a look that decides (-> hold).

        Two explanations of an effect below zero are compared: that it is the effect of everybody
        else, and that the segment is harmed by `screen_harm`. Where they lie `screen_separation`
        standard errors apart or more, the segment is held when harm is the more likely one, after
        odds of `screen_odds` against it (Bayes' rule for two normal means). Any other segment is held
        where it is worse than everybody else beyond chance, Holm over all of them.

        Args:
            found: Clicks in each segment, the first of everybody.
            rest: Clicks of everybody but each segment.
        """
        rules, variance = self.rules, found.se[1:] ** 2 + rest.se[1:] ** 2
        gap, middle = rest.d[1:] + rules.screen_harm, (rest.d[1:] - rules.screen_harm) / 2
        with np.errstate(invalid="ignore"):
            harmed = gap * (middle - found.d[1:]) > np.log(rules.screen_odds) * variance
            apart = ndtr((found.d[1:] - rest.d[1:]) / np.sqrt(variance))
            separable = self.large(found) & (gap >= rules.screen_separation * np.sqrt(variance))
        fallen = holm(np.where(self.large(found), apart, np.nan), alpha=rules.contrast_alpha)
        return np.asarray(((separable & harmed) | fallen) & (found.d[1:] < 0))

    def blind(self, found: Contrast) -> Flags:
        """Segments in which a harm of `screen_harm` could not be told from no effect."""
        se = np.nan_to_num(found.se[1:], nan=np.inf)
        effect = detectable_once(1.0, alpha=self.rules.alpha, power=self.rules.power) * se
        present = found.n_control[1:] + found.n_treatment[1:] > 0
        unseen = ~self.large(found) | (effect > self.rules.screen_harm)
        return np.asarray(present & unseen)

    def blind_and_matters(self, found: Contrast) -> Flags:
        """Those of them with so many users that a person should know (`segment_blind`)."""
        return np.asarray(self.blind(found) & self._matters(found))

    def _matters(self, found: Contrast) -> Flags:
        users = found.n_control + found.n_treatment
        return np.asarray(users[1:] >= self.rules.blind_share * users[0])

    def names(self, chosen: Flags) -> list[str]:
        """Segments as `country CL`."""
        return [
            f"{name} {value}"
            for (name, value), is_in in zip(self.cells.parts[1:], chosen, strict=True)
            if is_in
        ]

    def findings(self, found: Contrast, harmed: Flags) -> tuple[SegmentFinding, ...]:
        """Every segment whose effect can be told, for the record."""
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
