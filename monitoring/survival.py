"""How long users stay with a version: Kaplan-Meier curves (1958) by cell."""

from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

from firstchair.definitions.churn import ACTIVE, HORIZONS_DAYS, in_horizon, mature_until
from firstchair.definitions.segments import ALL
from firstchair.definitions.small_cells import published_cells
from firstchair.features.segments import user_segments
from firstchair.lake import Lake, connect, known_users
from firstchair.lake import tables as t

# A user has left if they are churned at the longest horizon.
SILENCE_DAYS = max(HORIZONS_DAYS)
# Days within which users of a curve began.
COHORT_DAYS = 90
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class SurvivalReport:
    """The result of a build of gold/survival: rows, and survival at one and two weeks."""

    as_of: date
    rows: int
    after_7_days: float | None
    after_14_days: float | None


def build_survival(
    lake: Lake, *, as_of: date, k_anonymity: int, late_tolerance_days: int
) -> SurvivalReport:
    """Replace the partition `as_of` of gold/survival by its curves.

    A user joins the cohort of a version on the first of the last `COHORT_DAYS` days on which it
    served them, and stays in it whichever version serves later. They have left on the first day
    from which they were not active (any event but an impression) for `SILENCE_DAYS` days. That may
    be the day on which they joined, day 0 of the curve. It is known once such a churn label is
    mature; until then they are censored. Cells are every segment over all versions, and every
    version over all users. lower, upper: 95 %, log-log with Greenwood's variance. A curve ends when
    fewer than `k_anonymity` users are at risk.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    mature = mature_until(as_of, late_tolerance_days=late_tolerance_days)
    known_until = mature - timedelta(days=SILENCE_DAYS)
    with connect() as connection:
        connection.execute(_lives(lake, as_of, known_until))
        connection.execute(_cohorts(lake, k_anonymity))
        table = connection.sql(_curves(as_of, k_anonymity)).to_arrow_table()
    lake.replace_partition(t.SURVIVAL, table, as_of)
    whole = {
        r["day"]: r["survival"]
        for r in table.to_pylist()
        if r["segment"] == r["model_version"] == ALL
    }
    return SurvivalReport(as_of, table.num_rows, _after(whole, 7), _after(whole, 14))


def _after(curve: dict[int, float], days: int) -> float | None:
    """Survival after so many days: that of the last day on which somebody left or was censored.

    None where the curve ends before.
    """
    if max(curve, default=-1) < days:
        return None
    reached = [day for day in curve if day <= days]
    return curve[max(reached)] if reached else 1.0


def _lives(lake: Lake, as_of: date, known_until: date) -> str:
    """SQL of `lives`: first day of each user and version, and days until they left.

    A user who has not left is censored on the last day on which they were known to stay.
    """
    first = as_of - timedelta(days=COHORT_DAYS)
    came_back = in_horizon("next_day", "(day + 1)", SILENCE_DAYS)
    was_there = in_horizon("a.day", "b.began", SILENCE_DAYS)
    return f"""
        create temp table lives as
        with begun as (
            select user_key, coalesce(model_version, '{ALL}') as model_version,
                   min(event_date) as began,
                   bool_or(simulated) as simulated
            from {lake.scan(t.EVENTS)}
            where event_type = 'impression' and event_date >= date '{first}'
                and event_date < date '{known_until}'
            group by grouping sets ((user_key, model_version), (user_key))),
        active as (
            select distinct user_key, event_date as day from {lake.scan(t.EVENTS)}
            where {ACTIVE} and event_date >= date '{first}' and event_date < date '{as_of}'),
        left_on as (
            select user_key, day, day + 1 as gone
            from (select *, lead(day) over (partition by user_key order by day) as next_day
                from active)
            where day + 1 <= date '{known_until}' and not coalesce({came_back}, false)),
        seen as (
            select b.*, coalesce({was_there}, false) as was_there
            from begun b asof left join active a
                on a.user_key = b.user_key and b.began <= a.day),
        ended as (
            select s.user_key, s.model_version, s.began, s.simulated,
                   case when s.was_there then min(l.gone) else s.began end as gone
            from seen s left join left_on l on l.user_key = s.user_key and l.day >= s.began
            group by s.user_key, s.model_version, s.began, s.simulated, s.was_there)
        select user_key, model_version, began, simulated, gone is not null as has_left,
               coalesce(gone, date '{known_until}') - began as days
        from ended;
    """


def _cohorts(lake: Lake, k_anonymity: int) -> str:
    """SQL of `cohorts`: lives by published cell."""
    cell = "segment, segment_value, model_version"
    counted = f"(select 1 as whole, {cell}, count(*) as users from cells group by all)"
    published = published_cells(counted, group="whole", k_anonymity=k_anonymity)
    return f"""
        create temp table cells as
        select * exclude (s), s.segment as segment, s.value as segment_value
        from (select l.*, unnest({user_segments(day="l.began")}) as s
              from lives l left join {known_users(lake)} u using (user_key))
        where model_version = '{ALL}' or s.segment = '{ALL}';
        create temp table cohorts as
        select l.* replace (p.published as segment_value)
        from cells l join {published} p using ({cell})
        where p.published is not null;
    """


def _curves(as_of: date, k_anonymity: int) -> str:
    cell = "segment, segment_value, model_version"
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return f"""
        with ends as (
            select {cell}, days::integer as day, count(*) as ended,
                   count(*) filter (has_left) as "left"
            from cohorts group by all),
        sizes as (
            select {cell}, count(*) as users, bool_or(simulated) as simulated
            from cohorts group by all),
        risks as (
            select *, users - coalesce(sum(ended) over (
                       earlier rows between unbounded preceding and 1 preceding), 0)
                      as at_risk
            from ends join sizes using ({cell})
            window earlier as (partition by {cell} order by day)),
        steps as (
            select *, sum(ln(greatest(1 - "left" / at_risk, 1e-12))) over upto as log_survival,
                   sum("left" / nullif(at_risk * (at_risk - "left"), 0)) over upto as greenwood
            from risks where at_risk >= {k_anonymity}
            window upto as (partition by {cell} order by day)),
        bounded as (
            select *, exp(log_survival) as survival,
                   {z} * sqrt(greenwood) / nullif(abs(log_survival), 0) as half from steps)
        select date '{as_of}' as as_of, {cell}, day, users, at_risk::bigint as at_risk, "left",
               survival,
               coalesce(survival ** exp(half), survival) as lower,
               coalesce(survival ** exp(-half), survival) as upper, simulated
        from bounded order by {cell}, day
    """
