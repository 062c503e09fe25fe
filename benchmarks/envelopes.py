"""Events in which senders put a person: is anything of them left, after a whole run, in any byte?

Run with `python -m benchmarks.envelopes HOME [--seed N]`. HOME is a fresh folder: a small world is
simulated into it, the events are delivered beside it, the pipeline runs, every page of the console
that shows records is asked for, and every byte under home, lake, artifact store and databases is
read, unpacked, but for the delivered objects themselves.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What no byte of ours may hold. Numbers are long enough to stand nowhere by chance.
PERSON: dict[str, Any] = {
    "birthday": "1987-11-23",
    "dob": "23.11.1987",
    "first name": "Annegret-Canary",
    "last name": "Canaryson",
    "user age": 8713,
    "msisdn": 4915170123987,
    "phone number": "0151 70123987",
    "coords": [52.520811, 13.409471],
    "position": "52.520811,13.409471",
    "home lat": 52.520811,
    "ip address": "203.0.113.177",
    "e mail": "annegret@canary.example",
    "account": "usr-annegret-77",
    "friend": "k9q7z",
    "note": "Annegret-Canary lives at Canarystrasse 5",
}
CANARIES = (
    *("1987-11-23", "23.11.1987", "Annegret", "Canaryson", "8713", "4915170123987", "70123987"),
    *("52.520811", "13.409471", "203.0.113.177", "canary.example", "usr-annegret-77", "k9q7z"),
    "Canarystrasse",
)
# Shorter ones stand in packed bytes by chance: they are looked for in unpacked values alone.
SHORTEST = 8
Fields = dict[str, Any]


def _camel(words: list[str]) -> str:
    return words[0] + "".join(word.title() for word in words[1:])


SPELLINGS: tuple[Callable[[list[str]], str], ...] = (
    _camel,
    "_".join,
    "-".join,
    lambda words: "".join(word.title() for word in words),
    lambda words: "_".join(words).upper(),
    lambda words: ".".join(["user", *words]),
    lambda words: "x_" + "_".join(words),
    "".join,
)
ENVELOPES: dict[str, Callable[[Fields], Fields]] = {
    "flat": lambda f: f,
    "segment": lambda f: {
        "anonymousId": f"anon-{next(iter(f.values()))}",
        "context": {"ip": "203.0.113.177", "traits": f, "device": {"id": "usr-annegret-77"}},
        "properties": {"traits": f},
    },
    "rudderstack": lambda f: {"request_ip": "203.0.113.177", "context": {"traits": f}},
    "snowplow": lambda f: {
        "user_ipaddress": "203.0.113.177",
        "geo_latitude": 52.520811,
        "contexts": {"schema": "iglu:x/y/jsonschema/1-0-0", "data": [{"data": f}]},
        "derived_contexts": json.dumps({"data": [f]}),
    },
    "ga": lambda f: {
        "user_pseudo_id": "usr-annegret-77",
        "user_properties": [{"key": k, "value": {"string_value": str(v)}} for k, v in f.items()],
        "event_params": [{"key": k, "value": {"string_value": v}} for k, v in f.items()],
    },
    "pairs": lambda f: {"tags": [[name, value] for name, value in f.items()]},
    "texts": lambda f: {
        "payload": json.dumps(f),
        "query": "&".join(f"{k}={v}" for k, v in f.items()),
    },
    "lists": lambda f: {name: [value, {"v": value}] for name, value in f.items()},
    "keyed": lambda f: {
        "usr-annegret-77": f,
        "k9q7z": f,
        "annegret@canary.example": 1,
        "52.520811": f,
    },
    "in allowed": lambda f: {"artist_name": f, "track_title": [f, json.dumps(f)], "skipped": f},
}
# What makes an event with these fields one that is refused, in ways that meet different code.
FAULTS: dict[str, Callable[[Fields, Fields], Any]] = {
    "none": lambda event, _: event,
    "user is missing": lambda event, _: {k: v for k, v in event.items() if k != "user_id"},
    "instant is a note": lambda event, f: event | {"occurred_at": str(f["note"])},
    "instant is a birthday": lambda event, f: event | {"occurred_at": f["birthday"]},
    "ids are a person": lambda event, f: event | {"event_id": f["fields"], "source": [f["note"]]},
    "number is a text": lambda event, f: event | {"source_seq": str(f["note"])},
    "artist is a text": lambda event, f: event | {"artist_id": f["note"], "event_id": 7},
    "type is a number": lambda event, f: event | {"event_type": 7, "slate_id": f["position"]},
    "cut": lambda event, _: json.dumps(event).encode()[:-3],
    "twice": lambda event, f: (
        json.dumps(event)[:-1].encode() + f',"{f["account"]}":1,"{f["account"]}":2}}'.encode()
    ),
    "a table": lambda _, f: ";".join(str(value) for value in f["fields"].values()).encode(),
    "a list": lambda event, _: [event],
}


def corpus(seed: int, event: Callable[..., Fields]) -> Iterator[Any]:
    """Records of every envelope, spelling and fault: objects, lists, or bytes of a line.

    Args:
        seed: Of the choice of spellings.
        event: Makes a sound event by its number and changes to its fields.
    """
    rng = random.Random(seed)
    number = 0
    for envelope in ENVELOPES.values():
        for fault in FAULTS.values():
            spelling = rng.choice(SPELLINGS)
            fields = {spelling(name.split()): value for name, value in PERSON.items()}
            # Names of the contract would be no further fields.
            fields = {f"my{name}" if name == "position" else name: v for name, v in fields.items()}
            number += 1
            yield fault(event(number, **envelope(fields)), {**PERSON, "fields": fields})


@dataclass(frozen=True, slots=True)
class Canaries:
    """What is looked for, as `firstchair.erasure.reading.Search` asks it."""

    words: tuple[str, ...] = CANARIES

    @property
    def longest(self) -> int:
        """More bytes than any of them takes."""
        return 64

    def found_in(self, data: bytes) -> set[str]:
        """Those in some bytes."""
        return {word for word in self.words if len(word) >= SHORTEST and word.encode() in data}


def values_with(value: Any, words: tuple[str, ...] = CANARIES) -> set[str]:
    """Those words, short ones too, that stand in the texts or numbers of a value, at any depth."""
    if isinstance(value, dict):
        return values_with([*value, *value.values()], words)
    if isinstance(value, list | tuple):
        return {word for item in value for word in values_with(item, words)}
    text = str(value)
    return {word for word in words if re.search(rf"(?<!\d){re.escape(word)}", text)}


def main() -> None:
    """Print what was read, and where a canary was found."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("home", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    os.environ["FIRSTCHAIR_HOME"] = str(asked.home)
    os.environ["FIRSTCHAIR_MAX_QUARANTINE_RATE"] = "1"  # most of the delivered bytes are refused
    _command("simulate", "--users", "120", "--artists", "60", "--days", "9", "--seed", "1")
    delivered = _deliver(asked.home, asked.seed)
    _command("run")
    pages = _pages()
    found = _searched()
    print(f"{delivered:,} records of {len(ENVELOPES)} envelopes and {len(FAULTS)} faults delivered")
    print(f"pages with a canary: {sorted(pages)}")
    print(f"places with a canary: {found}")


def _command(*words: str) -> None:
    subprocess.run([str(Path(sys.executable).parent / "firstchair"), *words], check=True)


def _deliver(home: Path, seed: int) -> int:
    """One object beside those of the world, by one of its users and for one of its artists."""

    def event(number: int, **changes: Any) -> Fields:
        return {
            "event_id": f"hostile-{number}",
            "event_type": "follow",
            "occurred_at": "2026-01-05T10:00:00Z",
            "user_id": "user-000001",
            "source": "hostile",
            "source_seq": number,
            "artist_id": "artist-00001",
        } | changes

    records = list(corpus(seed, event))
    lines = [
        record if isinstance(record, bytes) else json.dumps(record).encode() for record in records
    ]
    (home / "landing" / "events" / "hostile.jsonl").write_bytes(b"\n".join(lines))
    return len(records)


def _pages() -> set[str]:
    """Pages of the console that hold a canary."""
    from starlette.testclient import TestClient

    from firstchair.http.worker import app
    from firstchair.settings import load_settings

    token = {"Authorization": f"Bearer {load_settings().secret_api_token()}"}
    with TestClient(app(), base_url="http://127.0.0.1") as client:
        names = ("/", "/quality", "/engagement", "/drift", "/decisions", "/lineage", "/audition")
        texts = {name: client.get(name, headers=token) for name in names}
    assert all(page.status_code == 200 for page in texts.values())
    return {name for name, page in texts.items() if values_with(page.text)}


def _searched() -> dict[str, list[str]]:
    """Places of ours that hold a canary, after every byte was read."""
    from firstchair.erasure.places import stored_files
    from firstchair.erasure.reading import Search, matches_in
    from firstchair.erasure.rows import held_in
    from firstchair.platform.platform import open_platform
    from firstchair.settings import load_settings

    platform = open_platform(load_settings())
    search = Search(Canaries())  # type: ignore[arg-type] it asks no more of it
    found: dict[str, list[str]] = {}
    kinds: Counter[str] = Counter()
    for file in stored_files(platform):
        if file.kind == "source":
            continue
        kinds[file.kind] += 1
        with file.open() as stream:
            if words := matches_in(stream, search):
                found[file.name] = sorted(words)
    databases = platform.databases
    for name, url in (
        ("ledger", databases.ledger),
        ("mlflow", databases.mlflow),
        ("dagster", databases.dagster),
    ):
        for held in held_in(url, search):
            found[f"{name}.{held.table}"] = sorted(held.names)
    print(f"read {dict(kinds)} files, {search.tables} tables, {search.bytes_read:,} bytes")
    return found


if __name__ == "__main__":
    main()
