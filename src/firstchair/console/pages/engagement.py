"""Engagement and churn over time by segment, from the cells of the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from firstchair.console import roles
from firstchair.console.charts import (
    Forest,
    ForestRow,
    Form,
    LineChart,
    Mark,
    Point,
    Reference,
    Series,
)
from firstchair.console.pages.staying import baseline_forest, survival_chart
from firstchair.console.sources import Row, Sources, rows
from firstchair.definitions.churn import BASE_DAYS, HORIZONS_DAYS
from firstchair.definitions.segments import ALL, Segment
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.lake import tables as t
from firstchair.promotion import family_title

SPANS_DAYS = (14, 28, 90)
STILL_GROWS = "open where clicks, plays and follows may still come."
# Columns of the 95 % intervals, by column of the value.
BOUNDS = {"ctr": ("ctr_lower", "ctr_upper"), "churn_rate": ("churn_lower", "churn_upper")}


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of gold/engagement_daily and how it is shown."""

    column: str
    title: str
    says: str
    form: Form


MEASURES = (
    Measure(
        "ctr",
        "Click-through rate",
        "Clicked impressions ÷ impressions, with 95 % intervals over users",
        Form.SHARE,
    ),
    Measure(
        "clicks_per_100",
        "Clicks per 100",
        "Mean over users of 100 × clicks ÷ impressions",
        Form.NUMBER,
    ),
    Measure(
        "listen_through",
        "Listen-through",
        "Milliseconds heard ÷ length of the tracks played",
        Form.SHARE,
    ),
    Measure("follow_rate", "Follow rate", "Follows ÷ impressions", Form.SHARE),
)


@dataclass(frozen=True, slots=True)
class Engagement:
    """Everything on the page.

    cells: those of the newest day whose outcomes are all known; if there is no such day, those of
    the newest. churn_cells: those of the newest final labels. lists: rows of gold/list_exposure of
    the newest day, by version.
    """

    segment: str
    span_days: int
    newest: date | None
    charts: tuple[LineChart, ...]
    by_family: LineChart
    lists: tuple[Row, ...]
    forest: Forest
    cells: tuple[Row, ...]
    churn: tuple[LineChart, ...]
    churn_cells: tuple[Row, ...]
    survival: LineChart
    baselines: Forest


def engagement_page(sources: Sources, *, segment: Segment, span_days: int) -> Engagement:
    """Cells of a segment over the last `span_days` days; cells under k users are left out."""
    cells = _cells(sources, segment, span_days)
    settled = [row for row in cells if row["mature"]] or cells
    newest = settled[-1]["event_date"] if settled else None
    today = [row for row in cells if row["event_date"] == newest]
    labels = _labels(sources, segment, span_days)
    entries = sources.ledger.entries()
    known = roles.families(entries, sources.published())
    marks = roles.releases(entries, known)
    return Engagement(
        segment=str(segment),
        span_days=span_days,
        newest=newest,
        charts=tuple(_chart(measure, cells, marks) for measure in MEASURES),
        by_family=_by_family(sources, span_days, known, marks),
        lists=_lists(sources),
        forest=_forest(today, _overall(sources, newest)),
        cells=tuple(today),
        churn=tuple(
            _churn(horizon, [row for row in labels if row["horizon_days"] == horizon], marks)
            for horizon in HORIZONS_DAYS
        ),
        churn_cells=_final(labels),
        survival=survival_chart(sources, segment),
        baselines=baseline_forest(sources, known),
    )


def _cells(sources: Sources, segment: Segment, span_days: int) -> list[Row]:
    return rows(
        f"""
        select *, event_date <= max(event_date) over () - {SLATE_DAYS} as mature
        from {sources.lake.scan(t.ENGAGEMENT_DAILY)}
        where segment = ? and model_version = '{ALL}' and users >= ?
        qualify event_date > max(event_date) over () - {span_days}
        order by event_date, segment_value
        """,
        str(segment),
        sources.config.k_anonymity,
    )


def _lists(sources: Sources) -> tuple[Row, ...]:
    """What the newest lists of each version hold, with the title of its family."""
    found = rows(
        f"""
        from {sources.lake.scan(t.LIST_EXPOSURE)}
        qualify as_of = max(as_of) over () order by model_version::bigint
        """
    )
    return tuple(row | {"title": family_title(row["family"])} for row in found)


def _overall(sources: Sources, day: date | None) -> float | None:
    found = rows(
        f"""
        select ctr from {sources.lake.scan(t.ENGAGEMENT_DAILY)}
        where segment = '{ALL}' and model_version = '{ALL}' and event_date = ?
        """,
        day,
    )
    return found[0]["ctr"] if found else None


def _labels(sources: Sources, segment: Segment, span_days: int) -> list[Row]:
    return rows(
        f"""
        select * from {sources.lake.scan(t.CHURN)}
        where segment = ? and model_version = '{ALL}' and users >= ?
        qualify as_of > max(as_of) over () - {span_days} order by as_of, horizon_days, segment_value
        """,
        str(segment),
        sources.config.k_anonymity,
    )


def _chart(measure: Measure, cells: Sequence[Row], marks: tuple[Mark, ...]) -> LineChart:
    lines = _lines(cells, "event_date", measure.column)
    says = f"{measure.says}, by day; {STILL_GROWS}"
    return LineChart(measure.title, says, lines, measure.form, marks=marks)


def _churn(horizon_days: int, labels: Sequence[Row], marks: tuple[Mark, ...]) -> LineChart:
    return LineChart(
        f"Churn at {horizon_days} days",
        f"Share of the users active in the {BASE_DAYS} days before who then were not active for "
        f"{horizon_days} days, by as_of, with 95 % intervals; "
        "open where a label can still change.",
        _lines(labels, "as_of", "churn_rate"),
        Form.SHARE,
        marks=marks,
    )


def _lines(cells: Sequence[Row], day: str, column: str) -> tuple[Series, ...]:
    """A line for each segment value, those with most users first."""
    users: dict[str, int] = {}
    for row in cells:
        users[row["segment_value"]] = users.get(row["segment_value"], 0) + row["users"]
    largest = sorted(users, key=lambda value: (-users[value], value))
    return tuple(Series(value, _points(cells, value, day, column)) for value in largest)


def _points(cells: Sequence[Row], value: str, day: str, column: str) -> tuple[Point, ...]:
    lower, upper = BOUNDS.get(column, (None, None))
    return tuple(
        Point(
            row[day],
            row[column],
            row[lower] if lower else None,
            row[upper] if upper else None,
            is_open=not row.get("mature", True),
        )
        for row in cells
        if row["segment_value"] == value and row[column] is not None
    )


def _final(labels: Sequence[Row]) -> tuple[Row, ...]:
    final = [row for row in labels if row["mature"]]
    newest = {
        days: max((row["as_of"] for row in final if row["horizon_days"] == days), default=None)
        for days in HORIZONS_DAYS
    }
    return tuple(row for row in final if row["as_of"] == newest[row["horizon_days"]])


def _forest(today: Sequence[Row], overall: float | None) -> Forest:
    lines = tuple(
        ForestRow(
            row["segment_value"].replace("_", " "),
            row["ctr"],
            row["ctr_lower"],
            row["ctr_upper"],
            note=f"{row['users']:,} users",
        )
        for row in today
        if row["ctr"] is not None
    )
    references = () if overall is None else (Reference("all users", overall),)
    return Forest(
        "Click-through rate on the newest complete day",
        "Each segment with its 95 % interval.",
        lines,
        Form.SHARE,
        references,
    )


def _by_family(
    sources: Sources, span_days: int, known: Mapping[str, str], marks: tuple[Mark, ...]
) -> LineChart:
    """CTR by family, since a refreshed champion is a new version each day."""
    cells = rows(
        f"""
        select event_date, model_version, impressions, clicks,
               event_date <= max(event_date) over () - {SLATE_DAYS} as mature
        from {sources.lake.scan(t.ENGAGEMENT_DAILY)}
        where segment = '{ALL}' and model_version <> '{ALL}' and users >= ?
        qualify event_date > max(event_date) over () - {span_days}
        """,
        sources.config.k_anonymity,
    )
    lines = tuple(
        Series(family_title(name), points) for name, points in _pooled(cells, known).items()
    )
    return LineChart(
        "Click-through rate by model",
        f"Clicked impressions ÷ impressions by the family that filled the slate; {STILL_GROWS}",
        lines,
        Form.SHARE,
        marks=marks,
    )


def _pooled(cells: Sequence[Row], known: Mapping[str, str]) -> dict[str, tuple[Point, ...]]:
    """CTR by family and day, the family with most impressions first."""
    sums: dict[str, dict[date, list[int]]] = {}
    is_open: dict[date, bool] = {}
    for row in cells:
        name = known.get(row["model_version"], row["model_version"])
        pair = sums.setdefault(name, {}).setdefault(row["event_date"], [0, 0])
        pair[0] += row["impressions"]
        pair[1] += row["clicks"]
        is_open[row["event_date"]] = not row["mature"]
    order = sorted(sums, key=lambda name: -sum(shown for shown, _ in sums[name].values()))
    return {
        name: tuple(
            Point(day, clicks / shown, is_open=is_open[day])
            for day, (shown, clicks) in sorted(sums[name].items())
            if shown
        )
        for name in order
    }
