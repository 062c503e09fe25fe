"""Every constant of the gate on live evidence; it stands in the record of each decision."""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Metric(StrEnum):
    """What is measured of each user."""

    CLICKS = "clicks_per_100"
    LISTEN_THROUGH = "listen_through"
    ACTIVE_DAYS = "active_days"
    CTR_POOLED = "ctr_pooled"
    CHURNED_7 = "churned_7"
    CHURNED_14 = "churned_14"


CHURN_HORIZONS = {Metric.CHURNED_7: 7, Metric.CHURNED_14: 14}
# A share up to this one is a ramp: safety only.
RAMP_SHARES = (0.05, 0.20)


@dataclass(frozen=True, slots=True)
class TrialRules:
    """Constants of GATE sections 2 to 4 with its values as defaults; shares and margins relative, days whole.

    min_days, max_days: length of the decision stage. success_days, harm_days, segment_days: complete days of data
    before a success, a harm, a segment's harm is read. success_users, harm_users: least users of an arm for that.
    ramp_days, ramp_days_small, small_population: length of a ramp step, and for fewer users than that.
    listen_margin, active_margin: how much worse a guardrail may be. deterioration_tests: share of alpha of each.
    sample_ratio_e: e-value at which the arms count as wrongly dealt.
    segment_users: least users of an arm in a segment. screen_alpha, screen_release: the segment screen falls at the
    one and is lifted at the other. contrast_alpha: of the screen of a segment against the rest.
    strict_margin, strict_se, strict_z: of the strict screen. blind_share, blind_effect: a segment with that share of
    users whose detectable effect is larger is blind. blind_needs_person: such a decision waits for a person.
    novelty_days, novelty_margin, novelty_z: of the newest days. twyman_limit, twyman_z: too good to be true.
    data_days, data_change, data_z: newest days whose impressions may still be on their way, and what gives it away.
    late_tolerance_days: days until a label is final, beyond its horizon.
    probation_min_days, probation_max_days, probation_alpha, window_days, looks: of probation (GATE section 4).
    wanted_effect: on clicks, that the owner wants found; None where he wrote nothing, which binds nobody.
    planned_cv, planned_r2: coefficient of variation, and the covariate's R², where the days before tell nothing.
    """

    min_days: int = 21
    max_days: int = 35
    alpha: float = 0.05
    success_days: int = 7
    harm_days: int = 3
    segment_days: int = 7
    success_users: int = 1_000
    harm_users: int = 500
    ramp_days: int = 3
    ramp_days_small: int = 7
    small_population: int = 50_000
    plan_day: int = 14
    listen_margin: float = 0.02
    active_margin: float = 0.02
    deterioration_tests: int = 3
    sample_ratio_e: float = 100.0
    segment_users: int = 300
    segment_alpha: float = 0.05
    screen_alpha: float = 0.10
    screen_release: float = 0.30
    contrast_alpha: float = 0.10
    strict: bool = True
    strict_margin: float = 0.08
    strict_se: float = 0.05
    strict_z: float = 0.84
    blind_share: float = 0.05
    blind_effect: float = 0.08
    blind_needs_person: bool = False
    novelty_days: int = 7
    novelty_margin: float = 0.02
    novelty_z: float = 1.282
    twyman_limit: float = 0.30
    twyman_z: float = 2.33
    data_days: int = 3
    data_change: float = 0.15
    data_z: float = 3.5
    late_tolerance_days: int = 3
    probation_min_days: int = 28
    probation_max_days: int = 42
    probation_alpha: float = 0.025
    window_days: int = 3
    looks: int = 30
    wanted_effect: float | None = None
    planned_cv: float = 1.0
    planned_r2: float = 0.35

    def shortened(self) -> tuple[str, ...]:
        """What is shorter, smaller or wider than the specification asks, as texts; empty where nothing is."""
        standard = TrialRules()
        names = ("min_days", "success_days", "harm_days", "segment_days", "ramp_days", "ramp_days_small",
                 "success_users", "harm_users", "probation_min_days")  # fmt: skip
        pairs = [(name, getattr(self, name), getattr(standard, name)) for name in names]
        told = [f"{name} {own} instead of {usual}" for name, own, usual in pairs if own < usual]
        margins = [(name, getattr(self, name), getattr(standard, name)) for name in ("listen_margin", "active_margin")]
        return (*told, *(f"{name} {own:.0%} instead of {usual:.0%}" for name, own, usual in margins if own > usual))

    def record(self) -> dict[str, Any]:
        """The constants by name, for the record of a decision."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
