"""The first start of a home, after which no heavy work starts by itself for a while."""

from datetime import UTC, datetime, timedelta

from firstchair.platform.platform import Platform
from firstchair.settings import write_once

MARK = "first-start"


def note_first_start(platform: Platform) -> datetime:
    """Record when the services of this home were started for the first time; later calls keep it.

    Returns:
        That instant.
    """
    path = platform.settings.home / MARK
    write_once(path, datetime.now(UTC).isoformat())
    return datetime.fromisoformat(path.read_text(encoding="ascii"))


def first_start(platform: Platform) -> datetime | None:
    """When the services of this home were started for the first time; None before that."""
    path = platform.settings.home / MARK
    return datetime.fromisoformat(path.read_text(encoding="ascii")) if path.exists() else None


def settled_at(platform: Platform) -> datetime | None:
    """When retraining and the daily build may start by themselves; None if they may now.

    They wait for `settle_minutes` after the first start, so that the person who has just made a
    home, such as a demo's, can see it before it changes. A home whose services were never started
    by `up` or a container does not wait.
    """
    first = first_start(platform)
    if first is None:
        return None
    until = first + timedelta(minutes=platform.settings.settle_minutes)
    return until if first <= platform.now < until else None
