"""The evidence of a ledger entry: the two arms by name, metrics, checks, segments.

This is the only module that knows the form in which entries hold evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

from firstchair.definitions.checks import Check
from firstchair.models import FAMILIES, POPULARITY
from firstchair.promotion.checks import condition_checks, metric_checks
from firstchair.promotion.kinds import CHALLENGE, EXPERIMENT, REFRESH, Verb
from firstchair.promotion.ledger import Entry
from firstchair.promotion.stages import Stage

# Roles of control and treatment. In probation the treatment is the new champion, and the control
# group keeps the one before.
ROLES = ("champion", "challenger")
PROBATION_ROLES = ("champion before", "champion on probation")
TITLES = {
    POPULARITY: "Popularity",
    **{str(family): entry.title for family, entry in FAMILIES.items()},
}


def family_title(family: str) -> str:
    """What people call a family; the name itself if it is no family.

    >>> family_title("als"), family_title("popularity")
    ('ALS', 'Popularity')
    """
    return TITLES.get(family, family)


def model_title(version: str | None, family: str | None) -> str:
    """The name of a version on pages and in messages.

    >>> model_title("7", "xgboost"), model_title("7", None), model_title(None, None)
    ('XGBoost 7', 'version 7', 'none')
    """
    if version is None:
        return "none"
    return f"{family_title(family) if family else 'version'} {version}"


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: a version, what people call it, and its role."""

    version: str
    name: str
    role: str

    def __str__(self) -> str:
        """Name and role: `XGBoost 7 (champion on probation)`."""
        return f"{self.name} ({self.role})"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of an evaluation, relative to the champion; None where it is not known yet."""

    name: str
    role: str
    champion: float | None
    challenger: float | None
    relative_difference: float | None
    se: float | None
    lower: float | None
    upper: float | None
    margin: float
    passes: bool
    log_e: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The metric of a record."""
        return cls(**{name.name: record[name.name] for name in fields(cls) if name.name in record})


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """Effect on clicks in one segment; p: always-valid p-value for harm."""

    segment: str
    value: str
    relative_difference: float
    se: float
    p: float
    deteriorated: bool
    minimum_detectable_effect: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The segment of a record."""
        return cls(**{name.name: record[name.name] for name in fields(cls)})


@dataclass(frozen=True, slots=True)
class Step:
    """A stage with a fixed share of users, such as one step of a canary."""

    stage: str
    share: float
    first_day: date
    treatment: str
    control: str


@dataclass(frozen=True, slots=True)
class RecordedEvaluation:
    """The evidence of one entry.

    step: None for a decision on test days. control, treatment: the versions behind `champion` and
    `challenger` of the metrics; None where the entry is about one version alone. verdicts: the
    check of each metric, in their order. checks: the other conditions.
    """

    entry: Entry
    step: Step | None
    control: Arm | None
    treatment: Arm | None
    days: int | None
    metrics: tuple[Metric, ...]
    verdicts: tuple[Check, ...]
    segments: tuple[SegmentEffect, ...]
    checks: tuple[Check, ...]
    minimum_detectable_effect: float | None
    outlook: tuple[str, ...]

    def rule(self, part: str, name: str) -> Any:
        """A recorded rule, from the part `offline` or `live`; None if it was not recorded."""
        return self.entry.evidence.get("settings", {}).get(part, {}).get(name)


def evaluation_of(entry: Entry) -> RecordedEvaluation:
    """Read the evidence of an entry; what it does not hold is empty."""
    record = entry.evidence
    arms = arms_of_entry(entry)
    return RecordedEvaluation(
        entry=entry,
        step=_step(record.get("phase_before")),
        control=arms[0],
        treatment=arms[1],
        days=record.get("days"),
        metrics=tuple(Metric.of(found) for found in record.get("metrics") or ()),
        verdicts=metric_checks(record),
        segments=tuple(SegmentEffect.of(found) for found in record.get("segments") or ()),
        checks=condition_checks(record),
        minimum_detectable_effect=record.get("minimum_detectable_effect"),
        outlook=tuple(record.get("outlook") or ()),
    )


def arms_of_entry(entry: Entry) -> tuple[Arm | None, Arm | None]:
    """Control and treatment of an entry."""
    record = entry.evidence
    versions = {"challenger": entry.challenger, **(record.get("versions") or {})}
    families = record.get("families") or {}
    stage = (record.get("phase_before") or {}).get("stage")
    roles = PROBATION_ROLES if stage == Stage.PROBATION else ROLES
    if record.get("kind") == REFRESH:
        roles = (roles[0], "refit")
    found = []
    for name, role in zip(ROLES, roles, strict=True):
        version = versions.get(name)
        found.append(
            None
            if version is None
            else Arm(version, model_title(version, families.get(name)), role)
        )
    return found[0], found[1]


def families_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Family of each version that an entry names."""
    found: dict[str, str] = {}
    for entry in entries:
        named: Mapping[str, str | None] = entry.evidence.get("families") or {}
        versions = {"challenger": entry.challenger, "champion": entry.champion_before}
        versions |= entry.evidence.get("versions") or {}
        pairs = ((number, named.get(role)) for role, number in versions.items())
        found |= {
            number: family for number, family in pairs if number is not None and family is not None
        }
    return found


def releases(entries: Sequence[Entry], families: Mapping[str, str]) -> dict[date, str]:
    """Days from which another version served, oldest first, with its name. Entries: newest first.

    A refit of the champion's family is not listed; a change of family or a rollback is.
    """
    found = {}
    for entry in reversed(entries):
        after, before = entry.champion_after, entry.champion_before
        same = before is not None and families.get(after or "") == families.get(before)
        if after is None or after == before or (same and entry.decision != Verb.ROLL_BACK):
            continue
        found[entry.as_of] = model_title(after, families.get(after))
    return found


def steps(entries: Sequence[Entry]) -> dict[Step, tuple[RecordedEvaluation, ...]]:
    """Evaluations of each stage with traffic, the newest stage first. Entries: newest first."""
    found: dict[Step, list[RecordedEvaluation]] = {}
    for entry in entries:
        if (
            entry.evidence.get("kind") == EXPERIMENT
            and (evaluation := evaluation_of(entry)).step is not None
        ):
            found.setdefault(evaluation.step, []).insert(0, evaluation)
    return {step: tuple(evaluations) for step, evaluations in found.items()}


def begun(
    entries: Sequence[Entry], known: Mapping[Step, tuple[RecordedEvaluation, ...]]
) -> Step | None:
    """The running stage with traffic, if it has no evaluation yet. Entries: newest first.

    known: their `steps`.
    """
    step = _step(entries[0].evidence.get("phase")) if entries else None
    return None if step in known else step


def on_test_days(entries: Sequence[Entry], version: str | None = None) -> RecordedEvaluation | None:
    """The newest decision on test days, of one version if it is given."""
    return next(
        (
            evaluation_of(entry)
            for entry in entries
            if entry.evidence.get("kind") == CHALLENGE
            and (version is None or entry.challenger == version)
        ),
        None,
    )


def _step(record: Mapping[str, Any] | None) -> Step | None:
    if record is None:
        return None
    return Step(
        stage=record["stage"],
        share=record["share"],
        first_day=date.fromisoformat(record["first_day"]),
        treatment=record["on_trial"],
        control=record["standing"],
    )
