"""A run as a trace of OpenTelemetry: a span of the run, and one of each step in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.execution import job_title
from firstchair.platform import Platform
from firstchair.platform.tracing import TRACER, open_tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

DONE = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE}


@contextmanager
def traced(
    instance: dg.DagsterInstance | None, run: dg.DagsterRun, platform: Platform
) -> Iterator[None]:
    """Trace a run in this process where the settings ask for it.

    Raises:
        SettingsError: An address is set, and the library that sends is not installed.
    """
    provider = None if instance is None else open_tracing(platform.settings, service="run")
    if provider is None or instance is None:
        yield
        return
    try:
        with spans_of(instance, run, provider):
            yield
    finally:
        provider.shutdown()


@contextmanager
def spans_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, provider: "TracerProvider"
) -> Iterator[None]:
    """Make a span of a run until the block ends, and one of each step within it."""
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    tracer = provider.get_tracer(TRACER)
    about = {"dagster.run_id": run.run_id, "dagster.job": job_title(run)}
    if day := run.tags.get("dagster/partition"):
        about["dagster.partition"] = day
    steps: dict[str, Span] = {}
    with tracer.start_as_current_span("run", attributes=about) as whole:

        def told(entry: dg.EventLogEntry) -> None:
            event = entry.dagster_event
            if event is None or not event.step_key:
                return
            if event.event_type is dg.DagsterEventType.STEP_START:
                within = set_span_in_context(whole)
                steps[event.step_key] = tracer.start_span(event.step_key, context=within)
            elif event.event_type in DONE and event.step_key in steps:
                step = steps.pop(event.step_key)
                if event.is_step_failure:
                    step.set_status(Status(StatusCode.ERROR))
                step.end()

        instance.add_event_listener(run.run_id, told)
        yield
