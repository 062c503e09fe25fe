"""Which alerts a healthy week raises, and which a week with a fault, by kind.

Run with `python -m benchmarks.healthy_weeks [--worlds N] [--users N] [--scenario NAME]
[--decisions]`. After four weeks of history, seven days are lived: the day's events are delivered
just after midnight, the day is built at 02:30, and at noon some events of the day that is not over
arrive through the API. The alerts are those of `alert_sensor`, which looks seven times a day.

The tables are built by the code of the pipeline, without Dagster; in place of models and lists
stands one row, so that nothing is decided. With `--decisions` each morning is a whole `run` with
all families and the gate, on what was published the day before, which takes a minute a day. In a
scenario with an incident it happens on the third day. Where delivery is imperfect, the world plants
a hole in the sequence numbers of a source, which is to be found.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

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
    asked = arguments.parse_args()
    seeds = range(asked.first_seed, asked.first_seed + asked.worlds)
    worlds: Counter[str] = Counter()
    for seed in seeds:
        told = watch(asked.scenario, seed, asked.users, decisions=asked.decisions)
        worlds.update(told.keys())
        print(f"seed {seed}: {len(told)} kinds", flush=True)
        for code, (at, text) in told.items():
            print(f"  {code} at {at:%a %d %H:%M}: {text}", flush=True)
    found = dict(worlds) or "none"
    print(f"{asked.scenario}: {asked.worlds} weeks, worlds with an alert by kind: {found}.")


Alerts = dict[str, tuple[datetime, str]]


def watch(scenario: str, seed: int, users: int, *, decisions: bool) -> Alerts:
    """The alerts of one world by code, each with its first look and what it said there."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FIRSTCHAIR_HOME"] = folder
        lived = _Lived(scenario, seed, users, decisions=decisions)
        told: Alerts = {}
        for at, alerts in lived.week():
            for alert in alerts:
                told.setdefault(alert.code, (at, alert.text))
        return told


class _Lived:
    """A platform and its world; the first four weeks are built when it is made."""

    def __init__(self, scenario: str, seed: int, users: int, *, decisions: bool) -> None:
        from firstchair.platform import open_platform
        from firstchair.world import World, WorldSpec

        self.platform, self.decisions = (
            open_platform(now=datetime(2026, 1, 1, tzinfo=UTC)),
            decisions,
        )
        settings = self.platform.settings
        spec = WorldSpec(users, 200, HISTORY + WEEK, seed, START, scenario, INCIDENT_ON)
        self.world = World(
            spec,
            accounts=self.platform.databases.accounts,
            events_url=settings.events_url,
            truth=settings.home / "truth",
        )
        self.service: Any = None
        for _ in range(HISTORY):
            last = self.world.step()
        self._ingest(_at(last, NIGHT[0]))
        self._build(START, last)

    def week(self) -> Iterator[tuple[datetime, Any]]:
        """Each look, and what was wrong at it."""
        for _ in range(WEEK):
            day = self._step()
            self._ingest(_at(day, NIGHT[0]))
            yield from (self._look(_at(day, clock)) for clock in NIGHT)
            self._build(day, day)
            yield from (self._look(_at(day, clock)) for clock in MORNING[:2])
            self._post(day + ONE_DAY)
            self._ingest(datetime.combine(day + ONE_DAY, NOON))
            yield from (self._look(_at(day, clock)) for clock in MORNING[2:])

    def _step(self) -> date:
        if self.decisions:
            from firstchair.commands.living import PlatformService

            self.service = self.service or PlatformService(self.platform, len(self.world.people))
            self.service.reload()
        return self.world.step(self.service)

    def _look(self, at: datetime) -> tuple[datetime, Any]:
        from firstchair.platform.alerts import open_alerts

        return at, open_alerts(replace(self.platform, now=at))

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
        if self.decisions:
            from firstchair.commands import run
            from firstchair.commands.run import MONITORING

            run(platform, last=last, without=MONITORING)
            return
        _build_tables(platform, first, last)


def _at(day: date, clock: tuple[int, int]) -> datetime:
    """The instant on the day after."""
    return datetime.combine(day + ONE_DAY, time(*clock, tzinfo=UTC))


def _build_tables(p: Any, first: date, last: date) -> None:
    """What the daily run builds of events and monitoring, and a row in place of the lists."""
    import pyarrow as pa

    from firstchair import events, privacy
    from firstchair.lake import tables as t
    from monitoring import build_engagement, build_quality

    key = p.settings.secret_pseudonym_key()
    privacy.build_users(p.lake, p.databases.accounts, pseudonym_key=key, now=p.now)
    events.build_catalogue(p.lake, p.databases.accounts)
    first = min([first, *(day for day in events.stale_days(p.lake) if day <= last)])
    events.build_events(p.lake, first, last)
    build_engagement(p.lake, first=first, last=last, k_anonymity=p.settings.k_anonymity)
    build_quality(p.lake, first=first, last=last, report_folder=None)
    stub = dict.fromkeys(t.RECOMMENDATIONS.schema.names) | {
        "as_of": last + ONE_DAY,
        "user_key": "nobody",
    }
    lists = pa.Table.from_pylist([stub], schema=t.RECOMMENDATIONS.schema)
    p.lake.replace_partition(t.RECOMMENDATIONS, lists, last + ONE_DAY)


if __name__ == "__main__":
    main()
