"""Each version against baselines of the same day: trending, random and exploration slots."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

from firstchair.definitions.attribution import shown_sql
from firstchair.definitions.bounds import bounds_sql, counted_sql
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.lake import Lake, connect, under_current_artists
from firstchair.lake import tables as t

CONFIDENCE = 0.95
# An item with a propensity under one half was drawn, not ranked.
EXPLORATION, DRAWN_BELOW = "exploration", 0.5
# Sums of floats depend on the order in which threads deliver them, in the last digits.
DECIMALS = 9
# The holdout and exploration are small, so each row covers this many days.
WINDOW_DAYS = 7


@dataclass(frozen=True, slots=True)
class BaselinesReport:
    """The result of a build of gold/engagement_baselines.

    newest: relative difference on the last day, by version and baseline.
    """

    rows: int
    newest: dict[str, float]


def build_baselines(
    lake: Lake, *, first: date, last: date, baselines: Mapping[str, str], k_anonymity: int
) -> BaselinesReport:
    """Replace the partitions `first` to `last` (both included) of gold/engagement_baselines.

    A row covers the `WINDOW_DAYS` days up to its own: a version's CTR ÷ a baseline's CTR - 1, with
    a 95 % interval by the delta method over users, which includes the correlation from users who
    saw both. Baselines are the versions in `baselines` (the holdout sees trending), pooled by
    family, and `exploration`: slots with an artist drawn at random, equally often at each position,
    against the ranked ones. Clicks count on the day of the impression
    (`firstchair.definitions.attribution`), so the last `SLATE_DAYS` days may still grow on both
    sides; those before `first` are built too, so that daily builds give the same table as one build
    of the range. Rows with fewer than `k_anonymity` users on a side are left out. The weight of a
    user in a CTR is bounded (`definitions.bounds`).

    Args:
        lake: The tables.
        first: First day.
        last: Last day.
        baselines: Family (`trending`, `random`) of each baseline version.
        k_anonymity: Least users.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    first -= timedelta(days=SLATE_DAYS)
    with connect() as connection:
        connection.execute("create temp table baselines (version varchar, family varchar)")
        if baselines:
            connection.executemany(
                "insert into baselines values (?, ?)", [list(pair) for pair in baselines.items()]
            )
        connection.execute(_answered(lake, first, last))
        table = connection.sql(_compared(k_anonymity)).to_arrow_table()
    lake.replace_range(t.BASELINES, table, first, last)
    newest = [row for row in table.to_pylist() if row["event_date"] == last]
    names = {
        f"{row['model_version']} against {row['baseline']}": row["relative_difference"]
        for row in newest
    }
    return BaselinesReport(table.num_rows, names)


def _answered(lake: Lake, first: date, last: date) -> str:
    """SQL of `answered`: impressions and clicks of each window, by user and kind of slot."""
    return f"""
        create temp view happened as
        select * from {under_current_artists(lake, t.EVENTS)}
        where event_date >= date '{first}' - {WINDOW_DAYS - 1}
              and event_date <= date '{last}' + {SLATE_DAYS};
        create temp table answered as
        with slots as (
            select user_key, event_date as day, model_version as version,
                   propensity < {DRAWN_BELOW} as drawn, simulated, clicked
            from ({shown_sql("happened")})),
        days as (
            select d::date as counted_on
            from generate_series(date '{first}', date '{last}', interval 1 day) s(d))
        select counted_on as day, user_key, version, coalesce(drawn, false) as drawn, family,
               bool_or(simulated) as simulated, count(*)::double as n,
               count(*) filter (clicked)::double as c
        from slots left join baselines y using (version)
        join days on counted_on - day between 0 and {WINDOW_DAYS - 1} where version is not null
        group by all;
    """


def _compared(k_anonymity: int) -> str:
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    cell = "day, version, baseline"
    return f"""
        with ours as (
            select day, user_key, version, simulated, n, c from answered
            where family is null and not drawn),
        theirs as (
            select day, user_key, family as baseline, null as of_version, n, c
            from answered where family is not null and not drawn
            union all
            select day, user_key, '{EXPLORATION}', version, n, c from answered
            where family is null and drawn),
        pairs as (
            -- Without users first: all users of one side by all of the other are their square.
            select distinct o.day, o.version, t.baseline
            from (select distinct day, version from ours) o
            join (select distinct day, baseline, of_version from theirs) t on t.day = o.day
                and coalesce(t.of_version, o.version) = o.version),
        rows as (
            select p.*, o.user_key, o.n, o.c, 0 as bn, 0 as bc, o.simulated
            from pairs p join ours o on o.day = p.day and o.version = p.version
            union all
            select p.*, t.user_key, 0, 0, t.n, t.c, false
            from pairs p join theirs t on t.day = p.day and t.baseline = p.baseline
                                          and coalesce(t.of_version, p.version) = p.version),
        whole_users as materialized (
            select day, version, baseline, user_key, sum(n) as n, sum(c) as c, sum(bn) as bn,
                   sum(bc) as bc,
                   bool_or(simulated) as simulated from rows group by all),
        users as (
            select u.* replace ({_counted("n", "n")}, {_counted("c", "n")},
                                {_counted("bn", "bn")}, {_counted("bc", "bn")}),
                   u.n as shown, u.bn as baseline_shown
            from whole_users u
            left join {bounds_sql("whole_users", cell=cell, weight="n")} of_n using ({cell})
            left join {bounds_sql("whole_users", cell=cell, weight="bn")} of_bn using ({cell})),
        rated as (
            select *, sum(c) over cell / sum(n) over cell as ctr,
                   sum(bc) over cell / sum(bn) over cell as baseline_ctr,
                   sum(n) over cell as whole, sum(bn) over cell as baseline_whole
            from users window cell as (partition by {cell}))
        select day as event_date, version as model_version, baseline,
               count(*) filter (n > 0) as users, count(*) filter (bn > 0) as baseline_users,
               sum(shown)::bigint as impressions,
               sum(baseline_shown)::bigint as baseline_impressions,
               any_value(ctr) as ctr, any_value(baseline_ctr) as baseline_ctr,
               any_value(ctr / nullif(baseline_ctr, 0)) as ratio, ratio - 1 as relative_difference,
               round(ratio * {z} * sqrt(
                   sum(((c - ctr * n) / whole / nullif(ctr, 0)
                        - (bc - baseline_ctr * bn) / baseline_whole / nullif(baseline_ctr, 0)) ** 2)
                   * count(*) / nullif(count(*) - 1, 0)), {DECIMALS}) as half,
               ratio - 1 - half as lower, ratio - 1 + half as upper, bool_or(simulated) as simulated
        from rated group by all
        having users >= {k_anonymity} and baseline_users >= {k_anonymity}
        order by event_date, model_version, baseline
    """


def _counted(name: str, weight: str) -> str:
    return f"{counted_sql(name, weight=weight, bound=f'of_{weight}.bound')} as {name}"
