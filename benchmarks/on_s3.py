"""A small service run twice: all but its home on a server of S3 on this machine, and in folders.

    python -m benchmarks.on_s3 --users 60 --artists 40 --days 10

Prints the seconds of `firstchair run` in each, the requests that the server answered by method, the
tables that differ, and what `doctor` finds of the lake on S3. Then a user of that one is forgotten,
upkeep is done, and every byte is read for the user. A host of logins has fetched the lists before
and fetches them again. Ends with 1 where a table differs, the lake is not well, something of the
user is left, or the host does not serve what is published.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import fsspec

from firstchair.lake import Lake
from firstchair.publication import fetch
from firstchair.publication.layout import VERSIONS
from firstchair.publication.published import current
from tests.s3 import serving
from tests.service import Service, different, simulated

BUCKET = "music"
USER = "user-000001"
LISTS = f"s3://{BUCKET}/lists"
ON_S3 = {
    "events_url": f"s3://{BUCKET}/landing",
    "lake_url": f"s3://{BUCKET}/lake",
    "published_url": LISTS,
}


@dataclass(frozen=True)
class OnS3(Service):
    """A service whose lake is on S3."""

    @property
    def lake(self) -> Lake:
        """Where its tables are."""
        return Lake(ON_S3["lake_url"])


def seconds_of_run(service: Service) -> float:
    """Run a service whose sources are written."""
    began = time.monotonic()
    service.json("run")
    return round(time.monotonic() - began, 1)


def left_of(service: Service, user: str) -> list[str]:
    """Forget a user and keep the lake well; places that hold the user still, or cannot be read."""
    service.json("forget", "--rewrite-landing", user)
    service.json("maintain")
    proof = service.json("forget", "--verify", user, code=None)
    print(f"read for the proof: {proof['files']}, {proof['bytes']:,} bytes", file=sys.stderr)
    return [place["name"] for place in proof["left"]] + proof["unread"]


def main() -> None:
    """Run both services and print what is told above."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("users", 60), ("artists", 40), ("days", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    world = [f"--{name}={value}" for name, value in vars(parser.parse_args()).items()]
    world += ["--seed=3", "--scenario=imperfect-delivery"]
    with tempfile.TemporaryDirectory() as name, serving(Path(name, "requests.log")) as server:
        os.environ.update(server.variables())
        fsspec.filesystem("s3").mkdir(BUCKET)
        for home in ("folders", "s3"):
            Path(name, home).mkdir()
        in_folders = simulated(Path(name, "folders", "home"), world)
        on_s3 = OnS3(Path(name, "s3", "home"), ON_S3)
        on_s3.json("simulate", *world)
        before = len(server.requests())
        seconds = {"folders": seconds_of_run(in_folders), "s3": seconds_of_run(on_s3)}
        requests = Counter(line.split('"')[1].split()[0] for line in server.requests()[before:])
        found = different(in_folders.contents(), on_s3.contents())
        lake = next(one for one in on_s3.ask("doctor") if one["name"] == "lake")
        host = Path(name, "host", "published")
        fetched = [fetch(LISTS, host)]
        left = left_of(on_s3, USER)
        fetched.append(fetch(LISTS, host))
        served = [path.name for path in (host / VERSIONS).iterdir()]
        published = [current(on_s3.home / "published")]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "requests": requests,
                "different": found,
                "lake": lake,
                "left": left,
                "fetched": fetched,
                "served": served,
            }
        )
    )
    sys.exit(bool(found or left) or lake["state"] != "passes" or served != published)


if __name__ == "__main__":
    main()
