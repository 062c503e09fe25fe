"""The conditions of a promotion beside the absence of harm (docs/gate.md, "Live evidence")."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from firstchair.definitions.metrics import EVERY_GUARDRAIL, Metric
from firstchair.evaluation.sample_ratio import log_e_sample_ratio
from firstchair.promotion.experiment.evaluations import Evaluation
from firstchair.promotion.experiment.evidence import LeftOut
from firstchair.promotion.experiment.measures import Reading
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules, percent

# Names of the conditions on guardrails.
GUARDED = {one.metric: f"{one.metric}_not_inferior" for one in EVERY_GUARDRAIL}


class Condition(NamedTuple):
    """A condition: its name, the reason code if it fails, whether it holds, and the figures."""

    name: str
    code: Reason
    passes: bool
    detail: str


@dataclass
class SampleRatio:
    """Test whether users were assigned as planned; a mismatch once proven stays.

    log_e: logarithm of the largest e-value so far.
    """

    share: float
    rules: LiveRules
    log_e: float = -math.inf

    def update(self, *counts: tuple[int, int]) -> Condition:
        """Test each pair of counts (champion, challenger) against the planned share."""
        for control, treatment in counts:
            self.log_e = max(self.log_e, log_e_sample_ratio(control, treatment, share=self.share))
        control, treatment = counts[0]
        found = treatment / max(1, control + treatment)
        detail = (
            f"{found:.2%} of {control + treatment:,} users are the challenger's, "
            f"planned {self.share:.2%}; e = {math.exp(min(self.log_e, 50)):.3g}, "
            f"limit {self.rules.sample_ratio_e:g}."
        )
        passes = self.log_e < math.log(self.rules.sample_ratio_e)
        return Condition("sample_ratio", Reason.SAMPLE_RATIO_MISMATCH, passes, detail)


def powered(detectable: float, *, binds: bool, rules: LiveRules) -> Condition:
    """Whether the stage that decides would detect `wanted_effect`; holds if it does not bind."""
    found = (
        f"By day {rules.max_days} the stage that decides would find {detectable:.1%} "
        f"with a power of {percent(rules.power)}"
    )
    if rules.wanted_effect is None:
        return Condition("powered", Reason.UNDERPOWERED, True, f"{found}; no wanted effect is set.")
    passes = detectable <= rules.wanted_effect or not binds
    return Condition(
        "powered",
        Reason.UNDERPOWERED,
        passes,
        f"{found}; wanted is {rules.wanted_effect:.1%}.",
    )


def data_quality(evaluation: Evaluation) -> Condition:
    """Whether the newest days are complete in both arms."""
    detail = (
        " ".join(evaluation.gaps)
        or "Impressions a user of the two arms keep their proportion on the newest days."
    )
    return Condition("data_quality", Reason.DATA_QUALITY, not evaluation.gaps, detail)


def few_left_out(found: Sequence[LeftOut], rules: LiveRules) -> Condition:
    """Whether so little evidence was left out that the rest is enough to decide."""
    listed = "; ".join(f"{kind.count:,} of {kind.of:,} {kind.what}" for kind in found if kind.count)
    limit = percent(rules.left_out_share)
    detail = f"Left out: {listed or 'nothing'}; over {limit} of an arm nothing is decided."
    passes = all(kind.share <= rules.left_out_share for kind in found)
    return Condition("left_out", Reason.EVIDENCE_LEFT_OUT, passes, detail)


def both_arms(counts: tuple[int, int], least: int) -> Condition:
    """Whether both arms have enough users."""
    code = Reason.SINGLE_ARM if min(counts) == 0 else Reason.TOO_FEW_USERS
    detail = (
        f"{counts[0]:,} users of the champion and {counts[1]:,} of the challenger saw a list; "
        f"wanted {least:,} each."
    )
    return Condition("users", code, min(counts) >= least, detail)


def superior(
    reading: Reading,
    unweighted: Reading,
    bounds: Mapping[Metric, float],
    rules: LiveRules,
) -> Condition:
    """Whether clicks are proven better, also of users who are not active.

    Weights favour active users. Without weights, the effect has to be `unweighted_z` standard
    errors above zero, so that a challenger which helps some users and harms most is not promoted.
    """
    weighted, plain = bounds.get(Metric.CLICKS), bounds.get(Metric.CLICKS_UNWEIGHTED)
    return Condition(
        "superior",
        Reason.NOT_SUPERIOR,
        proven(reading, weighted) and proven(unweighted, plain),
        " ".join(
            (
                effect_sentence(Metric.CLICKS, reading, weighted, rules),
                effect_sentence(Metric.CLICKS_UNWEIGHTED, unweighted, plain, rules),
            )
        ),
    )


def not_inferior(
    metric: Metric,
    reading: Reading,
    margin: float,
    bound: float | None,
    rules: LiveRules,
) -> Condition:
    """Whether a guardrail is proven to be worse by less than its margin."""
    asked = f"At most {percent(margin)} worse is to be proven."
    return Condition(
        GUARDED[metric],
        Reason(f"{metric}_not_proven"),
        proven(reading, bound, margin),
        f"{effect_sentence(metric, reading, bound, rules, margin)} {asked}",
    )


def proven(reading: Reading, bound: float | None, margin: float = 0.0) -> bool:
    """Whether an effect above minus the margin is proven; never without a bound."""
    return bound is not None and reading.known and reading.d + margin >= bound * reading.se


def lasting(first: Reading, newest: Reading, fall_se: float, rules: LiveRules) -> Condition:
    """Whether the effect lasts.

    If it fell from the first days to the newest, the newest days alone have to prove that it is
    above zero. If it did not fall, the newest days must not contradict it.

    Args:
        first: Effect of the oldest `novelty_days`.
        newest: Effect of the newest `novelty_days`.
        fall_se: Standard error of their difference.
        rules: Rules of the gate.
    """
    fall = newest.d - first.d
    fell = bool(np.isfinite(fall_se)) and fall < -rules.fall_z * fall_se
    z = rules.fallen_z if fell else rules.novelty_z
    bound = newest.d - z * newest.se
    least = 0.0 if fell else -rules.novelty_margin
    passes = newest.known and newest.d > 0 and bound > least
    days = f"From the first {rules.novelty_days} days to the last"
    change = f"{days} it changed by {100 * fall:+.1f} points"
    fall_text = f"{change} (standard error {100 * fall_se:.1f}). " if np.isfinite(fall_se) else ""
    return Condition(
        "novelty",
        Reason.NOVELTY,
        passes,
        f"{fall_text}Over the last {rules.novelty_days} days {newest.d:+.1%}, "
        f"{percent_of(z)} bound {bound:+.1%}; wanted is more than {least:+.1%}.",
    )


def believable(reading: Reading, rules: LiveRules) -> Condition:
    """Whether the effect is not too good to be true (Twyman's law)."""
    bound = reading.d - rules.twyman_z * reading.se
    detail = (
        f"{percent_of(rules.twyman_z)} bound of the effect {bound:+.1%}; "
        f"over {percent(rules.twyman_limit)} a person has to look."
    )
    return Condition(
        "believable",
        Reason.TOO_GOOD_TO_BE_TRUE,
        not bound > rules.twyman_limit,
        detail,
    )


def signs_agree(per_user: Reading, pooled: Reading, rules: LiveRules) -> Condition:
    """Whether the mean over users and the ratio of sums do not contradict each other."""
    opposite = per_user.d * pooled.d < 0
    sizes = sorted(abs(r.d) / r.se if r.known else 0.0 for r in (per_user, pooled))
    significant = sizes[1] > float(ndtri(1 - rules.signs_alpha / 2)) and sizes[0] > rules.signs_z
    detail = f"Mean over users {per_user.d:+.1%}, ratio of sums {pooled.d:+.1%}."
    return Condition("signs_agree", Reason.SIGNS_DISAGREE, not (opposite and significant), detail)


def effect_sentence(
    metric: Metric,
    reading: Reading,
    bound: float | None,
    rules: LiveRules,
    margin: float = 0.0,
) -> str:
    """The effect on a metric and what it has to reach, in one sentence."""
    if not reading.known:
        return f"{metric}: the effect is not known yet."
    z = (reading.d + margin) / reading.se
    if bound is None:
        wanted = f"decided from day {rules.min_days} on"
    else:
        wanted = f"wanted {bound:.2f}" if math.isfinite(bound) else "no evaluation is left"
    return (
        f"{metric} {reading.treatment:.4g} against {reading.control:.4g}, {reading.d:+.1%} "
        f"(standard error {reading.se:.1%}); z = {z:.2f}, {wanted}."
    )


def missing(conditions: Mapping[str, Condition] | tuple[Condition, ...]) -> list[Condition]:
    """The conditions that do not hold, in order."""
    found = conditions.values() if isinstance(conditions, Mapping) else conditions
    return [condition for condition in found if not condition.passes]


def blind_sentence(blind: list[str], rules: LiveRules) -> str:
    """The large segments with too few users to detect harm, in one sentence."""
    least, harm = percent(rules.blind_share), percent(rules.screen_harm)
    if not blind:
        return f"In every segment of {least} of users and more a harm of {harm} would be found."
    return (
        f"Too few users to find a harm of {harm} in {len(blind)} segment(s) of {least} of users "
        f"and more: {', '.join(blind)}; a person should look at them."
    )


def percent_of(z: float) -> str:
    """The one-sided level of a bound `z` standard errors away, as text: 2.33 is 99 %."""
    return f"{float(ndtr(z)):.0%}"


def listed(names: list[str], what: str) -> str:
    """The segments that match a description, in one sentence."""
    return f"Segments that {what}: {', '.join(names) or 'none'}."
