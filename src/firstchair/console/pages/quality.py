"""Data quality: counts of all records, quarantine by reason with masked samples, and gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from firstchair import events
from firstchair.console import roles
from firstchair.console.charts import Form, LineChart, Mark, Point, Reference, Series
from firstchair.console.sources import Row, Sources, rows
from firstchair.lake import Lake, TableSize, size_of
from firstchair.lake import tables as t

SAMPLES = 3
DAYS = 28
MOST_FAILING = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """One refused record; its PII was masked when it was refused."""

    where: str
    detail: str
    raw: str
    quarantined_at: datetime


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Records refused for one reason. share: of all records that were read, 0..1."""

    reason: str
    records: int
    share: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything on the page.

    accounts: refused account rows by reason; None if they are too few to be shown. failing: rows of
    gold/data_quality that are over their limit. sizes: files and bytes of each written table.
    """

    fates: events.Reconciliation
    reasons: tuple[Quarantined, ...]
    by_day: LineChart
    late: LineChart
    failing: tuple[Row, ...]
    accounts: dict[str, int | None]
    stale_days: tuple[date, ...]
    sizes: tuple[TableSize, ...]


def quality_page(sources: Sources) -> Quality:
    """Read the counts over all history, each from the table that holds the records."""
    fates, stale_days = _counted(sources.lake, _versions(sources.lake))
    entries = sources.ledger.entries()
    marks = roles.releases(entries, roles.families(entries, sources.published()))
    return Quality(
        fates=fates,
        reasons=_reasons(sources.lake, fates),
        by_day=_measure(
            sources.lake,
            "refused",
            "Refused records",
            "Records in quarantine ÷ records of a day; over the limit fails.",
            marks,
        ),
        late=_measure(
            sources.lake,
            "late",
            "Late events",
            "Events that came after the day's evening had been brought in.",
            marks,
        ),
        failing=_failing(sources.lake),
        accounts=_accounts(sources),
        stale_days=stale_days,
        sizes=_sizes(sources.lake),
    )


def _sizes(lake: Lake) -> tuple[TableSize, ...]:
    found = (size_of(lake, table) for table in t.ALL_TABLES)
    return tuple(size for size in found if size is not None)


def _versions(lake: Lake) -> tuple[int, ...]:
    return tuple(
        lake.version(table) for table in (t.OBJECTS, t.BRONZE_EVENTS, t.EVENTS, t.QUARANTINE_EVENTS)
    )


@lru_cache(maxsize=2)
def _counted(
    lake: Lake, _versions: tuple[int, ...]
) -> tuple[events.Reconciliation, tuple[date, ...]]:
    """Counts of records and the days to build, computed again only if a table has a new version."""
    return events.reconcile(lake), tuple(events.stale_days(lake))


def _reasons(lake: Lake, fates: events.Reconciliation) -> tuple[Quarantined, ...]:
    samples = rows(
        f"""
        select reason, object_url, line, detail, raw, quarantined_at
        from {lake.scan(t.QUARANTINE_EVENTS)}
        qualify row_number() over (partition by reason
            order by quarantined_at desc, object_url, line) <= {SAMPLES}
        order by reason, quarantined_at desc, object_url, line
        """
    )
    counts = sorted(fates.quarantined.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Quarantined(reason, count, count / max(1, fates.read), _samples(samples, reason))
        for reason, count in counts
    )


def _samples(found: Sequence[Row], reason: str) -> tuple[Sample, ...]:
    """Samples of a reason. They name the object without its folders, which may be confidential."""
    return tuple(
        Sample(
            where=f"{str(row['object_url']).rsplit('/', 1)[-1]}, line {row['line']}",
            detail=row["detail"] or "",
            raw=row["raw"] or "",
            quarantined_at=row["quarantined_at"],
        )
        for row in found
        if row["reason"] == reason
    )


def _measure(lake: Lake, measure: str, title: str, says: str, marks: tuple[Mark, ...]) -> LineChart:
    """The chart of a measure of gold/data_quality over all sources, with its limit."""
    found = rows(
        f"""
        select event_date, value, threshold from {lake.scan(t.DATA_QUALITY)}
        where measure = ? and key = 'all'
        qualify event_date > max(event_date) over () - {DAYS} order by event_date
        """,
        measure,
    )
    points = tuple(Point(row["event_date"], row["value"]) for row in found)
    limit = found[-1]["threshold"] if found else None
    references = () if limit is None else (Reference("limit", limit),)
    lines = (Series(measure, points),) if points else ()
    return LineChart(title, says, lines, Form.SHARE, references, marks=marks)


def _failing(lake: Lake) -> tuple[Row, ...]:
    """Figures of the last days that are over their limit, newest first."""
    return tuple(
        rows(
            f"""
            select * from (select *, max(event_date) over () as newest
                   from {lake.scan(t.DATA_QUALITY)})
            where fails and event_date > newest - {DAYS}
            order by event_date desc, measure, key limit {MOST_FAILING}
            """
        )
    )


def _accounts(sources: Sources) -> dict[str, int | None]:
    found = rows(
        "select reason, count(distinct user_key) as users "
        f"from {sources.lake.scan(t.QUARANTINE_USERS)} group by reason order by reason"
    )
    least = sources.config.k_anonymity
    return {row["reason"]: row["users"] if row["users"] >= least else None for row in found}
