"""Open the registry and the ledger that the settings name."""

import os
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from firstchair.databases import Databases, to_driver
from firstchair.promotion.artifact_paths import follow_home
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import NAME, Registry
from firstchair.settings import Settings


def open_registry_and_ledger(settings: Settings, databases: Databases) -> tuple[Registry, Ledger]:
    """Open both, and migrate the ledger's tables to the newest form.

    If MLflow's database is in the home too, paths of artifacts are corrected after a move of it.
    """
    in_home = not settings.database_url and not settings.mlflow_tracking_uri
    tracking_uri = settings.mlflow_tracking_uri or to_driver(
        databases.mlflow, "psycopg2"
    ).render_as_string(hide_password=False)
    artifacts = settings.home / "mlartifacts"
    followed = databases.mlflow if in_home else None
    return _opened(os.getpid(), tracking_uri, databases.ledger, followed, artifacts)


@cache
def _opened(
    _process: int, tracking_uri: str, ledger_url: sa.URL, mlflow: sa.URL | None, artifacts: Path
) -> tuple[Registry, Ledger]:
    """Both, once per process with their connections, although each step of a run opens them.

    Connections are not shared with a fork.
    """
    ledger = Ledger(ledger_url)
    ledger.migrate()
    if mlflow is not None:
        follow_home(mlflow, NAME, artifacts)
    return Registry(tracking_uri, artifacts), ledger
