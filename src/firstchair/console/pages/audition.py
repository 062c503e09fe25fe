"""Audition: the challenger's evidence, evaluation by evaluation, and what is still missing."""

from collections.abc import Sequence
from dataclasses import dataclass

from firstchair.console import roles
from firstchair.console.charts import Forest, ForestRow, Form, LineChart, Point, Reference, Series
from firstchair.console.sources import Sources, rows
from firstchair.definitions import churn
from firstchair.definitions.metrics import EVERY_GUARDRAIL
from firstchair.lake import tables as t
from firstchair.promotion import Entry, Explained, Stage, StagePlan, explained, newest_plan
from firstchair.promotion.evidence_record import (
    Metric,
    RecordedEvaluation,
    SegmentEffect,
    Step,
    begun,
    on_test_days,
    steps,
)

# Errors in a segment's interval, which holds at one evaluation; its p holds at all of them.
ERRORS = 1.96
NAMES = {
    "clicks_per_100": "Clicks per 100",
    "clicks_unweighted": "Clicks per 100, unweighted",
    **{str(one.metric): one.title for one in EVERY_GUARDRAIL},
    "ctr_pooled": "CTR, pooled",
    **{label: f"Churn at {days} days" for label, days in churn.LABELS.items()},
    "ndcg_at_10": "NDCG@10",
    "recall_at_20": "Recall@20",
}
ROLES = {
    "success": "success metric",
    "guardrail": "guardrail",
    "deterioration": "must not get worse",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A verdict in words, and the class of its colour."""

    words: str
    colour: str


PROVEN_WORSE = Tag("proven worse", "bad")
NOT_ENOUGH_USERS = Tag("not enough users", "warn")
NO_HARM = Tag("no harm found", "good")


@dataclass(frozen=True, slots=True)
class Audition:
    """Everything on the page.

    looks: daily evaluations of the chosen stage, ascending; empty while there are test days alone.
    begun: a stage is under way without an evaluation yet. plan: the effect that a stage could
    detect; None from a challenger's first evaluation to the end of its stages, and before the first
    plan.
    """

    plan: StagePlan | None
    begun: Step | None
    steps: tuple[Step, ...]
    chosen: Step | None
    looks: tuple[RecordedEvaluation, ...]
    charts: tuple[LineChart, ...]
    detectable: LineChart
    segments: Forest
    segment_effects: tuple[SegmentEffect, ...]
    offline: RecordedEvaluation | None
    offline_forest: Forest
    families: dict[str, str]

    @property
    def power(self) -> float | None:
        """Probability of detecting the smallest effect; None if the entry does not record it."""
        return self.last.rule("live", "power") if self.last else None

    def harm_to(self, effect: SegmentEffect) -> Tag:
        """The verdict on a segment; none where the harm to exclude could not have been found."""
        harm = self.last.rule("live", "screen_harm") if self.last else None
        if effect.deteriorated:
            return PROVEN_WORSE
        is_blind = harm is not None and effect.minimum_detectable_effect > harm
        return NOT_ENOUGH_USERS if is_blind else NO_HARM

    @property
    def last(self) -> RecordedEvaluation | None:
        """The newest evaluation."""
        return self.looks[-1] if self.looks else None

    @property
    def why(self) -> Explained | None:
        """The newest decision of the stage in plain words."""
        return explained(self.last.entry) if self.last else None

    @property
    def why_offline(self) -> Explained | None:
        """The verdict on test days in plain words."""
        return explained(self.offline.entry) if self.offline else None


def audition_page(sources: Sources, number: int | None = None) -> Audition:
    """The newest stage with traffic, or the one of that number (0: the newest).

    The verdict on test days is beside it.
    """
    entries = sources.ledger.entries()
    known = steps(entries)
    order = tuple(known)
    chosen = order[number or 0] if order and (number or 0) < len(order) else None
    looks = known[chosen] if chosen else ()
    offline = (on_test_days(entries, chosen.treatment) if chosen else None) or on_test_days(entries)
    effects = _large(sources, chosen, looks[-1].segments) if chosen and looks else ()
    started = begun(entries, known)
    return Audition(
        plan=newest_plan(sources.lake) if _nobody_looked(entries, started, order) else None,
        begun=started,
        steps=order,
        chosen=chosen,
        looks=looks,
        charts=_charts(looks),
        detectable=_detectable(looks),
        segments=_segments(effects, looks),
        segment_effects=effects,
        offline=offline,
        offline_forest=_offline(offline),
        families=roles.families(entries, sources.published()),
    )


def _nobody_looked(
    entries: Sequence[Entry],
    started: Step | None,
    looked_at: Sequence[Step],
) -> bool:
    """Whether no stage is under way, or only a first one without an evaluation yet."""
    if not entries or entries[0].phase is None:
        return True
    if started is None or started.stage != Stage.CANARY:
        return False
    return all(step.treatment != started.treatment for step in looked_at)


def metric_name(name: str) -> str:
    """The name of a metric for people."""
    return NAMES.get(name, name.replace("_", " "))


def _charts(looks: Sequence[RecordedEvaluation]) -> tuple[LineChart, ...]:
    """One confidence sequence for each metric, in the order of the record."""
    return tuple(_sequence(metric, looks) for metric in (looks[-1].metrics if looks else ()))


def _sequence(metric: Metric, looks: Sequence[RecordedEvaluation]) -> LineChart:
    points = []
    for look in looks:
        found = next((m for m in look.metrics if m.name == metric.name), None)
        if found is not None and found.relative_difference is not None:
            points.append(
                Point(look.entry.as_of, found.relative_difference, found.lower, found.upper)
            )
    references: tuple[Reference, ...] = (Reference("no difference", 0.0),)
    if metric.margin:
        references = (*references, Reference("margin", metric.margin))
    return LineChart(
        f"{metric_name(metric.name)} · {ROLES.get(metric.role, metric.role)}",
        f"{_compared(looks)}, relative, with bounds that hold at all evaluations together.",
        (Series(metric_name(metric.name), tuple(points)),) if points else (),
        Form.CHANGE,
        references,
        narrows=True,
    )


def _compared(looks: Sequence[RecordedEvaluation]) -> str:
    """The two versions that are compared, by name and role."""
    newest = looks[-1] if looks else None
    if newest is None or newest.treatment is None:
        return "The challenger against the champion"
    return f"{newest.treatment} against {newest.control or 'plain popularity'}"


def _detectable(looks: Sequence[RecordedEvaluation]) -> LineChart:
    points = tuple(
        Point(look.entry.as_of, look.minimum_detectable_effect)
        for look in looks
        if look.minimum_detectable_effect is not None
    )
    found = looks[-1].rule("live", "power") if looks else None
    power = "" if found is None else f", found with a power of {100 * found:g}%"
    return LineChart(
        "Smallest effect that would have been found",
        f"Minimum detectable effect on clicks{power}, by day.",
        (Series("found", points),) if points else (),
        Form.SHARE,
    )


def _large(
    sources: Sources, step: Step, effects: Sequence[SegmentEffect]
) -> tuple[SegmentEffect, ...]:
    """Effects in segments of k users and more."""
    names = {effect.segment for effect in effects} & set(t.EVIDENCE.schema.names)
    users: dict[tuple[str, str], int] = {}
    for name in sorted(names):
        found = rows(
            f"""
            select {name} as value, count(distinct user_key) as users
            from {sources.lake.scan(t.EVIDENCE)}
            where stage = ? and challenger_version = ? and day >= ? group by {name}
            """,
            step.stage,
            step.treatment,
            step.first_day,
        )
        users |= {(name, row["value"]): row["users"] for row in found}
    least = sources.config.k_anonymity
    return tuple(
        effect for effect in effects if users.get((effect.segment, effect.value), 0) >= least
    )


def _segments(effects: Sequence[SegmentEffect], looks: Sequence[RecordedEvaluation]) -> Forest:
    lines = tuple(
        ForestRow(
            f"{found.segment.replace('_', ' ')} {found.value}".removeprefix("all all"),
            found.relative_difference,
            found.relative_difference - ERRORS * found.se,
            found.relative_difference + ERRORS * found.se,
            "bad" if found.deteriorated else "plain",
            f"p of harm {found.p:.3f}",
        )
        for found in effects
    )
    return Forest(
        "Clicks by segment",
        f"{_compared(looks)} at the newest evaluation, ± 1.96 errors.",
        lines,
        Form.CHANGE,
        (Reference("no difference", 0.0),),
    )


def _offline(look: RecordedEvaluation | None) -> Forest:
    lines = tuple(
        ForestRow(
            metric_name(metric.name),
            metric.relative_difference,
            metric.lower,
            metric.upper,
            "good" if metric.passes else "plain",
            ROLES.get(metric.role, metric.role),
        )
        for metric in (look.metrics if look else ())
        if metric.relative_difference is not None
    )
    alpha = look.rule("offline", "alpha") if look else None
    level = "intervals" if alpha is None else f"{100 * (1 - alpha):g}% intervals"
    return Forest(
        "On test days",
        f"{_compared((look,) if look else ())}, relative, paired by user, with {level}.",
        lines,
        Form.CHANGE,
        (Reference("no difference", 0.0),),
    )
