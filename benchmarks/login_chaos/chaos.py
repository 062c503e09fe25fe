"""A load of logins while lists change and workers die, and a check of what was recorded."""

import json
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.logins.lists import Catalogue
from benchmarks.logins.service import (
    answered,
    asked,
    delivered,
    generator,
    impressions,
    serving,
    settings_of,
    wait_for,
    workers,
)
from firstchair import events
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.settings import Settings

K, CONNECTIONS = 3, 32
# Between two kills, so that those which stand in for a dead worker answer too.
BETWEEN_KILLS_SECONDS = 2.0


@dataclass(frozen=True)
class Chaos:
    """A service in `home` under `rate` logins a second."""

    home: Path
    catalogue: Catalogue
    workers: int
    rate: float

    def run(self, *, publications: int, kills: int) -> dict[str, Any]:
        """Counts; `fault_of_lists` and `lost` are 0 where the service kept its word."""
        lake, settings, answers = (
            Lake(str(self.home / "lake")),
            self._settings(),
            self.home / "answers",
        )
        self.catalogue.write(lake)
        self.catalogue.put_out(lake, settings.published, 0)
        with serving(settings) as server, ExitStack() as load:
            limit = int(self.rate * (60 + 6 * publications + 6 * kills))
            process = load.enter_context(
                generator(
                    settings.api_port,
                    users=self.catalogue.users,
                    requests=limit,
                    connections=CONNECTIONS,
                    k=K,
                    rate=self.rate,
                    keyed=True,
                    answers=answers,
                )
            )
            killing = threading.Thread(target=self._kill, args=(server, kills))
            killing.start()
            for turn in range(1, publications + 1):
                self.catalogue.put_out(lake, settings.published, turn)
            killing.join()
            wait_for(lambda: self._serves_newest(settings))
            process.send_signal(signal.SIGTERM)
            told = json.loads(process.communicate()[0])
        return told | self._books(lake, settings, answered(answers), range(publications + 1))

    def _settings(self) -> Settings:
        return settings_of(self.home, workers=self.workers)

    def _kill(self, server: Any, kills: int) -> None:
        """The oldest worker each time, so that every one dies in turn."""
        for _ in range(kills):
            time.sleep(BETWEEN_KILLS_SECONDS)
            wait_for(lambda: len(workers(server)) == self.workers)
            min(workers(server), key=lambda worker: worker.create_time()).kill()

    def _serves_newest(self, settings: Settings) -> bool:
        ready = asked(settings.api_port, "/readyz")
        return (
            ready is not None and ready["published"] == (settings.published / "CURRENT").read_text()
        )

    def _books(
        self, lake: Lake, settings: Settings, answers: list[dict[str, Any]], turns: range
    ) -> dict[str, Any]:
        faults = [
            fault
            for answer in answers
            if (fault := self.catalogue.fault(answer, turns, K)) is not None
        ]
        shown = impressions(answers)
        spooled, stored = delivered(settings.events_url)
        silver = self._silver(lake, settings)
        never = {slate for slate, _, _ in silver - shown}
        return {
            "publications_seen": len({answer["items"][0]["reason"] for answer in answers}),
            "wrong_or_mixed_lists": len(faults),
            "faults": faults[:3],
            "impressions_answered": len(shown),
            "impressions_spooled": spooled,
            "impressions_in_store": len(stored),
            "impressions_in_silver": len(silver),
            "lost": len(shown - silver),
            # Cut by a kill after they were spooled, then answered anew from lists published in
            # between.
            "slates_never_answered": len(never),
        }

    def _silver(self, lake: Lake, settings: Settings) -> set[tuple[str, int, str]]:
        now = datetime.now(UTC)
        key = self.catalogue.key
        lake.overwrite(t.TRACKS, t.TRACKS.schema.empty_table())
        report = events.ingest(lake, events_url=settings.events_url, pseudonym_key=key, now=now)
        built = events.build_events(lake, now.date() - timedelta(days=1), now.date())
        assert report.balanced, report
        assert built.balanced, built
        with connect() as connection:
            rows = connection.execute(
                f"select slate_id, position, artist_id from {lake.scan(t.EVENTS)}"
            ).fetchall()
        assert len(rows) == len(set(rows))
        return set(rows)
