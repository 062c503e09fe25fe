"""What Dagster builds on: the opened platform, its journal, due work, alerts, the writers' lock."""

from firstchair.platform.platform import Platform, open_platform

__all__ = ["Platform", "open_platform"]
