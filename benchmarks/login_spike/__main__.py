"""200,000 different users log in from a cold start: rate, latency, correctness, durability, memory.

    python -m benchmarks.login_spike [--users N] [--rounds N]

A round has three runs, each against servers that have just started (one worker): a login of every
user, as fast as one generator can; as many requests to a bare ASGI application on granian that
answers with the same bytes; the logins once more in open loop, at 80 % of the rate they reached in
that round. A shared machine is faster at some times than at others, so what is compared is of one
round, and what is told is the median of the rounds. The generator has one processor, each server
the others. Every answer is held against the published lists and every impression against the event
store. `worker_us` is the processor time of the worker for a request: it tells the same on a machine
that others use too.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.logins.lists import Catalogue
from benchmarks.logins.service import (
    OF_GENERATOR,
    OF_SERVERS,
    answered,
    delivered,
    generated,
    impressions,
    memory,
    processor_seconds,
    running,
    serving,
    settings_of,
    workers,
)
from firstchair.lake import Lake
from firstchair.settings import Settings

# In open loop a late answer must not keep the next request waiting for a connection.
K, CONNECTIONS, OPEN_CONNECTIONS = 10, 64, 128
SHARE = 0.8


@dataclass(frozen=True)
class Spike:
    """Where the lists are published, and who logs in."""

    home: Path
    catalogue: Catalogue

    def requests(self, rate: float = 0.0) -> dict[str, Any]:
        """One login of each user; `rate` 0: as fast as they are answered."""
        users, connections = self.catalogue.users, OPEN_CONNECTIONS if rate else CONNECTIONS
        asked = {
            "users": users,
            "requests": users,
            "connections": connections,
            "k": K,
            "rate": rate,
        }
        return asked | {"processors": OF_GENERATOR}

    def settings(self, name: str, *, workers: int = 1) -> Settings:
        """A service over the published lists with an event store of its own."""
        settings = settings_of(self.home, workers=workers)
        return settings.model_copy(update={"events_url": str(self.home / "events" / name)})

    def round(self, name: str, rate: float = 0.0) -> tuple[dict[str, Any], bytes]:
        """All users against a service that has just started; the summary and one answer."""
        settings, path = self.settings(name), self.home / "answers"
        with serving(settings, processors=OF_SERVERS) as server:
            began = processor_seconds(server)
            summary = generated(settings.api_port, **self.requests(rate), answers=path)
            spent = processor_seconds(server) - began
        answers = answered(path)
        faults = [
            fault
            for answer in answers
            if (fault := self.catalogue.fault(answer, range(1), K)) is not None
        ]
        shown = impressions(answers)
        count, logged = delivered(settings.events_url)
        return summary | {
            "worker_us": spent / len(answers) * 1e6,
            "users": len({answer["user_id"] for answer in answers}),
            "wrong": len(faults),
            "faults": faults[:3],
            "impressions_shown": len(shown),
            "events_delivered": count,
            "lost": len(shown - logged),
        }, path.read_bytes().splitlines()[0]

    def bare(self, body: bytes, rate: float = 0.0) -> dict[str, Any]:
        """As many requests to the peer."""
        (self.home / "body").write_bytes(body)
        port = self.settings("bare").api_port
        granian = Path(sys.executable).parent / "granian"
        options = ("--interface", "asgi", "--no-ws", "--port", str(port), "--log-level", "warning")
        command = (str(granian), *options, "benchmarks.login_spike.bare:app")
        with running(
            command, port, "/", {"BARE_BODY": str(self.home / "body")}, OF_SERVERS
        ) as server:
            began = processor_seconds(server)
            summary = generated(port, **self.requests(rate))
            return summary | {
                "worker_us": (processor_seconds(server) - began) / self.catalogue.users * 1e6
            }

    def memory(self) -> list[dict[str, float]]:
        """MB of each of two workers after all users logged in."""
        settings = self.settings("memory", workers=2)
        with serving(settings) as server:
            generated(settings.api_port, **self.requests())
            return [memory(worker) for worker in workers(server)]


def show(title: str, numbers: dict[str, Any]) -> None:
    """A line."""
    words = ", ".join(
        f"{name} {value:,.2f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in numbers.items()
    )
    print(f"{title}: {words}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--artists", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        catalogue = Catalogue(
            given.users, given.artists, 50, datetime.now(UTC).date(), b"a benchmark's key"
        )
        spike, lake = Spike(home, catalogue), Lake(str(home / "lake"))
        catalogue.write(lake)
        report, seconds = catalogue.put_out(lake, home / "published", 0)
        show("published", {"users": report.users, "MB": report.bytes / 1e6, "seconds": seconds})
        ratios, delays = [], []
        for number in range(1, given.rounds + 1):
            summary, body = spike.round(f"round-{number}")
            show(f"round {number}, logins", summary)
            peak, bare = summary["rate"], spike.bare(body)
            show(f"round {number}, bare ASGI", bare)
            steady, _ = spike.round(f"steady-{number}", rate=SHARE * peak)
            show(f"round {number}, logins in open loop", steady)
            ratios.append(peak / bare["rate"])
            delays.append(steady["p99_ms"])
        show("medians", {"ratio": statistics.median(ratios), "p99_ms": statistics.median(delays)})
        show("bare ASGI in open loop at the logins' last rate", spike.bare(body, rate=SHARE * peak))
        for number, sizes in enumerate(spike.memory()):
            show(f"memory of worker {number + 1} of 2, MB", sizes)


if __name__ == "__main__":
    main()
