"""Every command has help, stands in the documents, and tells faults in two lines."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import firstchair
from firstchair.cli import app, main
from firstchair.events import Reason
from firstchair.settings import Settings
from tests.conftest import running
from tests.service import Service

ROOT = Path(__file__).parents[3]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
DOCUMENTS = "\n".join(
    path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_says_what_it_does_and_what_its_options_are(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    assert [
        option.name
        for option in command.params
        if option.name not in {"seed", "help"} and not option.help
    ] == []
    assert f"firstchair {name}" in DOCUMENTS


def test_help_loads_no_library_of_a_command() -> None:
    of_commands = ("deltalake", "duckdb", "numpy", "pyarrow", "pydantic_settings", "sqlalchemy")
    program = f"import sys, firstchair.cli; print([n for n in {of_commands} if n in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_a_command_that_read_tables_ends_without_a_word_of_duckdb() -> None:
    program = (
        "import sys, duckdb, firstchair.cli; sys.argv[1:] = ['--version']; firstchair.cli.main()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""


@pytest.mark.parametrize("setting", sorted(Settings.model_fields))
def test_a_setting_is_documented(setting: str) -> None:
    assert f"`{setting}`" in DOCUMENTS


@pytest.mark.parametrize("reason", sorted(Reason))
def test_a_reason_of_a_refusal_is_documented(reason: str) -> None:
    assert f"`{reason}`" in DOCUMENTS


def test_a_setting_that_cannot_be_used_is_told_in_two_lines(tmp_path: Path) -> None:
    refused = Service(tmp_path / "home", {"k_anonymity": "many"}).run("status", code=1)

    assert refused.stdout == ""
    assert len(refused.stderr.strip().splitlines()) == 2
    assert "FIRSTCHAIR_K_ANONYMITY" in refused.stderr


def test_before_any_run_each_command_says_what_to_do(tmp_path: Path) -> None:
    service = Service(tmp_path / "home")

    with running(service.home):  # not started and stopped again by each command
        assert "firstchair simulate" in service.run("run", code=1).stderr
        assert "firstchair run" in service.run("recommend", "anybody", code=1).stderr
        assert service.ask("decisions") == []
        assert service.ask("status")["alerts"][0]["code"] == "no_data"


def test_an_instant_that_is_none_is_bad_usage(tmp_path: Path) -> None:
    assert (
        "RFC 3339"
        in Service(tmp_path / "home").run("decisions", "--at", "yesterday", code=2).stderr
    )


def test_the_version_is_printed_and_a_shell_can_complete(tmp_path: Path) -> None:
    service = Service(tmp_path / "home")

    assert service.run("--version").stdout.strip() == f"firstchair {firstchair.__version__}"
    assert "--install-completion" in service.run("--help").stdout


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, "No space left on device", "home/lake"),
        PermissionError(errno.EACCES, "Permission denied", "home/dagster"),
        RuntimeError("Generic error: Read-only file system (os error 30)"),
    ],
)
def test_a_disk_that_cannot_be_written_is_told_in_two_lines(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        raise ValueError("a library's own words") from fault

    monkeypatch.setitem(main.__globals__, "app", failing)

    with pytest.raises(SystemExit, match="1"):
        main()

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "storage_failed" in said[0]
    assert "fault of firstchair" not in said[0]
    assert "Make space" in said[1]
