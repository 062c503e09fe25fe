"""Opening the console: the data that it reads of the platform, and its decisions by hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from fastapi import APIRouter

from firstchair.access.audit import AuditLog
from firstchair.access.authorizer import Authorizer
from firstchair.access.oidc import Provider
from firstchair.access.sessions import Sessions
from firstchair.console import ConsoleConfig, Sources, console
from firstchair.definitions.mlflow_pages import model_page
from firstchair.lake import tables as t
from firstchair.platform.activity import doing
from firstchair.platform.alerts import open_alerts
from firstchair.platform.platform import Platform, open_platform
from firstchair.promotion import NAME, Entry, ManualDecision, promote_by_hand, roll_back_by_hand
from firstchair.publication.published import Published
from firstchair.settings import Settings

# Seconds for which pages reuse alerts, because alerts count whole tables.
ALERTS_SECONDS = 30
CAUSES = 30

Read = TypeVar("Read")


def open_console(
    settings: Settings, published: Callable[[], Published | None], authorizer: Authorizer
) -> APIRouter:
    """The console of the platform that the settings name, over the lists that a worker serves.

    Raises:
        SourceError: A server cannot be reached.
    """
    platform = open_platform(settings)
    sources = Sources(
        config=console_config(platform),
        registry=platform.registry,
        ledger=platform.ledger,
        pseudonym_key=settings.secret_pseudonym_key(),
        published=published,
    )
    sessions = Sessions(authorizer, platform.databases.ledger, issuer=settings.oidc_issuer)
    return console(
        sources,
        sessions=sessions,
        audit=AuditLog.at(settings.home),
        provider=Provider.of(settings),
    )


def console_config(platform: Platform) -> ConsoleConfig:
    """The configuration of a platform's console."""
    settings = platform.settings
    return ConsoleConfig(
        lake=platform.lake,
        k_anonymity=settings.k_anonymity,
        reports=settings.reports,
        addresses={
            "Dagster": settings.dagster_address,
            "MLflow": f"{settings.mlflow_address}/{model_page(NAME)}",
        },
        alerts=_reused(platform, open_alerts),
        doing=_reused(platform, doing),
        causes=lambda: platform.journal.triggers(limit=CAUSES),
        by_hand=ConsoleDecisions(platform),
        silences=platform.journal,
    )


@dataclass(frozen=True, slots=True)
class ConsoleDecisions:
    """Decisions by hand: they write the entry and move the aliases at once.

    The lists follow at the next tick of `promotion_sensor`, because a worker that answers logins
    does not build lists.
    """

    platform: Platform

    def promote(self, version: str, *, reason: str, person: str) -> Entry:
        """Promote a version; it is put on probation.

        Raises:
            LedgerError, ModelError: It cannot be; nothing was written.
        """
        p = self.platform
        users, salt = p.lake.count(t.USERS), p.settings.arm_salt
        manual = self._manual(reason, person)
        return promote_by_hand(
            p.registry, p.ledger, manual, version=version, users=users, salt=salt
        )

    def roll_back(self, *, to: str, reason: str, person: str) -> Entry:
        """Remove the champion and bring back version `to`.

        Raises:
            LedgerError: A rollback does not bring back that version; nothing was written.
        """
        p = self.platform
        return roll_back_by_hand(p.registry, p.ledger, self._manual(reason, person), to=to)

    def _manual(self, reason: str, person: str) -> ManualDecision:
        now = datetime.now(UTC)
        days = self.platform.lake.partitions(t.RECOMMENDATIONS)
        return ManualDecision(person, reason, now, max(days, default=now.date()))


def _reused(platform: Platform, read: Callable[[Platform], Read]) -> Callable[[], Read]:
    """A function that reads the platform as it is now, at most once in `ALERTS_SECONDS`."""

    @lru_cache(maxsize=1)
    def found(tick: int) -> Read:
        return read(replace(platform, now=datetime.fromtimestamp(tick * ALERTS_SECONDS, UTC)))

    return lambda: found(int(datetime.now(UTC).timestamp()) // ALERTS_SECONDS)
