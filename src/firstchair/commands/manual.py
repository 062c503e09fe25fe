"""Promote and roll back by hand, and publish the resulting lists."""

import getpass
from collections.abc import Callable
from datetime import date, timedelta

from firstchair.errors import WriterBusyError
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform
from firstchair.platform.work import writing
from firstchair.promotion import Entry, ManualDecision, promote_by_hand, roll_back_by_hand

Notify = Callable[[str], None]


def promote(
    platform: Platform, *, version: str, reason: str, notify: Notify = lambda _: None
) -> Entry:
    """Promote a version by hand and publish its lists.

    `notify` is called if the lists follow later, because another writer is at work.

    Raises:
        LedgerError, ModelError: It cannot be; nothing was written.
    """
    entry = promote_by_hand(
        platform.registry,
        platform.ledger,
        _manual(platform, reason),
        version=version,
        users=platform.lake.count(t.USERS),
        salt=platform.settings.arm_salt,
    )
    _publish(platform, entry.as_of, notify)
    return entry


def roll_back(platform: Platform, *, reason: str, notify: Notify = lambda _: None) -> Entry:
    """Bring back the previous champion and publish its lists.

    `notify` is called if the lists follow later, because another writer is at work.

    Raises:
        LedgerError: There is no version to bring back; nothing was written.
    """
    entry = roll_back_by_hand(platform.registry, platform.ledger, _manual(platform, reason))
    _publish(platform, entry.as_of, notify)
    return entry


def _manual(platform: Platform, reason: str) -> ManualDecision:
    days = platform.lake.partitions(t.RECOMMENDATIONS)
    as_of = max(days, default=platform.now.date())
    return ManualDecision(getpass.getuser(), reason, platform.now, as_of)


def _publish(platform: Platform, as_of: date, notify: Notify) -> None:
    """Publish the day's lists again, after making those of a version without lists.

    The decision does not wait for another writer. Its lists do, since they may have to be made: a
    run of the pipeline publishes by the ledger at its end, and `promotion_sensor` after any other
    writer.
    """
    if as_of not in platform.lake.partitions(t.RECOMMENDATIONS):
        return
    from dagster_project.definitions import defs
    from dagster_project.execution import materialise
    from dagster_project.instance import open_instance

    day = as_of - timedelta(days=1)
    try:
        with writing(
            platform.databases.ledger, who="a decision by hand", why="its lists", wait=False
        ):
            materialise(
                defs(),
                open_instance(platform.settings),
                ("published_lists",),
                on_step=lambda *_: None,
                days=(day, day),
            )
    except WriterBusyError as busy:
        notify(
            f"The decision stands; its lists are published after what is at work now. {busy.what}"
        )
