"""The answer that a login of a user would get now, without an impression."""

import time
from dataclasses import dataclass
from datetime import date
from typing import Literal

import orjson

from firstchair.login.logins import Logins
from firstchair.login.signal_feed import SignalFeed
from firstchair.publication.published import open_published
from firstchair.settings import Settings
from firstchair.signals.today import Today
from firstchair.sources import Tombstones


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """One artist; `score` in -1..1, `propensity` its chance of being at this position, 0..1."""

    position: int
    artist_id: str
    name: str | None
    score: float
    reason: str
    propensity: float


@dataclass(frozen=True, slots=True)
class ServingModel:
    """The model that made the list: family, registered version, role."""

    name: str
    version: str
    role: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer of the API (contract, section 7) without a slate id, since nothing was shown.

    simulated: whether any event that the lists were made of is simulated.
    """

    user_id: str
    as_of: date
    model: ServingModel
    fallback: Literal["cold_start", "stale"] | None
    items: tuple[PreviewItem, ...]
    simulated: bool


class _NotShown:
    """An outbox that drops all impressions."""

    source = "preview"
    sequence = 0

    def append(self, lines: bytes, events: int) -> None:
        """Drop them."""


def preview(settings: Settings, *, user_id: str, k: int, now: float | None = None) -> Preview:
    """Answer as a worker of the API would, with the same code on the same published lists.

    The arm of the user, exploration, today's signals and the fallback are those of the API. No
    impression is written.

    Args:
        settings: They name the lists and the signals, and whether signals are folded in
            (`fold_in`).
        user_id: Key of the account table; any text.
        k: Length, 1..50.
        now: Seconds since 1970; None: the clock's.

    Raises:
        ModelError: Nothing has been published yet.
    """
    now = time.time() if now is None else now
    published = open_published(settings.published)
    logins = Logins(
        published,
        _NotShown(),
        pseudonym_key=settings.secret_pseudonym_key(),
        seed=settings.seed,
        today=_today(settings, now),
        tombstones=Tombstones(settings.forgotten, settings.secret_tombstone_key),
    )
    answer = orjson.loads(logins.login(user_id, k, now))
    return Preview(
        user_id=answer["user_id"],
        as_of=date.fromisoformat(answer["as_of"]),
        model=ServingModel(**answer["model"]),
        fallback=answer["fallback"],
        items=tuple(PreviewItem(**item) for item in answer["items"]),
        simulated=published.simulated,
    )


def _today(settings: Settings, now: float) -> Today | None:
    """The signals of today that a worker would know if it started now."""
    if not settings.fold_in:
        return None
    signal_feed = SignalFeed(
        settings.spool / "signals",
        _NotShown.source,
        events_url=settings.events_url,
        pseudonym_key=settings.secret_pseudonym_key(),
    )
    signal_feed.step(now)
    return signal_feed.today
