"""Event records with something wrong in each: what becomes of them, how fast, in how much memory?

    python -m benchmarks.mutated_records [--records 1000000] [--seed 1]

Records of `benchmarks.ingest` are changed one by one: bytes flipped, cut, doubled or exchanged with
the record before, fields taken away or given values that parsers meet rarely, names that nobody
knows, numbers of a sequence taken twice. They are ingested and validated, each step in a process of
its own; so is a quarter of them, and as many clean records.

Prints the fates of all records, the reasons of refusals, processor seconds and peak memory. Ends
with 1 where a record has no fate or more than one, or where a reason was never seen.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from benchmarks.ingest import (
    EVENTS_A_USER,
    FIRST_DAY,
    KEY,
    NOW,
    alone,
    ingested,
    know,
    lake_in,
    lines_of,
    write_objects,
)
from firstchair.events import build_events
from firstchair.events.vocabulary import Reason
from firstchair.sources import user_key

EACH = 16_500
# Values that parsers of numbers, times and names meet rarely.
ODD: tuple[Any, ...] = (
    *(None, "", " ", True, -1, 0, 0.5, 1e308, 2**63 - 1, 2**63, 10**30, [], {}, ["a"], {"a": 1}),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z", "2026-02-30T10:00:00Z", "2099-01-01"),
    *("2099-01-01T00:00:00Z", "yesterday", "٣", "é" * 300, "\u0000", "x" * 5000, "5", "NaN"),
)
Change = Callable[[bytes, bytes, random.Random], bytes]


def flipped(line: bytes, _before: bytes, draw: random.Random) -> bytes:
    """One bit is another."""
    place = draw.randrange(len(line) - 1)
    return line[:place] + bytes([line[place] ^ (1 << draw.randrange(8))]) + line[place + 1 :]


def cut(line: bytes, _before: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return line[: draw.randrange(1, len(line) - 1)] + b"\n"


def doubled(line: bytes, _before: bytes, draw: random.Random) -> bytes:
    """A piece stands twice."""
    first, last = sorted(draw.randrange(len(line) - 1) for _ in range(2))
    return line[:last] + line[first:]


def exchanged(line: bytes, before: bytes, draw: random.Random) -> bytes:
    """The end is that of the record before."""
    return line[: draw.randrange(1, len(line) - 1)] + before[draw.randrange(len(before) - 1) :]


def listed(line: bytes, _before: bytes, draw: random.Random) -> bytes:
    """It is a list, a text or a number."""
    return draw.choice((b"[%s, 7]", b'"%s"', b"7 ")).replace(b"%s", line[:-1]) + b"\n"


def changed(change: Callable[[dict[str, Any], dict[str, Any], random.Random], None]) -> Change:
    """A change of the fields."""

    def call(line: bytes, before: bytes, draw: random.Random) -> bytes:
        event = orjson.loads(line)
        change(event, orjson.loads(before), draw)
        return json.dumps(event).encode() + b"\n"

    return call


def _without(event: dict[str, Any], _before: dict[str, Any], draw: random.Random) -> None:
    del event[draw.choice(list(event))]


def _odd(event: dict[str, Any], _before: dict[str, Any], draw: random.Random) -> None:
    event[draw.choice(list(event))] = draw.choice(ODD)


def _of_another_kind(event: dict[str, Any], _before: dict[str, Any], draw: random.Random) -> None:
    event["event_type"] = draw.choice(("click", "play", "impression", "skip", "CLICK"))


def _unknown(event: dict[str, Any], _before: dict[str, Any], draw: random.Random) -> None:
    name = draw.choice([n for n in ("user_id", "artist_id", "track_id") if n in event])
    event[name] = f"nobody-{draw.randrange(1000)}"


def _repeated(event: dict[str, Any], before: dict[str, Any], draw: random.Random) -> None:
    names = draw.choice((("event_id",), ("source", "source_seq"), tuple(before)))
    event |= {name: before[name] for name in names}


CHANGES: tuple[Change, ...] = (
    *(flipped, cut, doubled, exchanged, listed),
    *map(changed, (_without, _odd, _of_another_kind, _unknown, _repeated)),
)


def mutated(records: int, draw: random.Random) -> Iterator[bytes]:
    """Records, each with one change."""
    before = b'{"event_id": "first", "source": "app-0", "source_seq": 0}\n'
    for line in lines_of(records, draw):
        yield draw.choice(CHANGES)(line, before, draw)
        before = line


def _ingest(folder: Path) -> float:
    report, seconds = ingested(folder)
    (folder / "ingested.json").write_text(json.dumps(asdict(report), default=str))
    return seconds


def _validate(folder: Path) -> float:
    lake = lake_in(folder)
    records = int((folder / "records").read_text())
    users = range(max(1, records // EVENTS_A_USER))
    know(lake, [user_key(f"user-{number:07}", KEY) for number in users])
    began = time.process_time()
    report = build_events(lake, FIRST_DAY.date(), NOW.date())
    seconds = time.process_time() - began
    (folder / "validated.json").write_text(json.dumps(asdict(report), default=str))
    return seconds


def measured(lines: Iterator[bytes], records: int) -> dict[str, Any]:
    """What became of some records, processor seconds and peak MiB of both steps."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "records").write_text(str(records))
        write_objects(folder / "landing", lines, events=records, each=EACH)
        steps = [alone(work.__name__, work, folder) for work in (_ingest, _validate)]
        ingested, validated = (
            json.loads((folder / f"{step}.json").read_text()) for step in ("ingested", "validated")
        )
    reasons = Counter(ingested["quarantined"]) + Counter(validated["quarantined"])
    fates = {
        "read": ingested["read"],
        "accepted": validated["rows"],
        "duplicates": ingested["duplicates"],
        "quarantined": reasons.total(),
    }
    # Events of days before the first that is built wait in bronze.
    waiting = ingested["accepted"] - validated["landed"]
    return {
        "written": records,
        **fates,
        "not of these days": waiting,
        "without a fate": 2 * fates["read"] - sum(fates.values()) - waiting,
        "reasons": dict(reasons.most_common()),
        "processor_seconds": [round(step.seconds, 1) for step in steps],
        "peak_mib": [round(step.peak_mib) for step in steps],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    report = {}
    for share, many in (("a quarter", asked.records // 4), ("all", asked.records)):
        for kind, make in (("clean", lines_of), ("mutated", mutated)):
            found = measured(make(many, random.Random(asked.seed)), many)
            report[f"{kind}, {share}"] = found
            if not asked.json:
                print(f"{kind}, {share}: {json.dumps(found)}", flush=True)
    whole = report["mutated, all"]
    unseen = sorted(set(map(str, Reason)) - set(whole["reasons"]))
    ratio = sum(whole["processor_seconds"]) / sum(report["clean, all"]["processor_seconds"])
    if asked.json:
        print(json.dumps(report | {"unseen": unseen, "ratio": round(ratio, 2)}))
    else:
        print(f"{ratio:.2f} times the processor seconds of clean records; unseen: {unseen}")
    sys.exit(bool(unseen or any(found["without a fate"] for found in report.values())))


if __name__ == "__main__":
    main()
