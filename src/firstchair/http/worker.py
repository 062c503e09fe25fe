"""The application of a worker, made from the settings; no database is opened until it is needed."""

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from firstchair.access.authorizer import Authorizer
from firstchair.access.hosts import AllowedHosts
from firstchair.access.tokens import Tokens
from firstchair.http.api import Api, ApiConfig
from firstchair.login.logins import Logins
from firstchair.settings import Settings, load_settings
from firstchair.sources import Tombstones

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from firstchair.promotion import Ledger, Registry
    from firstchair.promotion.status import Status
    from firstchair.publication.published import Published


def app(listens_at: str | None = None) -> Api:
    """Make the ASGI application; the server calls this once in each worker.

    Args:
        listens_at: Address that the server listens at; by default the one of the settings.
    """
    settings = load_settings()

    authorizer, opening = Authorizer(Tokens.of(settings)), Lock()

    @cache
    def opened() -> "tuple[Registry, Ledger]":
        from firstchair.databases import open_databases
        from firstchair.promotion import open_registry_and_ledger

        return open_registry_and_ledger(settings, open_databases(settings))

    def registry_and_ledger() -> "tuple[Registry, Ledger]":
        with opening:  # other requests wait for the first one, which opens them
            return opened()

    def champion() -> "Status":
        from firstchair.promotion.status import status

        return status(*registry_and_ledger())

    def decisions(before: int | None) -> list[dict[str, Any]]:
        from firstchair.promotion import entry_document

        ledger = registry_and_ledger()[1]
        return [entry_document(entry) for entry in ledger.entries(before=before)]

    def console(published: "Callable[[], Published | None]") -> "ASGIApp":
        from firstchair.console.opening import open_console

        return open_console(settings, published, authorizer)

    return Api(
        ApiConfig(
            published=settings.published,
            spool=settings.spool,
            events_url=settings.events_url,
            pseudonym_key=settings.secret_pseudonym_key(),
            authorizer=authorizer,
            seed=settings.seed,
            hosts=AllowedHosts.of(
                settings.allowed_hosts, listens_at=listens_at or settings.api_host
            ),
            connections=settings.api_connections,
            fold_in=settings.fold_in,
            tombstones=Tombstones(settings.forgotten, settings.secret_tombstone_key),
            champion=champion,
            decisions=decisions,
            console=console,
            logins=traced(settings),
        )
    )


def traced(settings: Settings) -> "Callable[..., Logins]":
    """What answers logins: with spans where the settings ask for traces, else without."""
    if not settings.traces_url:
        return Logins
    from firstchair.login.traced import TracedLogins
    from firstchair.platform.tracing import TRACER, open_tracing

    def logins(*arguments: Any, **named: Any) -> Logins:
        # Called in the worker itself: the thread that sends does not outlive a fork.
        provider = open_tracing(settings, service="api")
        assert provider is not None, "there is an address"
        return TracedLogins(*arguments, tracer=provider.get_tracer(TRACER), **named)

    return logins
