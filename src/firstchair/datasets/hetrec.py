"""hetrec2011-lastfm-2k: real users, artists, play counts; days, slates, demographics by seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from firstchair.datasets.composition import Dataset, Request, in_days, in_order
from firstchair.datasets.profiles import PROFILES, read_profiles
from firstchair.datasets.tables import read_tsv, unreadable, whole_numbers

DAY_MS = 86_400_000
# A part of each user's real artists is held back for the last days: what a good model should find.
LATE_SHARE, LATE_DAYS = 0.22, 13
MAX_PLAYS = 8
SLATE, KNOWN_IN_SLATE, SLATES_PER_WEEK = 10, 4, 2
CLICK_SHARE = 0.25
FOLLOWED = 3
GENRES = 3
TRACKS_PER_ARTIST = 2
POLICY = "composed-slates-1"

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Listening:
    """The real pairs: user and artist ids, counts, and the composed day (0-based) of discovery."""

    user: Whole
    artist: Whole
    count: Whole
    found_on: Whole


def compose(request: Request) -> Dataset:
    """The data set over the days that are asked for; everything composed is drawn by the seed.

    Raises:
        SourceError: A file is missing or malformed, or says of nobody what they play.
    """
    path, seed, days, start = request.path, request.seed, request.days, request.start
    rng = np.random.default_rng(seed)
    artists = read_tsv(path / "artists.dat", ["id", "name"])
    pairs = read_tsv(path / "user_artists.dat", ["userID", "artistID", "weight"])
    user, artist, count = (
        whole_numbers(pairs, name, path / "user_artists.dat") for name in pairs.columns
    )
    ids = whole_numbers(artists, "id", path / "artists.dat")
    _require_known(artist, ids, path)
    late = rng.random(len(user)) < LATE_SHARE
    early_days = rng.integers(0, max(1, days - LATE_DAYS - 1), size=len(user))
    late_days = rng.integers(max(0, days - LATE_DAYS), days, size=len(user))
    listening = _Listening(user, artist, count, np.where(late, late_days, early_days))
    lengths = rng.integers(150_000, 330_000, size=(len(artists), TRACKS_PER_ARTIST))
    midnight = int(datetime.combine(start, time(), tzinfo=UTC).timestamp() * 1000)
    place = {int(number): row for row, number in enumerate(ids)}
    events = [
        *_plays(listening, lengths, place, days, rng),
        *_follows(listening),
        *_slates(listening, ids, days, rng),
    ]
    return Dataset(
        source="hetrec-lastfm",
        users=_users(path, np.unique(user), start, rng),
        artists=_artists(path, artists, ids, listening),
        tracks=_tracks(artists, ids, lengths),
        first=start,
        last=start + timedelta(days=days - 1),
        days=in_days(
            "hetrec-lastfm",
            in_order(
                (midnight + ms, kind, f"lastfm-{user}", fields) for ms, kind, user, fields in events
            ),
        ),
        real=(
            f"{len(np.unique(user)):,} users, {len(ids):,} artists with their names, and who "
            "plays whom",
            "play counts (damped to 1 to 8 plays a pair), genres (the most frequent tags)",
        ),
        composed=(
            f"the days: {1 - LATE_SHARE:.0%} of a user's artists are found early, "
            f"{LATE_SHARE:.0%} in the last days",
            "tracks and their lengths, milliseconds played, slates with clicks, logins, follows",
            "age, gender, country and signup: drawn from real profiles of lastfm-1k"
            if (path.parent / "lastfm-1k" / PROFILES).exists()
            else "signup; age, gender and country are unknown, because lastfm-1k is not beside "
            "this folder",
        ),
    )


def _require_known(artist: Whole, ids: Whole, path: Path) -> None:
    """Refuse a set of no pairs, and one whose pairs are of artists that it does not name."""
    file = path / "user_artists.dat"
    if not len(artist):
        raise unreadable(file, "it has no pair of user and artist")
    if len(unknown := np.flatnonzero(~np.isin(artist, ids))):
        line, number = int(unknown[0]) + 2, artist[unknown[0]]
        raise unreadable(file, f"line {line}, column artistID: {number} is not in artists.dat")


def _users(
    path: Path, users: Whole, start: date, rng: np.random.Generator
) -> list[tuple[Any, ...]]:
    beside = path.parent / "lastfm-1k"
    profiles = read_profiles(beside) if (beside / PROFILES).exists() else []
    rows = []
    for user in users:
        created = datetime.combine(
            start - timedelta(days=int(rng.integers(5, 1_500))), time(), tzinfo=UTC
        )
        said = profiles[int(rng.integers(len(profiles)))] if profiles else None
        gender, age, country = (said.gender, said.age, said.country) if said else (None, None, None)
        rows.append((f"lastfm-{user}", None, None, age, gender, None, None, country, created, None))
    return rows


def _artists(
    path: Path, artists: pd.DataFrame, ids: Whole, listening: _Listening
) -> list[tuple[Any, ...]]:
    tags = read_tsv(path / "tags.dat", ["tagID", "tagValue"], encoding="latin-1")
    tagged = read_tsv(path / "user_taggedartists.dat", ["artistID", "tagID"])
    counts = (
        tagged.value_counts(["artistID", "tagID"])
        .rename("uses")
        .reset_index()
        .merge(tags, on="tagID")
    )
    counts = counts.sort_values(["artistID", "uses", "tagValue"], ascending=[True, False, True])
    genres = (
        counts.groupby("artistID")["tagValue"].agg(lambda names: list(names[:GENRES])).to_dict()
    )
    listeners = pd.Series(listening.artist).value_counts().to_dict()
    return [
        (
            f"lastfm-{number}",
            name,
            None,
            int(listeners.get(int(number), 0)),
            genres.get(str(number), []),
        )
        for number, name in zip(ids, artists["name"], strict=True)
    ]


def _tracks(artists: pd.DataFrame, ids: Whole, lengths: Whole) -> list[tuple[Any, ...]]:
    return [
        (
            f"lastfm-{number}-{track}",
            f"lastfm-{number}",
            f"{name}, no. {track + 1}",
            int(lengths[row, track]),
            None,
        )
        for row, (number, name) in enumerate(zip(ids, artists["name"], strict=True))
        for track in range(TRACKS_PER_ARTIST)
    ]


def _plays(
    pairs: _Listening, lengths: Whole, place: dict[int, int], days: int, rng: np.random.Generator
) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    """1 + log2(count) plays of each pair, at most `MAX_PLAYS`: the first on the day it is found."""
    plays = np.minimum(MAX_PLAYS, 1 + np.log2(np.maximum(1, pairs.count)).astype(np.int64))
    pair = np.repeat(np.arange(len(plays)), plays)
    first = np.concatenate([[True], pair[1:] != pair[:-1]])
    found = pairs.found_on[pair]
    day = np.where(first, found, found + (rng.random(len(pair)) * (days - found)).astype(np.int64))
    ms = day * DAY_MS + rng.integers(0, DAY_MS, size=len(pair))
    track = rng.integers(TRACKS_PER_ARTIST, size=len(pair))
    heard = rng.uniform(0.5, 1.0, size=len(pair))
    for row in range(len(pair)):
        artist = int(pairs.artist[pair[row]])
        length = int(lengths[place[artist], track[row]])
        fields = {
            "artist_id": f"lastfm-{artist}",
            "track_id": f"lastfm-{artist}-{track[row]}",
            "ms_played": int(length * heard[row]),
            "slate_id": None,
        }
        yield int(ms[row]), "play", int(pairs.user[pair[row]]), fields


def _follows(pairs: _Listening) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    """A user follows the artists they play most, at the end of the day of the first play."""
    order = np.lexsort((-pairs.count, pairs.user))
    user = pairs.user[order]
    start = np.concatenate([[True], user[1:] != user[:-1]])
    rank = np.arange(len(user)) - np.maximum.accumulate(np.where(start, np.arange(len(user)), 0))
    for row in order[rank < FOLLOWED]:
        at = (int(pairs.found_on[row]) + 1) * DAY_MS - 1_000
        yield at, "follow", int(pairs.user[row]), {"artist_id": f"lastfm-{pairs.artist[row]}"}


def _slates(
    pairs: _Listening, ids: Whole, days: int, rng: np.random.Generator
) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    """Logins with a slate: some artists found before that day, the rest outside the user's list.

    Both parts are drawn uniformly and shuffled, so with d of m known artists and 10 - d of n
    others, a known one stands at a position with d / 10 / m and another with (10 - d) / 10 / n. An
    artist held back for later is never shown: that would be told as dislike what is only not yet
    known. A user who knows all but fewer than `SLATE` artists gets no slates.
    """
    weeks = -(-days // 7)
    for user in np.unique(pairs.user):
        mine = np.flatnonzero(pairs.user == user)
        outside = np.setdiff1d(ids, pairs.artist[mine])
        if len(outside) < SLATE:
            continue
        for number, day in enumerate(np.sort(rng.integers(0, days, size=SLATES_PER_WEEK * weeks))):
            known = pairs.artist[mine[pairs.found_on[mine] < day]]
            d = min(KNOWN_IN_SLATE, len(known))
            shown = (
                [(int(a), d / SLATE / len(known)) for a in rng.choice(known, d, replace=False)]
                if d
                else []
            )
            others = rng.choice(outside, SLATE - d, replace=False)
            shown += [(int(a), (SLATE - d) / SLATE / len(outside)) for a in others]
            clicked = rng.random(SLATE) < CLICK_SHARE
            at = int(day) * DAY_MS + int(rng.integers(0, DAY_MS - 120_000))
            yield from _slate(f"composed-{user}-{number}", at, int(user), shown, d, clicked, rng)


def _slate(
    slate_id: str,
    at: int,
    user: int,
    shown: list[tuple[int, float]],
    known: int,
    clicked: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Iterator[tuple[int, str, int, dict[str, Any]]]:
    yield at, "login", user, {}
    for position, number in enumerate(rng.permutation(SLATE), start=1):
        artist, propensity = shown[number]
        fields: dict[str, Any] = {
            "artist_id": f"lastfm-{artist}",
            "slate_id": slate_id,
            "position": position,
        }
        more = {"model_version": POLICY, "propensity": propensity, "surface": "home"}
        yield at + 500, "impression", user, {**fields, **more}
        if number < known and clicked[number]:
            yield at + 5_000 * position, "click", user, fields
