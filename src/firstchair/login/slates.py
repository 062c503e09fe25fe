"""Slates made of the published lists, at times with an exploration slot; propensities are exact."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from firstchair.definitions.arms import CHALLENGER, CHAMPION, HOLDOUT
from firstchair.publication.layout import NOBODY
from firstchair.publication.published import Columns, Published, Role

# Probability that a slate has an exploration slot; off-policy estimates are based on these slots.
EXPLORATION = 0.10
# A draw is one of this many whole numbers. The share that explores must be a whole number of them,
# so that the logged propensity is exact.
DRAWS = 10_000
EXPLORING_DRAWS = int(EXPLORATION * DRAWS)
COLD_START, STALE = "cold_start", "stale"
# Reason number of an item whose reason is not published but made together with the slate.
NOT_PUBLISHED = -1
NO_TEXTS: Mapping[int, str] = MappingProxyType({})
# Artists, scores and reasons side by side, as in `Slate`.
Ranked = tuple[list[int], list[int], list[int]]
# Artist, score and reason of one place.
Entry = tuple[int, int, int]
Lists = tuple[Columns, ...]


class Slate(NamedTuple):
    """What a user is shown, and which model made it.

    model: the model of the list. role: its role, as the answer and the impressions name it.
    artists, scores, reasons: numbers as in `Published`, best first; a reason is `NOT_PUBLISHED`
    where `texts` has it, by place (0-based). explored: the exploration slot (0-based), or -1.
    propensity: of each ranked artist at its position; explored_propensity: of the artist in the
    exploration slot.
    """

    model: Role
    role: str
    fallback: str | None
    artists: list[int]
    scores: list[int]
    reasons: list[int]
    explored: int
    propensity: float
    explored_propensity: float
    texts: Mapping[int, str] = NO_TEXTS


def make_slate(
    published: Published,
    user_key: bytes,
    *,
    k: int,
    day: date,
    seed: int,
    without: frozenset[int] = frozenset(),
) -> Slate:
    """The first `k` of the user's list, with exploration (docs/reference/gate.md, 1.1).

    With probability `EXPLORATION`, one slot drawn uniformly shows an artist drawn uniformly from E:
    the artists of the champion's and the challenger's lists that are not among the first k. So the
    propensity of a slot's ranked artist is 1 - EXPLORATION / k, and that of each artist of E at
    each slot is EXPLORATION / k / |E|; where fewer are listed, k is their number. Seed, user and
    day fix the draw, so a second login of the day shows the same slate. An unknown user gets what
    is trending, without exploration.

    A user whose own role lists nothing for them gets the champion's list, in its role; where that
    is empty too, or the user is in the holdout, they get what unknown users get. If `without`
    leaves nothing of that either, they get it whole.

    Args:
        published: What is served now.
        user_key: 16 bytes, the user's pseudonym.
        k: Length of the slate, 1 to the length of the lists.
        day: UTC day of the login.
        seed: The platform's seed.
        without: Numbers of artists that are not shown while there are others, such as those that
            the user followed since the list was made.
    """
    row = published.row(user_key)
    role, ranked = ranked_list(published, row, k=k, without=without)
    if role == COLD_START:
        return Slate(published.unknown_users, COLD_START, COLD_START, *ranked, -1, 1.0, 0.0)
    start, end = row * published.length, (row + 1) * published.length
    model, fallback = published.roles[role], staleness(published, day)
    draw = draw_of(seed, user_key, day)
    explores = int.from_bytes(draw[:8]) % DRAWS < EXPLORING_DRAWS
    # With more than k artists in the champion's list, E cannot be empty.
    if (
        not explores
        and len(ranked[0]) == k
        and end - start > k
        and not without
        and published.columns[CHAMPION].artists[start + k] >= 0
    ):
        return Slate(model, role, fallback, *ranked, -1, 1 - EXPLORATION / k, 0.0)
    lists = chanced(published)
    outside = outside_of(lists, start, end, ranked[0], without)
    entry = partial(entry_of, lists, start, end)
    return with_chance(model, role, fallback, ranked, outside, entry, draw)


def ranked_list(
    published: Published, row: int, *, k: int, without: frozenset[int] = frozenset()
) -> tuple[str, Ranked]:
    """The first `k` of the list that a user is shown before chance, and the role that it is of.

    The role is `COLD_START` where the list is that of unknown users.

    Args:
        published: What is served now.
        row: The user's, or `NOBODY`.
        k: Length, 1 to the length of the lists.
        without: Numbers of artists that are not shown while there are others.
    """
    if row != NOBODY:
        role = published.role_of(row)
        start, end = row * published.length, (row + 1) * published.length
        ranked = _first(published.columns[role], start, end, k, without)
        if not ranked[0] and role != HOLDOUT:
            role = CHAMPION
            ranked = _first(published.columns[role], start, end, k, without)
        if ranked[0]:
            return role, ranked
    trending = partial(_first, published.unknown_user_list, 0, published.length, k)
    ranked = trending(without)
    # Who has taken all of these too is shown artists that they know, and no empty page.
    return COLD_START, ranked if ranked[0] else trending(frozenset())


def staleness(published: Published, day: date) -> str | None:
    """`STALE` if the lists were not made for the day or a later one, else None."""
    return None if published.as_of >= day else STALE


def draw_of(seed: int, user_key: bytes, day: date) -> bytes:
    """The random bytes (32) that decide the exploration of a user on a day."""
    return sha256(b"%d|%b|%d" % (seed, user_key, day.toordinal())).digest()


def with_chance(
    model: Role,
    role: str,
    fallback: str | None,
    ranked: Ranked,
    outside: list[int],
    entry: Callable[[int], Entry],
    draw: bytes,
) -> Slate:
    """The slate of ranked artists, with one slot for an artist of `outside` if `draw` selects one.

    `ranked` is overwritten. entry: gives artist, score and reason of an artist of `outside`.
    """
    shown = len(ranked[0])
    if not outside or not shown:
        return Slate(model, role, fallback, *ranked, -1, 1.0, 0.0)
    if int.from_bytes(draw[:8]) % DRAWS >= EXPLORING_DRAWS:
        return Slate(model, role, fallback, *ranked, -1, 1 - EXPLORATION / shown, 0.0)
    slot = int.from_bytes(draw[8:16]) % shown
    drawn = entry(outside[int.from_bytes(draw[16:24]) % len(outside)])
    for column, value in zip(ranked, drawn, strict=True):
        column[slot] = value
    chance = EXPLORATION / shown
    return Slate(model, role, fallback, *ranked, slot, 1 - chance, chance / len(outside))


def _first(
    columns: Columns, start: int, end: int, k: int, without: frozenset[int]
) -> tuple[list[int], list[int], list[int]]:
    """The first `k` entries of a row that are not left out."""
    if without:
        kept = [place for place in range(start, end) if columns.artists[place] not in without][:k]
        artists = [columns.artists[place] for place in kept]
        scores, reasons = (
            [view[place] for place in kept] for view in (columns.scores, columns.reasons)
        )
    else:
        artists, scores, reasons = columns.entries(start, min(k, end - start))
    if NOBODY in artists:
        full = artists.index(NOBODY)
        return artists[:full], scores[:full], reasons[:full]
    return artists, scores, reasons


def chanced(published: Published) -> Lists:
    """The lists that exploration draws from, the champion's first."""
    return tuple(
        published.columns[role] for role in (CHAMPION, CHALLENGER) if role in published.columns
    )


def outside_of(
    lists: Lists, start: int, end: int, shown: list[int], without: frozenset[int]
) -> list[int]:
    """E, ascending: artists in a row of the lists that are neither shown nor left out."""
    listed = set().union(*(columns.artists[start:end].tolist() for columns in lists))
    return sorted(listed.difference((NOBODY,), shown, without))


def entry_of(lists: Lists, start: int, end: int, artist: int) -> Entry:
    """Artist, score and reason of an artist of E, from the first of the lists that has it."""
    for columns in lists:
        artists = columns.artists[start:end].tolist()
        if artist in artists:
            place = start + artists.index(artist)
            return artist, columns.scores[place], columns.reasons[place]
    raise KeyError(artist)
