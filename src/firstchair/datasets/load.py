"""`firstchair load`: one public data set into both sources."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from firstchair.datasets import (
    hetrec,
    lastfm_1k,
    lastfm_json,
    listenbrainz,
    scrobbler_log,
    spotify_history,
    yambda,
)
from firstchair.datasets.composition import Dataset, Request, Rows
from firstchair.datasets.scrobbler_log import known_zone
from firstchair.errors import SettingsError
from firstchair.world import Store, deliver_day, replace_accounts

Progress = Callable[[int, int], None]

DATASETS: dict[str, Callable[[Request], Dataset]] = {
    "hetrec-lastfm": hetrec.compose,
    "lastfm-1k": lastfm_1k.compose,
    "listenbrainz": listenbrainz.compose,
    "spotify-history": spotify_history.compose,
    "scrobbler-log": scrobbler_log.compose,
    "lastfm-json": lastfm_json.compose,
    "yambda": yambda.compose,
}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was written, which of it is real, and what was left out: a line of text for each.

    refused: what was left out, counted by reason. exports: the export each user is from, where an
    export has one user; the sources know users by number alone.
    """

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
    left_out: tuple[str, ...]
    refused: Mapping[str, int] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)


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
    time_zone: str | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Write accounts, catalogue and events of the data set at `path`; repeatable byte for byte.

    Args:
        name: One of `DATASETS`.
        path: Its folder as published, or an export, or a folder of the exports of several users.
        accounts: Account database; its three tables are replaced, if they were written from here.
        events_url: Event store; what an earlier load or simulation wrote there is removed.
        truth: Where the names of the written objects and of the account database are kept.
        seed: Of everything that is composed.
        start: First day (UTC), where the set has no times.
        days: Days of events, where the set has no times.
        time_zone: Of times that do not say theirs, such as Europe/Berlin.
        now: A listen after it is refused; by default the time of the clock.
        progress: Called with days delivered and days in all.

    Raises:
        SettingsError: There is no such data set or time zone, or one has to be named.
        SourceError: A file is missing or malformed, or the account database cannot be written or
            holds rows of somebody else; nothing is written, and earlier events stay.
    """
    if name not in DATASETS:
        raise SettingsError(
            f"There is no data set {name}.",
            where="firstchair load",
            data="Nothing was written.",
            remedy=f"Choose one of {', '.join(DATASETS)}.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(
            path=path,
            scratch=Path(scratch),
            seed=seed,
            start=start,
            days=days,
            now=now or datetime.now(UTC),
            time_zone=None if time_zone is None else known_zone(time_zone),
        )
        found = DATASETS[name](request)
        return _written(name, found, accounts, events_url, truth, progress)


def _written(
    name: str,
    found: Dataset,
    accounts: sa.URL,
    events_url: str,
    truth: Path,
    progress: Progress | None,
) -> LoadReport:
    catalogue: Counter[str] = Counter()
    replace_accounts(
        accounts,
        users=found.users,
        artists=_counted(found.artists, catalogue, "artists"),
        tracks=_counted(found.tracks, catalogue, "tracks"),
        truth=truth,
    )
    # Earlier events are removed once there is something in their place.
    store = Store(events_url, truth)
    events: Counter[str] = Counter()
    dates = []
    for day in found.days:
        deliver_day(store, day.day, {found.source: day.lines})
        events += day.counts
        dates.append(day.day)
        if progress is not None:
            progress((day.day - found.first).days + 1, (found.last - found.first).days + 1)
    return LoadReport(
        name=name,
        users=len(found.users),
        artists=catalogue["artists"],
        tracks=catalogue["tracks"],
        objects=len(store.names),
        events=dict(sorted(events.items())),
        first_date=dates[0],
        last_date=dates[-1],
        real=found.real,
        composed=found.composed,
        left_out=tuple(found.left_out),
        refused=found.refused,
        exports=found.exports,
    )


def _counted(rows: Rows, counts: Counter[str], name: str) -> Rows:
    for row in rows:
        counts[name] += 1
        yield row
