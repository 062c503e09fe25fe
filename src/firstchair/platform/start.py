"""The first start of a home, after which no heavy work starts by itself for a while."""

from datetime import UTC, datetime, timedelta

from firstchair.files import replace_file, write_once
from firstchair.platform.platform import Platform

MARK = "first-start"


def note_first_start(platform: Platform) -> datetime:
    """Record when the services of this home were started for the first time; later calls keep it.

    Returns:
        That instant.
    """
    if (known := first_start(platform)) is not None:
        return known
    path, now = platform.settings.home / MARK, datetime.now(UTC)
    # A mark that cannot be read is no mark, and is replaced.
    (replace_file if path.exists() else write_once)(path, now.isoformat().encode())
    return first_start(platform) or now


def first_start(platform: Platform) -> datetime | None:
    """When the services of this home were started for the first time; None before that.

    A mark that lost its content with the machine's power counts as none.
    """
    try:
        return datetime.fromisoformat((platform.settings.home / MARK).read_text())
    except (FileNotFoundError, ValueError):
        return None


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
