"""Data quality of each day: refused, missing and late events, and silent sources."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from firstchair.definitions.bounds import DAY_MS, bounds_sql, counted_sql
from firstchair.definitions.checks import Check, CheckState, overall
from firstchair.events import open_records
from firstchair.lake import Lake, connect, is_simulated
from firstchair.lake import tables as t
from monitoring.failing_days import BUSY, IMPOSSIBLE, accounts_sql
from monitoring.pages import Heading, cells_page
from monitoring.rules import QualityRules, load_rules

ALL = "all"
REFUSED, GAPS, LATE, SILENT = "refused", "sequence_gaps", "late", "silent"
# After an outage, what is read within so long of the first reading is not late.
GRACE_HOURS = 3
# A source is expected on a day if it sent events on this many of the days before.
EXPECTED_DAYS, WEEK_DAYS = 5, 7
WEEK = timedelta(days=WEEK_DAYS)
PASSES, FAILS, UNKNOWN = CheckState.PASSES, CheckState.FAILS, CheckState.NOT_ENOUGH_DATA
COLUMNS = (("measure", "measure"), ("key", "of"), ("value", "value"), ("of", "records"),
           ("threshold", "limit"), ("fails", "fails"),
           ("blocks", "blocks decisions"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The result of a build of gold/data_quality.

    rows: figures. failing: days with a figure over its limit. blocked: days that no decision may
    rest on.
    refused: share of the last day's records in quarantine, by reason. report: the page of the last
    day.
    checks: of the last day, as `quality_checks`. usable: those of them on which decisions rest, as
    one.
    """

    rows: int
    failing: int
    blocked: tuple[date, ...]
    refused: dict[str, float]
    report: Path | None
    checks: tuple[Check, ...]
    usable: Check


def build_quality(
    lake: Lake,
    *,
    first: date,
    last: date,
    report_folder: Path | None,
    rules: QualityRules | None = None,
) -> QualityReport:
    """Replace the partitions `first` to `last` (both included) of gold/data_quality.

    refused: records in quarantine that were not delivered again ÷ records, over all and by reason
    (`firstchair.events.shares` says what day a record is of). sequence_gaps: numbers missing before
    an event of the day, by source. late: share of events that were read more than
    `QualityRules.late_after_hours` after the day's end, and more than `GRACE_HOURS` after the first
    reading that followed it; unknown before that reading. An event that was refused and replayed
    was read when its object was first read. The weight of a user is bounded
    (`firstchair.definitions.bounds`). silent: 1 if a source that sends events on most days sent
    none. impossible_listening: accounts whose plays of the day last longer
    than a day, and their number of plays, which do not count in popularity
    (`firstchair.features.artist_statistics`). busy_accounts: accounts with more than `max_actions`
    actions (logins, clicks, follows and unfollows) on the day, and their number of actions.

    A day with too much refused or late, or with a silent source, blocks decisions that use it.
    Gaps and implausible accounts raise an alert and block nothing, because the weight of a user in
    each figure is bounded (`firstchair.definitions.bounds`).

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    rules = rules or load_rules().quality
    with connect() as connection:
        open_records(connection, lake)
        connection.execute(accounts_sql(lake, first, last))
        table = connection.sql(_figures(lake, first, last, rules)).to_arrow_table()
    lake.replace_range(t.DATA_QUALITY, table, first, last)
    rows = table.to_pylist()
    newest = [row for row in rows if row["event_date"] == last]
    heading = Heading(f"Data quality, {last}", (), is_simulated(lake))
    checks = quality_checks(lake, last, rules)
    page = report_folder and cells_page(
        "data_quality", newest, COLUMNS, checks, heading=heading, day=last, folder=report_folder
    )
    return QualityReport(
        rows=len(rows),
        failing=len({row["event_date"] for row in rows if row["fails"]}),
        blocked=tuple(sorted({row["event_date"] for row in rows if row["blocks"]})),
        refused={
            row["key"]: row["value"]
            for row in newest
            if row["measure"] == REFUSED and row["key"] != ALL
        },
        report=page,
        checks=checks,
        usable=overall("day_usable", [check for check in checks if check.name != GAPS]),
    )


def quality_checks(lake: Lake, day: date, rules: QualityRules | None = None) -> tuple[Check, ...]:
    """The checks of a day, one for each measure; not known with too few records or days.

    Raises:
        LakeError: gold/data_quality cannot be read.
    """
    rules = rules or load_rules().quality
    rows = lake.read(t.DATA_QUALITY, f"event_date = date '{day}'").to_pylist()
    earlier = sum(day - WEEK <= other < day for other in lake.partitions(t.DATA_QUALITY))
    return (
        _share_check(REFUSED, rows, rules, f"records of {day}"),
        _share_check(LATE, rows, rules, f"events of {day} that were read after its end"),
        _silence_check(rows, earlier),
        _gaps_check(rows),
    )


def _share_check(measure: str, rows: list[dict[str, Any]], rules: QualityRules, of: str) -> Check:
    row = next((row for row in rows if row["measure"] == measure and row["key"] == ALL), None)
    if row is None or row["of"] < rules.min_records:
        found = 0 if row is None else row["of"]
        return Check(measure, UNKNOWN, f"{found:,} of at least {rules.min_records:,}.", f"{of}")
    detail = f"{row['value']:.1%} of {row['of']:,}, limit {row['threshold']:.0%}."
    return Check(measure, FAILS if row["fails"] else PASSES, detail)


def _silence_check(rows: list[dict[str, Any]], earlier: int) -> Check:
    silent = sorted(row["key"] for row in rows if row["measure"] == SILENT)
    if silent:
        return Check(SILENT, FAILS, f"No events came from {', '.join(silent)}.")
    if earlier < EXPECTED_DAYS or not rows:
        missing = f"{EXPECTED_DAYS} days before, with records" if rows else "records of the day"
        return Check(SILENT, UNKNOWN, f"{earlier} days before it are known.", missing)
    return Check(SILENT, PASSES, "Every source that is expected was heard.")


def _gaps_check(rows: list[dict[str, Any]]) -> Check:
    holes = {row["key"]: int(row["value"]) for row in rows if row["measure"] == GAPS}
    if holes:
        named = ", ".join(f"{count:,} of {source}" for source, count in sorted(holes.items()))
        return Check(GAPS, FAILS, f"Sequence numbers are missing: {named}.")
    if not rows:
        return Check(GAPS, UNKNOWN, "Nothing is known of the day.", "records of the day")
    return Check(GAPS, PASSES, "No sequence number is missing.")


def _figures(lake: Lake, first: date, last: date, rules: QualityRules) -> str:
    return f"""
        with days as (
            select d::date as day
            from generate_series(date '{first}', date '{last}', interval 1 day) s(d)),
        figures as ({_refused(rules)} union all by name {_gaps()}
                    union all by name {_late(lake, first, last, rules)}
                    union all by name {_silent()}
                    union all by name {_impossible()} union all by name {_busy(rules)})
        select day as event_date, measure, key, value::double as value, "of"::bigint as "of",
               threshold::double as threshold, coalesce(fails, false) as fails,
               coalesce(blocks, false) as blocks
        from figures join days using (day) order by day, measure, key
    """


def _refused(rules: QualityRules) -> str:
    over = f"\"of\" >= {rules.min_records} and key = '{ALL}' and value > {rules.max_refused}"
    return f"""
        select *, {over} as fails, {over} as blocks from (
            with records as (
                select day, sum(records)::bigint as records from (
                    select event_date as day, records from landed_runs
                    union all select day, 1 from refused where unparsed)
                semi join days using (day) group by day),
            counted as (
                select day, coalesce(reason, '{ALL}') as key, count(*) as refused
                from refused semi join days using (day)
                where lost group by grouping sets ((day, reason), (day)))
            select day, '{REFUSED}' as measure, key, refused / records as value, records as "of",
                   if(key = '{ALL}', {rules.max_refused}, null) as threshold
            from counted join records using (day)
            union all
            select day, '{REFUSED}', '{ALL}', 0, records, {rules.max_refused}
            from records anti join counted using (day))"""


def _gaps() -> str:
    """Numbers missing before a run of numbers, on the day of its first: no event is read for it."""
    return f"""
        select day, '{GAPS}' as measure, source as key, sum(first - reached - 1) as value,
               count(*) as "of", 0 as threshold, true as fails, false as blocks
        from (
            select *, max(last) over (partition by source order by first
                          rows between unbounded preceding and 1 preceding) as reached
            from (select source, first, max(last) as last, max(day) as day from (
                      select event_date as day, source, first, last from landed_runs
                      union all select day, source, source_seq, source_seq from refused)
                  where source is not null and first >= 0 group by source, first))
        where first - reached > 1 group by day, source"""


def _late(lake: Lake, first: date, last: date, rules: QualityRules) -> str:
    """Only events of the asked days are read."""
    over = f'"of" >= {rules.min_records} and value > {rules.max_late}'

    def counted(part: str) -> str:
        return counted_sql(f"u.{part}", weight="u.n", bound="b.bound")

    return f"""
        select *, {over} as fails, {over} as blocks from (
            with read as (
                select object_url, min(ingested_at) as read_at
                from {lake.scan(t.OBJECTS)} group by object_url),
            ended as (
                select d.day, greatest(d.over + interval {rules.late_after_hours} hours,
                                       r.read_at + interval {GRACE_HOURS} hours) as until
                from (select day, (day + 1)::timestamp at time zone 'UTC' as over from days) d
                asof join read r on d.over <= r.read_at),
            users as (
                select l.day, coalesce(l.user_key, '') as user_key, count(*) as n,
                       count(*) filter (least(r.read_at, l.ingested_at) > e.until) as late
                from landed l join ended e using (day) left join read r using (object_url)
                where l.day between date '{first}' and date '{last}' group by all)
            select u.day, '{LATE}' as measure, '{ALL}' as key,
                   sum({counted("late")}) / sum({counted("n")}) as value, sum(u.n) as "of",
                   {rules.max_late} as threshold
            from users u left join {bounds_sql("users", cell="day", weight="n")} b using (day)
            group by u.day)"""


def _silent() -> str:
    return f"""
        select day, '{SILENT}' as measure, source as key, 1 as value, before as "of",
               0 as threshold,
               true as fails, true as blocks
        from (
            with heard as (
                select event_date as day, source from landed_runs
                where source is not null group by all),
            asked as (
                select d.day, h.source, count(*) as before
                from days d join heard h on h.day < d.day and h.day >= d.day - {WEEK_DAYS}
                group by all)
            select a.* from asked a anti join heard h using (day, source)
            where a.before >= {EXPECTED_DAYS}
                and exists (select 1 from heard x where x.day = a.day))"""


def _impossible() -> str:
    return f"""
        select day, '{IMPOSSIBLE}' as measure, '{ALL}' as key, count(*) as value,
               sum(plays) as "of",
               0 as threshold, true as fails, false as blocks
        from accounts where ms > {DAY_MS} group by day"""


def _busy(rules: QualityRules) -> str:
    return f"""
        select day, '{BUSY}' as measure, '{ALL}' as key, count(*) as value, sum(actions) as "of",
               {rules.max_actions} as threshold, true as fails, false as blocks
        from accounts where actions > {rules.max_actions} group by day"""
