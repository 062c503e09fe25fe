"""`firstchair replay-quarantine`: try refused records and accounts again after a repair."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from firstchair import events
from firstchair.commands.run import Progress, rebuild
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform


@dataclass(frozen=True, slots=True)
class RefusedAccounts:
    """Accounts that were refused before and after the account table was read again, by reason."""

    before: dict[str, int]
    after: dict[str, int]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of the records that were in quarantine; `tried` is the sum of the fates.

    waiting: accepted by ingestion, of a day that cannot be built yet, such as today. unreadable:
    records of those still in quarantine that their object does not give any more. days_built: days
    whose tables were built anew. counts: every record of all history by its fate, as `status` has
    it.
    """

    tried: int
    accepted: int
    duplicates: int
    quarantined: dict[str, int]
    waiting: int
    unreadable: events.Unreadable
    accounts: RefusedAccounts
    days_built: int
    counts: events.Reconciliation
    balanced: bool


def replay_quarantine(
    platform: Platform,
    *,
    reason: str | None = None,
    day: date | None = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Read accounts and catalogue anew, retry the records, and build the days they reached.

    Accounts have no day and a reason of their own, so all of them are read again in any case.

    Args:
        platform: The platform.
        reason: Only records refused for this reason.
        day: Only records of this day (UTC).
        progress: Told of each step.

    Raises:
        RunError: Another writer is at work, the clock is behind the newest event, or a step failed;
            the same command again completes the work.
        SourceError, LakeError: A source or a table cannot be read.
    """
    lake, settings = platform.lake, platform.settings
    refused = _accounts(platform)
    tried: list[events.Tried] = []

    def again() -> None:
        found = events.replay_quarantine(
            lake,
            events_url=settings.events_url,
            pseudonym_key=settings.secret_pseudonym_key(),
            now=platform.now,
            reason=reason,
            day=day,
            tombstones=platform.tombstones,
            mapping=settings.events.mapping,
            extra_fields=settings.kept_extra_fields,
        )
        tried.append(found)

    built = rebuild(platform, again, who="firstchair replay-quarantine", progress=progress)
    found, counts = events.fates(lake, tried[0].places), events.reconcile(lake)
    return ReplayReport(
        tried=tried[0].places.num_rows,
        accepted=found.accepted,
        duplicates=found.duplicates,
        quarantined=found.quarantined,
        waiting=found.waiting,
        unreadable=tried[0].unreadable,
        accounts=RefusedAccounts(refused, _accounts(platform)),
        days_built=len(built),
        counts=counts,
        balanced=counts.balanced,
    )


def _accounts(platform: Platform) -> dict[str, int]:
    rows = platform.lake.read(t.QUARANTINE_USERS)
    return dict(sorted(Counter(rows.column("reason").to_pylist()).items()))
