"""Decisions on live evidence, one for each day of a stage."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from firstchair.definitions.arms import RAMP_SHARES
from firstchair.definitions.metrics import Metric
from firstchair.evaluation.moments import Comparison, Terms
from firstchair.promotion.experiment import conditions as ask
from firstchair.promotion.experiment.conditions import Condition, SampleRatio, missing
from firstchair.promotion.experiment.decision import ExperimentDecision
from firstchair.promotion.experiment.evaluations import Day, Days, Evaluation, Evaluations
from firstchair.promotion.experiment.evidence import Evidence, LeftOut
from firstchair.promotion.experiment.facts import Forecast, facts
from firstchair.promotion.experiment.harm import HarmWatch, deteriorated
from firstchair.promotion.experiment.measures import (
    Cells,
    Reading,
    Readings,
    clicks_over,
    outliers,
    read,
    readings_of,
)
from firstchair.promotion.experiment.outlook import Outlook
from firstchair.promotion.experiment.planning import Plan, plan
from firstchair.promotion.experiment.probation import ProbationWatch
from firstchair.promotion.experiment.proofs import Proofs, difference_se, margins
from firstchair.promotion.experiment.record import (
    checks_of,
    detectable_effect,
    metric_findings,
    outliers_check,
)
from firstchair.promotion.experiment.segments import SegmentWatch
from firstchair.promotion.kinds import Verb
from firstchair.promotion.reasons import Reason
from firstchair.promotion.rules import LiveRules

CANARY, PROBATION = "canary", "probation"
STAGES = (CANARY, PROBATION)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything that was measured and tested at one evaluation."""

    evaluation: Evaluation
    found: Readings
    bounds: dict[Metric, float]
    counts: tuple[int, int]
    ratio: Condition
    harm: dict[Metric, str]
    harmed: list[str]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is decided at one evaluation, and why.

    Attributes:
        seen: What was measured and tested.
        verb: The decision.
        asked: The conditions that were checked.
        codes: Reason codes.
        reasons: The reasons in sentences.
    """

    seen: _Seen
    verb: Verb
    asked: tuple[Condition, ...]
    codes: tuple[Reason, ...]
    reasons: tuple[str, ...]


@dataclass
class Experiment:
    """A stage with treatment and control, evaluated every day; a proven harm stays proven.

    Attributes:
        days: The users and what they did.
        dates: Dates of the days.
        rules: Rules of the gate.
        stage: canary or probation.
        share: Planned share of the challenger, 0..1. Up to the largest of `RAMP_SHARES` the stage
            is a ramp step, which tests safety alone.
        left_out: What of the evidence does not count.
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
        treated = int(self.days.arm.sum())
        self._assigned = (self.days.users - treated, treated)
        self.fixed = plan(self.days, self.cells.sizes, share=self.share, rules=self.rules)
        self._few_left_out = ask.few_left_out(self.left_out, self.rules)
        self._ratio = SampleRatio(self.share, self.rules)
        self._harm = HarmWatch(self.rules)
        self._segments = SegmentWatch(self.cells, self.fixed.segment_rho, self.rules)
        self._probation = ProbationWatch(self.fixed.rho, self.rules)
        known = facts(self.days.before, self.days.segments, self.rules)
        self._forecast = Forecast(known, self.days.arm)
        self._proofs = Proofs(self.rules)
        self._first: Terms | None = None
        self._outlook = Outlook(self.rules)

    def rulings(self) -> Iterator[Ruling]:
        """What is decided on each day, on what was known at its end."""
        for evaluation in Evaluations(self.days, self.rules):
            yield self._decide(self._see(evaluation))

    def decisions(self) -> Iterator[ExperimentDecision]:
        """The decision of each day, with all its figures."""
        return (self.recorded(ruling) for ruling in self.rulings())

    def recorded(self, ruling: Ruling) -> ExperimentDecision:
        """A decision with all its figures, given the newest of the `rulings`."""
        seen, verb, codes = ruling.seen, ruling.verb, ruling.codes
        metrics, segments = seen.found.metrics, seen.found.segments
        blind = self._segments.names(self._segments.blind(segments))
        outlying = outliers(seen.evaluation, self.days, self.rules)
        return ExperimentDecision(
            decision=verb,
            day=self.dates[seen.evaluation.day - 1],
            stage=self.stage,
            days=seen.evaluation.day,
            metrics=metric_findings(metrics, seen.bounds, self._harm, self.rules),
            segments=self._segments.findings(segments, self._segments.harmed_so_far()),
            checks=(
                *checks_of(ruling.asked, seen.harm, seen.harmed, blind),
                outliers_check(outlying, self.rules),
            ),
            minimum_detectable_effect=detectable_effect(
                metrics[Metric.CLICKS], seen.bounds.get(Metric.CLICKS), self.rules
            ),
            reason_codes=codes,
            reasons=ruling.reasons,
            outlook=self._outlook.lines(verb, codes, metrics, self.stage, decides=self._decides),
            planned_detectable_effect=self.fixed.detectable if self.stage == CANARY else None,
            wanted_effect=self.rules.wanted_effect if self.stage == CANARY else None,
        )

    def _see(self, evaluation: Evaluation) -> _Seen:
        found = read(evaluation, self.cells, self._forecast, self.fixed, self.rules)
        clicks = found.metrics[Metric.CLICKS]
        counts = (clicks.n_control, clicks.n_treatment)
        harmed: list[str] = []
        if evaluation.data_days >= self.rules.segment_days:
            harmed = self._segments.names(self._segments.harmed(found.segments))
        return _Seen(
            evaluation=evaluation,
            found=found,
            bounds=self._proofs.update(evaluation, found.compared) if self._decides else {},
            counts=counts,
            ratio=self._ratio.update(counts, self._assigned),
            harm=self._harm.update(
                found.metrics, data_days=evaluation.data_days, day=evaluation.day
            ),
            harmed=harmed,
        )

    def _decide(self, seen: _Seen) -> Ruling:
        self._outlook.update(seen.evaluation, seen.found.metrics[Metric.CLICKS])
        if not self._few_left_out.passes or not seen.ratio.passes or min(seen.counts) == 0:
            arms = ask.both_arms(seen.counts, self.rules.success_users)
            asked = (*self._of_data(seen), arms)
            if self.stage == PROBATION and seen.evaluation.day >= self.rules.probation_max_days:
                return self._unconfirmed(seen, asked)
            if self.stage == CANARY and seen.evaluation.day >= self.rules.max_days:
                return self._over(seen, asked)
            return self._hold(seen, asked)
        if self.stage == PROBATION:
            return self._in_probation(seen)
        if seen.harm or seen.harmed:
            return self._reject(seen)
        return self._in_decision(seen) if self._decides else self._in_ramp(seen)

    @property
    def _decides(self) -> bool:
        """Whether this is the stage that may decide a promotion."""
        return self.stage == CANARY and self.share > max(RAMP_SHARES) + 1e-9

    def _of_data(self, seen: _Seen) -> tuple[Condition, ...]:
        """The conditions on the evidence itself; completeness of the newest days first."""
        return (ask.data_quality(seen.evaluation), seen.ratio, self._few_left_out)

    def _in_decision(self, seen: _Seen) -> Ruling:
        """Decide in the stage that may promote: every condition is checked."""
        evaluation, rules = seen.evaluation, self.rules
        if evaluation.day < rules.min_days:
            early = Condition(
                "duration",
                Reason.TOO_EARLY,
                False,
                f"Day {evaluation.day}; not before day {rules.min_days} is a promotion decided.",
            )
            return self._hold(seen, (early, *self._conditions(seen)), only=(early,))
        asked = self._conditions(seen)
        if evaluation.day > rules.max_days or (evaluation.day == rules.max_days and missing(asked)):
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
        reasons += [ask.blind_sentence(blind, rules)] if blind else []
        reasons += (
            [f"The stage was shortened: {', '.join(rules.shortened())}."]
            if rules.shortened()
            else []
        )
        return Ruling(
            seen,
            Verb.PROMOTE,
            asked,
            (Reason.SUPERIOR, Reason.GUARDRAILS_HOLD, *extra),
            tuple(reasons),
        )

    def _conditions(self, seen: _Seen) -> tuple[Condition, ...]:
        rules, readings, evaluation = self.rules, seen.found.metrics, seen.evaluation
        clicks, bounds = readings[Metric.CLICKS], seen.bounds
        blind = self._segments.names(self._segments.blind_and_matters(seen.found.segments))
        return (
            *self._of_data(seen),
            ask.both_arms(seen.counts, rules.success_users),
            ask.superior(clicks, readings[Metric.CLICKS_UNWEIGHTED], bounds, rules),
            *(
                ask.not_inferior(metric, readings[metric], margin, bounds.get(metric), rules)
                for metric, margin in margins(rules).items()
                if metric in readings
            ),
            *((self._segment_condition(seen), self._lasting(evaluation)) if bounds else ()),
            ask.believable(clicks, rules),
            ask.signs_agree(readings[Metric.CLICKS_UNWEIGHTED], readings[Metric.CTR_POOLED], rules),
            Condition(
                "segments_seen",
                Reason.SEGMENT_BLIND,
                not (blind and rules.blind_needs_person),
                ask.blind_sentence(blind, rules),
            ),
        )

    def _lasting(self, evaluation: Evaluation) -> Condition:
        first, newest = self._first_clicks(evaluation), self._clicks_of(evaluation.recent)
        spans, effects = self._spans({"first": first, "newest": newest})
        fall_se = difference_se(spans, "first", "newest")
        return ask.lasting(effects["first"], effects["newest"], fall_se, self.rules)

    def _first_clicks(self, evaluation: Evaluation) -> Terms:
        """Terms of the clicks over the first `novelty_days`, computed anew only if they change."""
        settled = evaluation.day - self.rules.data_days >= self.rules.novelty_days
        fit = self._forecast.fit(Metric.CLICKS)
        if self._first is None or not settled or self._first.p is not fit:
            self._first = self._clicks_of(evaluation.oldest)
        return self._first

    def _clicks_of(self, days: Sequence[Day]) -> Terms:
        return clicks_over(days, self._forecast, self.fixed)

    def _spans(self, clicks: Mapping[str, Terms]) -> tuple[Comparison[str], dict[str, Reading]]:
        """The effects on the clicks of spans of days, given the terms of the users."""
        compared = Comparison(clicks, self.cells.arms)
        rho = self.fixed.rho[Metric.CLICKS]
        return compared, readings_of(compared, dict.fromkeys(clicks, rho))

    def _segment_condition(self, seen: _Seen) -> Condition:
        rest = self.cells.compare_rest(seen.found.clicks)
        screened = self._segments.names(self._segments.screen(seen.found.segments, rest))
        return Condition(
            "segment_screen",
            Reason.SEGMENT_SCREEN,
            not screened,
            ask.listed(screened, "look worse"),
        )

    def _in_ramp(self, seen: _Seen) -> Ruling:
        """Decide in a ramp step, which tests safety alone and ends after days without an alarm."""
        evaluation, rules = seen.evaluation, self.rules
        small = self.days.users < rules.small_population
        needed = rules.ramp_days_small if small else rules.ramp_days
        asked = (
            *self._of_data(seen),
            Condition(
                "duration",
                Reason.RAMP_RUNNING,
                evaluation.data_days >= needed,
                f"Day {evaluation.data_days} of {needed}.",
            ),
            ask.powered(
                self.fixed.detectable,
                binds=self.share > max(RAMP_SHARES) - 1e-9,
                rules=rules,
            ),
        )
        if missing(asked):
            return (
                self._over(seen, asked)
                if evaluation.day >= rules.max_days
                else self._hold(seen, asked)
            )
        text = (
            f"No alarm in {evaluation.data_days} days at a share of {self.share:.0%}: "
            "the next step may begin."
        )
        return Ruling(seen, Verb.HOLD, asked, (Reason.RAMP_CLEAR,), (text,))

    def _in_probation(self, seen: _Seen) -> Ruling:
        """Decide in probation: the new champion against the control group with the previous one."""
        evaluation, rules = seen.evaluation, self.rules
        _, effects = self._spans({"newest": self._clicks_of(evaluation.newest)})
        newest = effects["newest"]
        alarms = self._probation.update(seen.found.metrics, newest, evaluation, seen.harm)
        asked = (*self._of_data(seen), *self._probation.conditions(seen.found.metrics, newest))
        # Nothing came of earlier alarms where there is no version to bring back.
        last = evaluation.day >= rules.probation_max_days
        if alarms and (self._probation.is_new(evaluation) or not last):
            return Ruling(seen, Verb.ROLL_BACK, asked, tuple(alarms), tuple(alarms.values()))
        tested = self._probation.enough(seen.found.metrics[Metric.CLICKS])
        if not tested:
            asked = (*asked, ask.both_arms(seen.counts, rules.harm_users))
        confirmable = tested and asked[0].passes and not alarms
        if last and not confirmable:
            return self._unconfirmed(seen, asked)
        if evaluation.day < rules.probation_min_days or not confirmable:
            detail = f"Day {evaluation.day} of {rules.probation_min_days} without an alarm."
            running = Condition(
                "duration",
                Reason.IN_PROBATION,
                evaluation.day >= rules.probation_min_days,
                detail,
            )
            return self._hold(seen, (*asked, running))
        text = f"No alarm in {evaluation.day} days: the champion is confirmed."
        return Ruling(seen, Verb.HOLD, asked, (Reason.CONFIRMED,), (text,))

    def _unconfirmed(self, seen: _Seen, asked: tuple[Condition, ...]) -> Ruling:
        """End probation after its longest time, though its data never allowed a confirmation.

        The champion stays, because a rollback needs a proof of harm too, and the users of the
        control group go back to it: to hold on would keep them on the previous version, and every
        challenger waiting, for as long as the data are bad. The reason code raises an alert.
        """
        detail = (
            f"Day {seen.evaluation.day} of at most {self.rules.probation_max_days}: "
            "the champion stays without a confirmation, since its data could not be read, its "
            "users were too few, or there was no version to roll back to; a person should look."
        )
        over = Condition("duration", Reason.PROBATION_OVER, False, detail)
        return self._hold(seen, (*asked, over))

    def _reject(self, seen: _Seen) -> Ruling:
        codes = [deteriorated(metric) for metric in seen.harm]
        reasons = list(seen.harm.values())
        if seen.harmed:
            codes.append(Reason.SEGMENT_DETERIORATED)
            reasons.append(ask.listed(seen.harmed, "are proven to be worse"))
        return Ruling(seen, Verb.REJECT, self._of_data(seen), tuple(codes), tuple(reasons))

    def _over(self, seen: _Seen, asked: tuple[Condition, ...]) -> Ruling:
        """End the stage without a promotion: the challenger's users go back to the champion."""
        detail = (
            f"Day {seen.evaluation.day} of at most {self.rules.max_days}: without a proof by now "
            "the champion stays."
        )
        return self._hold(
            seen,
            (*asked, Condition("horizon", Reason.HORIZON_REACHED, False, detail)),
        )

    def _hold(
        self, seen: _Seen, asked: tuple[Condition, ...], only: tuple[Condition, ...] = ()
    ) -> Ruling:
        """Hold for the conditions that fail; with `only`, for those and for faults of the data."""
        grave = {
            Reason.DATA_QUALITY,
            Reason.SAMPLE_RATIO_MISMATCH,
            Reason.EVIDENCE_LEFT_OUT,
            Reason.SINGLE_ARM,
        }
        lacking = [c for c in missing(asked) if not only or c.code in grave] + list(only)
        return Ruling(
            seen, Verb.HOLD, asked, tuple(c.code for c in lacking), tuple(c.detail for c in lacking)
        )


def decide_daily(
    evidence: Evidence, rules: LiveRules, *, stage: str = CANARY, share: float = 0.5
) -> list[ExperimentDecision]:
    """One decision for each day, on what was known at its end."""
    return list(_on(evidence, rules, stage, share).decisions())


def decide(
    evidence: Evidence,
    rules: LiveRules,
    *,
    stage: str = CANARY,
    share: float = 0.5,
) -> ExperimentDecision:
    """The decision on the last day of the evidence.

    Args:
        evidence: Evidence of one stage from its first day on, at least one day. Phases with other
            shares are never pooled.
        rules: Rules of the gate.
        stage: canary or probation. In probation the arm `challenger` is the version that was
            promoted, and the arm `champion` is the control group with the version before.
        share: Planned share of the challenger's arm, 0..1; up to 0.2 it is a ramp step, which tests
            safety alone.
    """
    experiment = _on(evidence, rules, stage, share)
    (last,) = deque(experiment.rulings(), maxlen=1)
    return experiment.recorded(last)


def _on(evidence: Evidence, rules: LiveRules, stage: str, share: float) -> Experiment:
    return Experiment(evidence, evidence.dates, rules, stage, share, evidence.left_out)


__all__ = ["CANARY", "PROBATION", "STAGES", "Experiment", "decide", "decide_daily"]
