"""Handles to real things, opened from the settings when a step runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from dagster_project.execution import PROCESS_TAG, process_tag
from dagster_project.lineage import tell_of
from dagster_project.tracing import traced
from firstchair.platform import Platform, open_platform
from firstchair.platform.work import Work, require_lock, writing


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """The lake, sources, registry and ledger that the settings name."""

    now: str = Field(default="", description="RFC 3339 instant to run at; empty: the wall clock")

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["PlatformResource"]:
        """Hold the writers' lock for the whole run; a sensor writes no table and needs none."""
        if context.run is None:
            yield self
            return
        _record_process(context.instance, context.run)

        def waits(other: Work) -> None:
            if context.log is not None:
                context.log.info(f"Waiting for another writer of the tables: {other.sentence()}")

        run, platform = context.run, open_platform()
        tell_of(context.instance, run, platform)
        url = platform.databases.ledger
        with (
            traced(context.instance, run, platform),
            writing(url, who=_who(run), why=_why(run), wait=True, waits=waits),
        ):
            yield self

    def open(self) -> Platform:
        """Everything a step works on.

        Raises:
            RunError: The run held the writers' lock and has lost it.
        """
        platform = open_platform(
            now=datetime.fromisoformat(self.now) if self.now else datetime.now(UTC)
        )
        require_lock(platform.databases.ledger)
        return platform


def _record_process(instance: dg.DagsterInstance | None, run: dg.DagsterRun) -> None:
    """Write down whose process a run is, so that it can be closed should the process be gone."""
    # A run that a person starts again from another has the other's tags.
    if instance is not None and run.tags.get(PROCESS_TAG) != process_tag():
        instance.add_run_tags(run.run_id, {PROCESS_TAG: process_tag()})


def _who(run: dg.DagsterRun) -> str:
    job = "assets by hand" if run.job_name.startswith("__") else run.job_name
    return f"Dagster run {run.run_id[:8]} of {job}"


def _why(run: dg.DagsterRun) -> str:
    day = run.tags.get("dagster/partition")
    causes = run.tags.get("firstchair/causes")
    parts = (
        f"for {day}" if day else "",
        f"because of {causes.replace(',', ', ')}" if causes else "",
    )
    return ", ".join(filter(None, parts))
