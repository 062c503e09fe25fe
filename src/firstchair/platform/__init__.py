"""What Dagster stands on: the open platform, its journal, what is due, what is wrong, who is at work."""

from firstchair.platform.platform import Platform, open_platform

__all__ = ["Platform", "open_platform"]
