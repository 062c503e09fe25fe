"""The sources that the pages read, opened once in each worker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from firstchair.lake import Lake, connect
from firstchair.promotion import Entry, Ledger, Registry
from firstchair.publication.published import Published

Row = dict[str, Any]


class Alert(Protocol):
    """Something that is wrong now: a stable code, and a sentence for the person on call."""

    @property
    def code(self) -> str:
        """The stable code of its kind."""

    @property
    def text(self) -> str:
        """What is wrong, with the days and the limit."""

    @property
    def cause(self) -> str:
        """Likely cause."""

    @property
    def remedy(self) -> str:
        """What to do."""

    @property
    def link(self) -> str:
        """Address of the page to look at."""


class Cause(Protocol):
    """A cause of retraining and its outcome on a day."""

    @property
    def as_of(self) -> date:
        """The day."""

    @property
    def cause(self) -> str:
        """The name of the cause."""

    @property
    def outcome(self) -> str:
        """`fired`, or why it did not fire."""

    @property
    def detail(self) -> str:
        """The cause in words."""


class ByHand(Protocol):
    """Decisions that a person may make against the gate.

    Each writes an entry first and moves the aliases after it.
    """

    def promote(self, version: str, *, reason: str, person: str) -> Entry:
        """Promote a version; it is put on probation."""

    def roll_back(self, *, to: str, reason: str, person: str) -> Entry:
        """Remove the champion and bring back version `to`, the one that was confirmed."""


class Silence(Protocol):
    """What a person has said of an alert."""

    @property
    def by(self) -> str:
        """The name of their token."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def until(self) -> datetime | None:
        """When it ends; None: with the alert."""


class Silences(Protocol):
    """What persons say of alerts."""

    def silences(self, *, now: datetime) -> Mapping[str, Silence]:
        """What holds now, by code."""

    def silence(self, code: str, *, by: str, at: datetime, until: datetime | None = None) -> None:
        """Acknowledge an alert until it ends, or snooze it until an instant."""

    def unsilence(self, code: str) -> None:
        """Take that back."""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """The configuration of the console, beyond what logins need.

    k_anonymity: a cell of fewer users is not shown. reports: folder of the pages that monitoring
    keeps. addresses: of the other UIs, by name. alerts: what is wrong now. causes: of retraining,
    newest first, with those that did not fire. by_hand: the decisions of a person. doing: the
    running and waiting work. silences: what persons say of alerts; None: nothing can be said.
    """

    lake: Lake
    k_anonymity: int
    reports: Path
    addresses: Mapping[str, str]
    alerts: Callable[[], Sequence[Alert]]
    causes: Callable[[], Sequence[Cause]]
    by_hand: ByHand
    doing: Callable[[], Sequence[str]] = tuple
    silences: Silences | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that the pages read; `published` returns the served version, None before any."""

    config: ConsoleConfig
    registry: Registry
    ledger: Ledger
    pseudonym_key: bytes
    published: Callable[[], Published | None]

    @property
    def lake(self) -> Lake:
        """The tables."""
        return self.config.lake


def rows(query: str, *parameters: object) -> list[Row]:
    """The rows of a DuckDB query by column name."""
    with connect() as connection:
        found = connection.execute(query, parameters)
        names = [column[0] for column in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]
