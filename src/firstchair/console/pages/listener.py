"""Listener: what is known of one user, what they are shown and why, and their arm."""

from dataclasses import dataclass
from datetime import date

from firstchair.console.sources import Row, Sources, rows
from firstchair.lake import tables as t
from firstchair.login.slates import COLD_START, Ranked, ranked_list
from firstchair.privacy import user_key
from firstchair.publication.layout import NOBODY, SCORE_UNITS
from firstchair.publication.published import Published

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
    row, role = NOBODY, COLD_START
    ranked: Ranked = ([], [], [])
    if published is not None:
        row = published.row(bytes.fromhex(key))
        role, ranked = ranked_list(published, row, k=min(LIST_LENGTH, published.length))
    return Listener(
        user_key=key,
        known=found is not None,
        as_of=as_of,
        features={name: found[name] for name in SCALARS} if found else {},
        recent=_with_names(sources, (found["recent_tracks"] or [])[:RECENT] if found else []),
        followed=tuple((found["followed_artists"] or [])[:RECENT]) if found else (),
        favourites=_favourites(sources, key, as_of) if found else (),
        arm=None if published is None else _arm(published, row, role),
        lists_as_of=None if published is None else published.as_of,
        published=None if published is None else published.version,
        items=() if published is None else _listed(published, ranked),
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


def _arm(published: Published, row: int, role: str) -> Arm:
    """The arm and model of the list that a login shows, in the words of the page."""
    bucket = None if row == NOBODY else published.buckets[row]
    if role == COLD_START:
        model = published.unknown_users
        return Arm("cold start: what is trending", model.family, model.version, bucket)
    model = published.roles[role]
    return Arm(role, model.family, model.version, bucket)


def _listed(published: Published, ranked: Ranked) -> tuple[Listed, ...]:
    return tuple(
        Listed(
            position=position,
            artist_id=str(published.artist_ids[artist]),
            name=published.names[artist] or str(published.artist_ids[artist]),
            score=score / SCORE_UNITS,
            reason=published.reason(reason),
        )
        for position, (artist, score, reason) in enumerate(zip(*ranked, strict=True), start=1)
    )
