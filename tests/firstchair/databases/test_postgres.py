"""The embedded Postgres as its users meet it."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from firstchair.databases import (
    Databases,
    dump_database,
    empty_database,
    holds_tables,
    load_database,
    open_databases,
    to_driver,
)
from firstchair.databases.postgres import _open, forget_copied_server
from firstchair.errors import SourceError
from firstchair.settings import Settings


def test_each_owner_has_a_database_of_its_own(databases: Databases) -> None:
    names = {
        url.database
        for url in (databases.accounts, databases.ledger, databases.mlflow, databases.dagster)
    }

    assert len(names) == 4


def test_a_table_written_by_one_driver_is_read_by_the_other(databases: Databases) -> None:
    with sa.create_engine(databases.ledger).begin() as connection:
        connection.execute(sa.text("create table champions (family text)"))
        connection.execute(sa.text("insert into champions values ('als')"))

    with sa.create_engine(to_driver(databases.ledger, "psycopg2")).connect() as connection:
        assert connection.scalar(sa.text("select family from champions")) == "als"


def test_a_dump_brings_a_database_back_and_no_command_line_has_its_password(
    new_database: Callable[[], sa.URL], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pragma: allowlist nextline secret
    source, target = (new_database().set(password="a-secret") for _ in range(2))
    commands: list[tuple[str, ...]] = []
    run = subprocess.run

    def recorded(command: tuple[str, ...], **options: Any) -> Any:
        commands.append(command)
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", recorded)
    with sa.create_engine(source).begin() as connection:
        connection.execute(sa.text("create table champions (family text)"))
        connection.execute(sa.text("insert into champions values ('als')"))

    dump_database(source, tmp_path / "dump")
    assert not holds_tables(target)
    load_database(tmp_path / "dump", target)
    empty_database(source)
    load_database(tmp_path / "dump", source)

    for url in (source, target):
        with sa.create_engine(url).connect() as connection:
            assert connection.scalar(sa.text("select family from champions")) == "als"
    assert len(commands) == 3
    assert "a-secret" not in " ".join(part for command in commands for part in command)


def test_a_dump_that_cannot_be_loaded_leaves_the_database_as_it_was(
    new_database: Callable[[], sa.URL], tmp_path: Path
) -> None:
    (tmp_path / "dump").write_text("no dump")
    url = new_database()

    with pytest.raises(SourceError, match="pg_restore failed"):
        load_database(tmp_path / "dump", url)

    assert not holds_tables(url)


def test_services_that_all_start_at_once_make_the_databases_together(
    new_database: Callable[[], sa.URL],
) -> None:
    url = new_database().render_as_string(hide_password=False)
    settings = [Settings(database_url=url, source_database_url=url) for _ in range(8)]

    with ThreadPoolExecutor(len(settings)) as services:
        found = list(services.map(lambda own: _open.__wrapped__(own.home, url, url), settings))

    assert found == [open_databases(settings[0])] * len(settings)


def server_of(home: Path, *, pid: int, folder: Path) -> Path:
    """What a server that works in `folder` leaves in a home."""
    (home / "postgres").mkdir(parents=True)
    path = home / "postgres" / "postmaster.pid"
    path.write_text(f"{pid}\n{folder}\n1712346200\n5432\n/tmp\n\n 1 2\nready\n")
    (home / "postgres" / ".handle_pids.json").write_text(f"[{pid}]")
    return path


def test_a_copied_home_does_not_take_the_server_of_the_original_for_its_own(tmp_path: Path) -> None:
    path = server_of(
        tmp_path / "copy", pid=psutil.Process().pid, folder=tmp_path / "original" / "postgres"
    )

    forget_copied_server(tmp_path / "copy")

    assert not path.exists()
    assert (path.parent / ".handle_pids.json").read_text() == "[]"


def test_a_home_that_was_moved_while_its_server_works_in_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = server_of(
        tmp_path / "moved", pid=psutil.Process().pid, folder=tmp_path / "before" / "postgres"
    )
    monkeypatch.chdir(path.parent)

    with pytest.raises(SourceError, match=r"was moved from .*before while its Postgres"):
        forget_copied_server(tmp_path / "moved")

    assert path.exists()


def test_a_server_keeps_what_it_wrote_in_its_own_home(tmp_path: Path) -> None:
    path = server_of(
        tmp_path / "home", pid=psutil.Process().pid, folder=tmp_path / "home" / "postgres"
    )
    before = path.read_text()

    forget_copied_server(tmp_path / "home")

    assert path.read_text() == before
