"""How a result reaches a person (a table) or a program (one JSON document on standard output).

What only some commands need is imported where it is used: `--help` does not wait for it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Columns of a table that goes to a file or a pipe.
LOG_WIDTH = 140
Advance = Callable[[str, int, int], None]
AdvanceDay = Callable[[str, str, int, int], None]


def show(result: Any, *, as_json: bool, screen: Callable[[], Sequence[RenderableType]]) -> None:
    """Print `result` as one JSON document, or what `screen` draws."""
    if as_json:
        from pydantic_core import to_json

        document = to_json(result, fallback=lambda value: value.item(), inf_nan_mode="null")
        sys.stdout.write(document.decode() + "\n")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=LOG_WIDTH)
    for part in screen():
        console.print(part)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A titled table: numbers to the right, whole ones with separators, a dash for no value."""
    numeric = [
        bool(rows) and all(isinstance(row[number], int | float | None) for row in rows)
        for number in range(len(columns))
    ]
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for name, is_number in zip(columns, numeric, strict=True):
        drawn.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell(value)) for value in row))  # brackets in it are no markup
    return drawn


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def at_work(title: str) -> Iterator[Advance]:
    """Progress on standard error: a bar for a person, lines for a log; library output too."""
    with _bars_or_log() as (bars, log):
        task = None if bars is None else bars.add_task(title, total=None)

        def advance(step: str, done: int, total: int) -> None:
            label = f"{title}: {step}" if step else title
            if bars is None or task is None:
                log(f"{title}: {step}", done, total)
            else:
                bars.update(task, description=label, completed=done, total=total)

        yield advance


@contextlib.contextmanager
def days_at_work(title: str) -> Iterator[AdvanceDay]:
    """As `at_work`, of days with stages: a bar a day for a person, a line a stage for a log."""
    tasks: dict[str, TaskID] = {}
    logged: set[tuple[str, str]] = set()
    with _bars_or_log() as (bars, log):

        def advance(days: str, stage: str, done: int, total: int) -> None:
            label = f"{title}: {days}, {stage}"
            if bars is not None:
                if days not in tasks:
                    tasks[days] = bars.add_task(label)
                bars.update(tasks[days], description=label, completed=done, total=total)
            elif (days, stage) not in logged:
                logged.add((days, stage))
                log(label, done, total)

        yield advance


@contextlib.contextmanager
def _bars_or_log() -> Iterator[tuple[Progress | None, Advance]]:
    """Bars on a terminal, else None, and what prints a line."""
    console = Console(file=sys.stderr)
    began = time.monotonic()

    def log(label: str, done: int, total: int) -> None:
        seconds = time.monotonic() - began
        print(f"{label} [{done}/{total}] {seconds:.0f} s", file=sys.stderr, flush=True)

    with contextlib.redirect_stdout(sys.stderr):
        if not console.is_terminal:
            yield None, log
            return
        with _progress(console) as bars:
            yield bars, log


def _progress(console: Console) -> Progress:
    from rich import progress

    return progress.Progress(
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        console=console,
    )
