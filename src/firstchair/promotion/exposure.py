"""Evidence of the stages with traffic: what each user of an arm was shown and did each day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from firstchair.definitions import churn
from firstchair.definitions.arms import HOLDOUT, Arms, Kept
from firstchair.definitions.attribution import shown_sql
from firstchair.definitions.follower_tiers import SMALL
from firstchair.definitions.metrics import BEFORE, LATE
from firstchair.definitions.segments import user_segment_columns
from firstchair.events import blocked_days
from firstchair.features.segments import follower_tiers
from firstchair.lake import Lake, connect, known_users, under_current_artists
from firstchair.lake import tables as t
from firstchair.promotion.experiment.choices import LATE_DAYS
from firstchair.promotion.experiment.evidence import ARMS, BEFORE_DAYS
from firstchair.promotion.kept_buckets import kept_buckets
from firstchair.promotion.stages import Phase, arms_of

# A churn label is final after this many days; outcomes follow their impression sooner.
REACHES_BACK = max(churn.HORIZONS_DAYS)
# SQL of the first day of a label's horizon, in a row of the day `p.day`.
LABEL_CUT = "(p.day + 1)"


@dataclass(frozen=True, slots=True)
class Span:
    """A phase and its last day; None while it is running."""

    phase: Phase
    last_day: date | None


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """Rows built in gold/evidence, users by arm on the last day, and number of phases."""

    rows: int
    champion_users: int
    challenger_users: int
    phases: int


def build_evidence(
    lake: Lake,
    spans: Sequence[Span],
    *,
    first: date,
    last: date,
    salt: str,
    holdout_share: float,
    known_until: date,
) -> EvidenceReport:
    """Replace the partitions `first` to `last` (both included) of gold/evidence.

    Days before `first` whose churn labels change are built too, so that daily builds give the same
    table as one build of the range. A user's arm follows from their bucket, whatever they were
    shown.

    Args:
        lake: The tables.
        spans: Phases with traffic, from the ledger.
        first: First day.
        last: Last day.
        salt: Of the platform's arms.
        holdout_share: Share of users, 0..1, who see trending for good and are in neither arm.
        known_until: First day (UTC) without complete data.
    """
    first -= timedelta(days=REACHES_BACK)
    tables = [t.EVIDENCE.schema.empty_table()]
    met = list(_overlapping(spans, first, last))
    for span, start, end in met:
        assigned = _assigned(lake, span.phase, salt=salt, holdout_share=holdout_share)
        tables.append(_rows(lake, span.phase, assigned, start, end, known_until))
    rows = pa.concat_tables(tables)
    if met or lake.count(t.EVIDENCE, f"day between date '{first}' and date '{last}'"):
        lake.replace_range(t.EVIDENCE, rows, first, last)
    counted = dict.fromkeys(ARMS, 0)
    for row in (
        rows.filter(pa.compute.equal(rows.column("day"), last))
        .column("arm")
        .value_counts()
        .to_pylist()
    ):
        counted[row["values"]] = row["counts"]
    return EvidenceReport(rows.num_rows, counted["champion"], counted["challenger"], len(met))


def known_before(lake: Lake, first_day: date, *, salt: str, holdout_share: float) -> pa.Table:
    """Sums over the days before a stage, of every user who could be assigned.

    They are those of the evidence of a stage that begins on `first_day`. No event at or after that
    day is used.

    Args:
        lake: The tables.
        first_day: Of the stage.
        salt: Of the platform's arms.
        holdout_share: Share of users, 0..1, who see trending for good and are left out.

    Returns:
        One row a user outside the holdout, sorted by `user_key`: the columns of `BEFORE` and
        `LATE`.
    """
    kept = kept_buckets(lake)
    arms = Arms.without_stage(holdout_salt=salt, holdout_share=holdout_share, kept=kept)
    keys = _users_on(lake, first_day)
    roles = zip(keys, _roles(arms, keys), strict=True)
    free = [key for key, role in roles if role != HOLDOUT]
    known = (*BEFORE.values(), *LATE.values())
    names = ", ".join(f"coalesce({name}, 0) as {name}" for name in known)
    earliest = first_day - timedelta(days=BEFORE_DAYS)
    with connect() as connection:
        connection.register("assigned", pa.table({"user_key": pa.array(free, pa.string())}))
        connection.execute(_happened(lake, earliest, until=first_day))
        connection.execute(_daily())
        connection.execute(_bad(lake, earliest, first_day))
        connection.execute(_before(first_day))
        return connection.sql(
            f"select user_key, {names} from assigned left join before using (user_key) "
            "order by user_key"
        ).to_arrow_table()


def stage_rows(phase: Phase, *, before: date, without: Sequence[date] = ()) -> str:
    """SQL condition for the rows of a phase in gold/evidence before a day, without some days."""
    left_out = "".join(f" and day <> date '{day}'" for day in without)
    return (
        f"day >= date '{phase.first_day}' and day < date '{before}' and stage = '{phase.stage}' "
        f"and challenger_version = '{phase.treatment}'{left_out}"
    )


def _overlapping(
    spans: Sequence[Span], first: date, last: date
) -> Iterator[tuple[Span, date, date]]:
    for span in spans:
        start, end = max(first, span.phase.first_day), min(last, span.last_day or last)
        if start <= end:
            yield span, start, end


def assigned_arms(
    phase: Phase,
    user_keys: Sequence[str],
    *,
    salt: str,
    holdout_share: float,
    kept: Kept | None = None,
) -> list[str | None]:
    """Arm (`champion`, `challenger`) of each user in a phase; None in the holdout.

    Args:
        phase: With traffic.
        user_keys: Pseudonyms, 32 hex digits each.
        salt: Of the platform's arms.
        holdout_share: Share of users, 0..1, who see trending for good.
        kept: Buckets of users who keep one.
    """
    arms = arms_of(phase, salt=salt, holdout_share=holdout_share, kept=kept)
    (treatment, _), (control, _), _ = arms.bounds
    named = {treatment: "challenger", control: "champion", HOLDOUT: None}
    return [named[role] for role in _roles(arms, user_keys)]


def _roles(arms: Arms, user_keys: Sequence[str]) -> list[str]:
    """The role whose lists each user sees."""
    return [arms.role(arms.bucket(bytes.fromhex(key))) for key in user_keys]


def _users_on(lake: Lake, assigned_on: date) -> list[str]:
    """Users who have an account, or had one on the day of the assignment.

    One who closes it later is in the evidence of every day: to leave is an outcome.
    """
    with connect() as connection:
        rows = connection.sql(
            f"select user_key from {known_users(lake)} "
            f"where left_on is null or left_on >= date '{assigned_on}' order by user_key"
        ).fetchall()
    return [key for (key,) in rows]


def _assigned(lake: Lake, phase: Phase, *, salt: str, holdout_share: float) -> pa.Table:
    """The arm of every user who is in one, whether or not they have an account still."""
    keys = _users_on(lake, phase.assigned_on)
    kept = kept_buckets(lake)
    arms = assigned_arms(phase, keys, salt=salt, holdout_share=holdout_share, kept=kept)
    inside = [(key, arm) for key, arm in zip(keys, arms, strict=True) if arm is not None]
    return pa.table(
        {
            "user_key": pa.array([key for key, _ in inside], pa.string()),
            "arm": pa.array([arm for _, arm in inside], pa.string()),
        }
    )


def _rows(
    lake: Lake, phase: Phase, assigned: pa.Table, start: date, end: date, known_until: date
) -> pa.Table:
    earliest = min(phase.assigned_on, start) - timedelta(days=max(BEFORE_DAYS, churn.BASE_DAYS))
    with connect() as connection:
        connection.register("assigned", assigned)
        connection.execute(_happened(lake, earliest))
        connection.execute(_daily())
        connection.execute(_tail(lake))
        connection.execute(_bad(lake, earliest, end))
        connection.execute(_before(phase.assigned_on))
        return (
            connection.sql(_evidence(lake, phase, start, end, known_until))
            .to_arrow_table()
            .cast(t.EVIDENCE.schema)
        )


def _happened(lake: Lake, earliest: date, *, until: date | None = None) -> str:
    """SQL of `happened`, events of users in an arm, and of `shown`, their impressions and outcomes.

    until: First day whose events do not count; None for no limit.
    """
    ends = "" if until is None else f" and event_date < date '{until}'"
    return f"""
        create temp table happened as
        select e.* from {under_current_artists(lake, t.EVENTS)} e join assigned using (user_key)
        where event_date >= date '{earliest}'{ends};
        create temp table shown as
        select user_key, event_date, artist_id, clicked, followed, plays
        from ({shown_sql("happened")});
        create temp view lengths as
        select track_id, duration_ms from {lake.scan(t.TRACKS)} where duration_ms > 0;
    """


def _daily() -> str:
    """SQL of `daily`: one row per user and day, outcomes on the day of the impression."""
    return f"""
        create temp table daily as
        select user_key, day, {", ".join(f"coalesce(sum({name}), 0) as {name}" for name in _SUMS)},
               coalesce(max(active), 0) as active
        from (
            select user_key, event_date as day, count(*) as impressions,
                   count(*) filter (clicked) as clicks, count(*) filter (followed) as followed
            from shown group by all
            union all by name
            select s.user_key, s.day, count(*) as plays,
                   sum(least(e.ms_played, k.duration_ms)) as ms_played,
                   sum(k.duration_ms) as track_ms
            from (select user_key, event_date as day, unnest(plays) as event_id from shown) s
            join happened e using (event_id) join lengths k using (track_id)
            where e.ms_played is not null group by all
            union all by name
            select distinct user_key, event_date as day, 1 as active
            from happened where {churn.ACTIVE}
        ) group by all;
    """


def _tail(lake: Lake) -> str:
    """SQL of `tail`: impressions of small artists by user and day.

    They are those with at most the median followers of the catalogue as it is now.
    """
    small = ", ".join(f"'{tier}'" for tier in SMALL)
    return f"""
        create temp table tail as
        select user_key, event_date as day, count(*) as tail_impressions
        from shown join {follower_tiers(lake)} using (artist_id)
        where follower_tier in ({small}) group by all;
    """


_SUMS = ("impressions", "clicks", "plays", "ms_played", "track_ms", "followed")


def _bad(lake: Lake, earliest: date, end: date) -> str:
    """SQL of `bad`: days with bad records, up to the last day that a label of `end` needs."""
    days = blocked_days(lake, earliest, end + timedelta(days=REACHES_BACK))
    values = ", ".join(f"date '{day}'" for day in days)
    return f"create temp table bad as select unnest([{values}]::date[]) as day;"


def _before(assigned_on: date) -> str:
    """SQL of `before`: sums of each user over the days before the assignment, without bad days.

    Later days would not do: a step of the ramp, and probation, begin when the arms have seen two
    models for days, and what is known from those days holds a part of the effect.

    The columns of `LATE` are of the newest `LATE_DAYS` of these days.
    """
    late = f"filter (where day >= date '{assigned_on}' - {LATE_DAYS})"
    sums = [f"sum({name}) as {before}" for name, before in BEFORE.items()]
    sums += [f"sum({name}) {late} as {newest}" for name, newest in LATE.items()]
    return f"""
        create temp table before as
        select user_key, {", ".join(sums)}
        from daily anti join bad using (day)
        where day >= date '{assigned_on}' - {BEFORE_DAYS} and day < date '{assigned_on}'
        group by all;
    """


def _evidence(lake: Lake, phase: Phase, start: date, end: date, known_until: date) -> str:
    """SQL of the rows.

    Each user whose account was made on the first day of the phase or before has one on that day, of
    zeros if absent. Others have rows of the days on which they came, whenever it is built.
    """
    names = (*_SUMS, "active")
    values = ", ".join(f"coalesce(d.{name}, 0) as {name}" for name in names)
    before = ", ".join(f"coalesce(b.{name}, 0) as {name}" for name in BEFORE.values())
    segments = user_segment_columns(f"date '{phase.assigned_on}'")
    labels = ", ".join(_label(label, days, known_until) for label, days in churn.LABELS.items())
    within = {days: churn.in_horizon("day", LABEL_CUT, days) for days in churn.HORIZONS_DAYS}
    back = ", ".join(f"bool_or({inside}) as back_within_{days}" for days, inside in within.items())
    return f"""
        with present as (
            select user_key, day from daily where day between date '{start}' and date '{end}'
            union
            select user_key, date '{phase.first_day}' from assigned
            join {known_users(lake)} using (user_key)
            where date '{phase.first_day}' between date '{start}' and date '{end}'
            and coalesce(created_at::date <= date '{phase.first_day}', true)),
        actives as (select user_key, day from daily where active = 1)
        select p.day, p.user_key, a.arm,
               {segments}, {values}, {labels}, {before},
               coalesce(s.tail_impressions, 0) as tail_impressions,
               '{phase.stage}' as stage, cast('{phase.share!r}' as double) as share,
               '{phase.control}' as champion_version, '{phase.treatment}' as challenger_version
        from present p join assigned a using (user_key)
        join {known_users(lake)} u using (user_key)
        left join daily d on d.user_key = p.user_key and d.day = p.day
        left join tail s on s.user_key = p.user_key and s.day = p.day
        left join before b on b.user_key = p.user_key
        left join lateral (
            select bool_or({churn.in_base("day", LABEL_CUT)}) as in_base, {back}
            from actives x where x.user_key = p.user_key) n on true
    """


def _label(label: str, horizon_days: int, known_until: date) -> str:
    """SQL of a churn label; null while its days are incomplete or bad, and outside the base."""
    complete = churn.mature_until(known_until, late_tolerance_days=0)
    bad = churn.in_horizon("bad.day", LABEL_CUT, horizon_days)
    return f"""
        case when {LABEL_CUT} + {horizon_days} > date '{complete}' or not coalesce(n.in_base, false)
                  or exists (select 1 from bad where {bad}) then null
             else (not n.back_within_{horizon_days})::tinyint end as {label}"""
