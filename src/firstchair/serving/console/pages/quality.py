"""Data quality: every record's fate, what is in quarantine and why, with masked samples, and gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from firstchair import events
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.serving.console.charts import Form, LineChart, Point, Series
from firstchair.serving.console.sources import Row, Sources, rows

SAMPLES = 3
DAYS = 28


@dataclass(frozen=True, slots=True)
class Sample:
    """One refused record, PII masked when it was refused."""

    where: str
    detail: str
    raw: str
    quarantined_at: datetime


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Records refused for one reason. `share`: of all records read."""

    reason: str
    records: int
    share: float
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything on the page. `accounts`: refused account rows by reason; None where they are too few to be told."""

    fates: events.Reconciliation
    reasons: tuple[Quarantined, ...]
    by_day: LineChart
    accounts: dict[str, int | None]
    stale_days: tuple[date, ...]


def quality_page(sources: Sources) -> Quality:
    """Counts over all history, each from the table that holds the records."""
    fates = _fates(sources.lake, _versions(sources.lake))
    return Quality(
        fates=fates,
        reasons=_reasons(sources.lake, fates),
        by_day=_by_day(sources.lake),
        accounts=_accounts(sources),
        stale_days=tuple(events.stale_days(sources.lake)),
    )


def _versions(lake: Lake) -> tuple[int, ...]:
    return tuple(lake.version(table) for table in (t.OBJECTS, t.BRONZE_EVENTS, t.EVENTS, t.QUARANTINE_EVENTS))


@lru_cache(maxsize=2)
def _fates(lake: Lake, _versions: tuple[int, ...]) -> events.Reconciliation:
    """Counted anew only where a table has a new version."""
    return events.reconcile(lake)


def _reasons(lake: Lake, fates: events.Reconciliation) -> tuple[Quarantined, ...]:
    samples = rows(
        f"""
        select reason, object_url, line, detail, raw, quarantined_at from {lake.scan(t.QUARANTINE_EVENTS)}
        qualify row_number() over (partition by reason order by quarantined_at desc, object_url, line) <= {SAMPLES}
        order by reason, quarantined_at desc, object_url, line
        """
    )
    counts = sorted(fates.quarantined.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Quarantined(reason, count, count / max(1, fates.read), _samples(samples, reason)) for reason, count in counts
    )


def _samples(found: Sequence[Row], reason: str) -> tuple[Sample, ...]:
    """The object by its name alone: the folders before it may be a secret of the machine."""
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


def _by_day(lake: Lake) -> LineChart:
    found = rows(
        f"""
        with days as (
            select event_date, 0 as refused from {lake.scan(t.EVENTS)}
            union all select event_date, 1 from {lake.scan(t.QUARANTINE_EVENTS)} where event_date is not null)
        select event_date, avg(refused) as share from days group by event_date
        qualify event_date > max(event_date) over () - {DAYS} order by event_date
        """
    )
    points = tuple(Point(row["event_date"], row["share"]) for row in found)
    return LineChart(
        "Refused records",
        "Share of the records that speak of a day; those without a sound day are in the table of reasons alone.",
        (Series("refused", points),) if points else (),
        Form.SHARE,
    )


def _accounts(sources: Sources) -> dict[str, int | None]:
    found = rows(
        f"select reason, count(distinct user_key) as users from {sources.lake.scan(t.QUARANTINE_USERS)} "
        "group by reason order by reason"
    )
    least = sources.config.k_anonymity
    return {row["reason"]: row["users"] if row["users"] >= least else None for row in found}
