"""`firstchair load`: one public data set into both sources."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from firstchair.datasets import hetrec, lastfm_1k
from firstchair.datasets.composition import Dataset
from firstchair.errors import SettingsError
from firstchair.world import Store, deliver_day, replace_accounts

Progress = Callable[[int, int], None]
Rows = Iterable[Sequence[Any]]

DATASETS: dict[str, Callable[[Path, int, int, date], Dataset]] = {
    "hetrec-lastfm": hetrec.compose,
    "lastfm-1k": lastfm_1k.compose,
}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was written, and which of it is real: a line of text for each."""

    name: str
    users: int
    artists: int
    tracks: int
    objects: int
    events: dict[str, int]
    first_date: date
    last_date: date
    real: tuple[str, ...]
    composed: tuple[str, ...]


def load(
    name: str,
    path: Path,
    *,
    accounts: sa.URL,
    events_url: str,
    truth: Path,
    seed: int,
    start: date,
    days: int = 60,
    progress: Progress | None = None,
) -> LoadReport:
    """Write accounts, catalogue and events of the data set at `path`; the same arguments give the same bytes.

    Args:
        name: One of `DATASETS`.
        path: Its folder, as published.
        accounts: Account database; its three tables are replaced.
        events_url: Event store; what an earlier load or simulation wrote there is removed.
        truth: Where the names of the written objects are kept.
        seed: Of everything that is composed.
        start: First day (UTC), where the set has no times.
        days: Days of events, where the set has no times.
        progress: Called with days delivered and days in all.

    Raises:
        SettingsError: There is no such data set.
        SourceError: A file is missing or malformed; nothing is written.
    """
    if name not in DATASETS:
        raise SettingsError(
            f"There is no data set {name}.",
            where="firstchair load",
            data="Nothing was written.",
            remedy=f"Choose one of {', '.join(DATASETS)}.",
        )
    found = DATASETS[name](path, seed, days, start)
    replace_accounts(accounts, users=found.users, artists=found.artists, tracks=found.tracks)
    store = Store(events_url, truth)
    for number, (day, lines) in enumerate(sorted(found.lines.items())):
        deliver_day(store, day, {found.source: lines})
        if progress is not None:
            progress(number + 1, len(found.lines))
    return LoadReport(
        name=name,
        users=len(found.users),
        artists=len(found.artists),
        tracks=len(found.tracks),
        objects=len(store.names),
        events=dict(sorted(found.counts.items())),
        first_date=min(found.lines),
        last_date=max(found.lines),
        real=found.real,
        composed=found.composed,
    )
