"""Acceptance scenarios of the gate: what is planted, what the gate should make of it."""

from dataclasses import dataclass, field

from scipy.stats import binom

from firstchair.promotion.audition.effects import Effect


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world in which the gate is heard many times.

    planted: in words. effect: in figures. users: of the population. expected: the right decision, in words.
    at_most, at_least: limits of the rate of a decision, by decision. reject_by: a rejection later than this day does
    not count. share_of_seeds: large worlds are heard less often. offline_lift: the challenger's relative NDCG in
    shadow, which the offline gate sees first. hold_code, hold_share: that share of the holds must say this.
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
    every_look: bool = False

    def seeds(self, seeds: int) -> int:
        """How often it is heard."""
        return max(1, round(seeds * self.share_of_seeds))


SCENARIOS = (
    Scenario("null", "no effect", "not promote", at_most={"promote": 0.05}),
    Scenario("better5", "clicks +5 %", "promote", Effect(0.05), at_least={"promote": 0.85}),
    Scenario("better10", "clicks +10 %", "promote", Effect(0.10), at_least={"promote": 0.90}),
    Scenario("offline_lies", "offline +4 %, clicks -5 %", "reject", Effect(-0.05), offline_lift=0.04,
             at_least={"reject": 0.95}, at_most={"promote": 0.05}),
    Scenario("worse10", "clicks -10 %", "reject by day 7", Effect(-0.10), reject_by=7, at_least={"reject": 0.95}),
    Scenario("segment_harm_large", "clicks +6 %, -8 % in a segment of 12 %", "not promote",
             Effect(0.06, segment_clicks=-0.08), users=100_000, share_of_seeds=0.2, at_most={"promote": 0.05}),
    Scenario("segment_harm_small", "the same with a fifth of the users", "seldom promote",
             Effect(0.06, segment_clicks=-0.08), at_most={"promote": 0.35}),
    Scenario("ctr_bait", "clicks +8 %, listen-through -6 %", "reject", Effect(0.08, listen_through=-0.06),
             at_most={"promote": 0.05}, at_least={"reject": 0.95}),
    Scenario("srm_biased", "6 % of the challenger's users lost, those who click little", "hold",
             Effect(lost=True), at_most={"promote": 0.10}, hold_code="sample_ratio_mismatch", hold_share=0.5),
    Scenario("late_events", "newest 2 days 40 % of the challenger's impressions missing", "not promote",
             Effect(late=True), at_most={"promote": 0.05}, hold_code="data_quality", hold_share=1.0, every_look=True),
    Scenario("novelty", "clicks +8 % to day 10, -4 % from day 20", "hold", Effect(0.08, later_clicks=-0.04),
             at_most={"promote": 0.35}),
    Scenario("small", "clicks +5 %, 2,000 users", "hold", Effect(0.05), users=2_000, at_most={"promote": 0.10}),
    Scenario("power_users", "the 15 % most active +12 %, others -4 %", "not promote",
             Effect(-0.04, heavy_clicks=0.12), at_most={"promote": 0.05}),
    Scenario("leak", "offline +80 %", "hold before canary", offline_lift=0.80, at_most={"promote": 0.0},
             hold_code="leak_alarm", hold_share=1.0),
)  # fmt: skip


def accepted(rate_limit: float, runs: int, *, at_most: bool) -> int:
    """Largest (`at_most`) or smallest count of `runs` that does not speak against a rate: binomial .999 or .001.

    >>> accepted(0.05, 60, at_most=True), accepted(0.85, 60, at_most=False), accepted(0.05, 400, at_most=True)
    (9, 42, 35)
    """
    return int(binom.ppf(0.999 if at_most else 0.001, runs, rate_limit))
