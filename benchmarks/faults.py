"""The faults of `benchmarks.healthy_weeks`: each begins on one day of an otherwise good week."""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

if TYPE_CHECKING:
    from firstchair.world import World

Deliver = Callable[["World", Path, date, int], None]
Build = Callable[[Path], AbstractContextManager[None]]

# What the bot does on a day: logins, and slates of ten artists, all of them clicked and played.
BOT_LOGINS, BOT_SLATES, SLATE = 500, 400, 10
# A play is positive from half a minute on, so a bot that is paid by the play listens for so long.
BOT_MS_PLAYED = 31_000
# Whose clock is off, and by how many years: record by record.
CLOCKLESS, YEARS_OFF = "tv", (-9, 9)
# What deltalake 1.6 raises where a file system is full.
FULL = (
    "Failed to parse parquet: External: Generic LocalFileSystem error: "
    "Unable to copy data to file: No space left on device (os error 28)"
)


def _nothing_more(_world: "World", _events: Path, _day: date, _since: int) -> None:
    pass


def _as_always(_home: Path) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what a week must have for it to happen.

    scenario: Of the world; it may hold the fault itself.
    deliver: Called with the world, the folder of the events, each day from the incident's on, and
        how many days after it that is: changes what was delivered of the day.
    build: Around the build of the incident's day, with the platform's home.
    spared: Assets that are not built; with it days are built by `firstchair.commands.run`.
    settings: Of the platform, by name.
    """

    scenario: str = "steady"
    deliver: Deliver = _nothing_more
    build: Build = _as_always
    spared: Callable[[], set[str]] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def bot(world: "World", events: Path, day: date, since: int, *, ms: int = BOT_MS_PLAYED) -> None:
    """Deliver a day of one account that is shown, clicks and plays thousands of times."""
    from firstchair.world import artist_id, track_id, user_id

    number = int(np.flatnonzero(world.people.first_day == 0)[0])
    artists = cycle(range(world.spec.artists))
    wanted = [{"event_type": "login"}] * BOT_LOGINS
    for slate in range(BOT_SLATES):
        for position, artist in zip(range(1, SLATE + 1), artists, strict=False):
            of = {"artist_id": artist_id(artist), "slate_id": f"bot-{day}-{slate}"}
            shown = of | {"position": position}
            served = {"model_version": "seeded-policy-1", "propensity": 1.0}
            played = {"track_id": track_id(artist, 0), "ms_played": ms}
            wanted += [
                {"event_type": "impression"} | shown | served,
                {"event_type": "click"} | shown,
                {"event_type": "play"} | of | played,
            ]
    first = since * len(wanted)
    lines = [
        json.dumps(
            {
                "event_id": f"bot-{first + place}",
                "occurred_at": f"{day}T{place * 24 // len(wanted):02d}:{place % 60:02d}:00Z",
                "user_id": user_id(number),
                "source": "bot",
                "source_seq": first + place,
                "simulated": True,
            }
            | event
        )
        for place, event in enumerate(wanted)
    ]
    (events / str(day) / "bot.jsonl").write_text("\n".join(lines))


def stray_clock(_world: "World", events: Path, day: date, since: int) -> None:
    """Put the records of one sender years off, by turns into the past and the future."""
    if since:
        return
    years = cycle(YEARS_OFF)

    def elsewhen(found: re.Match[str]) -> str:
        return f'"occurred_at":"{int(found[1]) + next(years)}-'

    for path in sorted((events / str(day)).glob(f"{CLOCKLESS}-*.jsonl.gz")):
        text = gzip.decompress(path.read_bytes()).decode()
        strayed = re.sub(r'"occurred_at":"(\d{4})-', elsewhen, text)
        path.write_bytes(gzip.compress(strayed.encode(), mtime=0))


@contextmanager
def full_disk(_home: Path) -> Iterator[None]:
    """Let every write of the lake fail for want of space."""
    from deltalake.exceptions import DeltaError

    from firstchair.errors import RunError

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise DeltaError(FULL)

    with patch("firstchair.lake.delta.write_deltalake", fail), suppress(RunError):
        yield


@contextmanager
def bad_refit(_home: Path) -> Iterator[None]:
    """Spoil the ALS that the build fits."""
    yield
    spoil_newest_als()


def spoil_newest_als() -> None:
    """Shuffle a third of the artists' factors of the newest ALS, as if it had been fitted so."""
    from firstchair.models import Family
    from firstchair.platform import open_platform

    registry = open_platform().registry
    newest = registry.newest(date.max)[Family.ALS]
    model: Any = registry.load(newest)
    rng, factors = np.random.default_rng(0), model.artist_factors
    chosen = rng.choice(len(factors), len(factors) // 3, replace=False)
    factors[chosen] = factors[rng.permutation(chosen)]
    registry.replace(newest, model, data_fingerprint=newest.data_fingerprint)


def _models_and_reports() -> set[str]:
    from firstchair.platform.assets import FEATURES, LISTS, MODELS, MONITORING

    return {*FEATURES, *MODELS, *LISTS, *MONITORING}


def _what_no_decision_needs() -> set[str]:
    from firstchair.models import Family, model_name
    from firstchair.platform.assets import MONITORING

    needed = {Family.ALS, Family.XGBOOST, Family.TRENDING}
    return {*MONITORING, "churn", *map(model_name, set(Family) - needed)}


FAULTS = {
    "silence": Fault("outage"),
    "garbage": Fault("bad-data-day"),
    "bot": Fault(deliver=bot),
    "click-bot": Fault(deliver=partial(bot, ms=0)),
    "stray-clock": Fault(deliver=stray_clock),
    "full-disk": Fault(build=full_disk, spared=_models_and_reports),
    "bad-refit": Fault(
        build=bad_refit,
        spared=_what_no_decision_needs,
        settings={"min_test_users": "50", "refresh_max_test_days": "1"},
    ),
}
