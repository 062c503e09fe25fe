"""One day's monitoring of 200,000 users and 4 million impressions: seconds and memory by concern.

Run with `python -m benchmarks.monitoring_scale [--users N] [--impressions N] [--days N]`. Silver
tables are drawn directly; the newest day holds all the impressions, each earlier one a tenth of
them. One user in `HOLDOUT` sees the lists of a baseline, and one slate in `EXPLORING` has an
exploration slot. Measured in a process of its own.
"""

import argparse
import multiprocessing
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import perf_counter, process_time

import pyarrow as pa

from firstchair.events import reconcile
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.memory import limit_engine

MEMORY_LIMIT = 2 * 2**30
START = date(2026, 1, 5)
ARTISTS, SLATE = 20_000, 10
SERVED, BASELINE = "1", "2"
HOLDOUT, EXPLORING = 50, 10


def main() -> None:
    """Draw the tables, then measure."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--users", type=int, default=200_000)
    arguments.add_argument("--impressions", type=int, default=4_000_000)
    arguments.add_argument("--days", type=int, default=42)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(f"{folder}/lake", index=Path(folder) / "event-index")
        draw_accounts(lake, asked.users)
        for number in range(asked.days):
            share = 1.0 if number == asked.days - 1 else 0.1
            draw_day(lake, number, asked.users, int(share * asked.impressions))
        print(
            f"{lake.count(t.EVENTS):,} events over {asked.days} days, {asked.users:,} users",
            flush=True,
        )
        reconcile(lake)  # ingestion leaves the index of events behind
        process = multiprocessing.get_context("spawn").Process(
            target=measure, args=(lake, asked.days)
        )
        process.start()
        process.join()


def draw_accounts(lake: Lake, users: int) -> None:
    """Users, artists and tracks."""
    with connect() as connection:
        lake.overwrite(
            t.USERS,
            connection.sql(f"""
                select md5(i::varchar) as user_key,
                       ['18-24', '25-34', '35-44', '45-54'][1 + i % 4] as age_group,
                       ['female', 'male'][1 + i % 2] as gender,
                       'C' || chr((65 + i % 20)::integer) as country,
                       null::varchar as state,
                       null::varchar as city, timestamptz '2024-01-01 00:00:00+00' as created_at
                from range({users}) r(i)""").to_arrow_table(),
        )
        lake.overwrite(
            t.ARTISTS,
            connection.sql(f"""
                select 'a' || i as artist_id, 'n' as name, date '2010-01-01' as first_active_on,
                       1 + i as followers,
                       []::varchar[] as genres from range({ARTISTS}) r(i)""").to_arrow_table(),
        )
        lake.overwrite(
            t.TRACKS,
            connection.sql(f"""
                select 't' || i as track_id, 'a' || i as artist_id, '' as title,
                       200000 as duration_ms,
                       date '2010-01-01' as released_on
                       from range({ARTISTS}) r(i)""").to_arrow_table(),
        )


def draw_day(lake: Lake, number: int, users: int, impressions: int) -> None:
    """A day: slates of ten, one click in twelve, two plays and a login a slate."""
    day = START + timedelta(days=number)
    slates = impressions // SLATE
    with connect() as connection:
        rows = connection.sql(f"""
            with slates as (
                select s, 'd{number}-' || s as slate_id,
                       md5((hash(s, {number}) % {users})::varchar) as user_key
                from range({slates}) r(s)),
            slots as (
                select *, p, 'a' || (hash(s, p, {number}) % {ARTISTS}) as artist_id,
                       hash(p, s, 7) % 12 = 0 as hit,
                       if(hash(user_key) % {HOLDOUT} = 0, '{BASELINE}', '{SERVED}') as version,
                       s % {EXPLORING} = 0 and p = s // {EXPLORING} % {SLATE} as drawn
                from slates, range({SLATE}) q(p)),
            happened as (
                select 'impression' as event_type, user_key, slate_id, p + 1 as position, artist_id,
                       null as track_id,
                       version as model_version,
                       if(drawn, 0.1 / {ARTISTS}, 0.99) as propensity, null as ms_played from slots
                union all select 'click', user_key, slate_id, p + 1, artist_id, null, null, null,
                    null
                from slots where hit
                union all select 'play', user_key, null, null, artist_id, 't' || artist_id[2:],
                    null, null,
                                 20000 + hash(s, p) % 180000 from slots where p < 2
                union all select 'login', user_key, null, null, null, null, null, null, null
                from slates)
            select 'd{number}-' || row_number() over () as event_id, event_type,
                   timestamptz '{day} 12:00:00+00' as occurred_at, date '{day}' as event_date,
                   user_key,
                   'web' as source, row_number() over () as source_seq, true as simulated, slate_id,
                   position,
                   artist_id, track_id, model_version, propensity, 'home' as surface, ms_played,
                   null::varchar as extra from happened""")
        accepted = rows.to_arrow_table()
        lake.replace_partition(t.EVENTS, accepted, day)
        connection.register("accepted", accepted)
        landed = connection.sql(f"""
            select *, 'd{number}' as object_url, source_seq as line, 'b{number}' as batch_id,
                   timestamptz '{day + timedelta(days=1)} 02:30:00+00' as ingested_at
                   from accepted""")
        lake.replace_partition(t.BRONZE_EVENTS, landed.to_arrow_table(), day)
        read = {name: [None] for name in t.OBJECTS.schema.names}
        read |= {"object_url": [f"d{number}"], "status": ["done"]}
        read |= {"ingested_at": [datetime.combine(day + timedelta(days=1), time(2, 30), UTC)]}
        lake.append(t.OBJECTS, pa.table(read, schema=t.OBJECTS.schema))


def measure(lake: Lake, days: int) -> None:
    """Print seconds of each concern and the most memory it took, and those of all of them."""
    import monitoring

    limit_engine(MEMORY_LIMIT)
    last = START + timedelta(days=days - 1)
    as_of = last + timedelta(days=1)
    champion = monitoring.Champion(SERVED, as_of - timedelta(days=7))
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder)
        jobs = {
            "engagement": lambda: monitoring.build_engagement(
                lake, first=last, last=last, k_anonymity=20
            ),
            "baselines": lambda: monitoring.build_baselines(
                lake, first=last, last=last, baselines={BASELINE: "trending"}, k_anonymity=20
            ),
            "churn": lambda: monitoring.build_churn(
                lake,
                first_as_of=as_of,
                last_as_of=as_of,
                k_anonymity=20,
                late_tolerance_days=3,
                known_until=as_of,
            ),
            "survival": lambda: monitoring.build_survival(
                lake, as_of=as_of, k_anonymity=20, late_tolerance_days=3
            ),
            "drift": lambda: monitoring.build_drift(
                lake, as_of=as_of, champion=champion, report_folder=pages, k_anonymity=20
            ),
            "quality": lambda: monitoring.build_quality(
                lake, first=last, last=last, report_folder=pages
            ),
            "overfit": lambda: monitoring.build_overfit(lake, as_of=as_of, report_folder=pages),
        }
        begun, used = perf_counter(), process_time()
        peaks: list[float] = []
        for name, job in jobs.items():
            started, cpu = perf_counter(), process_time()
            forget_peak()
            before = gibibytes("VmRSS")
            job()
            wall, spent = perf_counter() - started, process_time() - cpu
            peaks.append(gibibytes("VmHWM"))
            took = f"{wall:.1f} s ({spent:.1f} s of processors)"
            print(f"  {name}: {took}, from {before:.2f} to at most {peaks[-1]:.2f} GiB", flush=True)
        wall, spent = perf_counter() - begun, process_time() - used
    print(
        f"all: {wall:.1f} s ({spent:.1f} s of processors), at most {max(peaks):.2f} GiB; limits "
        "180 s and 4 GiB"
    )


def forget_peak() -> None:
    """Begin the kernel's high-water mark of this process's memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def gibibytes(name: str) -> float:
    """Resident memory of this process: `VmRSS` now, `VmHWM` at most since the mark began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 2**20


if __name__ == "__main__":
    main()
