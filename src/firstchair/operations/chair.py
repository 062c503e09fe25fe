"""A person's word on who sits in the chair, and the lists that follow it at once."""

import getpass
from datetime import date, timedelta

from firstchair.lake import tables as t
from firstchair.operations.platform import Platform
from firstchair.promotion import Entry, Word, promote_by_hand, roll_back_by_hand


def promote(platform: Platform, *, version: str, reason: str) -> Entry:
    """Seat a version by hand and publish its lists.

    Raises:
        LedgerError, ModelError: It cannot be; nothing was written.
    """
    entry = promote_by_hand(
        platform.registry,
        platform.ledger,
        _word(platform, reason),
        version=version,
        users=platform.lake.count(t.USERS),
        salt=platform.settings.arm_salt,
    )
    _publish(platform, entry.as_of)
    return entry


def roll_back(platform: Platform, *, reason: str) -> Entry:
    """Give the chair back to the champion before, and publish his lists.

    Raises:
        LedgerError: Nobody sat there before; nothing was written.
    """
    entry = roll_back_by_hand(platform.registry, platform.ledger, _word(platform, reason))
    _publish(platform, entry.as_of)
    return entry


def _word(platform: Platform, reason: str) -> Word:
    days = platform.lake.partitions(t.RECOMMENDATIONS)
    return Word(getpass.getuser(), reason, platform.now, max(days, default=platform.now.date()))


def _publish(platform: Platform, as_of: date) -> None:
    """Publish the day's lists again; a version without any gets them first."""
    if as_of not in platform.lake.partitions(t.RECOMMENDATIONS):
        return
    from dagster_project.definitions import defs
    from dagster_project.execution import materialise
    from dagster_project.instance import open_instance

    day = as_of - timedelta(days=1)
    materialise(
        defs(),
        open_instance(platform.settings),
        ("published_lists",),
        on_step=lambda *_: None,
        days=(day, day),
    )
