"""Artists that were merged into another: every chain of redirects is followed to its end."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from firstchair.definitions.checks import Check, CheckState
from firstchair.lake import Lake
from firstchair.lake import tables as t

NAME = "artist_redirects"


class Fault(StrEnum):
    """Why a redirect is not followed; its artist then stays one of its own."""

    CIRCLE = "circle"
    UNKNOWN_ARTIST = "unknown_artist"


@dataclass(frozen=True, slots=True)
class Redirect:
    """What the catalogue says of one artist, and what follows.

    stated: the artist it names. redirect_to: the end of the chain, an artist that was not merged
    itself; None where the redirect is not followed, for `fault`.
    """

    artist_id: str
    stated: str
    redirect_to: str | None
    fault: Fault | None


def resolve_redirects(stated: Mapping[str, str], known: Collection[str]) -> list[Redirect]:
    """Follow every redirect to its end.

    A redirect is not followed where its target is no artist of the catalogue, or where it is part
    of a circle; what leads to such an artist ends there.

    Args:
        stated: Target by merged artist; an artist that names itself is not merged.
        known: All artists of the catalogue, merged ones included.

    Returns:
        One for each redirect, by artist_id ascending.

    >>> [found] = resolve_redirects({"a": "b"}, {"a", "b"})
    >>> found.redirect_to
    'b'
    """
    edges = {artist: target for artist, target in stated.items() if target and target != artist}
    gone = (artist for artist, target in edges.items() if target not in known)
    faults = dict.fromkeys(gone, Fault.UNKNOWN_ARTIST)
    faults |= dict.fromkeys(_in_circles(edges), Fault.CIRCLE)
    sound = {artist: target for artist, target in edges.items() if artist not in faults}
    return [
        Redirect(
            artist_id=artist,
            stated=edges[artist],
            redirect_to=_end_of(artist, sound),
            fault=faults.get(artist),
        )
        for artist in sorted(edges)
    ]


def check_redirects(lake: Lake) -> Check:
    """Whether every redirect of the catalogue could be followed, with those that could not."""
    rows = lake.read(t.ARTIST_REDIRECTS).sort_by("artist_id").to_pylist()
    if not rows:
        return Check(NAME, CheckState.NOT_APPLICABLE, "The catalogue names no merged artist.")
    broken = [row for row in rows if row["fault"] is not None]
    followed = f"{len(rows) - len(broken):,} of {len(rows):,} redirects of artists are followed"
    if not broken:
        return Check(NAME, CheckState.PASSES, f"{followed}.")
    named = "; ".join(_named(broken, fault) for fault in Fault if _of(broken, fault))
    text = f"{followed}. These artists stay on their own: {named}."
    return Check(NAME, CheckState.FAILS, text)


def _of(rows: list[dict[str, str]], fault: Fault) -> list[dict[str, str]]:
    return [row for row in rows if row["fault"] == fault]


def _named(rows: list[dict[str, str]], fault: Fault) -> str:
    found = _of(rows, fault)
    words = {
        Fault.CIRCLE: "redirected in a circle",
        Fault.UNKNOWN_ARTIST: "redirected to an artist that the catalogue does not hold",
    }
    return f"{len(found):,} {words[fault]} (first: {found[0]['artist_id']} to {found[0]['stated']})"


def _end_of(artist: str, sound: Mapping[str, str]) -> str | None:
    end = artist
    while end in sound:
        end = sound[end]
    return None if end == artist else end


def _in_circles(edges: Mapping[str, str]) -> Iterator[str]:
    """Artists whose redirects lead back to themselves."""
    seen: set[str] = set()
    for start in edges:
        path: dict[str, int] = {}
        artist = start
        while artist in edges and artist not in seen and artist not in path:
            path[artist] = len(path)
            artist = edges[artist]
        seen |= path.keys()
        first = path.get(artist, len(path))
        yield from (one for one, place in path.items() if place >= first)
