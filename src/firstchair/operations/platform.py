"""Handles to everything a run works on, opened once from the settings."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from firstchair import events
from firstchair.databases import Databases, open_databases
from firstchair.definitions.arms import Arms
from firstchair.errors import RunError
from firstchair.lake import Lake
from firstchair.operations.journal import Journal
from firstchair.promotion import (
    Deciding,
    EvidenceReport,
    GateRules,
    Ledger,
    Registry,
    arms_of,
    build_evidence,
    decide,
    open_memory,
    spans,
)
from firstchair.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Platform:
    """The lake, the registry, the ledger and the addresses of the sources, with the settings behind them."""

    settings: Settings
    databases: Databases
    lake: Lake
    registry: Registry
    ledger: Ledger
    journal: Journal
    now: datetime

    @property
    def rules(self) -> GateRules:
        """What the gate asks for, from the settings."""
        return GateRules.of(self.settings)

    def arms(self) -> Arms:
        """Who sees whose list by the ledger's last entry."""
        last = self.ledger.last()
        phase = None if last is None else last.phase
        return arms_of(phase, salt=self.settings.arm_salt, holdout_share=self.settings.holdout_share)

    def build_evidence(self, *, first: date, last: date) -> EvidenceReport:
        """Put the evidence of the stages with traffic in place, for these days (both included)."""
        return build_evidence(
            self.lake,
            spans(self.ledger),
            first=first,
            last=last,
            salt=self.settings.arm_salt,
            holdout_share=self.settings.holdout_share,
            known_until=self.complete_days()[1] + timedelta(days=1),
        )

    def decide(self, *, as_of: date, run_id: str | None = None, tick_id: str | None = None) -> Deciding:
        """Put the day before the gate, by the platform's rules and clock."""
        return decide(
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
        """First and last day (UTC) whose events can be complete: nothing of today is used.

        Raises:
            RunError: No event has been ingested yet.
        """
        days = events.event_days(self.lake)
        yesterday = self.now.date() - timedelta(days=1)
        if days is None or days[0] > yesterday:
            raise RunError(
                "There is no complete day of events.",
                where=self.settings.events_url,
                data="Nothing was built; what is quarantined stays in quarantine/events.",
                remedy="Deliver events, or make some with `firstchair simulate`.",
            )
        return days[0], min(days[1], yesterday)


def open_platform(settings: Settings | None = None, *, now: datetime | None = None) -> Platform:
    """Open everything the settings name; starts the embedded Postgres where no URL is set.

    Raises:
        SettingsError, SourceError: A setting cannot be used, or a server cannot be reached.
    """
    settings = settings or load_settings()
    databases = open_databases(settings)
    registry, ledger = open_memory(settings, databases)
    journal = Journal(databases.ledger)
    journal.migrate()
    return Platform(
        settings=settings,
        databases=databases,
        lake=Lake(settings.lake_url, engine=settings.engine),
        registry=registry,
        ledger=ledger,
        journal=journal,
        now=now or datetime.now(UTC),
    )
