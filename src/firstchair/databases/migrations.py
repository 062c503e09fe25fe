"""Bringing a database that is ours to its newest form."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from firstchair.databases.locks import advisory_lock


def migrate(url: URL, scripts: Path) -> None:
    """Run the Alembic migrations in the folder `scripts`; safe to repeat, and to run in parallel.

    Raises:
        SourceError: The database cannot be reached.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts))
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with advisory_lock(url, "firstchair ledger migration", wait=True), engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
