"""Memory of the machine or container, and the part of it that the engine may hold."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from firstchair.datasets.scratch import opened
from firstchair.errors import SettingsError
from firstchair.lake import Lake, connect, open_engine
from firstchair.memory import available_memory, engine_limit, limit_engine
from firstchair.settings import load_settings

GIB = 2**30
MACHINE = psutil.virtual_memory().total


@pytest.fixture(autouse=True)
def default_afterwards() -> Iterator[None]:
    yield
    limit_engine(None)
    connect().close()


def test_an_engine_holds_a_quarter_of_the_memory_unless_it_is_told() -> None:
    limit_engine(None)

    assert engine_limit() == available_memory().size // 4


@pytest.mark.parametrize("told", ["1GiB", "1 GiB", "1024MiB"])
def test_every_connection_is_held_to_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str
) -> None:
    before = connect()
    monkeypatch.setenv("FIRSTCHAIR_MEMORY_LIMIT", told)
    monkeypatch.chdir(tmp_path)

    load_settings()

    assert engine_limit() == GIB
    with connect() as after, open_engine(Lake(str(tmp_path))) as engine:
        for connection in (before, after, engine.connection):
            limit = connection.execute("select current_setting('memory_limit')").fetchall()
            assert limit == [("1.0 GiB",)]


def test_a_load_holds_no_more_than_the_setting(tmp_path: Path) -> None:
    limit_engine(300 * 2**20)

    with opened(tmp_path) as connection:
        limit = connection.execute("select current_setting('memory_limit')").fetchall()

    assert limit == [("300.0 MiB",)]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("plenty", "'plenty' is no size; write a number and one of KB, MB"),
        ("4", "'4' is no size"),
        ("-1GiB", "'-1GiB' is no size"),
        ("80%", "'80%' is no size"),
        ("0.1GiB", "'0.1GiB' is too little to work in; choose 256MiB or more"),
    ],
)
def test_a_limit_that_cannot_be_used_is_refused_with_what_can(
    monkeypatch: pytest.MonkeyPatch, told: str, why: str
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_MEMORY_LIMIT", told)

    with pytest.raises(SettingsError) as fault:
        load_settings()

    assert why in fault.value.what
    assert "FIRSTCHAIR_MEMORY_LIMIT" in fault.value.where


def grouped(root: Path, lines: str, limits: dict[str, str]) -> Path:
    """A root where a process is in these control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)
    for place, limit in limits.items():
        (root / place).parent.mkdir(parents=True)
        (root / place).write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("lines", "limits"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": f"{GIB}"}),
        ("0::/a/b\n", {"sys/fs/cgroup/a/memory.max": f"{GIB}"}),
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/memory.max": f"{GIB}", "sys/fs/cgroup/a/b/memory.max": "max"},
        ),
        (
            "9:cpu:/a\n4:memory:/a\n",
            {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{GIB}"},
        ),
        # The path is that of the machine, the files are those of the container.
        (
            "4:memory:/docker/0123\n",
            {"sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}"},
        ),
    ],
)
def test_the_lowest_limit_of_the_container_counts(
    tmp_path: Path, lines: str, limits: dict[str, str]
) -> None:
    assert available_memory(grouped(tmp_path, lines, limits)) == (GIB, "container")


@pytest.mark.parametrize("limit", ["max", f"{2**63 - 4096}"])
def test_without_a_limit_there_is_the_memory_of_the_machine(tmp_path: Path, limit: str) -> None:
    root = grouped(tmp_path, "0::/\n", {"sys/fs/cgroup/memory.max": limit})

    assert available_memory(root) == (MACHINE, "machine")
    assert available_memory(tmp_path / "elsewhere") == (MACHINE, "machine")
