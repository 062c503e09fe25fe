"""Churn at 7 and 14 days, by segment and the model that served; labels that can still change are marked."""

from dataclasses import dataclass
from datetime import date, timedelta

from firstchair.features.segments import ALL, published_values, user_segments
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from monitoring.figures import line_plot

HORIZONS_DAYS = (7, 14)
BASE_DAYS = 28
NEVER_SERVED = "none"


@dataclass(frozen=True, slots=True)
class ChurnReport:
    """What stands in gold/churn for the as_of built.

    rows: cells. mature: those whose label is final. rates: newest churn rate of all users by horizon, 0..1.
    plot: churn of all users by as_of as a Markdown picture.
    """

    rows: int
    mature: int
    simulated: bool
    rates: dict[str, float]
    plot: str


def build_churn(
    lake: Lake,
    *,
    first_as_of: date,
    last_as_of: date,
    k_anonymity: int,
    late_tolerance_days: int,
    known_until: date,
) -> ChurnReport:
    """Put the churn cells of these as_of (both included) in place of those partitions.

    A user counts at horizon h on as_of D if active (any event but an impression) in the 28 days before D - h;
    he is churned if not active at all in the h days before D. `mature` once every event up to D has been
    known for `late_tolerance_days`; the days before `first_as_of` that become mature by now are built too.

    Args:
        lake: The tables.
        first_as_of: First day that may not be used, of the first label.
        last_as_of: Of the last.
        k_anonymity: Least users of a cell.
        late_tolerance_days: Days an event may be late.
        known_until: First day (UTC) without complete data.
    """
    first_as_of -= timedelta(days=late_tolerance_days)
    with connect() as connection:
        connection.execute(_labels(lake, first_as_of, last_as_of))
        cells = connection.execute(_cells(k_anonymity, known_until - timedelta(days=late_tolerance_days)))
        table = cells.to_arrow_table()
    lake.replace_range(t.CHURN, table, first_as_of, last_as_of)
    rows = table.to_pylist()
    whole = [row for row in rows if row["segment"] == ALL and row["model_version"] == ALL]
    lines = {
        f"{horizon} days": [(row["as_of"], row["churn_rate"]) for row in whole if row["horizon_days"] == horizon]
        for horizon in HORIZONS_DAYS
    }
    simulated = any(row["simulated"] for row in whole)
    return ChurnReport(
        rows=len(rows),
        mature=sum(row["mature"] for row in rows),
        simulated=simulated,
        rates={name: points[-1][1] for name, points in lines.items() if points},
        plot=line_plot(lines, title="Churn" + (" (simulated)" if simulated else ""), ylabel="share of users"),
    )


def _labels(lake: Lake, first: date, last: date) -> str:
    """SQL of `labelled`: one row per as_of, horizon and user of the base, with his segments and version."""
    horizons = ", ".join(map(str, HORIZONS_DAYS))
    return f"""
        create temp table days as
        select user_key, event_date, bool_or(event_type <> 'impression') as active, bool_or(simulated) as simulated,
               arg_max(model_version, occurred_at) filter (event_type = 'impression') as model_version
        from {lake.scan(t.EVENTS)} where event_date < date '{last}' group by all;
        create temp table labels as
        select a.as_of::date as as_of, h.horizon_days, d.user_key,
               not bool_or(d.active and d.event_date >= a.as_of::date - h.horizon_days) as churned,
               coalesce(arg_max(d.model_version, d.event_date)
                            filter (d.model_version is not null and d.event_date < a.as_of::date - h.horizon_days),
                        '{NEVER_SERVED}') as model_version,
               bool_or(d.simulated) as simulated
        from generate_series(date '{first}', date '{last}', interval 1 day) a(as_of)
        cross join (select unnest([{horizons}]) as horizon_days) h
        join days d on d.event_date < a.as_of::date
        group by all
        having bool_or(d.active and d.event_date < a.as_of::date - h.horizon_days
                       and d.event_date >= a.as_of::date - h.horizon_days - {BASE_DAYS});
        create temp table labelled as
        with versions as (select * from labels union all select * replace ('{ALL}' as model_version) from labels)
        select v.*, s.segment as segment, s.value as segment_value
        from (select v.*, unnest({user_segments(lake, day="(v.as_of - v.horizon_days)")}) as s
              from versions v left join {lake.scan(t.USERS)} u on u.user_key = v.user_key) v;
    """


def _cells(k_anonymity: int, mature_until: date) -> str:
    """SQL of the published cells out of `labelled`."""
    group = "as_of, horizon_days, model_version"
    counted = f"(select {group}, segment, segment_value, count(*) as users from labelled group by all)"
    published = published_values(counted, group=group, k_anonymity=k_anonymity)
    return f"""
        select l.as_of, l.horizon_days::integer as horizon_days, l.segment, p.published as segment_value,
               l.model_version, count(*) as users, count(*) filter (l.churned) as churned,
               avg(l.churned::integer) as churn_rate, l.as_of <= date '{mature_until}' as mature,
               bool_or(l.simulated) as simulated
        from labelled l join {published} p using ({group}, segment, segment_value)
        where p.published is not null
        group by all order by all
    """
