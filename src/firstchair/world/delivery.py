"""Delivery of events to the store: JSON Lines per day and source, with planted faults."""

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import fsspec
import numpy as np

from firstchair.world.scenarios import Incidents

OBJECTS_PER_SOURCE_AND_DAY = 2
MANIFEST = "objects.jsonl"
# A sixth larger than at level 5, in two fifths of the time.
GZIP_LEVEL = 1
DUPLICATE_SHARE, CONFLICTING_SHARE, LATE_SHARE = 0.005, 0.1, 0.01
LATE_DAYS = 2
# The source that breaks records on the `bad-data-day`, and the one that is silent in an `outage`.
GARBLER, SILENT = "android", "ios"

Lines = list[str]


@dataclass
class Planted:
    """Counts of planted faults, which a pipeline's counts are compared with."""

    duplicates: int = 0
    conflicting_duplicates: int = 0
    late: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)


class Store:
    """The event objects of one world under a URL; those of an earlier world are removed first."""

    def __init__(self, url: str, truth: Path) -> None:
        self.filesystem, root = fsspec.core.url_to_fs(url)
        self.root = root.rstrip("/")
        self.manifest = truth / MANIFEST
        self.names: list[str] = []
        truth.mkdir(parents=True, exist_ok=True)
        earlier = self.manifest.read_text().splitlines() if self.manifest.exists() else []
        names = [json.loads(line) for line in earlier]
        # The last one may stand under its temporary name, if the process was killed.
        for name in (*names, *(f"{last}.partial" for last in names[-1:])):
            if self.filesystem.exists(f"{self.root}/{name}"):
                self.filesystem.rm_file(f"{self.root}/{name}")
        self.manifest.unlink(missing_ok=True)

    def put(self, name: str, data: bytes) -> None:
        """Write one object under a temporary name that readers ignore, then move it.

        It is noted before that, so that it is removed later even if this process is killed now.
        """
        path = f"{self.root}/{name}"
        with self.manifest.open("a") as manifest:
            manifest.write(json.dumps(name) + "\n")
        self.filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self.filesystem.pipe_file(f"{path}.partial", data)
        self.filesystem.mv(f"{path}.partial", path)
        self.names.append(name)

    def put_lines(self, name: str, lines: Lines) -> None:
        """Write lines as one compressed object, with deterministic bytes; nothing without lines."""
        if lines:
            data = ("\n".join(lines) + "\n").encode()
            self.put(name, gzip.compress(data, compresslevel=GZIP_LEVEL, mtime=0))


def deliver_day(store: Store, day: date, lines: dict[str, Lines]) -> None:
    """Write the lines of each source of a day as a few objects."""
    for source, sent in sorted(lines.items()):
        step = -(-len(sent) // OBJECTS_PER_SOURCE_AND_DAY) or 1
        for number, start in enumerate(range(0, len(sent), step)):
            store.put_lines(f"{day}/{source}-{number}.jsonl.gz", sent[start : start + step])


class Delivery:
    """Imperfect delivery: duplicates, late events, broken records, and an incident on one day."""

    def __init__(
        self,
        store: Store,
        days: list[date],
        incidents: Incidents,
        incident_on: int,
        rng: np.random.Generator,
    ) -> None:
        self.store, self.days, self.incidents, self.incident_on, self.rng = (
            store,
            days,
            incidents,
            incident_on,
            rng,
        )
        self.planted = Planted()
        self.waiting: dict[date, Lines] = defaultdict(list)

    def deliver_day(self, number: int, lines: dict[str, Lines]) -> None:
        """Deliver the lines of the day in time, late ones of earlier days, and broken records."""
        day = self.days[number]
        lines = self._with_incident(lines, number)
        if self.incidents.everyday:
            broken = {GARBLER} if number == self.incident_on and self.incidents.garbled else set()
            lines = {
                name: sent if name in broken else self._held_back(sent, number)
                for name, sent in lines.items()
            }
        deliver_day(self.store, day, lines)
        self.store.put_lines(f"{day}/redelivered.jsonl.gz", self.waiting.pop(day, []))
        if self.incidents.everyday:
            self._broken(day)

    def _with_incident(self, lines: dict[str, Lines], number: int) -> dict[str, Lines]:
        """Apply the incident of the day: broken records, a silent source, or many late events."""
        since, what = number - self.incident_on, self.incidents
        if since == 0 and what.garbled:
            return lines | {GARBLER: [self._garbled(line) for line in lines.get(GARBLER, [])]}
        if since == 0 and what.late:
            return {source: self._late(sent, number, what.late) for source, sent in lines.items()}
        back = self.incident_on + what.silent_days
        if 0 <= since < what.silent_days and back < len(self.days):
            self.planted.late += len(lines.get(SILENT, []))
            self.waiting[self.days[back]] += lines.get(SILENT, [])
            return {source: sent for source, sent in lines.items() if source != SILENT}
        return lines

    def _garbled(self, line: str) -> str:
        if self.rng.random() >= self.incidents.garbled:
            return line
        self.planted.quarantined["bad_type"] += 1
        return line.replace('"source_seq":', '"source_seq":"').replace(
            ',"simulated"', '","simulated"'
        )

    def _late(self, lines: Lines, number: int, share: float) -> Lines:
        """Lines without those that are delivered one to `LATE_DAYS` days later."""
        later = number + 1 + self.rng.integers(LATE_DAYS, size=len(lines))
        late = (self.rng.random(len(lines)) < share) & (later < len(self.days))
        for line, day in zip(np.array(lines, dtype=object)[late], later[late], strict=True):
            self.waiting[self.days[day]].append(line)
        self.planted.late += int(late.sum())
        return [line for line, is_late in zip(lines, late, strict=True) if not is_late]

    def _held_back(self, lines: Lines, number: int) -> Lines:
        kept = self._late(lines, number, LATE_SHARE)
        again = np.flatnonzero(self.rng.random(len(kept)) < DUPLICATE_SHARE)
        for place, days in zip(
            again, 1 + self.rng.integers(LATE_DAYS, size=len(again)), strict=True
        ):
            if number + days < len(self.days):
                self.waiting[self.days[number + days]].append(self._again(kept[place]))
        return kept

    def _again(self, line: str) -> str:
        self.planted.duplicates += 1
        if self.rng.random() >= CONFLICTING_SHARE:
            return line
        self.planted.conflicting_duplicates += 1
        return line.replace('"simulated":true', '"simulated":true,"resent":true')

    def _broken(self, day: date) -> None:
        lines = broken_lines(day)
        self.store.put(f"{day}/legacy.ndjson", b"\n".join(line for _, line in lines) + b"\n")
        self.planted.quarantined.update(reason for reason, _ in lines)
        if day.day % 10 == 1:
            whole = gzip.compress(b'{"event_id":"cut"}\n' * 50, mtime=0)
            self.store.put(f"{day}/cut-off.jsonl.gz", whole[:-12])
            self.store.put(f"{day}/nothing.json", b"")
            self.planted.quarantined["not_json"] += 2


def broken_lines(day: date) -> list[tuple[str, bytes]]:
    """One record of each kind that must be refused, with its reason code."""
    number = day.toordinal() * 11

    def event(offset: int, **fields: object) -> bytes:
        base = {
            "event_id": f"legacy-{number + offset}",
            "event_type": "play",
            "occurred_at": f"{day}T12:00:00Z",
            "user_id": "user-000001",
            "source": "legacy",
            "source_seq": number + offset,
            "simulated": True,
            "artist_id": "artist-00001",
            "track_id": "track-000001",
            "ms_played": 1000,
        }
        base.update(fields)
        return json.dumps({key: value for key, value in base.items() if value != "absent"}).encode()

    shown = {"slate_id": "s", "position": 1, "model_version": "legacy", "propensity": 1.5}
    return [
        ("not_json", b"<event user_id='user-000001'/>"),
        ("not_json", b'{"event_id": "\xff\xfe", "user_id": "user-000001"}'),
        ("not_an_object", b'["user-000001", 1]'.replace(b"user-000001", b"someone")),
        ("missing_field", event(0, artist_id="absent")),
        ("bad_type", event(1, ms_played="long")),
        ("bad_timestamp", event(2, occurred_at=f"{day}T12:00:00")),
        ("bad_timestamp", event(3, occurred_at="1956-03-01T00:00:00Z")),
        ("future_timestamp", event(4, occurred_at="2150-01-01T00:00:00Z")),
        ("out_of_range", event(5, ms_played=-5)),
        ("out_of_range", event(6, event_type="impression", **shown)),
        ("unknown_event_type", event(7, event_type="dance")),
        ("unknown_user", event(8, user_id="nobody")),
        ("unknown_artist", event(9, artist_id="artist-none")),
        ("unknown_track", event(10, track_id="track-none")),
        ("sequence_conflict", event(11, source_seq=number + 8)),
    ]
