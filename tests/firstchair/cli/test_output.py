"""Progress of days: lines for a log, a bar a day for a person."""

import io
import os
from contextlib import redirect_stderr
from datetime import date, timedelta
from unittest.mock import patch

from firstchair.cli.output import days_at_work
from firstchair.commands.demo import Demo, stages_of
from firstchair.platform.assets import AFTER, FEATURES, HISTORY, MODELS, SOURCES
from firstchair.world import WorldSpec

START = date(2026, 1, 1)
DEMO = Demo(WorldSpec(3_000, 500, 36, 7, START, "better-challenger"), history_days=28)


def test_a_demo_of_usual_size_has_few_lines_in_a_log() -> None:
    assets = (*SOURCES, *HISTORY, *FEATURES, *MODELS, *AFTER)
    with redirect_stderr(io.StringIO()) as shown, days_at_work("demo") as advance:
        for number in range(28, 37):
            of_day = stages_of(START + timedelta(days=number - 1), number, DEMO, advance)
            for done, asset in enumerate(assets):
                of_day(f"{asset} 2026-01-{number}", done, len(assets))
                of_day(f"{asset} 2026-01-{number}", done + 1, len(assets))

    lines = [line.split(" [")[0] for line in shown.getvalue().splitlines()]

    assert lines[:4] == [
        "demo: day 28 of 36 (2026-01-28), events",
        "demo: day 28 of 36 (2026-01-28), features and models",
        "demo: day 28 of 36 (2026-01-28), decision and lists",
        "demo: day 28 of 36 (2026-01-28), monitoring",
    ]
    assert len(lines) == len(set(lines)) == 9 * 4


def test_a_person_sees_a_bar_a_day_with_the_stage_in_words() -> None:
    terminal = patch.dict(os.environ, {"FORCE_COLOR": "1", "COLUMNS": "120"})
    with terminal, redirect_stderr(io.StringIO()) as shown, days_at_work("demo") as advance:
        advance("day 1 of 2", "events", 1, 2)
        advance("day 1 of 2", "monitoring", 2, 2)
        advance("day 2 of 2", "events", 1, 2)

    last = [line for line in shown.getvalue().splitlines() if "day" in line][-2:]

    assert "day 1 of 2, monitoring" in last[0]
    assert "day 2 of 2, events" in last[1]
