"""The gate on live evidence: day by day, from the totals of users to a decision with its reasons."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from firstchair.definitions.arms import RAMP_SHARES
from firstchair.definitions.metrics import Metric
from firstchair.promotion.gate import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial import conditions as ask
from firstchair.promotion.trial.conditions import Condition, SampleRatio, missing
from firstchair.promotion.trial.decision import TrialDecision
from firstchair.promotion.trial.evidence import Evidence, LeftOut
from firstchair.promotion.trial.facts import Forecast, facts
from firstchair.promotion.trial.harm import HarmWatch, deteriorated
from firstchair.promotion.trial.looks import Days, Look, Looks
from firstchair.promotion.trial.measures import (
    Cells,
    Readings,
    adjusted_clicks,
    exposed,
    outliers,
    read,
    window,
)
from firstchair.promotion.trial.outlook import Outlook
from firstchair.promotion.trial.planning import Plan, plan
from firstchair.promotion.trial.probation import ProbationWatch
from firstchair.promotion.trial.proofs import Proofs, fall_se, margins
from firstchair.promotion.trial.record import (
    checks_of,
    detectable_effect,
    metric_findings,
    outliers_check,
)
from firstchair.promotion.trial.segments import SegmentWatch

CANARY, PROBATION = "canary", "probation"
STAGES = (CANARY, PROBATION)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything read at one look."""

    look: Look
    found: Readings
    bounds: dict[Metric, float]
    counts: tuple[int, int]
    ratio: Condition
    harm: dict[Metric, str]
    harmed: list[str]


@dataclass
class Trial:
    """One stage under the eyes of the gate; what has fired stays from look to look.

    days: the users and what they did. dates: of its days. stage: canary or probation. share:
    planned share of the challenger; up to the largest of `RAMP_SHARES` it is a ramp step, which
    tests safety alone. left_out: what of the evidence does not count.
    """

    days: Days
    dates: Sequence[date]
    rules: LiveRules
    stage: str = CANARY
    share: float = 0.5
    left_out: Sequence[LeftOut] = ()
    cells: Cells = field(init=False)
    fixed: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.cells = Cells(self.days)
        self.fixed = plan(self.days, self.cells.sizes, share=self.share, rules=self.rules)
        self._few_left_out = ask.few_left_out(self.left_out, self.rules)
        self._ratio = SampleRatio(self.share, self.rules)
        self._harm = HarmWatch(self.rules)
        self._segments = SegmentWatch(self.cells, self.fixed.segment_rho, self.rules)
        self._probation = ProbationWatch(self.fixed.rho, self.rules)
        known = facts(self.days.before, self.days.segments, self.rules)
        self._forecast = Forecast(known, self.days.arm)
        self._proofs = Proofs(self.days, self.rules)
        self._outlook = Outlook(self.rules)

    def decisions(self) -> Iterator[TrialDecision]:
        """The decision of each day, as if looked at daily."""
        for look in Looks(self.days, self.rules):
            yield self._decide(self._see(look))

    def _see(self, look: Look) -> _Seen:
        found = read(look, self.days, self.cells, self._forecast, self.fixed, self.rules)
        counts = exposed(look, self.days)
        assigned = (int((self.days.arm == 0).sum()), int((self.days.arm == 1).sum()))
        harmed: list[str] = []
        if look.data_days >= self.rules.segment_days:
            harmed = self._segments.names(self._segments.harmed(found.segments))
        return _Seen(
            look=look,
            found=found,
            bounds=self._proofs.look(look, found.values) if self._decides else {},
            counts=counts,
            ratio=self._ratio.look(counts, assigned),
            harm=self._harm.look(found.metrics, data_days=look.data_days, day=look.day),
            harmed=harmed,
        )

    def _decide(self, seen: _Seen) -> TrialDecision:
        self._outlook.look(seen.look, seen.found.metrics[Metric.CLICKS])
        if not self._few_left_out.passes or not seen.ratio.passes or min(seen.counts) == 0:
            arms = ask.both_arms(seen.counts, self.rules.success_users)
            asked = (*self._of_data(seen), arms)
            if self.stage == PROBATION and seen.look.day >= self.rules.probation_max_days:
                return self._unconfirmed(seen, asked)
            return self._hold(seen, asked)
        if self.stage == PROBATION:
            return self._in_probation(seen)
        if seen.harm or seen.harmed:
            return self._reject(seen)
        return self._in_decision(seen) if self._decides else self._in_ramp(seen)

    @property
    def _decides(self) -> bool:
        """Whether it is the stage that decides a promotion."""
        return self.stage == CANARY and self.share > max(RAMP_SHARES) + 1e-9

    def _of_data(self, seen: _Seen) -> tuple[Condition, ...]:
        """What is asked of the evidence itself, the whole newest days first."""
        return (ask.data_quality(seen.look), seen.ratio, self._few_left_out)

    def _in_decision(self, seen: _Seen) -> TrialDecision:
        """The stage that decides: everything is asked."""
        look, rules = seen.look, self.rules
        if look.day < rules.min_days:
            early = Condition(
                "duration",
                Reason.TOO_EARLY,
                False,
                f"Day {look.day}; not before day {rules.min_days} is a promotion decided.",
            )
            return self._hold(seen, (early, *self._conditions(seen)), only=(early,))
        asked = self._conditions(seen)
        if look.day > rules.max_days or (look.day == rules.max_days and missing(asked)):
            return self._over(seen, asked)
        if missing(asked):
            return self._hold(seen, asked)
        blind = self._segments.names(self._segments.blind_and_matters(seen.found.segments))
        extra = (Reason.SEGMENT_BLIND,) if blind else ()
        if rules.shortened():
            extra = (*extra, Reason.SHORTENED_STAGE)
        reasons = [
            condition.detail
            for condition in asked
            if condition.name == "superior" or condition.name in ask.GUARDED.values()
        ]
        reasons += [ask.told_blind(blind, rules)] if blind else []
        reasons += (
            [f"The stage was shortened: {', '.join(rules.shortened())}."]
            if rules.shortened()
            else []
        )
        return self._decision(
            seen,
            Verb.PROMOTE,
            asked,
            (Reason.SUPERIOR, Reason.GUARDRAILS_HOLD, *extra),
            tuple(reasons),
        )

    def _conditions(self, seen: _Seen) -> tuple[Condition, ...]:
        rules, readings, look = self.rules, seen.found.metrics, seen.look
        clicks, bounds = readings[Metric.CLICKS], seen.bounds
        blind = self._segments.names(self._segments.blind_and_matters(seen.found.segments))
        return (
            *self._of_data(seen),
            ask.both_arms(seen.counts, rules.success_users),
            ask.superior(clicks, readings[Metric.CLICKS_UNWEIGHTED], bounds, rules),
            *(
                ask.not_inferior(metric, readings[metric], margin, bounds.get(metric), rules)
                for metric, margin in margins(rules).items()
            ),
            *((self._segment_condition(seen), self._lasting(look)) if bounds else ()),
            ask.believable(clicks, rules),
            ask.signs_agree(readings[Metric.CLICKS_UNWEIGHTED], readings[Metric.CTR_POOLED], rules),
            Condition(
                "segments_seen",
                Reason.SEGMENT_BLIND,
                not (blind and rules.blind_needs_person),
                ask.told_blind(blind, rules),
            ),
        )

    def _lasting(self, look: Look) -> Condition:
        first = adjusted_clicks(look.first, self._forecast, self.fixed)
        newest = adjusted_clicks(look.recent, self._forecast, self.fixed)
        return ask.lasting(
            window(first, self.cells, self.fixed),
            window(newest, self.cells, self.fixed),
            fall_se(first, newest, self.days),
            self.rules,
        )

    def _segment_condition(self, seen: _Seen) -> Condition:
        rest = self.cells.compare_rest(seen.found.values[Metric.CLICKS])
        screened = self._segments.names(self._segments.screen(seen.found.segments, rest))
        return Condition(
            "segment_screen",
            Reason.SEGMENT_SCREEN,
            not screened,
            ask.listed(screened, "look worse"),
        )

    def _in_ramp(self, seen: _Seen) -> TrialDecision:
        """A ramp step: safety alone; a step without alarm is over after some days."""
        look, rules = seen.look, self.rules
        small = self.days.users < rules.small_population
        needed = rules.ramp_days_small if small else rules.ramp_days
        asked = (
            *self._of_data(seen),
            Condition(
                "duration",
                Reason.RAMP_RUNNING,
                look.data_days >= needed,
                f"Day {look.data_days} of {needed}.",
            ),
            ask.powered(
                self.fixed.detectable,
                binds=self.share > max(RAMP_SHARES) - 1e-9,
                rules=rules,
            ),
        )
        if missing(asked):
            return (
                self._over(seen, asked) if look.day >= rules.max_days else self._hold(seen, asked)
            )
        text = f"No alarm in {look.data_days} days at a share of {self.share:.0%}: the next step may begin."
        return self._decision(seen, Verb.HOLD, asked, (Reason.RAMP_CLEAR,), (text,))

    def _in_probation(self, seen: _Seen) -> TrialDecision:
        """The new champion against the control group that keeps the previous one."""
        look, rules = seen.look, self.rules
        shown = adjusted_clicks(look.newest, self._forecast, self.fixed)
        newest = window(shown, self.cells, self.fixed)
        alarms = self._probation.look(seen.found.metrics, newest, look, seen.harm)
        asked = (*self._of_data(seen), *self._probation.conditions(seen.found.metrics, newest))
        if alarms:
            return self._decision(
                seen, Verb.ROLL_BACK, asked, tuple(alarms), tuple(alarms.values())
            )
        if look.day >= rules.probation_max_days and not asked[0].passes:
            return self._unconfirmed(seen, asked)
        if look.day < rules.probation_min_days or not asked[0].passes:
            detail = f"Day {look.day} of {rules.probation_min_days} without an alarm."
            running = Condition(
                "duration",
                Reason.IN_PROBATION,
                look.day >= rules.probation_min_days,
                detail,
            )
            return self._hold(seen, (*asked, running))
        text = f"No alarm in {look.day} days: the champion is confirmed."
        return self._decision(seen, Verb.HOLD, asked, (Reason.CONFIRMED,), (text,))

    def _unconfirmed(self, seen: _Seen, asked: tuple[Condition, ...]) -> TrialDecision:
        """End probation after its longest time, though its data never allowed a confirmation.

        The champion stays, because a rollback needs a proof of harm too, and the users of the
        control group go back to it: to hold on would keep them on the previous version, and every
        challenger waiting, for as long as the data are bad. The reason code raises an alert.
        """
        detail = (
            f"Day {seen.look.day} of at most {self.rules.probation_max_days}: the champion stays "
            "without a confirmation, since its data could not be read; "
            "a person should look at them."
        )
        over = Condition("duration", Reason.PROBATION_OVER, False, detail)
        return self._hold(seen, (*asked, over))

    def _reject(self, seen: _Seen) -> TrialDecision:
        codes = [deteriorated(metric) for metric in seen.harm]
        reasons = list(seen.harm.values())
        if seen.harmed:
            codes.append(Reason.SEGMENT_DETERIORATED)
            reasons.append(ask.listed(seen.harmed, "are proven to be worse"))
        return self._decision(seen, Verb.REJECT, self._of_data(seen), tuple(codes), tuple(reasons))

    def _over(self, seen: _Seen, asked: tuple[Condition, ...]) -> TrialDecision:
        """Hold for what is missing, and no longer: the users of the challenger go back to the champion."""
        detail = f"Day {seen.look.day} of at most {self.rules.max_days}: without a proof by now the champion stays."
        return self._hold(
            seen,
            (*asked, Condition("horizon", Reason.HORIZON_REACHED, False, detail)),
        )

    def _hold(
        self, seen: _Seen, asked: tuple[Condition, ...], only: tuple[Condition, ...] = ()
    ) -> TrialDecision:
        """Hold for what is missing; of an early look, what the data themselves are at fault for comes first."""
        grave = {
            Reason.DATA_QUALITY,
            Reason.SAMPLE_RATIO_MISMATCH,
            Reason.EVIDENCE_LEFT_OUT,
            Reason.SINGLE_ARM,
        }
        lacking = [c for c in missing(asked) if not only or c.code in grave] + list(only)
        return self._decision(
            seen, Verb.HOLD, asked, tuple(c.code for c in lacking), tuple(c.detail for c in lacking)
        )

    def _decision(
        self,
        seen: _Seen,
        verb: Verb,
        asked: tuple[Condition, ...],
        codes: tuple[Reason, ...],
        reasons: tuple[str, ...],
    ) -> TrialDecision:
        harmed = self._segments.harmed_so_far()
        return TrialDecision(
            decision=verb,
            day=self.dates[seen.look.day - 1],
            stage=self.stage,
            days=seen.look.day,
            metrics=metric_findings(seen.found.metrics, seen.bounds, self._harm, self.rules),
            segments=self._segments.findings(seen.found.segments, harmed),
            checks=(
                *checks_of(
                    asked,
                    seen.harm,
                    seen.harmed,
                    self._segments.names(self._segments.blind(seen.found.segments)),
                ),
                outliers_check(outliers(seen.look, self.days, self.rules), self.rules),
            ),
            minimum_detectable_effect=detectable_effect(
                seen.found.metrics[Metric.CLICKS], seen.bounds.get(Metric.CLICKS), self.rules
            ),
            reason_codes=codes,
            reasons=reasons,
            outlook=self._outlook.lines(verb, codes, seen.found.metrics, self.stage),
            planned_detectable_effect=self.fixed.detectable if self.stage == CANARY else None,
            wanted_effect=self.rules.wanted_effect if self.stage == CANARY else None,
        )


def decide_daily(
    evidence: Evidence, rules: LiveRules, *, stage: str = CANARY, share: float = 0.5
) -> list[TrialDecision]:
    """One decision a day, each on what was known at its end."""
    trial = Trial(evidence, evidence.dates, rules, stage, share, evidence.left_out)
    return list(trial.decisions())


def decide(
    evidence: Evidence,
    rules: LiveRules,
    *,
    stage: str = CANARY,
    share: float = 0.5,
) -> TrialDecision:
    """The decision at the evidence's last day.

    Args:
        evidence: Of one stage from its first day on, at least one day; phases with other shares are never pooled.
        rules: What the gate asks for.
        stage: canary or probation. In probation the arm `challenger` is the version that was promoted, the arm
            `champion` the control group, which keeps the one before.
        share: Planned share of the challenger's arm; up to 0.2 a ramp step, which tests safety alone.
    """
    return decide_daily(evidence, rules, stage=stage, share=share)[-1]


__all__ = ["CANARY", "PROBATION", "STAGES", "Trial", "decide", "decide_daily"]
