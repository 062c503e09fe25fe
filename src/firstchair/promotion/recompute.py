"""Recompute decisions of the ledger from the table versions, rules and salt that they name."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from firstchair.errors import FirstchairError, LedgerError, StoreAwayError
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.lake.delta import MISSING
from firstchair.promotion.challengers import evaluate_challengers, evaluate_first_champion
from firstchair.promotion.context import (
    CHALLENGE,
    EXPERIMENT,
    FIRST_CHAMPION,
    READ,
    REFRESH,
    DecisionContext,
    Origin,
    StageTransition,
    decision_of,
)
from firstchair.promotion.exposure import assigned_arms, stage_rows
from firstchair.promotion.kept_buckets import kept_buckets
from firstchair.promotion.kinds import UNSEEN
from firstchair.promotion.ledger import Decision, Entry, Ledger, canonical
from firstchair.promotion.live import (
    BROUGHT_BACK,
    Shown,
    bring_back,
    evaluate_stage,
    not_shown,
)
from firstchair.promotion.refits import evaluate_refit
from firstchair.promotion.registry import Registry
from firstchair.promotion.rules import GateRules
from firstchair.promotion.stages import Phase

# The parts of a decision that are compared; who made it, when, and with which code are not.
COMPARED = (
    "decision_id",
    "decision",
    "champion_before",
    "champion_after",
    "challenger",
    "stage_after",
    "reason_codes",
    "reasons",
    "data_fingerprint",
)
# What the outlook advises is worded by the release; no decision rests on it.
NOT_COMPARED = ("code_version", "tick_id", "outlook")
NEEDED = ("tables", "salt", "holdout_share")


class Outcome(StrEnum):
    """Result of recomputing a decision."""

    REPRODUCED = "reproduced"
    DIFFERENT = "different"
    UNAVAILABLE = "unavailable"
    NOT_COMPUTED = "not_computed"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision recomputed.

    outcome: reproduced (the same, byte for byte), different, unavailable (its inputs are gone), or
    not_computed (made by a person or by the reconciliation of aliases, so there is nothing to
    compute). detail: what differs or is gone, in words; empty if it was reproduced.
    """

    decision_id: str
    sequence: int
    kind: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """All decisions recomputed: counts by outcome, and the results in the order of the ledger."""

    entries: int
    reproduced: int
    different: int
    unavailable: int
    not_computed: int
    results: tuple[Replayed, ...]

    @property
    def ok(self) -> bool:
        """Whether no decision came out differently."""
        return not self.different


def replay(lake: Lake, registry: Registry, ledger: Ledger, decision_id: str) -> Replayed:
    """Recompute one decision and compare it with its entry.

    Raises:
        LedgerError: There is no such decision.
        StoreAwayError: The store of the tables does not answer.
    """
    past = ledger.entries(limit=None)
    place = next((n for n, entry in enumerate(past) if entry.decision_id == decision_id), None)
    if place is None:
        raise LedgerError(
            f"There is no decision {decision_id} among {len(past)}.",
            where="ledger",
            data="Nothing was recomputed.",
            remedy="Choose one that `firstchair decisions` lists, or use `firstchair replay "
            "--all`.",
        )
    return _replayed(lake, registry, past[place], past[place + 1 :])


def replay_all(lake: Lake, registry: Registry, ledger: Ledger) -> ReplayReport:
    """Recompute every decision of the ledger and compare each with its entry.

    Raises:
        StoreAwayError: The store of the tables does not answer.
    """
    past = ledger.entries(limit=None)
    results = tuple(
        _replayed(lake, registry, past[place], past[place + 1 :])
        for place in range(len(past) - 1, -1, -1)
    )
    counts = {str(o): sum(one.outcome is o for one in results) for o in Outcome}
    return ReplayReport(entries=len(results), results=results, **counts)


def _replayed(lake: Lake, registry: Registry, entry: Entry, past: Sequence[Entry]) -> Replayed:
    kind = str(entry.evidence["kind"])
    if kind not in READ:
        return _told(entry, Outcome.NOT_COMPUTED, "Not computed by the gate.")
    missing = [name for name in NEEDED if name not in entry.evidence]
    if missing:
        text = f"The entry does not name its {', '.join(missing)}: an older version wrote it."
        return _told(entry, Outcome.UNAVAILABLE, text)
    try:
        with lake.reading():
            context = _context(lake, registry, entry, past)
            transition = _transition(context, entry)
            unlike = list(_wrong_arms(context, entry))
    except StoreAwayError:
        raise
    except FirstchairError as error:
        return _told(entry, Outcome.UNAVAILABLE, f"{error.what} [{error.where}]")
    if transition is None:
        return _told(entry, Outcome.DIFFERENT, "From these tables there is nothing to decide.")
    again = decision_of(context, transition, Origin(entry.decided_at, entry.actor))
    unlike += _differences(_compared(again, entry), _compared(entry, entry))
    if unlike:
        return _told(entry, Outcome.DIFFERENT, "; ".join(unlike))
    return _told(entry, Outcome.REPRODUCED, "")


def _told(entry: Entry, outcome: Outcome, detail: str) -> Replayed:
    kind = str(entry.evidence["kind"])
    return Replayed(entry.decision_id, entry.sequence, kind, outcome, detail)


def _context(
    lake: Lake, registry: Registry, entry: Entry, past: Sequence[Entry]
) -> DecisionContext:
    """The inputs of a decision, from the versions that its entry names.

    A table that decisions did not read at that time is read as empty.
    """
    unread = {table.name: MISSING for table in READ[str(entry.evidence["kind"])]}
    return DecisionContext(
        lake=lake.at(unread | entry.evidence["tables"]),
        registry=registry,
        past=tuple(past),
        as_of=entry.as_of,
        rules=GateRules.from_record(entry.evidence["settings"]),
        salt=entry.evidence["salt"],
        holdout_share=entry.evidence["holdout_share"],
    )


def _transition(context: DecisionContext, entry: Entry) -> StageTransition | None:
    """The transition that the gate makes of these inputs."""
    kind, version = entry.evidence["kind"], context.registry.version
    if kind == FIRST_CHAMPION:
        return evaluate_first_champion(context, [version(n) for n in entry.evidence["compared"]])
    if kind == REFRESH:
        serving, refit = (version(str(n)) for n in (entry.champion_before, entry.challenger))
        return evaluate_refit(context, serving, refit)
    if kind == CHALLENGE:
        found = evaluate_challengers(
            context,
            version(str(entry.champion_before)),
            [version(number) for number in entry.evidence["compared"]],
            recipe=version(entry.evidence["recipe_version"]),
        )
        return next((one for one in found if one.challenger.version == entry.challenger), None)
    return None if context.phase is None else _of_stage(context, context.phase, entry)


def _of_stage(context: DecisionContext, phase: Phase, entry: Entry) -> StageTransition | None:
    """The transition of a stage; what was served and what was there then, the entry says."""
    found = evaluate_stage(context, phase)
    if found is not None and BROUGHT_BACK in entry.evidence:
        return bring_back(found, phase, entry.evidence[BROUGHT_BACK])
    if found is not None and UNSEEN in entry.evidence:
        shown = Shown(**entry.evidence[UNSEEN])
        return not_shown(found, phase, shown, over=entry.evidence["phase"] is None)
    return found


def _wrong_arms(context: DecisionContext, entry: Entry) -> Iterator[str]:
    """Users whose arm in the evidence differs from the one that the salt assigns."""
    phase = context.phase
    if entry.evidence["kind"] != EXPERIMENT or phase is None:
        return
    with connect() as connection:
        where = stage_rows(phase, before=context.as_of)
        found = connection.execute(
            f"select distinct user_key, arm from {context.lake.scan(t.EVIDENCE)} where {where}"
        ).fetchall()
    keys = [key for key, _ in found]
    arms = assigned_arms(
        phase,
        keys,
        salt=context.salt,
        holdout_share=context.holdout_share,
        kept=kept_buckets(context.lake),
    )
    wrong = sum(arm != own for (_, arm), own in zip(found, arms, strict=True))
    if wrong:
        yield f"{wrong:,} of {len(found):,} users are in another arm than the salt assigns them"


def _compared(decision: Decision, entry: Entry) -> dict[str, Any]:
    """The parts of a decision that are compared."""
    evidence = {k: v for k, v in decision.evidence.items() if k not in NOT_COMPARED}
    named = entry.evidence["tables"]
    evidence["tables"] = {k: v for k, v in evidence["tables"].items() if k in named}
    evidence["phase"] = _as_named(evidence["phase"], entry.evidence["phase"])
    return {name: getattr(decision, name) for name in COMPARED} | {"evidence": evidence}


def _as_named(
    phase: Mapping[str, Any] | None, kept: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """A phase with the names that the entry has: older entries name no day of the assignment."""
    if phase is None or kept is None:
        return phase
    return {name: value for name, value in phase.items() if name in kept}


def _differences(again: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """Differences of two records, as paths with both values; empty if they are equal."""
    texts = [canonical(record) for record in (again, stored)]
    if texts[0] == texts[1]:
        return []
    leaves = [dict(_leaves(json.loads(text))) for text in texts]
    paths = [p for p in leaves[1] | leaves[0] if leaves[0].get(p) != leaves[1].get(p)]
    named = [f"{p}: {leaves[1].get(p)} recorded, {leaves[0].get(p)} computed" for p in paths[:3]]
    return [*named, *([f"{len(paths) - 3} more values"] if len(paths) > 3 else [])]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
    else:
        yield path, json.dumps(value)
