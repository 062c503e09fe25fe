"""What the pages read, opened once for a worker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
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
        """Of what kind it is."""

    @property
    def text(self) -> str:
        """What is wrong, with the days and the figure it is measured against."""

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
    """What a cause of a retraining came to on a day."""

    @property
    def as_of(self) -> date:
        """The day."""

    @property
    def cause(self) -> str:
        """Its name."""

    @property
    def outcome(self) -> str:
        """`fired`, or why it was kept quiet."""

    @property
    def detail(self) -> str:
        """In words."""


class ByHand(Protocol):
    """What a person may decide against the gate; each writes an entry first and moves aliases after it."""

    def promote(self, version: str, *, reason: str, person: str) -> Entry:
        """Promote a version; it is put on probation."""

    def roll_back(self, *, to: str, reason: str, person: str) -> Entry:
        """Remove the champion and bring back version `to`, the one that was confirmed."""


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """What the console needs beyond what a login needs.

    k_anonymity: a cell of fewer users is not shown. reports: folder of the pages that monitoring keeps. addresses: of
    the other UIs, by name. alerts: what is wrong now. causes: of retrainings,
    newest first, those kept quiet too. by_hand: what a person may do. doing: what is at work and what waits.
    """

    lake: Lake
    k_anonymity: int
    reports: Path
    addresses: Mapping[str, str]
    alerts: Callable[[], Sequence[Alert]]
    causes: Callable[[], Sequence[Cause]]
    by_hand: ByHand
    doing: Callable[[], Sequence[str]] = tuple


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the pages read; `published` gives what is served now, None before the first."""

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
