"""Pages on disk, by concern and date: Evidently's presets, and metrics of ours where they have none."""

import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from monitoring.samples import CATALOGUE, FEATURES, POPULATION, Sample

# Evidently draws every row; a page of this many user-days shows the same shape.
PAGE_ROWS = 10_000
DRIFT_COLUMNS = (
    ("column", "column"),
    ("kind", "kind"),
    ("effect", "effect"),
    ("min_effect", "least effect"),
    ("p_value", "p"),
    ("score", "p corrected"),
    ("drifted", "drifted"),
)


def drift_page(then: Sample, now: Sample, rows: Sequence[Mapping[str, Any]], *, as_of: date, folder: Path) -> Path:
    """`folder`/data_drift/`as_of`.html: our verdict by column first, then Evidently's pictures of each column."""
    from evidently.metrics import ValueDrift

    compared = {row["column"] for row in rows}
    numeric = [name for name in FEATURES if name in compared]
    names = [name for name in (*POPULATION, *CATALOGUE) if name in compared]
    frames = [sample.days[[*numeric, *names]].iloc[:PAGE_ROWS] for sample in (then, now)]
    drifted = sum(row["drifted"] for row in rows)
    verdict = _cells()(title="Verdict by column", value_of=float(drifted), cells=_texts(rows, DRIFT_COLUMNS))
    pictures = [ValueDrift(column=name, method="ks") for name in numeric]
    pictures += [ValueDrift(column=name, method="chisquare") for name in names]
    return _save([verdict, *pictures], frames[1], frames[0], numeric, names, folder / "data_drift" / f"{as_of}.html")


def cells_page(
    concern: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[tuple[str, str]],
    *,
    title: str,
    figure: str,
    day: date,
    folder: Path,
) -> Path | None:
    """`folder`/`concern`/`day`.html: cells of a gold table, and how the figure is spread over them; None without any.

    Args:
        concern: Name of the folder.
        rows: Cells, as they are published.
        columns: Column of a row, and its heading.
        title: Of the table.
        figure: Column that Evidently summarises.
        day: Name of the page.
        folder: Of all reports.
    """
    from evidently.metrics import MeanValue, MinValue

    known = pd.DataFrame({figure: [float(row[figure]) for row in rows if row[figure] is not None]})
    if known.empty:
        return None
    table = _cells()(title=title, value_of=float(len(rows)), cells=_texts(rows, columns))
    metrics = [table, MeanValue(column=figure), MinValue(column=figure)]
    return _save(metrics, known, None, [figure], [], folder / concern / f"{day}.html")


def _texts(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> list[list[str]]:
    heading = [heading for _, heading in columns]
    return [heading, *([_text(row[name]) for name, _ in columns] for row in rows)]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


@cache
def _cells() -> Any:
    """The metric that the presets lack: a table of published cells; its value is a number that sums it up."""
    from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric
    from evidently.legacy.renderers.html_widgets import table_data

    class PublishedCells(SingleValueMetric):  # type: ignore[misc]
        """Cells of a gold table, the first row the headings."""

        title: str
        value_of: float
        cells: list[list[str]]

    class PublishedCellsCalculation(SingleValueCalculation[PublishedCells]):  # type: ignore[misc]
        """Shows what it was given; nothing is computed anew, so page and table cannot differ."""

        def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
            """The figure and its table."""
            found = self.result(self.metric.value_of)
            heading, *cells = self.metric.cells
            found.widget = [table_data(title=self.metric.title, column_names=heading, data=cells)]
            return found, None

        def display_name(self) -> str:
            """What the page calls it."""
            return str(self.metric.title)

    return PublishedCells


def _save(
    metrics: list[Any],
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    numeric: list[str],
    names: list[str],
    path: Path,
) -> Path:
    """Run the metrics and write the page, whole or not at all."""
    from evidently import DataDefinition, Dataset, Report

    definition = DataDefinition(numerical_columns=numeric, categorical_columns=names)
    now = Dataset.from_pandas(current, data_definition=definition)
    then = None if reference is None else Dataset.from_pandas(reference, data_definition=definition)
    with warnings.catch_warnings():
        # scipy's and numpy's, on columns that hold one value on one side.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        snapshot = Report(metrics).run(now, then)
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    snapshot.save_html(str(temporary))
    temporary.replace(path)
    return path
