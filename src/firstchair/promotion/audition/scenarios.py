"""Acceptance scenarios of the gate: the planted effect and the right decision."""

from dataclasses import dataclass, field

from scipy.stats import binom

from firstchair.promotion.audition.effects import Effect


@dataclass(frozen=True, slots=True)
class Scenario:
    """A planted effect, and limits of the rates with which the gate decides about it.

    Attributes:
        name: Name of the scenario.
        planted: The effect in words.
        expected: The right decision, in words.
        effect: The effect in figures.
        users: Number of users.
        at_most: Largest rates of a decision, by decision.
        at_least: Smallest rates of a decision, by decision.
        reject_by: Day of the stage; a rejection later than this does not count.
        share_of_seeds: Share of the seeds that are run; large populations are run less often.
        offline_lift: The challenger's relative NDCG in shadow, which the offline gate sees first.
        hold_code: Reason code that holds must have.
        hold_share: Share of the holds that must have it.
        every_evaluation: Whether they must have it at every evaluation.
        exposure_margin: The rule of that name; None leaves it as it is.
    """

    name: str
    planted: str
    expected: str
    effect: Effect = field(default_factory=Effect)
    users: int = 20_000
    at_most: dict[str, float] = field(default_factory=dict)
    at_least: dict[str, float] = field(default_factory=dict)
    reject_by: int | None = None
    share_of_seeds: float = 1.0
    offline_lift: float | None = None
    hold_code: str | None = None
    hold_share: float = 0.0
    every_evaluation: bool = False
    exposure_margin: float | None = None

    def seeds(self, seeds: int) -> int:
        """Number of runs."""
        return max(1, round(seeds * self.share_of_seeds))


SMALL, MEDIUM, LARGE = 2_000, 5_000, 100_000
SEGMENT_HARM = Effect(0.06, segment_clicks=-0.08)

SCENARIOS = (
    Scenario("null", "no effect", "not promote", at_most={"promote": 0.02}),
    Scenario("better5", "clicks +5 %", "promote", Effect(0.05), at_least={"promote": 0.85}),
    Scenario("better10", "clicks +10 %", "promote", Effect(0.10), at_least={"promote": 0.85}),
    Scenario(
        "worse5",
        "clicks -5 %",
        "reject",
        Effect(-0.05),
        at_least={"reject": 0.99},
    ),
    Scenario(
        "worse10",
        "clicks -10 %",
        "reject by day 7",
        Effect(-0.10),
        reject_by=7,
        at_least={"reject": 0.99},
    ),
    Scenario(
        "offline_lies",
        "offline +4 %, clicks -5 %",
        "reject",
        Effect(-0.05),
        offline_lift=0.04,
        at_least={"reject": 0.99},
        at_most={"promote": 0.02},
    ),
    Scenario(
        "segment_harm_large",
        "clicks +6 %, -8 % in a segment of 12 %, 100,000 users",
        "not promote",
        SEGMENT_HARM,
        users=LARGE,
        share_of_seeds=0.2,
        at_most={"promote": 0.02},
    ),
    Scenario(
        "segment_harm_small",
        "the same with a fifth of the users",
        "not promote",
        SEGMENT_HARM,
        at_most={"promote": 0.02},
    ),
    Scenario(
        "ctr_bait",
        "clicks +8 %, listen-through -6 %",
        "reject",
        Effect(0.08, listen_through=-0.06),
        at_most={"promote": 0.02},
        at_least={"reject": 0.95},
    ),
    Scenario(
        "users_driven_away",
        "clicks +8 %, active days -6 % by users who leave for good",
        "not promote",
        Effect(0.08, leaving=-0.06),
        at_most={"promote": 0.02},
    ),
    Scenario(
        "less_active",
        "clicks +6 %, active days -2 %",
        "not promote",
        Effect(0.06, active_days=-0.02),
        at_most={"promote": 0.06},
    ),
    Scenario(
        "less_listened",
        "clicks +6 %, listen-through -2 %",
        "not promote",
        Effect(0.06, listen_through=-0.02),
        at_most={"promote": 0.06},
    ),
    Scenario(
        "srm_biased",
        "6 % of the challenger's users lost, those who click little",
        "hold",
        Effect(lost=True),
        at_most={"promote": 0.02},
        hold_code="sample_ratio_mismatch",
        hold_share=0.5,
    ),
    Scenario(
        "late_events",
        "newest 2 days 40 % of the challenger's impressions missing",
        "not promote",
        Effect(late=True),
        at_most={"promote": 0.02},
        hold_code="data_quality",
        hold_share=1.0,
        every_evaluation=True,
    ),
    Scenario(
        "novelty",
        "clicks +8 % to day 10, -4 % from day 20",
        "hold",
        Effect(0.08, later_clicks=-0.04),
        at_most={"promote": 0.02},
    ),
    Scenario(
        "small",
        "clicks +5 %, 2,000 users",
        "hold",
        Effect(0.05),
        users=SMALL,
        at_most={"promote": 0.10},
    ),
    Scenario("small10", "clicks +10 %, 2,000 users", "promote or hold", Effect(0.10), users=SMALL),
    Scenario("medium5", "clicks +5 %, 5,000 users", "promote or hold", Effect(0.05), users=MEDIUM),
    Scenario("medium10", "clicks +10 %, 5,000 users", "promote", Effect(0.10), users=MEDIUM),
    Scenario(
        "power_users",
        "the 15 % most active +12 %, others -4 %",
        "not promote",
        Effect(-0.04, heavy_clicks=0.12),
        at_most={"promote": 0.05},
    ),
    Scenario(
        "starves-small-artists",
        "clicks +6 %, impressions of small artists -15 %; margin 5 %",
        "hold",
        Effect(0.06, exposure=-0.15),
        share_of_seeds=2 / 3,
        at_most={"promote": 0.0},
        at_least={"hold": 0.90},
        hold_code="exposure_tail_not_proven",
        hold_share=1.0,
        exposure_margin=0.05,
    ),
    Scenario(
        "feeds-small-artists",
        "clicks +6 %, impressions of small artists as before; margin 5 %",
        "promote",
        Effect(0.06, exposure=0.0),
        share_of_seeds=2 / 3,
        at_least={"promote": 0.85},
        exposure_margin=0.05,
    ),
    Scenario(
        "leak",
        "offline +80 %",
        "hold before canary",
        offline_lift=0.80,
        at_most={"promote": 0.0},
        hold_code="leak_alarm",
        hold_share=1.0,
    ),
)


def accepted(rate_limit: float, runs: int, *, at_most: bool) -> int:
    """Largest or smallest count of runs that does not speak against a rate.

    Args:
        rate_limit: The rate, 0..1.
        runs: Number of runs.
        at_most: Largest count of a rate that may be at most this (binomial quantile .999), or
            smallest of one that is at least this (.001).

    >>> accepted(0.05, 60, at_most=True), accepted(0.85, 60, at_most=False)
    (9, 42)
    """
    return int(binom.ppf(0.999 if at_most else 0.001, runs, rate_limit))
