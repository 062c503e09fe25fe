"""The demo's run: the history at once, then its last days one by one, as a service would live them."""

from datetime import date, timedelta

from firstchair.operations.platform import Platform
from firstchair.operations.run import Progress, RunReport, run

LIVED_DAYS = 3


def run_demo(platform: Platform, *, last: date, progress: Progress | None = None) -> RunReport:
    """Run up to `LIVED_DAYS` before `last`, then each remaining day in full."""
    run(platform, last=last - timedelta(days=LIVED_DAYS), progress=progress)
    return run(platform, last=last, progress=progress)
