"""Users forgotten, one or several by a command: is anything left, and do others keep their lists?

    python -m benchmarks.erasures --forgotten 100 [--users 300] [--artists 100] [--days 17]
    python -m benchmarks.erasures --forgotten 100 --hetrec ../shared/data/hetrec2011-lastfm-2k
    python -m benchmarks.erasures --together 20 --minutes 30

A simulated service, or one of real listeners and artists (`firstchair load`), is run. Then users
with events, drawn by a seed, are forgotten, `--together` by a command, until that many minutes are
over or all are. Then every byte is read for them, for as many by a command.

Prints the seconds of a command, by step, and of a user, those of a proof, what still holds a user,
and how many lists of all others are as they were. Ends with 1 where anything is left or the list
of another is not as it was.
"""

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.sources import accounts, user_key
from tests.conftest import running
from tests.service import Service


def main() -> None:
    """Forget, prove and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"forgotten": 100, "together": 1, "users": 300, "artists": 100, "days": 17, "seed": 1}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--minutes", type=float, default=math.inf, help="for the erasures")
    parser.add_argument("--hetrec", type=Path, help="folder of the public data set")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder) / "service" / "home")
        service.home.parent.mkdir()
        with running(service.home) as databases:
            fill(service, asked)
            users = drawn(databases.accounts, service, asked)
            report = measured(service, batches(users, asked.together), 60 * asked.minutes)
    print(json.dumps(report))
    sys.exit(bool(report["left"] or report["lists"] != report["lists_as_before"]))


def fill(service: Service, asked: argparse.Namespace) -> None:
    """Write both sources, and run the service."""
    if asked.hetrec is not None:
        service.json("load", "hetrec-lastfm", asked.hetrec.resolve())
    else:
        world = {name: getattr(asked, name) for name in ("users", "artists", "days", "seed")}
        service.json("simulate", *(f"--{name}={value}" for name, value in world.items()))
    service.run("run")


def drawn(url: sa.URL, service: Service, asked: argparse.Namespace) -> list[str]:
    """Account keys of users with events."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        known = connection.scalars(sa.select(accounts.USERS.c.user_id)).all()
    engine.dispose()
    with connect() as connection:
        rows = connection.execute(
            f"select distinct user_key from {service.lake.scan(t.EVENTS)}"
        ).fetchall()
    active = {row[0] for row in rows}
    found = sorted(user for user in known if key_of(service, user) in active)
    return random.Random(asked.seed).sample(found, min(asked.forgotten, len(found)))


def key_of(service: Service, user_id: str) -> str:
    """Pseudonym of a user of the service."""
    return user_key(user_id, service.environment()["FIRSTCHAIR_PSEUDONYM_KEY"].encode())


def lists(service: Service) -> dict[tuple[str, str], str]:
    """Digest of the list of each user by each version."""
    query = f"""
        select user_key, model_version, md5(string_agg(artist_id, ' ' order by position))
        from {service.lake.scan(t.RECOMMENDATIONS)} group by all
    """
    with connect() as connection:
        rows = connection.execute(query).fetchall()
    return {(key, version): digest for key, version, digest in rows}


def batches(users: Sequence[str], size: int) -> list[Sequence[str]]:
    """The users that each command forgets."""
    return [users[start : start + size] for start in range(0, len(users), size)]


def measured(
    service: Service, asked: Sequence[Sequence[str]], most_seconds: float
) -> dict[str, Any]:
    """Forget these users, as many as there is time for, and prove it."""
    every = lists(service)
    forgotten: list[Sequence[str]] = []
    reports, seconds, proofs, left = [], [], [], []
    for batch in asked:
        began = time.monotonic()
        reports += _reports(service.ask("forget", *batch))[:1]
        seconds.append(time.monotonic() - began)
        forgotten.append(batch)
        print(f"{len(forgotten)}: {seconds[-1]:.1f} s", file=sys.stderr, flush=True)
        if sum(seconds) >= most_seconds:
            break
    users = [user for batch in forgotten for user in batch]
    keys = {key_of(service, user) for user in users}
    before = {place: digest for place, digest in every.items() if place[0] not in keys}
    for batch in forgotten:
        began = time.monotonic()
        found = _reports(service.json("forget", "--verify", *batch, code=None))
        proofs.append(time.monotonic() - began)
        left += [place["name"] for proof in found for place in proof["left"]]
        left += found[0]["unread"]
    after = lists(service)
    steps = {
        step: round(statistics.mean(report["seconds"][step] for report in reports), 2)
        for step in reports[0]["seconds"]
    }
    return {
        "forgotten": len(users),
        "seconds_a_user": round(sum(seconds) / len(users), 1),
        "seconds_a_command": round(statistics.median(seconds), 1),
        "longest": round(max(seconds), 1),
        "steps": steps,
        "seconds_of_a_proof": round(statistics.median(proofs), 1),
        "bytes_of_a_proof": found[0]["bytes"],
        "left": left,
        "lists": len(before),
        "lists_as_before": sum(after.get(place) == digest for place, digest in before.items()),
        "lists_of_the_forgotten": sum(key in keys for key, _version in after),
    }


def _reports(printed: Any) -> list[dict[str, Any]]:
    """The reports of a command, which prints that of an only user as it is."""
    return printed if isinstance(printed, list) else [printed]


if __name__ == "__main__":
    main()
