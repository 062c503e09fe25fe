"""Handles to real things, opened from the settings when a step runs."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from firstchair.operations import Platform, open_platform


class PlatformResource(dg.ConfigurableResource[Platform]):
    """The lake, sources, registry and ledger that the settings name."""

    now: str = Field(default="", description="RFC 3339 instant to run at; empty: the wall clock")

    def open(self) -> Platform:
        """Everything a step works on."""
        return open_platform(now=datetime.fromisoformat(self.now) if self.now else datetime.now(UTC))
