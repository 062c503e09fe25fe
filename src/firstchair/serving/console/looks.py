"""Looks at a stage with traffic and verdicts on test days, out of the records in the ledger's entries.

The one place that knows how the gate writes its evidence down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Self

from firstchair.promotion import Entry

TRIAL, CHALLENGE = "trial", "challenge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a look, relative to the champion; None where it is not known yet."""

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
    """Effect on clicks in one segment; p: always valid, that it is worse."""

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
class Check:
    """One condition of the gate."""

    name: str
    passes: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Step:
    """A stage with a fixed share of users and a clock of its own; `names` are of the versions' families."""

    stage: str
    share: float
    first_day: date
    on_trial: str
    standing: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one entry says of the evidence it rests on. `step`: None for a verdict on test days."""

    entry: Entry
    step: Step | None
    days: int | None
    metrics: tuple[Metric, ...]
    segments: tuple[SegmentEffect, ...]
    checks: tuple[Check, ...]
    minimum_detectable_effect: float | None
    outlook: tuple[str, ...]

    def rule(self, part: str, name: str) -> Any:
        """A rule of the entry, from the part `offline` or `live`; None where none is recorded."""
        return self.entry.evidence.get("settings", {}).get(part, {}).get(name)


def look_of(entry: Entry) -> Look:
    """The record of an entry; what it does not hold is empty."""
    record = entry.evidence
    return Look(
        entry=entry,
        step=_step(record.get("phase_before")),
        days=record.get("days"),
        metrics=tuple(Metric.of(found) for found in record.get("metrics") or ()),
        segments=tuple(SegmentEffect.of(found) for found in record.get("segments") or ()),
        checks=tuple(Check(found["name"], found["passes"], found["detail"]) for found in record.get("checks") or ()),
        minimum_detectable_effect=record.get("minimum_detectable_effect"),
        outlook=tuple(record.get("outlook") or ()),
    )


def steps(entries: Sequence[Entry]) -> dict[Step, tuple[Look, ...]]:
    """Looks of each stage with traffic by day ascending, the newest stage first. Entries: newest first."""
    found: dict[Step, list[Look]] = {}
    for entry in entries:
        if entry.evidence.get("kind") == TRIAL and (look := look_of(entry)).step is not None:
            found.setdefault(look.step, []).insert(0, look)
    return {step: tuple(looks) for step, looks in found.items()}


def begun(entries: Sequence[Entry], known: Mapping[Step, tuple[Look, ...]]) -> Step | None:
    """The stage with traffic that is under way, while nobody has looked at it yet. Entries: newest first.

    known: their `steps`.
    """
    step = _step(entries[0].evidence.get("phase")) if entries else None
    return None if step in known else step


def on_test_days(entries: Sequence[Entry], version: str | None = None) -> Look | None:
    """The newest verdict on test days, of one version where it is named."""
    return next(
        (
            look_of(entry)
            for entry in entries
            if entry.evidence.get("kind") == CHALLENGE and (version is None or entry.challenger == version)
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
        on_trial=record["on_trial"],
        standing=record["standing"],
    )
