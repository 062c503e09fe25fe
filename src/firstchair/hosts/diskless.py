"""Logins without a lasting disk: impressions are in the event store before a slate is returned."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstchair.errors import ModelError, SettingsError, SourceError
from firstchair.login.logins import Logins
from firstchair.outbox.spooled import put
from firstchair.publication.published import open_published, to_serve
from firstchair.settings import Settings


@dataclass(frozen=True, slots=True)
class Parcel:
    """The impressions of one answer: the name of their object, and lines as in a spool."""

    name: str
    lines: tuple[bytes, ...]


class Parcels:
    """An outbox in memory, emptied after each answer; each process is a `source` of its own."""

    def __init__(self, prefix: str) -> None:
        self.source = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self.sequence = 0
        self._first = 0
        self._lines: list[bytes] = []

    def append(self, lines: bytes, events: int) -> None:
        """Keep lines until `take`."""
        self._lines.append(lines)
        self.sequence += events

    def take(self) -> Parcel:
        """All lines that were appended since the last call, under a name that is used once."""
        parcel = Parcel(f"{self.source}-{self._first:012d}", tuple(self._lines))
        self._first, self._lines = self.sequence, []
        return parcel


@dataclass(frozen=True, slots=True)
class DisklessConfig:
    """What a process without a lasting disk is configured by; it needs no database."""

    published: Path
    events_url: str
    pseudonym_key: bytes
    seed: int


def config_of(settings: Settings, *, published: Path) -> DisklessConfig:
    """The configuration of a process without a lasting disk.

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
    """Answers logins from the published lists, with impressions in the event store first.

    If a batch of impressions cannot be written, its slates are not shown, and the sequence numbers
    of its source have a gap.
    """

    def __init__(self, config: DisklessConfig, *, prefix: str) -> None:
        self.config = config
        self.logins: Logins | None = None
        self._parcels = Parcels(prefix)
        self._read: tuple[str, int] | None = None

    def reload(self) -> None:
        """Serve the version that the pointer names; keep the present one if that cannot be read."""
        config = self.config
        wanted = to_serve(config.published)
        if wanted in {None, self._read}:
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
        self._read = wanted

    def login(
        self, user_ids: Sequence[str], *, k: int, now: float, request: bytes = b""
    ) -> tuple[list[bytes], Parcel] | None:
        """A body for each user, in their order, and the impressions that must be delivered first.

        It is None before lists are published. It does not wait, so that one thread can make many
        answers while their impressions are being delivered.

        Args:
            user_ids: Keys of the account table; any text.
            k: 1..50.
            now: Seconds since 1970.
            request: The client's own id of the request; the same id again makes no second
                impression.
        """
        if self.logins is None:
            return None
        bodies = [self.logins.login(user_id, k, now, request) for user_id in user_ids]
        return bodies, self._parcels.take()

    def deliver(self, parcel: Parcel) -> None:
        """Write the impressions to the event store.

        Raises:
            SourceError: The store cannot be written; the slates must not be shown.
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
