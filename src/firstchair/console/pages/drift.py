"""Drift and overfitting: columns that left the training window, and families that overfit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from firstchair.console import roles
from firstchair.console.charts import Form, LineChart, Mark, Point, Series
from firstchair.console.sources import Row, Sources, rows
from firstchair.definitions.checks import Check
from firstchair.definitions.overfit import overfit_check
from firstchair.lake import tables as t
from firstchair.promotion import family_title

CONCERNS = ("data_drift", "overfit", "data_quality")
DRIFT, OVERFIT, _ = CONCERNS
DAYS = 60


@dataclass(frozen=True, slots=True)
class Drift:
    """Everything on the page.

    columns: rows of gold/drift, drifted ones first. gaps: the newest rows of gold/overfit. reports:
    concerns whose Evidently page of the day is on disk.
    """

    day: date | None
    days: tuple[date, ...]
    columns: tuple[Row, ...]
    share: LineChart
    gap: LineChart
    gaps: tuple[tuple[Row, Check], ...]
    reports: tuple[str, ...]


def drift_page(sources: Sources, day: date | None) -> Drift:
    """The figures of `day`, by default of the newest compared day."""
    shares = rows(
        f"select as_of, avg(drifted::int) as share from {sources.lake.scan(t.DRIFT)} "
        "group by as_of order by as_of"
    )
    days = [row["as_of"] for row in shares]
    chosen = day if day in days else max(days, default=None)
    gaps = rows(
        f"""
        select * from {sources.lake.scan(t.OVERFIT)} where least(train_users, test_users) >= ?
        qualify as_of > max(as_of) over () - {DAYS} order by as_of, family
        """,
        sources.config.k_anonymity,
    )
    entries = sources.ledger.entries()
    marks = roles.releases(entries, roles.families(entries, sources.published()))
    return Drift(
        day=chosen,
        days=tuple(reversed(days)),
        columns=_columns(sources, chosen),
        share=_share(shares, marks),
        gap=_gap(gaps, marks),
        gaps=tuple((row, overfit_check(row)) for row in gaps if row["as_of"] == gaps[-1]["as_of"]),
        reports=tuple(
            name for name in CONCERNS if chosen and report_path(sources, name, chosen) is not None
        ),
    )


def report_path(sources: Sources, concern: str, day: date) -> Path | None:
    """Path of Evidently's page of a concern and a day; None if it is not on disk."""
    path = sources.config.reports / concern / f"{day}.html"
    return path if concern in CONCERNS and path.exists() else None


def _columns(sources: Sources, chosen: date | None) -> tuple[Row, ...]:
    least = sources.config.k_anonymity
    return tuple(
        rows(
            f"""
            select * from {sources.lake.scan(t.DRIFT)}
            where as_of = ? and least(users, reference_users) >= ?
            order by not drifted, effect / nullif(min_effect, 0) desc, "column"
            """,
            chosen,
            least,
        )
    )


def _share(shares: Sequence[Row], marks: tuple[Mark, ...]) -> LineChart:
    points = tuple(Point(row["as_of"], row["share"]) for row in shares[-DAYS:])
    return LineChart(
        "Drifted columns",
        "Share of the compared columns that drifted, by day.",
        (Series("drifted", points),) if points else (),
        Form.SHARE,
        marks=marks,
    )


def _gap(gaps: Sequence[Row], marks: tuple[Mark, ...]) -> LineChart:
    families = sorted({row["family"] for row in gaps})
    lines = tuple(
        Series(
            family_title(name),
            tuple(
                Point(row["as_of"], row["gap"], row["gap_lower"], row["gap_upper"])
                for row in gaps
                if row["family"] == name
            ),
        )
        for name in families
    )
    return LineChart(
        "Overfitting",
        "Training metric less test metric of each family, mean over users, with 95 % intervals, "
        "by day.",
        lines,
        Form.NUMBER,
        marks=marks,
    )
