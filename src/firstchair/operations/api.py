"""The worker that granian starts, everything in it from the settings."""

from firstchair.operations.console import console_config
from firstchair.operations.platform import open_platform
from firstchair.serving.api import Api, ApiConfig
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
            console=console_config(platform),
        )
    )
