"""Listener: what is known of one user, what they are shown and why, and their arm."""

from dataclasses import dataclass
from datetime import date

from firstchair.console.sources import Row, Sources, rows
from firstchair.definitions.arms import CHAMPION
from firstchair.lake import tables as t
from firstchair.privacy import user_key
from firstchair.publication.layout import NOBODY, SCORE_UNITS
from firstchair.publication.published import Columns, Published

LIST_LENGTH = 20
RECENT = 10
FAVOURITES = 10
SCALARS = (
    "lifecycle", "age_group", "gender", "country", "state", "city", "tenure_days",
    "days_since_last_login", "logins_28d", "impressions", "clicks", "clicks_per_100",
    "listen_through",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """One artist of a published list; score in -1..1."""

    position: int
    artist_id: str
    name: str
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Arm:
    """The lists that the user sees: role, its family and version, and the user's bucket.

    bucket: None if the user has no list.
    """

    role: str
    family: str
    version: str
    bucket: int | None


@dataclass(frozen=True, slots=True)
class Listener:
    """Everything on the page.

    features: scalar features of the newest day. known: whether there are any.
    """

    user_key: str
    known: bool
    as_of: date | None
    features: dict[str, object]
    recent: tuple[Row, ...]
    followed: tuple[Row, ...]
    favourites: tuple[Row, ...]
    arm: Arm | None
    lists_as_of: date | None
    published: str | None
    items: tuple[Listed, ...]


def listener_page(sources: Sources, user_id: str) -> Listener:
    """Look a user up by their account key; the key itself does not leave this function."""
    key = user_key(user_id, sources.pseudonym_key)
    days = sources.lake.partitions(t.USER_FEATURES)
    as_of = max(days, default=None)
    found = _features(sources, key, as_of)
    published = sources.published()
    return Listener(
        user_key=key,
        known=found is not None,
        as_of=as_of,
        features={name: found[name] for name in SCALARS} if found else {},
        recent=_with_names(sources, (found["recent_tracks"] or [])[:RECENT] if found else []),
        followed=tuple((found["followed_artists"] or [])[:RECENT]) if found else (),
        favourites=_favourites(sources, key, as_of) if found else (),
        arm=None if published is None else _arm(sources, published, key),
        lists_as_of=None if published is None else published.as_of,
        published=None if published is None else published.version,
        items=() if published is None else _items(sources, published, key),
    )


def _features(sources: Sources, key: str, as_of: date | None) -> Row | None:
    if as_of is None:
        return None
    found = rows(
        f"select * from {sources.lake.scan(t.USER_FEATURES)} where as_of = ? and user_key = ? "
        "limit 1",
        as_of,
        key,
    )
    return found[0] if found else None


def _with_names(sources: Sources, tracks: list[Row]) -> tuple[Row, ...]:
    """Tracks with their titles and artists."""
    if not tracks:
        return ()
    named = rows(
        f"""
        select track_id, title, a.name as artist from {sources.lake.scan(t.TRACKS)} k
        left join {sources.lake.scan(t.ARTISTS)} a using (artist_id)
        where list_contains(?, track_id)
        """,
        [track["track_id"] for track in tracks],
    )
    names = {row["track_id"]: row for row in named}
    return tuple(
        {"title": None, "artist": None} | track | names.get(track["track_id"], {})
        for track in tracks
    )


def _favourites(sources: Sources, key: str, as_of: date | None) -> tuple[Row, ...]:
    """Artists of the user's row of the matrix, those with most confidence first."""
    return tuple(
        rows(
            f"""
            select coalesce(a.name, artist_id) as name, confidence, plays, clicks, impressions,
                   follows
            from {sources.lake.scan(t.INTERACTIONS)}
            left join {sources.lake.scan(t.ARTISTS)} a using (artist_id)
            where as_of = ? and user_key = ? and preference = 1
            order by confidence desc, artist_id limit {FAVOURITES}
            """,
            as_of,
            key,
        )
    )


def _arm(sources: Sources, published: Published, key: str) -> Arm:
    row = published.row(bytes.fromhex(key))
    name = CHAMPION if row == NOBODY else published.role_of(row)
    role = published.roles[name]
    if row == NOBODY:
        return Arm("cold start: what is trending", role.family, role.version, None)
    return Arm(name, role.family, role.version, published.buckets[row])


def _items(sources: Sources, published: Published, key: str) -> tuple[Listed, ...]:
    row = published.row(bytes.fromhex(key))
    if row == NOBODY:
        return tuple(
            _listed(published, published.unknown_user_list, place, place)
            for place in _places(published.unknown_user_list, 0, published.length)
        )
    columns = published.columns[published.role_of(row)]
    start = row * published.length
    places = _places(columns, start, start + published.length)
    return tuple(_listed(published, columns, place, place - start) for place in places)


def _places(columns: Columns, start: int, end: int) -> list[int]:
    return [place for place in range(start, end) if columns.artists[place] != NOBODY][:LIST_LENGTH]


def _listed(published: Published, columns: Columns, place: int, rank: int) -> Listed:
    artist = columns.artists[place]
    artist_id = str(published.artist_ids[artist])
    return Listed(
        position=rank + 1,
        artist_id=artist_id,
        name=published.names[artist] or artist_id,
        score=columns.scores[place] / SCORE_UNITS,
        reason=published.reason(columns.reasons[place]),
    )
