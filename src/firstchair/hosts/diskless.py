"""Logins where no local disk survives: their impressions are an object in the event store before a slate is seen."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstchair.errors import ModelError, SettingsError, SourceError
from firstchair.login.logins import Logins
from firstchair.outbox.spooled import put
from firstchair.publication.published import current, open_published
from firstchair.settings import Settings


@dataclass(frozen=True, slots=True)
class Parcel:
    """The impressions of one answer: name of their object, and its lines as a spool would hold them."""

    name: str
    lines: tuple[bytes, ...]


class Parcels:
    """An outbox in memory, emptied after each answer; a process is a `source` of its own."""

    def __init__(self, prefix: str) -> None:
        self.source = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.sequence = 0
        self._first = 0
        self._lines: list[bytes] = []

    def append(self, lines: bytes, events: int) -> None:
        """Hold lines until the parcel is taken."""
        self._lines.append(lines)
        self.sequence += events

    def take(self) -> Parcel:
        """All that was appended since the last one; its name is never given twice."""
        parcel = Parcel(f"{self.source}-{self._first:012d}", tuple(self._lines))
        self._first, self._lines = self.sequence, []
        return parcel


@dataclass(frozen=True, slots=True)
class DisklessConfig:
    """What such a process needs to know; no database is among it."""

    published: Path
    events_url: str
    pseudonym_key: bytes
    seed: int


def config_of(settings: Settings, *, published: Path) -> DisklessConfig:
    """The settings of a process that keeps nothing.

    Raises:
        SettingsError: `pseudonym_key` is not set. A key made here would be lost with the process,
            and the next process would know no user.
    """
    if not settings.pseudonym_key.get_secret_value():
        raise SettingsError(
            "pseudonym_key is not set, and nothing can be kept here.",
            where="FIRSTCHAIR_PSEUDONYM_KEY",
            data="Nothing was read or written.",
            remedy="Set it to the secret that the lists were published with.",
        )
    return DisklessConfig(
        published=published,
        events_url=settings.events_url,
        pseudonym_key=settings.secret_pseudonym_key(),
        seed=settings.seed,
    )


class Diskless:
    """Answers logins from what is published; nobody sees a slate whose impressions are not in the event store.

    A parcel that could not be written leaves a hole in the numbers of its source: those slates were never shown.
    """

    def __init__(self, config: DisklessConfig, *, prefix: str) -> None:
        self.config = config
        self.logins: Logins | None = None
        self._parcels = Parcels(prefix)
        self._served: str | None = None

    def reload(self) -> None:
        """Serve the version that the pointer names now; where nothing whole is there, what is served stays."""
        config = self.config
        named = current(config.published)
        if named is None or named == self._served:
            return
        try:
            published = open_published(config.published)
        except ModelError:
            return
        self.logins = Logins(
            published,
            self._parcels,
            pseudonym_key=config.pseudonym_key,
            seed=config.seed,
        )
        self._served = named

    def login(
        self, user_ids: Sequence[str], *, k: int, now: float, request: bytes = b""
    ) -> tuple[list[bytes], Parcel] | None:
        """A body for each user, in their order, and what must be delivered first; None before lists are published.

        Does not wait for anything, so that one thread can make many answers while their parcels are under way.

        Args:
            user_ids: Keys of the account table; any text.
            k: 1..50.
            now: Seconds since 1970.
            request: The client's own id of the request; the same one again is no second impression.
        """
        if self.logins is None:
            return None
        bodies = [self.logins.login(user_id, k, now, request) for user_id in user_ids]
        return bodies, self._parcels.take()

    def deliver(self, parcel: Parcel) -> None:
        """Write the parcel to the event store.

        Raises:
            SourceError: The store did not take it; the slates must not be shown.
        """
        try:
            put(self.config.events_url, parcel.name, parcel.lines)
        except Exception as error:  # each store of fsspec has exceptions of its own
            raise SourceError(
                f"The event store did not take the impressions: {error}.",
                where=self.config.events_url,
                data="No slate was shown.",
                remedy="Send the request again; check the store and the permission to write to it.",
            ) from error
