"""The off-policy veto: a challenger whose lists would have been clicked less is rejected."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from firstchair.errors import EvidenceError
from firstchair.evaluation.off_policy import Estimate, position_based_lift
from firstchair.promotion.gate import Verdict
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import OfflineRules
from firstchair.promotion.slate_log import Logged

CHECK = "off_policy"


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The off-policy estimate of a challenger in shadow; None if none could be computed.

    slates: logged slates used. supported: whether the log covers what is estimated. sentence: the
    result in words.
    """

    estimate: Estimate | None
    slates: int
    supported: bool
    sentence: str

    @property
    def vetoes(self) -> bool:
        """Whether the lists are proven to be worth less than the champion's."""
        return self.supported and self.estimate is not None and self.estimate.upper < 0

    def record(self) -> dict[str, Any]:
        """The estimate as a ledger entry holds it."""
        found = None if self.estimate is None else asdict(self.estimate)
        return {"slates": self.slates, "supported": self.supported, "lift": found}


def off_policy(logged: Logged | None, rules: OfflineRules) -> OffPolicy:
    """Estimate the lift in clicks of a challenger in shadow over the champion, from logged slates.

    The estimate has no support with fewer than `veto_samples` effective samples, if less than
    `veto_support` of the lists' examinations could have been logged, or if one weight is over
    `veto_share` of all. Then it is recorded and decides nothing.
    """
    if logged is None:
        return OffPolicy(
            None, 0, False, "No support: 0 slates with both lists (0 effective samples)."
        )
    try:
        found = position_based_lift(logged.log, logged.target, rules.assumptions())
    except EvidenceError as error:
        return OffPolicy(
            None, len(logged), False, f"No support: {error.what} (of {len(logged):,} slates)."
        )
    supported = (
        found.effective_samples >= rules.veto_samples
        and found.support >= rules.veto_support
        and found.largest_share <= rules.veto_share
    )
    sentence = (
        f"{'' if supported else 'No support: '}clicks {found.value:+.1%} ({found.lower:+.1%} to "
        f"{found.upper:+.1%}) against the champion's lists on {len(logged):,} slates; "
        f"{found.effective_samples:,.0f} effective samples, {found.support:.1%} of the lists "
        "could have been shown."
    )
    return OffPolicy(found, len(logged), supported, sentence)


def with_veto(verdict: Verdict, found: OffPolicy) -> Verdict:
    """Add the off-policy check to a verdict; it may reject a challenger, and do nothing else."""
    check = {"name": CHECK, "passes": not found.vetoes, "detail": found.sentence}
    checked = replace(verdict, checks=(*verdict.checks, check))
    if not found.vetoes:
        return checked
    codes = (
        Reason.OFF_POLICY_WORSE,
        *(verdict.reason_codes if verdict.decision is Verb.REJECT else ()),
    )
    return replace(
        checked,
        decision=Verb.REJECT,
        reason_codes=codes,
        reasons=(f"Off-policy: {found.sentence}",),
    )
