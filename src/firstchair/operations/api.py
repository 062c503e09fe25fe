"""The worker that granian starts, everything in it from the settings."""

from dataclasses import replace
from datetime import UTC, datetime

from firstchair.operations.alerts import open_alerts
from firstchair.operations.platform import Platform, open_platform
from firstchair.serving.api import Api, ApiConfig
from firstchair.serving.console import ConsoleConfig
from firstchair.serving.slates import Allocation


def app() -> Api:
    """An ASGI application; granian calls this once in each worker."""
    platform = open_platform()
    settings = platform.settings
    return Api(
        ApiConfig(
            published=settings.published,
            spool=settings.spool,
            events_url=settings.events_url,
            pseudonym_key=settings.secret_pseudonym_key(),
            token=settings.secret_api_token(),
            seed=settings.seed,
            allocation=Allocation(canary_share=settings.canary_share, holdback_share=settings.holdback_share),
            registry=platform.registry,
            ledger=platform.ledger,
            fold_in=settings.fold_in,
            console=_console(platform),
        )
    )


def _console(platform: Platform) -> ConsoleConfig:
    """What the pages read beyond the lists; alerts are looked for at the moment they are asked for."""
    settings = platform.settings
    return ConsoleConfig(
        lake=platform.lake,
        k_anonymity=settings.k_anonymity,
        reports=settings.home / "reports",
        addresses={"Dagster": settings.dagster_address, "MLflow": settings.mlflow_address},
        alerts=lambda: open_alerts(replace(platform, now=datetime.now(UTC))),
    )
