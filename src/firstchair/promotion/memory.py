"""The registry and the ledger that the settings name."""

from firstchair.databases import Databases, to_driver
from firstchair.promotion.artifact_paths import follow_home
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import NAME, Registry
from firstchair.settings import Settings


def open_memory(settings: Settings, databases: Databases) -> tuple[Registry, Ledger]:
    """Both, the ledger in its newest form.

    Where MLflow's database lies in the home too, artifacts are looked for where the home is now.
    """
    ledger = Ledger(databases.ledger)
    ledger.migrate()
    artifacts = settings.home / "mlartifacts"
    if not settings.database_url and not settings.mlflow_tracking_uri:
        follow_home(databases.mlflow, NAME, artifacts)
    tracking_uri = settings.mlflow_tracking_uri or to_driver(databases.mlflow, "psycopg2").render_as_string(
        hide_password=False
    )
    return Registry(tracking_uri, artifacts), ledger
