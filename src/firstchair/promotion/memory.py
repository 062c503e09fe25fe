"""The registry and the ledger that the settings name."""

from firstchair.databases import Databases, to_driver
from firstchair.promotion.ledger import Ledger
from firstchair.promotion.registry import Registry
from firstchair.settings import Settings


def open_memory(settings: Settings, databases: Databases) -> tuple[Registry, Ledger]:
    """Both, the ledger in its newest form."""
    ledger = Ledger(databases.ledger)
    ledger.migrate()
    tracking_uri = settings.mlflow_tracking_uri or to_driver(databases.mlflow, "psycopg2").render_as_string(
        hide_password=False
    )
    return Registry(tracking_uri, settings.home / "mlartifacts"), ledger
