"""Pages on disk, by concern and date: Evidently reports with our verdicts as tests."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from firstchair.definitions.checks import Check, CheckState
from monitoring.distributions import NO_CELLS, Panel

DRIFT_COLUMNS = (
    ("column", "column"),
    ("kind", "kind"),
    ("verdict", "verdict"),
    ("effect", "effect"),
    ("min_effect", "least effect"),
    ("p_value", "p"),
    ("score", "p corrected"),
    ("threshold", "threshold"),
    ("reference_users", "users before"),
    ("users", "users now"),
)
SIMULATED = "Simulated data: no figure on this page is of a real service."
# Names of Evidently's states.
STATES = {
    CheckState.PASSES: "SUCCESS",
    CheckState.FAILS: "FAIL",
    CheckState.NOT_ENOUGH_DATA: "SKIPPED",
    CheckState.NOT_APPLICABLE: "SKIPPED",
}
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
BEFORE, NOW = "#999999", "#0072B2"


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a page: its title, which names the day, and sentences below it."""

    title: str
    says: tuple[str, ...]
    simulated: bool


def drift_page(
    rows: Sequence[Mapping[str, Any]],
    panels: Mapping[str, Panel],
    *,
    heading: Heading,
    as_of: date,
    folder: Path,
) -> Path:
    """Write `folder`/data_drift/`as_of`.html: verdicts, then a panel of each column.

    Evidently draws the page and counts its tests. Each test is our verdict on a column, by the
    p-value, effect and thresholds of `rows`. Evidently's own tests are not run, because one of them
    is significant for a single user of a new country.

    Args:
        rows: Columns compared, as in gold/drift.
        panels: Data of the plots, by column.
        heading: Heading of the page.
        as_of: Day of the page.
        folder: Folder of all reports.
    """
    m = _metrics()
    first_drifted = sorted(
        rows, key=lambda row: (not row["drifted"], -abs(row["effect"]) / row["min_effect"])
    )
    cells = _texts(
        [{**row, "verdict": _word(row["drifted"])} for row in first_drifted], DRIFT_COLUMNS
    )
    drifted = sum(row["drifted"] for row in rows)
    table = m.PublishedCells(title="Verdict by column", value_of=float(drifted), cells=cells)
    drawn = [
        m.ColumnDrift(
            column=row["column"],
            effect=row["effect"],
            title=f"{row['column'].replace('_', ' ')}: {_word(row['drifted'])}",
            says=_drift_says(row),
            tests=[
                m.OwnVerdict(
                    name=row["column"],
                    state="FAIL" if row["drifted"] else "SUCCESS",
                    says=_drift_says(row),
                )
            ],
        )
        for row in first_drifted
    ]
    own = [panels[row["column"]] for row in rows]
    now = pd.concat([NO_CELLS, *(panel.current for panel in own)])
    before = pd.concat([NO_CELLS, *(panel.reference for panel in own)])
    return _save([table, *drawn], now, before, heading, folder / "data_drift" / f"{as_of}.html")


def cells_page(
    concern: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[tuple[str, str]],
    checks: Sequence[Check],
    *,
    heading: Heading,
    day: date,
    folder: Path,
) -> Path | None:
    """Write `folder`/`concern`/`day`.html: cells of a gold table with checks; None without any.

    Args:
        concern: Name of the folder.
        rows: Cells, as they are published.
        columns: Column of a row, and its heading.
        checks: Tests of the page.
        heading: Heading of the page.
        day: Name of the page.
        folder: Folder of all reports.
    """
    if not rows:
        return None
    m = _metrics()
    failing = float(sum(check.state is CheckState.FAILS for check in checks))
    tests = [m.OwnVerdict(name=c.name, state=STATES[c.state], says=c.sentence()) for c in checks]
    table = m.PublishedCells(
        title=heading.title, value_of=failing, cells=_texts(rows, columns), tests=tests
    )
    return _save([table], NO_CELLS, None, heading, folder / concern / f"{day}.html")


def _word(drifted: bool) -> str:
    return "drifted" if drifted else "steady"


def _drift_says(row: Mapping[str, Any]) -> str:
    effect = (
        f"effect {row['effect']:+.3f}" if row["method"] == "rate" else f"effect {row['effect']:.3f}"
    )
    return (
        f"{effect} (drifts from {row['min_effect']:.2f} on), corrected p {row['score']:.2g} "
        f"(drifts under {row['threshold']:g}); {row['reference_users']:,} users before, "
        f"{row['users']:,} now"
    )


def _texts(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]
) -> list[list[str]]:
    heading = [heading for _, heading in columns]
    return [heading, *([_text(row[name]) for name, _ in columns] for row in rows)]


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


@cache
def _metrics() -> Any:
    """Metrics and the test that the presets lack; they show given values."""
    from evidently.core.metric_types import (
        ColumnMetric,
        MetricTest,
        MetricTestResult,
        SingleValueCalculation,
        SingleValueMetric,
    )
    from evidently.legacy.renderers.html_widgets import plotly_data, table_data, text_widget
    from evidently.legacy.tests.base_test import TestStatus

    class OwnVerdict(MetricTest):  # type: ignore[misc]
        """A test with a given result."""

        name: str
        state: str
        says: str

        def to_test(self) -> Any:
            """Make the test; Evidently calls it."""

            def verdict(_: Any, metric: Any, __: Any) -> Any:
                return MetricTestResult(
                    id=self.name,
                    name=self.name.replace("_", " "),
                    description=self.says,
                    metric_config=metric.to_metric_config(),
                    test_config={},
                    status=TestStatus(self.state),
                )

            return verdict

    class PublishedCells(SingleValueMetric):  # type: ignore[misc]
        """Cells of a gold table, headings in the first row; its value summarises it."""

        title: str
        value_of: float
        cells: list[list[str]]

    class PublishedCellsCalculation(SingleValueCalculation[PublishedCells]):  # type: ignore[misc]
        """Draws the table."""

        def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
            """The figure and its table."""
            found = self.result(self.metric.value_of)
            heading, *cells = self.metric.cells
            found.widget = [table_data(title=self.metric.title, column_names=heading, data=cells)]
            return found, None

        def display_name(self) -> str:
            """The name on the page."""
            return str(self.metric.title)

    class ColumnDrift(ColumnMetric, SingleValueMetric):  # type: ignore[misc]
        """A column in reference and current days; its value is the effect."""

        effect: float
        title: str
        says: str

    class ColumnDriftCalculation(SingleValueCalculation[ColumnDrift]):  # type: ignore[misc]
        """Draws both sides."""

        def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
            """The effect and its plot."""
            found = self.result(self.metric.effect)
            sides = (("before", BEFORE, reference_data), ("now", NOW, current_data))
            bars = [
                _bars(data.as_dataframe(), self.metric.column, name, colour)
                for name, colour, data in sides
            ]
            layout = {
                "barmode": "group",
                "yaxis": {"tickformat": ".1%", "rangemode": "tozero"},
                "xaxis": {"type": "category"},
                "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.1},
            }
            found.widget = [
                text_widget(title=self.metric.title, text=self.metric.says),
                plotly_data(title="", data=bars, layout=layout),
            ]
            return found, None

        def display_name(self) -> str:
            """The name on the page."""
            return str(self.metric.column)

    return SimpleNamespace(
        OwnVerdict=OwnVerdict, PublishedCells=PublishedCells, ColumnDrift=ColumnDrift
    )


def _bars(cells: pd.DataFrame, column: str, name: str, colour: str) -> dict[str, Any]:
    own = cells.loc[cells["column"] == column]
    bars: dict[str, Any] = {"type": "bar", "name": name, "marker": {"color": colour}}
    bars |= {"x": own["value"].tolist(), "y": own["share"].tolist()}
    if own["half"].notna().any():
        bars["error_y"] = {"type": "data", "array": own["half"].tolist()}
    return bars


def _save(
    metrics: list[Any],
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    heading: Heading,
    path: Path,
) -> Path:
    """Run the metrics and write the page atomically."""
    from evidently import DataDefinition, Dataset, Report

    definition = DataDefinition(
        numerical_columns=["share", "half"], categorical_columns=["column", "value"]
    )
    now = Dataset.from_pandas(current, data_definition=definition)
    then = None if reference is None else Dataset.from_pandas(reference, data_definition=definition)
    with warnings.catch_warnings():
        # Warnings of numpy on pages without panels: Evidently summarises an empty dataset.
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        page = Report(metrics).run(now, then).get_html_str(as_iframe=False)
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(_headed(page, heading), encoding="utf-8")
    temporary.replace(path)
    return path


def _headed(page: str, heading: Heading) -> str:
    """Add a title and a heading to Evidently's page (0.7.23, `file_html_template`)."""
    title = escape(heading.title)
    mark = (
        f'<p class="simulated" style="color:#8a5a00"><strong>{SIMULATED}</strong></p>'
        if heading.simulated
        else ""
    )
    says = "".join(f"<p>{escape(sentence)}</p>" for sentence in heading.says)
    above = (
        '<header style="font-family:sans-serif;padding:1rem 2rem 0">'
        f"<h1>{title}</h1>{mark}{says}</header>"
    )
    return page.replace("<head>", f"<head><title>{title}</title>", 1).replace(
        "<body>", f"<body>{above}", 1
    )
