"""One service with lists for all faults: too small to wait for, and whole before each of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstchair.databases import Databases
from tests.conftest import running
from tests.faults.kills import Killer
from tests.service import Service, simulated

DAYS = 9
WORLD = (
    "--users", 80, "--artists", 60, "--days", DAYS, "--seed", 3, "--scenario", "imperfect-delivery",
    "--start", "2026-01-01",
)  # fmt: skip


@pytest.fixture(scope="session")
def server(new_home: Callable[[str], Path]) -> Iterator[tuple[Path, Databases]]:
    """A home and its databases, whose server runs until the end."""
    home = new_home("whole")
    with running(home) as found:
        yield home, found


@pytest.fixture(scope="session")
def whole(server: tuple[Path, Databases]) -> Service:
    """A service whose history was run without a break."""
    service = simulated(server[0], WORLD)
    service.run("run")
    return service


@pytest.fixture(scope="session")
def killer(
    whole: Service, server: tuple[Path, Databases], tmp_path_factory: pytest.TempPathFactory
) -> Killer:
    """Kills deeds of copies of that service."""
    key = whole.environment()["FIRSTCHAIR_PSEUDONYM_KEY"]
    return Killer(whole.home, server[1], tmp_path_factory.mktemp("kills"), key)
