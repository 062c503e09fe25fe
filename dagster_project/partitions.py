"""The calendar: one partition per UTC day of events; tables from it carry `as_of`, the next day."""

from datetime import date, timedelta

import dagster as dg

from firstchair import events
from firstchair.lake import Lake
from firstchair.settings import load_settings

FALLBACK_FIRST_DAY = date(2026, 1, 1)


def first_event_day() -> date:
    """The earliest day in the lake when this process began, where partitions start.

    A run is a process of its own; sensors ask for earlier days all the same (`execution.requests`).
    """
    days = events.event_days(Lake(load_settings().lake_url))
    return days[0] if days else FALLBACK_FIRST_DAY


daily = dg.DailyPartitionsDefinition(start_date=first_event_day().isoformat())
one_run = dg.BackfillPolicy.single_run()


def day_of(context: dg.AssetExecutionContext) -> date:
    """The day of events of this step."""
    return date.fromisoformat(context.partition_key)


def as_of_of(context: dg.AssetExecutionContext) -> date:
    """The first day that this step may not read."""
    return day_of(context) + timedelta(days=1)


def days_of(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """First and last day of this step, both included."""
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)
