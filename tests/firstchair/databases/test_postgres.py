"""The embedded Postgres as its users meet it."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from firstchair.databases import (
    Databases,
    dump_database,
    embedded_server_runs,
    empty_database,
    forget_dead_handles,
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


def test_a_home_whose_databases_are_a_link_keeps_its_server(
    session_databases: Databases, tmp_path: Path
) -> None:
    data = Path(str(session_databases.ledger.query["host"])).resolve()
    (tmp_path / "postgres").symlink_to(data)
    handles = data / ".handle_pids.json"
    before = (data / "postmaster.pid").read_text(), handles.read_text()

    found = _open.__wrapped__(tmp_path, "", "")

    assert embedded_server_runs(tmp_path)
    assert ((data / "postmaster.pid").read_text(), handles.read_text()) == before
    with sa.create_engine(found.ledger).connect() as connection:
        assert connection.scalar(sa.text("select 1")) == 1


@pytest.mark.parametrize("text", ["", "[12, 4"])
def test_handles_that_a_full_disk_cut_off_are_none(tmp_path: Path, text: str) -> None:
    path = server_of(tmp_path, pid=1, folder=tmp_path / "postgres").parent / ".handle_pids.json"
    path.write_text(text)

    forget_dead_handles(tmp_path)

    assert path.read_text() == "[]"


def test_handles_of_dead_processes_are_forgotten_and_no_others(tmp_path: Path) -> None:
    server_of(tmp_path, pid=1, folder=tmp_path / "postgres")
    path = tmp_path / "postgres" / ".handle_pids.json"
    dead = subprocess.Popen(["true"])
    dead.wait()
    path.write_text(f"[{dead.pid}, {psutil.Process().pid}]")

    forget_dead_handles(tmp_path)

    assert path.read_text() == f"[{psutil.Process().pid}]"


@pytest.mark.parametrize("text", ["", "4711\n"])
def test_a_server_that_did_not_start_whole_is_none(tmp_path: Path, text: str) -> None:
    path = server_of(tmp_path, pid=1, folder=tmp_path / "postgres")
    path.write_text(text)

    assert not embedded_server_runs(tmp_path)
    forget_copied_server(tmp_path)

    assert not path.exists()


@contextmanager
def role_of(server: sa.URL, name: str, *rights: str) -> Iterator[sa.URL]:
    """A role without rights of its own, after these statements; it is dropped afterwards."""
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with admin.connect() as connection:
        connection.execute(sa.text(f"create role {name} login"))
        for statement in rights:
            connection.execute(sa.text(statement))
        try:
            yield server.set(username=name)
        finally:
            connection.execute(sa.text("grant connect on database postgres to public"))
            connection.execute(sa.text(f"drop owned by {name}"))
            connection.execute(sa.text(f"drop role {name}"))


def test_a_role_with_a_right_to_its_own_databases_alone_opens_them(
    new_database: Callable[[], sa.URL],
) -> None:
    database = new_database()
    base = database.database
    others = [f"create database {base}_{of}" for of in ("mlflow", "dagster")]
    barred = "revoke connect on database postgres from public"
    with role_of(database, "alone", *others, barred) as url:
        text = url.render_as_string(hide_password=False)

        found = _open.__wrapped__(Path("unused"), text, text)

        with sa.create_engine(found.dagster, poolclass=sa.pool.NullPool).connect() as connection:
            assert connection.scalar(sa.text("select current_user")) == "alone"


def test_databases_that_a_role_may_not_make_are_named(new_database: Callable[[], sa.URL]) -> None:
    with role_of(new_database(), "modest") as url:
        text = url.render_as_string(hide_password=False)

        with pytest.raises(SourceError, match="permission denied") as raised:
            _open.__wrapped__(Path("unused"), text, text)

    assert f"The databases {url.database}_mlflow, {url.database}_dagster are missing" in str(
        raised.value
    )
