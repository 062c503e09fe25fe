"""`firstchair maintain`: upkeep of the lake, and removal of data past its retention."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from firstchair import publication
from firstchair.lake import TableSize, maintain_table, size_of
from firstchair.lake import tables as t
from firstchair.outbox.spooled import UNREADABLE
from firstchair.platform.platform import Platform
from firstchair.platform.work import writing
from firstchair.signals.signal_log import SUFFIX

# A login reads no signal from before yesterday.
SIGNAL_DAYS = 2


@dataclass(frozen=True, slots=True)
class MaintainedTable:
    """A table before and after its upkeep.

    kept_versions: versions that decisions of the ledger name, which `firstchair replay` reads.
    merged: small files that larger ones replaced.
    """

    before: TableSize
    after: TableSize
    kept_versions: int
    merged: int


@dataclass(frozen=True, slots=True)
class UpkeepReport:
    """Sizes of each table before and after, and how many other files were removed.

    signals: files of signals of past days. spools: files of unreadable lines of the spool.
    reports: pages of monitoring. publications: folders that killed publications left.
    """

    tables: tuple[MaintainedTable, ...]
    signals: int
    spools: int
    reports: int
    publications: int

    @property
    def files_before(self) -> int:
        """Data and log files of all tables on the store, before."""
        return sum(one.before.stored_files + one.before.log_files for one in self.tables)

    @property
    def files_after(self) -> int:
        """The same, after."""
        return sum(one.after.stored_files + one.after.log_files for one in self.tables)

    @property
    def bytes_before(self) -> int:
        """Bytes of these files before."""
        return sum(one.before.stored_bytes + one.before.log_bytes for one in self.tables)

    @property
    def bytes_after(self) -> int:
        """The same, after."""
        return sum(one.after.stored_bytes + one.after.log_bytes for one in self.tables)


def maintain(platform: Platform) -> UpkeepReport:
    """Maintain the tables, and remove spools, reports and publications past their retention.

    Versions of tables that the ledger names stay readable, so every decision can be recomputed.
    Killed at any point, the next call completes it.

    Raises:
        WriterBusyError: Another writer of the tables is at work; nothing was changed.
        LakeError: The store cannot be read or written; the rows of every table are as they were.
    """
    with writing(platform.databases.ledger, who="firstchair maintain", wait=False):
        settings = platform.settings
        # First, since it makes room on a full disk, which the tables need.
        publications = publication.forget_unfinished(settings.published)
        return UpkeepReport(
            publications=publications,
            tables=tuple(_tables(platform)),
            signals=_forget_old(settings.spool, f"signals/*{SUFFIX}", days=SIGNAL_DAYS),
            spools=_forget_old(
                settings.spool, f"*{UNREADABLE}", days=settings.spool_retention_days
            ),
            reports=_forget_old(settings.reports, "*/*.html", days=settings.report_retention_days),
        )


def _tables(platform: Platform) -> Iterator[MaintainedTable]:
    named = platform.ledger.table_versions()
    retention = timedelta(days=platform.settings.lake_retention_days)
    for table in t.ALL_TABLES:
        before = size_of(platform.lake, table)
        if before is None:
            continue
        keep = named.get(table.name, set())
        done = maintain_table(platform.lake, table, keep=keep, retention=retention)
        after = size_of(platform.lake, table)
        assert after is not None
        yield MaintainedTable(before, after, len(keep), done.merged)


def _forget_old(root: Path, pattern: str, *, days: int) -> int:
    """Remove the files that were last written more than so many days ago; return how many."""
    oldest = datetime.now(UTC).timestamp() - timedelta(days=days).total_seconds()
    old = [path for path in root.glob(pattern) if path.stat().st_mtime < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
