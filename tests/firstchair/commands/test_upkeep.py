"""`maintain` changes no row, decision or list; a home that is lost comes back from its backup."""

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from firstchair.commands.backup import backup
from firstchair.commands.restore import restore
from firstchair.errors import BackupError
from firstchair.lake import Table
from firstchair.lake.tables import ALL_TABLES
from firstchair.platform import open_platform
from firstchair.settings import Settings
from tests.conftest import running
from tests.service import Lived, Service


def test_maintain_prints_every_table_before_and_after_and_changes_no_row(lived: Lived) -> None:
    service = lived.service
    rows, served = service.contents(), service.ask("recommend", "user-000007")

    found = service.ask("maintain")

    written = [table.name for table in lived_tables(lived)]
    assert [one["before"]["table"] for one in found["tables"]] == written
    assert all(one["after"]["files"] <= one["before"]["files"] for one in found["tables"])
    assert any(one["merged"] for one in found["tables"])
    assert service.contents() == rows
    assert service.ask("recommend", "user-000007") == served
    again = service.ask("maintain")
    assert [one["after"] for one in again["tables"]] == [one["after"] for one in found["tables"]]


def test_maintain_removes_what_is_older_than_its_retention(lived: Lived) -> None:
    home = lived.service.home
    old = (datetime.now(UTC) - timedelta(days=400)).timestamp()
    folders = ("spool", "spool/signals", "reports/drift", "published/versions/.2026-01-31.99")
    for folder in folders:
        (home / folder).mkdir(parents=True, exist_ok=True)
    outdated = [
        home / "spool" / "api-1-000000001.unreadable",
        home / "spool" / "signals" / "2025-01-01-api-1.signals",
        home / "reports" / "drift" / "2025-01-01.html",
    ]
    for path in outdated:
        path.touch()
        os.utime(path, (old, old))
    kept = set((home / "reports").rglob("*.html")) - set(outdated)

    found = lived.service.ask("maintain")

    counts = {name: found[name] for name in ("spools", "signals", "reports", "publications")}
    assert counts == dict.fromkeys(counts, 1)
    assert set((home / "reports").rglob("*.html")) == kept
    assert not any(path.exists() for path in outdated)


def lived_tables(lived: Lived) -> list[Table]:
    return [table for table in ALL_TABLES if lived.service.lake.snapshot(table) is not None]


@pytest.fixture(scope="module")
def kept(lived: Lived) -> Path:
    """A backup of the lived service."""
    path = lived.service.home.parent / "backup"
    Settings(home=lived.service.home).secret_api_token()
    report = lived.service.ask("backup", path)
    assert report["databases"] == ["accounts", "mlflow", "dagster", "ledger"]
    return path


def test_a_lost_home_comes_back_with_its_tables_decisions_and_lists(
    lived: Lived, kept: Path, new_home: Callable[[str], Path]
) -> None:
    service = lived.service
    found = Service(new_home("restored"))

    report = found.ask("restore", kept)

    decisions = service.ask("decisions")
    assert report["ledger_entries"] == len(decisions) > 0
    with running(found.home):
        assert found.ask("decisions", "--verify")["ok"]
        assert found.ask("decisions") == decisions
        assert found.contents() == service.contents()
        user = ("recommend", "user-000007")
        assert found.ask(*user) == service.ask(*user)
    keys = [(home / "api_token").read_text() for home in (found.home, service.home)]
    assert keys[0] == keys[1]
    assert stat.S_IMODE((found.home / "api_token").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["databases/ledger.dump", "home/api_token", "manifest.json"])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_damaged_backup_is_refused_before_anything_is_written(
    kept: Path, tmp_path: Path, name: str, is_missing: bool
) -> None:
    path, whole = kept / name, (kept / name).read_bytes()
    path.write_bytes(whole[:-2] + b"xx")
    if is_missing:
        path.unlink()

    with pytest.raises(BackupError, match=Path(name).name):
        restore(Settings(home=tmp_path / "home"), kept)
    path.write_bytes(whole)

    assert not (tmp_path / "home").exists()


def test_a_home_that_holds_anything_is_left_alone(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")

    with pytest.raises(BackupError, match="not empty"):
        restore(Settings(home=tmp_path), kept)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_databases_that_hold_tables_are_refused_before_the_lake_is_written(
    inside: Lived, kept: Path, tmp_path: Path, new_database: Callable[[], sa.URL]
) -> None:
    url = new_database()
    with sa.create_engine(url, poolclass=sa.pool.NullPool).begin() as connection:
        connection.execute(sa.text("create table theirs (n int)"))
    address = url.render_as_string(hide_password=False)
    settings = Settings(
        home=tmp_path / "home",
        lake_url=str(tmp_path / "lake"),
        database_url=address,
        source_database_url=address,
    )

    with pytest.raises(BackupError, match="tables in 1 of 3 databases: ledger") as fault:
        restore(settings, kept)

    assert fault.value.data == "Nothing was written."
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]
    assert list((tmp_path / "home").iterdir()) == []


def test_a_backup_under_another_key_is_refused(kept: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, pseudonym_key=SecretStr("another"))

    with pytest.raises(BackupError, match="another pseudonym_key"):
        restore(settings, kept)

    assert list(tmp_path.iterdir()) == []


def test_a_backup_goes_neither_into_the_home_nor_over_anything(inside: Lived, kept: Path) -> None:
    platform = open_platform()

    with pytest.raises(BackupError, match="exists already"):
        backup(platform, kept)
    with pytest.raises(BackupError, match="lies in the home"):
        backup(platform, inside.service.home / "backup")


def test_a_backup_holds_what_links_lead_to_and_names_files_outside_of_the_home(
    inside: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, disk = inside.service.home, tmp_path / "disk"
    (disk / "events").mkdir(parents=True)
    (disk / "events" / "a.jsonl").write_text("{}")
    (disk / "back").symlink_to(home)
    (disk / "tokens.json").write_text('{"tokens": []}')
    (tmp_path / "firstchair.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTCHAIR_TOKENS_FILE", str(disk / "tokens.json"))
    (tmp_path / "door").symlink_to(home)
    monkeypatch.setenv("FIRSTCHAIR_LAKE_URL", str(tmp_path / "door" / "lake"))
    (home / "linked").symlink_to(disk)
    try:
        report = backup(open_platform(), tmp_path / "new")
    finally:
        (home / "linked").unlink()

    kept = tmp_path / "new" / "home"
    assert (kept / "linked" / "events" / "a.jsonl").read_text() == "{}"
    assert not (kept / "linked" / "back").exists()
    assert not (kept / "lake").exists()
    assert report.left_out[:2] == (
        f"settings in {tmp_path / 'firstchair.toml'}, outside of the home",
        f"further tokens in {disk / 'tokens.json'}, outside of the home",
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_backup_that_fails_leaves_nothing(
    inside: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr("firstchair.commands.backup.dump_database", failing)

    with pytest.raises(BackupError if isinstance(error, OSError) else KeyboardInterrupt):
        backup(open_platform(), tmp_path / "new")

    assert list(tmp_path.iterdir()) == []
