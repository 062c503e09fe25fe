"""Drift: which features moved away from their reference, how far, and Evidently's own page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from firstchair.lake import tables as t
from firstchair.serving.console.charts import Form, LineChart, Point, Series
from firstchair.serving.console.sources import Row, Sources, rows

FOLDER = "data_drift"


@dataclass(frozen=True, slots=True)
class Column:
    """One compared column. `reach`: score ÷ threshold, cut at 2; over 1 (a p-value: under 1) it drifted."""

    name: str
    method: str
    score: float
    threshold: float
    drifted: bool
    by_p_value: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """Everything on the page. `report`: whether Evidently's page of the day is on disk."""

    day: date | None
    days: tuple[date, ...]
    reference: date | None
    columns: tuple[Column, ...]
    share: LineChart
    report: bool


def drift_page(sources: Sources, day: date | None) -> Drift:
    """Scores of `day`, or of the newest one that was compared."""
    shares = rows(
        f"select as_of, avg(drifted::int) as share from {sources.lake.scan(t.DRIFT)} group by as_of order by as_of"
    )
    days = [row["as_of"] for row in shares]
    chosen = day if day in days else max(days, default=None)
    found = sources.lake.read(t.DRIFT, f"as_of = date '{chosen}'").to_pylist() if chosen else []
    return Drift(
        day=chosen,
        days=tuple(reversed(days)),
        reference=found[0]["reference_from"] if found else None,
        columns=_columns(found),
        share=_share(shares),
        report=chosen is not None and report_path(sources, chosen).exists(),
    )


def report_path(sources: Sources, day: date) -> Path:
    """Where Evidently's page of a day is kept."""
    return sources.config.reports / FOLDER / f"{day}.html"


def _columns(found: Sequence[Row]) -> tuple[Column, ...]:
    ordered = sorted(found, key=lambda row: (not row["drifted"], row["column"]))
    return tuple(
        Column(row["column"], row["method"], row["score"], row["threshold"], row["drifted"], "p_value" in row["method"])
        for row in ordered
    )


def _share(shares: Sequence[Row]) -> LineChart:
    points = tuple(Point(row["as_of"], row["share"]) for row in shares)
    return LineChart(
        "Drifted columns", "Share of the compared features that drifted, by day.",
        (Series("drifted", points),) if points else (), Form.SHARE,
    )  # fmt: skip
