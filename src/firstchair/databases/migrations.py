"""Bringing a database that is ours to its newest form."""

import re
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from firstchair.databases.locks import advisory_lock, connected, unpooled_engine

# How a migration names itself; files are named in the order of migrations.
REVISION = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)


def migrate(url: URL, scripts: Path, *, version_table: str = "alembic_version") -> None:
    """Run the Alembic migrations in the folder `scripts`; safe to repeat, and to run in parallel.

    Every command asks, and hardly any has something to migrate: only where the database is not in
    its newest form, the lock is taken and Alembic is loaded.

    Args:
        url: The database.
        scripts: Folder with `env.py` and `versions/`.
        version_table: Table in which Alembic notes the form of these tables.

    Raises:
        SourceError: The database cannot be reached.
    """
    newest = _newest(scripts)
    with connected(unpooled_engine(url)) as connection:
        if _form(connection, version_table) == newest:
            return
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with advisory_lock(url, "firstchair ledger migration", wait=True), engine.begin() as connection:
        if _form(connection, version_table) == newest:  # another process was first
            return
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.attributes |= {"connection": connection, "version_table": version_table}
        command.upgrade(config, "head")


def _newest(scripts: Path) -> str:
    """Revision of the newest migration."""
    newest = max((scripts / "versions").glob("*.py"))
    found = REVISION.search(newest.read_text(encoding="utf-8"))
    assert found is not None, f"{newest} names no revision"
    return found[1]


def _form(connection: sa.Connection, version_table: str) -> str | None:
    """Revision of the tables that are there; None before the first migration."""
    if not has_table(connection, version_table):
        return None
    version = sa.table(version_table, sa.column("version_num"))
    return connection.scalar(sa.select(version.c.version_num))


def has_table(connection: sa.Connection, name: str) -> bool:
    """Whether the database has a table; for one question, cheaper than SQLAlchemy's inspection."""
    return connection.scalar(sa.text("select to_regclass(:name)"), {"name": name}) is not None
