"""The slate of a user who has done something today: their list as it would be had the batch known it."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple

import orjson

from firstchair.definitions.arms import CHAMPION
from firstchair.features import ConfidenceSettings
from firstchair.login.slates import (
    COLD_START,
    STALE,
    Entry,
    Ranked,
    Slate,
    chanced,
    draw_of,
    entry_of,
    make_slate,
    outside_of,
    with_chance,
)
from firstchair.publication.factors import Factors
from firstchair.publication.foldin import Folded, Uptake, fold, reasons, uptake
from firstchair.publication.layout import NOBODY, SCORE_UNITS
from firstchair.publication.published import Columns, Published
from firstchair.signals.today import Signal

HALF_LIFE_DAYS = ConfidenceSettings().half_life_days
# Reason number of an item whose reason is made with the slate.
NOT_PUBLISHED = -1


class FoldedSlate(NamedTuple):
    """A slate that is not read from a list alone.

    family, version, role: the model that made it, as the answer and the impressions name it. reasons: by position.
    """

    slate: Slate
    family: str
    version: str
    role: str
    reasons: list[str]

    def answer(self, published: Published, user_id: str, slate_id: str) -> bytes:
        """The body of the contract, section 7."""
        slate = self.slate
        items = [
            {
                "position": place + 1,
                "artist_id": published.artist_ids[artist],
                "name": published.names[artist],
                "score": score / SCORE_UNITS,
                "reason": self.reasons[place],
                "propensity": slate.explored_propensity if place == slate.explored else slate.propensity,
            }
            for place, (artist, score) in enumerate(zip(slate.artists, slate.scores, strict=True))
        ]
        return orjson.dumps(
            {
                "user_id": user_id,
                "slate_id": slate_id,
                "as_of": published.as_of,
                "model": {"name": self.family, "version": self.version, "role": self.role},
                "fallback": slate.fallback,
                "items": items,
            }
        )


def folded_slate(
    published: Published,
    user_key: bytes,
    signals: tuple[Signal, ...],
    *,
    k: int,
    day: date,
    seed: int,
) -> FoldedSlate | None:
    """The slate with today's signals in it; None where they say nothing, so that the slate is the usual one.

    - A user whose arm shows lists of ALS gets the list that this version makes of their row and
      today's signals.
    - One whose arm shows lists of the ranker gets their candidates ordered anew by it (`Reranker`),
      with the published reason where an artist is in their list, else by what its ALS adds.
    - One whose arm shows trending, or a ranker too large to be published, keeps the list, less what
      they took up or refused today.
    - A listener without a list gets one by the champion where the champion is of ALS, else by the ALS of the day in
      the role `cold_start`. It is their own, so `fallback` is null (or "stale", where the lists are). Where nothing
      can be folded they get what is trending, less what they took up.

    One slot may be given to chance as in `make_slate`. E then holds the rest of the folded list and
    the artists of the user's published lists (or of the list for unknown users), without those that
    are shown or that today's signals leave out.

    Args:
        published: What is served now.
        user_key: 16 bytes, the user's pseudonym.
        signals: Those that the lists cannot know yet.
        k: Length, 1 to the length of the lists.
        day: UTC day of the login.
        seed: Of the platform.
    """
    folding = published.folding
    if folding is None:
        return None
    today = uptake(signals, number_of=published.number_of, length_ms=folding.length_ms)
    if not today.left_out:
        return None
    row = published.row(user_key)
    role = CHAMPION if row == NOBODY else published.role_of(row)
    version = folding.unknown_user_version if row == NOBODY else published.roles[role].version
    ranker = published.rankers.get(version)
    factors = folding.models.get(version) if ranker is None else ranker.factors
    folded = None
    if factors is not None:
        faded = 0.5 ** (max((day - published.as_of).days, 0) / HALF_LIFE_DAYS)
        folded = fold(factors, folding.row(row), today, k=published.length, faded=faded)
    if factors is None or folded is None:
        usual = make_slate(published, user_key, k=k, day=day, seed=seed, without=today.left_out)
        return _less(published, usual)
    if ranker is not None:
        folded = ranker.reordered(folded, row, k=published.length)
    if row == NOBODY and version != published.roles[CHAMPION].version:
        role = COLD_START
    fallback = None if published.as_of >= day else STALE
    told = {}
    if ranker is not None:
        told = _published_reasons(published.columns[role], row, published.length)
    ranked, outside, entry = _split(published, row, folded, today, k, told)
    slate = with_chance(role, fallback, ranked, outside, entry, draw_of(seed, user_key, day))
    family = "als" if ranker is None else published.roles[role].family
    return FoldedSlate(slate, family, version, role, _reasons(published, factors, folded, slate))


def _less(published: Published, slate: Slate) -> FoldedSlate:
    """A slate out of a published list."""
    cold = slate.fallback == COLD_START
    model = published.unknown_users if cold else published.roles[slate.role]
    said = [published.reason(number) for number in slate.reasons]
    return FoldedSlate(slate, model.family, model.version, COLD_START if cold else slate.role, said)


def _published_reasons(columns: Columns, row: int, length: int) -> dict[int, int]:
    """Numbers of the reasons in a user's published list, by artist."""
    artists, _, reasons = columns.entries(row * length, length)
    return dict(zip(artists, reasons, strict=True))


def _split(
    published: Published, row: int, folded: Folded, today: Uptake, k: int, told: Mapping[int, int]
) -> tuple[Ranked, list[int], Callable[[int], Entry]]:
    """The first `k` of the folded list; E, ascending; the entry of one of E.

    The entry is the folded one where both lists know the artist. An artist that `told` names has the
    published reason of that number.
    """
    entries = [
        (artist, round(score * SCORE_UNITS), told.get(artist, NOT_PUBLISHED))
        for artist, score in zip(folded.artists, folded.scores, strict=True)
    ]
    artists, scores, numbers = ([entry[place] for entry in entries[:k]] for place in range(3))
    tail = {entry[0]: entry for entry in entries[k:]}
    lists = (published.unknown_user_list,) if row == NOBODY else chanced(published)
    start = 0 if row == NOBODY else row * published.length
    end = start + published.length

    def entry(artist: int) -> Entry:
        return tail.get(artist) or entry_of(lists, start, end, artist)

    drawn = outside_of(lists, start, end, artists, today.left_out)
    return (artists, scores, numbers), sorted({*drawn, *tail}), entry


def _reasons(published: Published, factors: Factors, folded: Folded, slate: Slate) -> list[str]:
    """Each item's reason: as published where it has one, else by the fold."""

    def name(artist: int) -> str:
        return published.names[artist] or published.artist_ids[artist]

    by_fold = reasons(factors, folded, slate.artists, name)
    return [
        said if number == NOT_PUBLISHED else published.reason(number)
        for said, number in zip(by_fold, slate.reasons, strict=True)
    ]
