"""Handles to all stores and databases that a run works on, opened once from the settings."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from firstchair import events, promotion
from firstchair.databases import Databases, open_databases
from firstchair.definitions.arms import Arms
from firstchair.errors import RunError
from firstchair.lake import Lake, SparkSettings
from firstchair.lake import tables as t
from firstchair.platform.journal import Journal
from firstchair.platform.work import require_lock
from firstchair.promotion import Ledger, Registry, open_registry_and_ledger
from firstchair.promotion.kept_buckets import kept_buckets
from firstchair.settings import Settings, load_settings
from firstchair.sources import Tombstones

if TYPE_CHECKING:
    from firstchair.promotion import Deciding, EvidenceReport, GateRules


@dataclass(frozen=True, slots=True)
class Platform:
    """The lake, the registry, the ledger and the addresses of the sources, with their settings."""

    settings: Settings
    databases: Databases
    lake: Lake
    registry: Registry
    ledger: Ledger
    journal: Journal
    now: datetime

    @property
    def rules(self) -> "GateRules":
        """The rules of the gate, from the settings."""
        return promotion.GateRules.of(self.settings)

    @property
    def tombstones(self) -> Tombstones:
        """The users who were forgotten."""
        return Tombstones(self.settings.forgotten, self.settings.secret_tombstone_key)

    def arms(self) -> Arms:
        """The assignment of users to roles by the ledger's last entry."""
        last = self.ledger.last()
        phase = None if last is None else last.phase
        return promotion.arms_of(
            phase,
            salt=self.settings.arm_salt,
            holdout_share=self.settings.holdout_share,
            kept=kept_buckets(self.lake),
        )

    def restore_aliases(self) -> bool:
        """Set the aliases as the ledger has them, before lists are made or published by them."""
        return promotion.restore_aliases(self.registry, self.ledger, now=self.now)

    def build_evidence(self, *, first: date, last: date) -> "EvidenceReport":
        """Build the evidence of the stages with traffic for these days (both included)."""
        return promotion.build_evidence(
            self.lake,
            promotion.spans(self.ledger),
            first=first,
            last=last,
            salt=self.settings.arm_salt,
            holdout_share=self.settings.holdout_share,
            known_until=self.complete_days()[1] + timedelta(days=1),
        )

    def decide(
        self, *, as_of: date, run_id: str | None = None, tick_id: str | None = None
    ) -> "Deciding":
        """Let the gate decide about a day, by the platform's rules and clock."""
        return promotion.decide(
            self.lake,
            self.registry,
            self.ledger,
            as_of=as_of,
            now=self.now,
            rules=self.rules,
            salt=self.settings.arm_salt,
            holdout_share=self.settings.holdout_share,
            run_id=run_id,
            tick_id=tick_id,
        )

    def complete_days(self) -> tuple[date, date]:
        """First and last day (UTC) whose events can be complete; today is never among them.

        Raises:
            RunError: No event has been ingested yet.
        """
        days = events.event_days(self.lake)
        yesterday = self.now.date() - timedelta(days=1)
        if days is None:
            raise self._none_accepted()
        if days[0] > yesterday:
            raise RunError(
                f"There is no complete day of events: the first are of {days[0]}, which "
                "is not over.",
                where=self.settings.events_url,
                data="They were ingested; nothing was built on them.",
                remedy=f"Run `firstchair run` again after {days[0]} 24:00 UTC.",
            )
        return days[0], min(days[1], yesterday)

    def require_accepted(self) -> None:
        """Raise if no event was accepted.

        Raises:
            RunError: No event was accepted; the text says how many were refused and why.
        """
        if not self.lake.count(t.EVENTS):
            raise self._none_accepted()

    def unusable(self, as_of: date) -> str | None:
        """Why nothing may be built from the days before `as_of`; None if it may."""
        limit = self.settings.max_quarantine_rate
        return events.unusable(self.lake, as_of=as_of, limit=limit)

    def with_refused(self, failure: RunError) -> RunError:
        """The failure and, if too many records were refused as well, how many and why."""
        refused = events.refused(self.lake)
        if refused is None or self.unusable(self.now.date() + timedelta(days=1)) is None:
            return failure
        return RunError(
            f"{failure.what} Beside it, {refused.sentence()}",
            where=failure.where,
            data=failure.data,
            remedy=f"{failure.remedy} {events.REFUSED_REMEDY}",
        )

    def require_usable(self, as_of: date) -> None:
        """Raise if nothing may be built from the days before `as_of`.

        Raises:
            DataError: More than `max_quarantine_rate` of the last day, or of all days, is lost.
        """
        events.require_usable(self.lake, as_of=as_of, limit=self.settings.max_quarantine_rate)

    def _none_accepted(self) -> RunError:
        refused = events.refused(self.lake)
        if refused is None:
            return RunError(
                "There is no complete day of events: none has been read.",
                where=self.settings.events_url,
                data="Nothing was built.",
                remedy="Deliver events, or make some with `firstchair simulate`.",
            )
        return RunError(
            f"No event was accepted: {refused.sentence()}",
            where=self.settings.events_url,
            data="Nothing was built; the records are in quarantine/events.",
            remedy=events.REFUSED_REMEDY,
        )


def open_platform(
    settings: Settings | None = None, *, now: datetime | None = None, rotating: bool = False
) -> Platform:
    """Open everything the settings name; starts the embedded Postgres where no URL is set.

    Args:
        settings: Read from the environment and `firstchair.toml` where none are given.
        now: The clock; by default that of the machine.
        rotating: Whether a rotation of the pseudonym key may be under way.

    Raises:
        SettingsError, SourceError: A setting cannot be used, or a server cannot be reached.
    """
    settings = settings or load_settings()
    if not rotating:
        settings.require_one_key()
    databases = open_databases(settings)
    registry, ledger = open_registry_and_ledger(settings, databases)
    registry.console = settings.api_address
    return Platform(
        settings=settings,
        databases=databases,
        lake=Lake(
            settings.lake_url,
            engine=settings.engine,
            spark=SparkSettings.of(settings),
            index=settings.event_index,
            before_write=partial(require_lock, databases.ledger),
        ),
        registry=registry,
        ledger=ledger,
        journal=_journal(databases.ledger),
        now=now or datetime.now(UTC),
    )


@cache
def _journal(url: sa.URL) -> Journal:
    """The migrated journal, one per process although each step of a run opens the platform."""
    journal = Journal(url)
    journal.migrate()
    return journal
