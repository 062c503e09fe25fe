"""The slate of a user with signals today: the list that the batch would make with these signals."""

from collections.abc import Callable, Mapping
from datetime import date

from firstchair.definitions.arms import CHAMPION
from firstchair.features import ConfidenceSettings
from firstchair.login.slates import (
    COLD_START,
    NOT_PUBLISHED,
    Entry,
    Ranked,
    Slate,
    chanced,
    draw_of,
    entry_of,
    make_slate,
    outside_of,
    staleness,
    with_chance,
)
from firstchair.publication.factors import Factors, Folding
from firstchair.publication.foldin import Folded, Uptake, fold, ordered, reasons, uptake
from firstchair.publication.layout import NOBODY, SCORE_UNITS
from firstchair.publication.published import Columns, Published, Role
from firstchair.signals.today import Signal

HALF_LIFE_DAYS = ConfidenceSettings().half_life_days
ALS = "als"


def folded_slate(
    published: Published,
    user_key: bytes,
    signals: tuple[Signal, ...],
    *,
    k: int,
    day: date,
    seed: int,
) -> Slate | None:
    """Make the slate of a user with today's signals in it.

    It is None where the signals change nothing; the user's slate is then that of `make_slate`.

    - A user whose arm shows lists of ALS gets the list that this version makes of their row and
      today's signals.
    - A user whose arm shows lists of the ranker gets their candidates reordered by it (`Reranker`).
      The reason of an artist is the published one where the artist is in their list; otherwise it
      comes from the ranker's ALS.
    - A user whose arm shows trending, or a ranker too large to be published, keeps the list without
      the artists to which they gave a positive interaction or which they unfollowed today.
    - A user without a list gets one by the champion if it is an ALS, else by the ALS of the day in
      the role `cold_start`. The list is their own, so `fallback` is null ("stale" if the lists
      are). If nothing can be folded, they get what is trending, without artists of today's signals.
    - A user who has taken every artist that the model knows gets the slate of `make_slate`.

    One slot may be given to chance as in `make_slate`. E then holds the rest of the folded list and
    the artists of the user's published lists (or of the list for unknown users), without those that
    are shown or that today's signals leave out.

    Args:
        published: What is served now.
        user_key: 16 bytes, the user's pseudonym.
        signals: The user's signals that the lists do not know yet.
        k: Length of the slate, 1 to the length of the lists.
        day: UTC day of the login.
        seed: The platform's seed.
    """
    folding = published.folding
    if folding is None:
        return None
    today = uptake(signals, number_of=published.number_of, length_ms=folding.length_ms)
    if not today.left_out:
        return None
    row = published.row(user_key)
    role, model = _folded_model(published, folding, row)
    ranker = published.rankers.get(model.version)
    factors = folding.models.get(model.version) if ranker is None else ranker.factors
    folded = None
    if factors is not None:
        faded = 0.5 ** (max((day - published.as_of).days, 0) / HALF_LIFE_DAYS)
        folded = fold(factors, folding.row(row), today, k=published.length, faded=faded)
    if factors is None or folded is None or not folded.artists:
        return make_slate(published, user_key, k=k, day=day, seed=seed, without=today.left_out)
    known_reasons = {}
    if ranker is not None:
        folded = ranker.reordered(folded, row, k=published.length)
        known_reasons = _published_reasons(published.columns[role], row, published.length)
    if folding.diversity is not None:
        folded = ordered(folded, folding.diversity)
    ranked, outside, entry = _split(published, row, folded, today, k, known_reasons)
    draw = draw_of(seed, user_key, day)
    slate = with_chance(model, role, staleness(published, day), ranked, outside, entry, draw)
    return slate._replace(texts=_texts(published, factors, folded, slate))


def _folded_model(published: Published, folding: Folding, row: int) -> tuple[str, Role]:
    """The role and the model whose list of a user follows today's signals."""
    role = CHAMPION if row == NOBODY else published.role_of(row)
    model = published.roles[role]
    if row == NOBODY and folding.unknown_user_version != model.version:
        return COLD_START, Role(ALS, folding.unknown_user_version)
    return role, model


def _published_reasons(columns: Columns, row: int, length: int) -> dict[int, int]:
    """Numbers of the reasons in a user's published list, by artist."""
    artists, _, reasons = columns.entries(row * length, length)
    return dict(zip(artists, reasons, strict=True))


def _split(
    published: Published,
    row: int,
    folded: Folded,
    today: Uptake,
    k: int,
    known_reasons: Mapping[int, int],
) -> tuple[Ranked, list[int], Callable[[int], Entry]]:
    """The first `k` of the folded list; E, ascending; a function from an artist of E to its entry.

    The entry is the folded one where both lists hold the artist. `known_reasons` maps artists to
    the numbers of their published reasons.
    """
    entries = [
        (artist, round(score * SCORE_UNITS), known_reasons.get(artist, NOT_PUBLISHED))
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


def _texts(published: Published, factors: Factors, folded: Folded, slate: Slate) -> dict[int, str]:
    """The reasons of the items that have no published one, by place; the fold-in gives them."""

    def name(artist: int) -> str:
        return published.names[artist] or published.artist_ids[artist]

    by_fold = reasons(factors, folded, slate.artists, name)
    return {
        place: by_fold[place]
        for place, number in enumerate(slate.reasons)
        if number == NOT_PUBLISHED
    }
