"""Sentences about the work that runs and the work that waits, made without asking Dagster."""

from collections.abc import Sequence
from datetime import datetime

from firstchair import promotion
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform
from firstchair.platform.start import settled_at
from firstchair.platform.work import at_work


def doing(platform: Platform) -> tuple[str, ...]:
    """A sentence for each piece of work that runs or waits, made without asking Dagster."""
    work, until = at_work(platform.databases.ledger), settled_at(platform)
    found = (
        "" if work is None else work.sentence(),
        waiting_sentence(waiting_candidates(platform), platform.ledger.last()),
        "" if until is None else settling_sentence(until),
    )
    return tuple(filter(None, found))


def stage_plan(platform: Platform) -> str:
    """The effect that a stage could detect; empty during a stage and before the first plan."""
    last = platform.ledger.last()
    if last is not None and last.phase is not None:
        return ""
    found = promotion.newest_plan(platform.lake)
    return "" if found is None else found.sentence


def settling_sentence(until: datetime) -> str:
    """The sentence that says until when heavy work does not start after a home's first start."""
    return (
        "First start of this home: retraining and the daily build do not begin by themselves "
        f"before {until:%Y-%m-%d %H:%M} UTC (settle_minutes)."
    )


def waiting_candidates(platform: Platform) -> tuple[promotion.Version, ...]:
    """The newest day's candidates that wait for the end of a stage with traffic.

    The versions of the stage are frozen, so nothing is decided about candidates until it is over.
    Without such a stage, it is empty.
    """
    last = platform.ledger.last()
    if last is None or last.phase is None:
        return ()
    for day in reversed(platform.lake.partitions(t.USER_FEATURES)):
        found = platform.ledger.registered_on(day)
        if found:
            frozen = {last.phase.treatment, last.phase.control}
            return tuple(
                version
                for version in found
                if version.version not in frozen
                and version.stage == promotion.Stage.CANDIDATE
                and version.family in platform.settings.contending_families
            )
    return ()


def waiting_sentence(versions: Sequence[promotion.Version], last: promotion.Entry | None) -> str:
    """The sentence that names the waiting candidates and what they wait for; empty without any."""
    if not versions or last is None or last.phase is None:
        return ""
    named = ", ".join(f"{version.version} ({version.family})" for version in versions)
    waiting = "1 candidate waits" if len(versions) == 1 else f"{len(versions)} candidates wait"
    return (
        f"{waiting} (as of {versions[0].as_of}) until the {last.phase.stage} of version "
        f"{last.phase.treatment} is over: {named}."
    )
