"""Fold-in: solve a user's factors again with today's signals; their new list and its reasons."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firstchair.events.vocabulary import EventType
from firstchair.features import ConfidenceSettings
from firstchair.features.confidence import (
    ASSUMED_TRACK_MS,
    POSITIVE_LISTEN_RATIO,
    POSITIVE_MS_PLAYED,
)
from firstchair.models.diversity import Diversity
from firstchair.models.folding import (
    SCORE_DECIMALS,
    because_of,
    cell_weights,
    normal_equations,
    strongest,
)
from firstchair.publication.factors import Factors, Row
from firstchair.signals.today import Signal

Floats = npt.NDArray[np.float32]
STANDARD = ConfidenceSettings()
# `_best` takes this many artists more than asked for and orders all by scores in double precision.
MARGIN = 64
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Uptake:
    """What the signals of a user say today, by number of the artist.

    strengths: summed strength of the positive interactions. refused: artists they unfollowed.
    """

    strengths: dict[int, float]
    refused: frozenset[int]

    @property
    def left_out(self) -> frozenset[int]:
        """Artists that are not shown today: the user has a positive interaction or refused them."""
        return self.refused | self.strengths.keys()


def uptake(
    signals: Iterable[Signal],
    *,
    number_of: Callable[[str], int],
    length_ms: Callable[[str], int],
    settings: ConfidenceSettings = STANDARD,
) -> Uptake:
    """Sum up signals as `features.interactions` does, without decay.

    Skips and artists outside of the catalogue do not count. Of follow and unfollow of an artist the
    latest counts, ties by event_id. A follow that counts adds its strength even if the user
    followed the artist before: their row does not show it. An unfollow that counts makes the artist
    `refused` unless the user clicked or played it today.

    Args:
        signals: Signals of one user; no order needed.
        number_of: Number of an artist in the catalogue, negative where it is not there.
        length_ms: Length of a track, 0 where it is not known.
        settings: Strengths of the signals.
    """
    strengths: dict[int, float] = {}
    follows: dict[int, Signal] = {}
    for signal in signals:
        artist = number_of(signal.artist_id)
        if artist < 0:
            continue
        if signal.event_type in {EventType.FOLLOW, EventType.UNFOLLOW}:
            follows[artist] = max(
                follows.get(artist, signal), signal, key=lambda s: (s.at, s.event_id)
            )
        elif (strength := _strength(signal, length_ms, settings)) > 0:
            strengths[artist] = strengths.get(artist, 0.0) + strength
    for artist, last in follows.items():
        if last.event_type == EventType.FOLLOW:
            strengths[artist] = strengths.get(artist, 0.0) + settings.follow_strength
    refused = {artist for artist, last in follows.items() if last.event_type == EventType.UNFOLLOW}
    return Uptake(strengths, frozenset(refused - strengths.keys()))


def _strength(
    signal: Signal, length_ms: Callable[[str], int], settings: ConfidenceSettings
) -> float:
    """Strength of a click or a play; 0 of a skip."""
    if signal.event_type == EventType.CLICK:
        return settings.click_strength
    heard = signal.ms_played / (length_ms(signal.track_id) or ASSUMED_TRACK_MS)
    is_skip = heard < POSITIVE_LISTEN_RATIO and signal.ms_played < POSITIVE_MS_PLAYED
    return 0.0 if is_skip else settings.play_strength * min(heard, 1.0)


def folded_row(
    row: Row, today: Uptake, *, faded: float = 1.0, settings: ConfidenceSettings = STANDARD
) -> Row:
    """The row that the matrix would hold for the user with today's signals in it.

    The inverse of the formula of `ConfidenceSettings` gives the strengths behind the row:
    r = epsilon (e^(c-1) - 1), sum s = sum r / (1 - sum r / activity_scale),
    s = r (1 + sum s / activity_scale). Today's strengths are added undecayed, and confidence is
    computed from the sums. An artist refused today has preference 0 whatever the row held. An
    artist with preference 0 in the row keeps it unless today has a positive interaction with it.

    Args:
        row: The user's published row.
        today: Their signals since the row was published.
        faded: Factor of decay of the row's strengths since their day, > 0 and <= 1.
        settings: Constants of the matrix.
    """
    liked = row.confidence > 0
    damped = settings.epsilon * np.expm1(row.confidence[liked].astype(np.float64) - 1)
    share = min(float(damped.sum()) / settings.activity_scale, 0.9999)
    kept = ~np.isin(row.artists[liked], list(today.refused))
    before = (damped / (1 - share) * faded)[kept]
    new = np.fromiter(today.strengths, dtype=np.int64, count=len(today.strengths))
    added = np.fromiter(today.strengths.values(), dtype=np.float64, count=len(new))
    artists, place = np.unique(np.concatenate([row.artists[liked][kept], new]), return_inverse=True)
    strength = np.bincount(place, weights=np.concatenate([before, added]), minlength=len(artists))
    damped = strength / (1 + strength.sum() / settings.activity_scale)
    confidence = 1 + np.log1p(damped / settings.epsilon)
    refused = np.array(sorted(today.refused), dtype=np.int64)
    stays = ~liked & ~np.isin(row.artists, [*today.strengths, *today.refused])
    return Row(
        np.concatenate([artists, row.artists[stays], refused]).astype(np.int32),
        np.concatenate(
            [confidence, row.confidence[stays], np.full(len(refused), -settings.negative_ceiling)]
        ).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Folded:
    """A list with today's signals in it, and the solve that it comes from.

    artists: numbers, best first. scores: -1..1, u.v / (|u| max|v|) as `models.als` publishes it.
    liked, weights, vectors: the user's artists, their weights (`cell_weights`) and factors.
    left: left side of the solve. user: the user's factors, of length 1. whole: the user's row with
    today's signals in it. left_out: int64, numbers of artists that the list may not hold.
    """

    artists: list[int]
    scores: list[float]
    liked: npt.NDArray[np.int32]
    weights: Floats
    vectors: Floats
    left: Floats
    user: Floats
    whole: Row
    left_out: npt.NDArray[np.int64]


def ordered(folded: Folded, diversity: Diversity) -> Folded:
    """The same list in the order of diverse lists."""
    if not folded.artists:
        return folded
    artists, scores = np.array([folded.artists], np.int32), np.array([folded.scores])
    places = diversity.order(artists, scores)[0]
    return replace(folded, artists=artists[0, places].tolist(), scores=scores[0, places].tolist())


def fold(
    factors: Factors,
    row: Row,
    today: Uptake,
    *,
    k: int,
    faded: float = 1.0,
    settings: ConfidenceSettings = STANDARD,
) -> Folded | None:
    """The best `k` artists for a user with today's signals in their row.

    It is None where the user likes no artist that the model knows. It solves equation 4 of Hu,
    Koren and Volinsky (2008) once, as the batch does. Left out are artists with a positive
    interaction, in the row or today, and those refused today.
    """
    whole = folded_row(row, today, faded=faded, settings=settings)
    artists, confidence = whole.artists, whole.confidence
    if len(factors.unknown):
        known = ~np.isin(artists, factors.unknown)
        artists, confidence = artists[known], confidence[known]
    liked = confidence > 0
    if not liked.any():
        return None
    weights = cell_weights(confidence, factors.alpha)
    vectors = factors.vectors[artists]
    left, right = normal_equations(factors.gram, weights, vectors)
    user = np.linalg.solve(left, right)
    user /= max(float(np.linalg.norm(user)), 1e-12)
    left_out = np.concatenate([whole.liked, [*today.refused]]).astype(np.int64)
    listed, scores = _best(factors, user, np.concatenate([left_out, factors.unknown]), k)
    return Folded(
        listed,
        scores,
        artists[liked],
        weights[liked],
        vectors[liked],
        left,
        user,
        whole,
        left_out,
    )


def scores_of(factors: Factors, user: Floats, near: npt.NDArray[np.int64] | slice = ALL) -> Floats:
    """Published scores of the artists `near`: float32 (their number,), -1..1.

    Args:
        factors: The model's factors.
        user: The user's factors, of length 1.
        near: Numbers of artists; all of them by default.
    """
    exact = (factors.vectors[near] / factors.longest) @ user.astype(np.float64)
    return np.clip(np.round(exact, SCORE_DECIMALS), -1, 1).astype(np.float32)


def _best(
    factors: Factors, user: Floats, left_out: npt.NDArray[np.int64], k: int
) -> tuple[list[int], list[float]]:
    """The best `k` artists and their scores, without `left_out`; ties by catalogue order."""
    rough = factors.vectors @ user
    rough[left_out] = -np.inf
    first = max(len(rough) - k - MARGIN, 0)
    near = np.argpartition(rough, first)[first:] if first else np.arange(len(rough))
    near = near[np.isfinite(rough[near])]
    scores = scores_of(factors, user, near)
    order = np.lexsort((near, -scores))[:k]
    return near[order].tolist(), scores[order].tolist()


def reasons(
    factors: Factors, folded: Folded, artists: Sequence[int], names: Callable[[int], str]
) -> list[str]:
    """The reason of each of `artists`: the liked ones (also today's) that add most to its score."""
    towards = np.linalg.solve(folded.left, factors.vectors[list(artists)].T)
    added = (folded.vectors @ towards) * folded.weights[:, None]
    own = np.array([names(int(artist)) for artist in folded.liked], dtype=object)
    return list(because_of(strongest(added)[0], own))
