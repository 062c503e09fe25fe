"""Which alerts a healthy week raises, and which a week with a fault, by kind.

Run with `python -m benchmarks.healthy_weeks [--worlds N] [--users N] [--scenario NAME]
[--decisions] [--fault NAME]`. After four weeks of history, seven days are lived: the day's events
are delivered just after midnight, the day is built at 02:30, and at noon some events of the day
that is not over arrive through the API. The alerts are those of `alert_sensor`, which looks seven
times a day.

The tables are built by the code of the pipeline, without Dagster; in place of models and lists
stands one row, so that nothing is decided. With `--decisions` each morning is a whole `run` with
all families and the gate, on what was published the day before, which takes a minute a day. In a
scenario with an incident it happens on the third day. Where delivery is imperfect, the world plants
a hole in the sequence numbers of a source, which is to be found.

With `--fault` the fault of that name (`benchmarks.faults`) is planted on the third day. Two need
runs of Dagster: a full disk, where a run fails, and a bad refit, where ALS and XGBoost are fitted
each day and put before the gate. For each kind of alert it is printed how many hours after the end
of that day it was first and last there. What one week of each fault raised is in
docs/monitoring.md.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from benchmarks.faults import FAULTS, Fault

START, HISTORY, WEEK = date(2026, 1, 1), 28, 7
INCIDENT_ON = HISTORY + 2
ONE_DAY = timedelta(days=1)
# Hours and minutes after the end of a day at which the sensor looks; the build follows the second.
NIGHT, MORNING = ((0, 5), (2, 29)), ((3, 0), (6, 1), (12, 5), (18, 0), (23, 59))
BUILD, NOON = time(2, 30, tzinfo=UTC), time(12, tzinfo=UTC)
API_EVENTS = 20


def main() -> None:
    """Print the alerts of each world, and how many worlds had one, by kind."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--worlds", type=int, default=20)
    arguments.add_argument("--first-seed", type=int, default=1)
    arguments.add_argument("--users", type=int, default=300)
    arguments.add_argument("--scenario", default="steady")
    arguments.add_argument("--decisions", action="store_true")
    arguments.add_argument("--fault", choices=FAULTS)
    asked = arguments.parse_args()
    fault = FAULTS[asked.fault] if asked.fault else Fault(asked.scenario)
    if asked.decisions:
        fault = replace(fault, spared=_reports)
    worlds: dict[str, list[Seen]] = defaultdict(list)
    for seed in range(asked.first_seed, asked.first_seed + asked.worlds):
        found = watch(fault, seed, asked.users)
        print(f"seed {seed}: {len(found)} kinds", flush=True)
        for code, seen in found.items():
            worlds[code].append(seen)
            print(f"  {code} {seen}: {seen.text}", flush=True)
    print(f"{asked.fault or fault.scenario}: {asked.worlds} weeks, {len(worlds)} kinds of alert")
    for code, alerts in worlds.items():
        first, last = ([getattr(seen, end) for seen in alerts] for end in ("first", "last"))
        spans = f"first {_range(first)}, last {_range(last)} hours after the incident's day"
        print(f"  {code} in {len(alerts)}, {spans}: {alerts[0].text}")


@dataclass(slots=True)
class Seen:
    """An alert of a world: its first and last look, in hours after the incident's day, its text."""

    first: float
    last: float
    text: str

    def __str__(self) -> str:
        """Both looks."""
        return f"from {self.first:+.1f} to {self.last:+.1f} h"


def _range(hours: Collection[float]) -> str:
    least, most = min(hours), max(hours)
    return f"{least:+.1f}" if least == most else f"{least:+.1f} to {most:+.1f}"


def _reports() -> set[str]:
    from firstchair.platform.assets import MONITORING

    return set(MONITORING)


def watch(fault: Fault, seed: int, users: int) -> dict[str, Seen]:
    """The alerts of one world by code, with the text of the first look."""
    own = {f"FIRSTCHAIR_{name.upper()}": value for name, value in fault.settings.items()}
    incident_over = datetime.combine(START + (INCIDENT_ON + 1) * ONE_DAY, time(), UTC)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(own, FIRSTCHAIR_HOME=folder)
        found: dict[str, Seen] = {}
        for at, alerts in _Lived(fault, seed, users).week():
            hours = (at - incident_over) / timedelta(hours=1)
            for alert in alerts:
                found.setdefault(alert.code, Seen(hours, hours, alert.text)).last = hours
        return found


class _Lived:
    """A platform and its world; the first four weeks are built when it is made."""

    def __init__(self, fault: Fault, seed: int, users: int) -> None:
        from firstchair.platform import open_platform
        from firstchair.world import World, WorldSpec

        self.platform, self.fault = open_platform(now=datetime(2026, 1, 1, tzinfo=UTC)), fault
        self.spared = None if fault.spared is None else fault.spared()
        settings = self.platform.settings
        spec = WorldSpec(users, 200, HISTORY + WEEK, seed, START, fault.scenario, INCIDENT_ON)
        self.world = World(
            spec,
            accounts=self.platform.databases.accounts,
            events_url=settings.events_url,
            truth=settings.home / "truth",
        )
        self.service: Any = None
        self.dagster: Any = None
        for _ in range(HISTORY):
            last = self.world.step()
        self._ingest(_at(last, NIGHT[0]))
        self._build(START, last)

    def week(self) -> Iterator[tuple[datetime, Any]]:
        """Each look, and what was wrong at it."""
        for _ in range(WEEK):
            day = self._step()
            since = (day - START).days - INCIDENT_ON
            if since >= 0:
                events = Path(self.platform.settings.events_url)
                self.fault.deliver(self.world, events, day, since)
            self._ingest(_at(day, NIGHT[0]))
            yield from (self._look(_at(day, clock)) for clock in NIGHT)
            with nullcontext() if since else self.fault.build(self.platform.settings.home):
                self._build(day, day)
            yield from (self._look(_at(day, clock)) for clock in MORNING[:2])
            self._post(day + ONE_DAY)
            self._ingest(datetime.combine(day + ONE_DAY, NOON))
            yield from (self._look(_at(day, clock)) for clock in MORNING[2:])

    def _step(self) -> date:
        if self._decides():
            from firstchair.commands.living import PlatformService

            self.service = self.service or PlatformService(self.platform, len(self.world.people))
            self.service.reload()
        return self.world.step(self.service)

    def _decides(self) -> bool:
        return self.spared is not None and "published_lists" not in self.spared

    def _look(self, at: datetime) -> tuple[datetime, Any]:
        from dagster_project.execution import run_checks
        from firstchair.platform.alerts import open_alerts

        runs = None if self.dagster is None else run_checks(self.dagster, now=at)
        return at, open_alerts(replace(self.platform, now=at), runs)

    def _ingest(self, at: datetime) -> None:
        from firstchair import events

        p = self.platform
        key = p.settings.secret_pseudonym_key()
        events.ingest(p.lake, events_url=p.settings.events_url, pseudonym_key=key, now=at)

    def _post(self, day: date) -> None:
        """Logins of a day that is not over, as the API delivers them."""
        from firstchair.world import user_id

        count = API_EVENTS * (day - START).days
        logins = [
            {
                "event_id": f"api-{count + number}",
                "event_type": "login",
                "occurred_at": f"{day}T11:{number:02d}:00Z",
                "user_id": user_id(number),
                "source": "api",
                "source_seq": count + number,
            }
            for number in range(API_EVENTS)
        ]
        path = Path(self.platform.settings.events_url) / f"api-{day}.jsonl"
        path.write_text("\n".join(map(json.dumps, logins)))

    def _build(self, first: date, last: date) -> None:
        now = datetime.combine(last + ONE_DAY, BUILD)
        platform = replace(self.platform, now=now)
        if self.spared is None:
            _build_tables(platform, first, last)
        else:
            from dagster_project.instance import open_instance
            from firstchair.commands.run import run

            self.dagster = self.dagster or open_instance(platform.settings)
            run(platform, last=last, without=self.spared)
        if not self._decides():
            _put_stub(platform, last)


def _at(day: date, clock: tuple[int, int]) -> datetime:
    """The instant on the day after."""
    return datetime.combine(day + ONE_DAY, time(*clock, tzinfo=UTC))


def _build_tables(p: Any, first: date, last: date) -> None:
    """What the daily run builds of events and monitoring."""
    from firstchair import events, privacy
    from monitoring import build_engagement, build_quality

    key = p.settings.secret_pseudonym_key()
    privacy.build_users(p.lake, p.databases.accounts, pseudonym_key=key, now=p.now)
    events.build_catalogue(p.lake, p.databases.accounts)
    first = min([first, *(day for day in events.stale_days(p.lake) if day <= last)])
    events.build_events(p.lake, first, last)
    build_engagement(p.lake, first=first, last=last, k_anonymity=p.settings.k_anonymity)
    build_quality(p.lake, first=first, last=last, report_folder=None)


def _put_stub(p: Any, last: date) -> None:
    """One row in place of the day's lists."""
    import pyarrow as pa

    from firstchair.lake import tables as t

    stub = dict.fromkeys(t.RECOMMENDATIONS.schema.names) | {
        "as_of": last + ONE_DAY,
        "user_key": "nobody",
    }
    lists = pa.Table.from_pylist([stub], schema=t.RECOMMENDATIONS.schema)
    p.lake.replace_partition(t.RECOMMENDATIONS, lists, last + ONE_DAY)


if __name__ == "__main__":
    main()
