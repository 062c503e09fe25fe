"""What the commands of `firstchair.cli.upkeep` draw for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from firstchair.cli.output import table
from firstchair.cli.screens import Screen

# Named in annotations alone: `--help` waits for none of what stands behind them.
if TYPE_CHECKING:
    from firstchair.commands.backup import BackupReport
    from firstchair.commands.restore import RestoreReport
    from firstchair.platform.upkeep import MaintainedTable, UpkeepReport

COLUMNS = ("table", "files", "files on disk", "MiB on disk", "log files", "log MiB", "kept")


def maintained(report: UpkeepReport) -> Screen:
    """Files and bytes of each table, before and after."""
    others = (
        ("files of signals", report.signals),
        ("files of unreadable lines of the spool", report.spools),
        ("reports", report.reports),
        ("unfinished publications", report.publications),
    )
    removed = ", ".join(f"{count:,} {name}" for name, count in others if count)
    return [
        table("Lake, before → after", COLUMNS, [_row(one) for one in report.tables]),
        Text(
            "files: of the present version; kept: versions that decisions of the ledger rest on. "
            f"In all {report.files_before:,} → {report.files_after:,} files, "
            f"{_mib(report.bytes_before)} → {_mib(report.bytes_after)} MiB."
        ),
        Text(f"Removed besides: {removed or 'nothing'}."),
    ]


def backed_up(report: BackupReport) -> Screen:
    """What a backup holds, and what it does not."""
    rows = [("MiB", _mib(report.bytes)), *_held(report)]
    return [table(f"Backup at {report.path}", ("what", "value"), rows), *_not_held(report)]


def restored(report: RestoreReport) -> Screen:
    """What was restored, and where what was there before is."""
    rows = _held(report)
    if report.earlier is not None:
        rows.append(("what was in the home", report.earlier))
    return [table(f"Restored to {report.home}", ("what", "value"), rows), *_not_held(report)]


def _held(report: BackupReport | RestoreReport) -> list[tuple[str, str]]:
    return [
        ("files", f"{report.files:,}"),
        ("databases", ", ".join(report.databases)),
        ("decisions", f"{report.ledger_entries:,}"),
        ("published lists", report.published or "none"),
    ]


def _not_held(report: BackupReport | RestoreReport) -> list[Text]:
    return [Text(f"Not in the backup: {one}.", style="yellow") for one in report.left_out]


def _row(one: MaintainedTable) -> tuple[str | int, ...]:
    before, after = one.before, one.after
    return (
        after.table,
        f"{before.files:,} → {after.files:,}",
        f"{before.stored_files:,} → {after.stored_files:,}",
        f"{_mib(before.stored_bytes)} → {_mib(after.stored_bytes)}",
        f"{before.log_files:,} → {after.log_files:,}",
        f"{_mib(before.log_bytes)} → {_mib(after.log_bytes)}",
        one.kept_versions,
    )


def _mib(number: int) -> str:
    return f"{number / 2**20:,.2f}"
