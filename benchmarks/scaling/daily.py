"""A daily run as the platform makes it, with what each asset takes."""

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

from benchmarks.scaling.made import START

HIGH_WATER = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Taken:
    """What a piece of work took: seconds, processor seconds of its process, peak memory in MiB."""

    seconds: float
    processor_seconds: float
    peak_mib: float


@dataclass(slots=True)
class Meter:
    """Takes the steps of a run as they begin and end."""

    assets: dict[str, Taken] = field(default_factory=dict)
    _done: int = 0
    _began: tuple[float, float] = (0.0, 0.0)

    def step(self, label: str, done: int, _total: int) -> None:
        """As `firstchair.commands.run.Progress`: a step ended if more are done, else one begins."""
        if done > self._done:
            name = label.split(" ", maxsplit=1)[0]
            began, processor = self._began
            self.assets[name] = Taken(
                time.monotonic() - began, time.process_time() - processor, peak_mib()
            )
            self._done = done
        else:
            forget_peak()
            self._began = time.monotonic(), time.process_time()


def peak_mib() -> float:
    """The most memory that was resident since `forget_peak`."""
    line = next(one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Let the peak begin anew, where the kernel allows it (`proc_pid_clear_refs`, 5)."""
    with suppress(OSError):
        HIGH_WATER.write_text("5")


def run_day(home: Path, day: int) -> dict[str, Any]:
    """`firstchair run` at night after a day (0-based); what all of it and each asset took."""
    os.environ["FIRSTCHAIR_HOME"] = str(home)
    os.environ["FIRSTCHAIR_PSEUDONYM_KEY"] = "a benchmark's key"
    from firstchair.commands import run as runs
    from firstchair.memory import engine_limit
    from firstchair.platform import open_platform
    from firstchair.settings import load_settings

    after = datetime.combine(START + timedelta(days=day + 1), clock(2, 30), tzinfo=UTC)
    platform, meter = open_platform(load_settings(), now=after), Meter()
    began, processor = time.monotonic(), time.process_time()
    report = runs.run(platform, progress=meter.step)
    whole = Taken(time.monotonic() - began, time.process_time() - processor, 0.0)
    peak = max(one.peak_mib for one in meter.assets.values())
    return {
        "history_days": report.history_days,
        "memory_limit_mib": engine_limit() // 2**20,
        "whole": asdict(whole) | {"peak_mib": peak},
        "assets": {name: asdict(one) for name, one in meter.assets.items()},
    }


def lake_of(home: Path) -> dict[str, dict[str, int]]:
    """Files and bytes of each table of a home, and its rows."""
    from firstchair.lake import Lake, size_of
    from firstchair.lake.tables import ALL_TABLES

    lake = Lake(str(home / "lake"))
    found = {table.name: (size_of(lake, table), lake.count(table)) for table in ALL_TABLES}
    return {
        name: {"rows": rows, "files": size.files, "bytes": size.bytes, "log_files": size.log_files}
        for name, (size, rows) in found.items()
        if size is not None
    }
