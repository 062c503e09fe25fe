"""Now: the champion, since when and why; the challenger; freshness; alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from firstchair.console import roles
from firstchair.console.charts import Form, LineChart, Mark, Point, Series
from firstchair.console.sources import Alert, Row, Silence, Sources, rows
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.lake import tables as t
from firstchair.promotion import Entry, Explained, explained

DAYS = 28
LATEST_DECISIONS = 5
# Yesterday is the newest day that can be complete; one more day is a grace period.
LATE_AFTER = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Freshness:
    """The newest day of a table or of the lists; `late` if it is older than it may be."""

    name: str
    day: date | None
    late: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the newest day whose outcomes are all known, with its interval, if any."""

    name: str
    value: float | None
    form: Form
    note: str


@dataclass(frozen=True, slots=True)
class Now:
    """Everything on the page.

    served: version of the champion whose lists are served; None before the first. doing: a sentence
    for each piece of work that runs or waits. silences: what a person has said of an alert, by its
    code. can_silence: whether something can be said.
    """

    champion: roles.VersionInRole | None
    challenger: roles.VersionInRole | None
    served: str | None
    alerts: tuple[Alert, ...]
    silences: Mapping[str, Silence]
    can_silence: bool
    doing: tuple[str, ...]
    freshness: tuple[Freshness, ...]
    figures: tuple[Figure, ...]
    figures_of: date | None
    ctr: LineChart
    listen_through: LineChart
    decisions: tuple[tuple[Entry, Explained], ...]
    families: dict[str, str]


def now_page(sources: Sources, now: datetime) -> Now:
    """Read the state of the platform; nothing is changed."""
    silences, today = sources.config.silences, now.date()
    entries, published = sources.ledger.entries(), sources.published()
    known = roles.families(entries, published)
    marks = roles.releases(entries, known)
    daily = _daily(sources)
    settled = [row for row in daily if row["mature"]] or daily
    return Now(
        champion=roles.champion(entries, known),
        challenger=roles.challenger(entries, known),
        served=None if published is None else published.roles["champion"].version,
        alerts=tuple(sources.config.alerts()),
        silences={} if silences is None else silences.silences(now=now),
        can_silence=silences is not None,
        doing=tuple(sources.config.doing()),
        freshness=_freshness(sources, today),
        figures=_figures(settled[-1]) if settled else (),
        figures_of=settled[-1]["event_date"] if settled else None,
        ctr=_line(
            daily,
            "ctr",
            "Click-through rate",
            "Clicked impressions ÷ impressions, all users, by day, with 95 % intervals.",
            marks,
        ),
        listen_through=_line(
            daily,
            "listen_through",
            "Listen-through",
            "Milliseconds heard ÷ length of the tracks played, by day.",
            marks,
        ),
        decisions=tuple((entry, explained(entry)) for entry in entries[:LATEST_DECISIONS]),
        families=known,
    )


def _daily(sources: Sources) -> list[Row]:
    """The newest days of gold/engagement_daily for all users and versions, ascending."""
    return rows(
        f"""
        select *, event_date <= max(event_date) over () - {SLATE_DAYS} as mature
        from {sources.lake.scan(t.ENGAGEMENT_DAILY)}
        where segment = 'all' and model_version = 'all' and users >= ?
        qualify event_date > max(event_date) over () - {DAYS} order by event_date
        """,
        sources.config.k_anonymity,
    )


def _freshness(sources: Sources, today: date) -> tuple[Freshness, ...]:
    days = {
        "Accepted events": _newest(sources.lake.partitions(t.EVENTS)),
        "Features, as of": _newest(sources.lake.partitions(t.USER_FEATURES)),
        "Lists, as of": _newest(sources.lake.partitions(t.RECOMMENDATIONS)),
    }
    published = sources.published()
    days["Served lists, as of"] = None if published is None else published.as_of
    return tuple(
        Freshness(name, day, day is None or today - day > LATE_AFTER) for name, day in days.items()
    )


def _newest(days: Sequence[date]) -> date | None:
    return max(days, default=None)


def _figures(day: Row) -> tuple[Figure, ...]:
    interval = (
        "" if day["ctr_lower"] is None else f"{day['ctr_lower']:.2%} to {day['ctr_upper']:.2%}"
    )
    return (
        Figure("Click-through rate", day["ctr"], Form.SHARE, interval.replace("%", " %")),
        Figure("Clicks per 100", day["clicks_per_100"], Form.NUMBER, "mean over users"),
        Figure("Listen-through", day["listen_through"], Form.SHARE, f"{day['plays']:,} plays"),
        Figure("Listeners shown", day["users"], Form.NUMBER, f"{day['impressions']:,} impressions"),
    )


def _line(
    daily: Sequence[Row], column: str, title: str, says: str, marks: tuple[Mark, ...]
) -> LineChart:
    points = tuple(
        Point(
            row["event_date"],
            row[column],
            row.get(f"{column}_lower"),
            row.get(f"{column}_upper"),
            is_open=not row["mature"],
        )
        for row in daily
        if row[column] is not None
    )
    lines = (Series("all users", points),) if points else ()
    return LineChart(title, says, lines, Form.SHARE, marks=marks)
