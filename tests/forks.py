"""Commands and workers in processes of their own that need not import again what they use.

The libraries of one run take a dozen seconds of processor time to import. One server imports them
for all processes of a test run. Each command is a fork of it, with arguments, environment, folder,
output, exit code and life of its own, and so is each process that runs tests beside others.
"""

import atexit
import gc
import hashlib
import importlib
import json
import multiprocessing
import os
import pickle
import shlex
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa

# Nothing of ours that reads settings or the lake when it is imported, such as Dagster's partitions.
IMPORTED = (
    "dagster_postgres",
    "evidently.metrics",
    "fastapi.testclient",
    "firstchair.cli",
    "firstchair.commands",
    "firstchair.http.api",
    "firstchair.promotion.audition",
    "great_expectations",
    "hypothesis.strategies",
    "ibis.backends.duckdb",
    "implicit.cpu.als",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "monitoring",
    "psycopg2.extras",
    "safetensors.numpy",
    "scipy.stats",
    # What commands import when they first need it.
    "tests.faults.deeds",
    "xgboost",
)
ROOT = Path(__file__).resolve().parents[1]
# Names the server's socket for the processes of this test run.
ADDRESS = "FIRSTCHAIR_TESTS_FORKS"


def start() -> None:
    """Start the server of this test run, which ends with this process."""
    if ADDRESS in os.environ:
        return
    os.environ[ADDRESS] = str(Path(tempfile.mkdtemp()) / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.environ[ADDRESS])
        listening.listen()
        number = listening.fileno()
        subprocess.Popen(
            [sys.executable, "-m", "tests.forks", str(number)], pass_fds=[number], cwd=ROOT
        )


def run(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command line `command` (`firstchair` and its arguments) to its end.

    As `subprocess.run` would.
    """
    with (
        open(os.devnull) as nothing,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        with _forked(command, env, cwd, (nothing, out, err)) as (_, told):
            code = int(told.readline())
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(command, code, out.read(), err.read())


def kill_at(
    marker: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path
) -> list[str] | None:
    """Start a command and SIGKILL it when it writes `marker` to standard error.

    Returns what it wrote there up to that line; None if it ended and never wrote it.
    """
    reading, writing = os.pipe()
    with (
        open(os.devnull, "r+") as nothing,
        os.fdopen(reading) as lines,
        os.fdopen(writing, "w") as err,
        _forked(command, env, cwd, (nothing, nothing, err)) as (process, told),
    ):
        err.close()  # so that the lines end with the command
        written: list[str] = []
        for line in lines:
            written.append(line)
            if marker in line:
                os.kill(process, signal.SIGKILL)
                break
        else:
            written = []
        told.readline()
        return written or None


def script(source: str, *, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python source to its end, as `subprocess.run([sys.executable, "-c", source])` would."""
    return run(["-c", source], env=env, cwd=cwd)


def stand_in() -> str:
    """Command line of a Python that is a fork of the server, for `-c` and a program."""
    return shlex.join([sys.executable, __file__])


@contextmanager
def _forked(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, files: Sequence[TextIO]
) -> Iterator[tuple[int, TextIO]]:
    """The process of a command, and what tells its exit code in a line.

    Its standard input, output and error are `files`.
    """
    start()
    wanted = {"command": list(command), "env": dict(env), "cwd": str(cwd)}
    line = f"{json.dumps(wanted)}\n".encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[ADDRESS])
        sent = socket.send_fds(connection, [line], [file.fileno() for file in files])
        connection.sendall(line[sent:])
        with connection.makefile() as told:
            yield int(told.readline()), told


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    """Forks itself for each command; ends when the process that started it has."""

    def __init__(self, listening: socket.socket) -> None:
        super().__init__("", _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.starter = listening, os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.starter:
            shutil.rmtree(Path(self.socket.getsockname()).parent, ignore_errors=True)
            os._exit(0)


class _Handler(socketserver.BaseRequestHandler):
    """Starts a command, tells its process id, waits for its end and tells its exit code."""

    def handle(self) -> None:
        line, files, *_ = socket.recv_fds(self.request, 1 << 20, 3)
        if not line.endswith(b"\n"):
            line += self.request.makefile("rb").readline()
        fork = multiprocessing.get_context("fork")
        process = fork.Process(target=_become, args=(files,), kwargs=json.loads(line))
        process.start()
        for file in files:
            os.close(file)
        self._tell(process.pid)
        process.join()
        self._tell(process.exitcode)

    def _tell(self, number: int | None) -> None:
        with suppress(BrokenPipeError):
            self.request.sendall(f"{number}\n".encode())


def _become(files: list[int], command: list[str], env: dict[str, str], cwd: str) -> None:
    """What a fresh interpreter would do with this command line, ended by its exit handlers."""
    from firstchair.cli import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)  # `multiprocessing` closed the one of before
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = command
    try:
        if command[0] == "-c":
            exec(command[1], {"__name__": "__main__"})
        else:
            main()
    finally:
        atexit._run_exitfuncs()


def _serve(listening: int) -> None:
    # Not above: as a script this file stands beside `tests/firstchair`, which would be found first.
    from firstchair.memory import collect_seldom

    gc.disable()
    for name in IMPORTED:
        importlib.import_module(name)
    _read_migrations_once()
    _prepare()
    # What is imported lives on in every fork: none has to look through it, or to copy it for that.
    gc.freeze()
    gc.enable()
    collect_seldom()
    inherited = socket.socket(fileno=listening)
    inherited.set_inheritable(False)
    folder = Path(inherited.getsockname()).parent
    _compile_once(folder)
    _migrate_once(folder)
    _Server(inherited).serve_forever()


def _prepare() -> None:
    """Read what any process keeps after its first need, and is the same everywhere."""
    from mlflow.utils import requirements_utils

    from firstchair.models.trending import country_name
    from firstchair.privacy.gazetteer import gazetteer
    from firstchair.privacy.generalisation import country_codes

    country_codes()
    country_name("CL")
    gazetteer()
    requirements_utils._init_packages_to_modules_map()


def _compile_once(folder: Path) -> None:
    """Statements that one process compiled are kept in `folder` for all others."""
    from firstchair.lake import statements

    compiled = statements._compiled

    @cache
    def remembered(*key: Any) -> Any:
        try:
            digest = hashlib.sha256(pickle.dumps(key)).hexdigest()
        except (pickle.PicklingError, AttributeError):  # a definition within a test
            return compiled(*key)
        kept, written = folder / digest, folder / f"{digest}-{os.getpid()}"
        if not kept.exists():
            written.write_bytes(pickle.dumps(compiled(*key)))
            written.rename(kept)
        return pickle.loads(kept.read_bytes())

    statements._compiled = remembered


def _migrate_once(folder: Path) -> None:
    """MLflow's tables, made by one process with all migrations, are copied by all others."""
    from mlflow.store.db import utils
    from mlflow.store.model_registry import sqlalchemy_store

    from firstchair.databases import dump_database, load_database, to_driver

    migrate, kept = utils._initialize_tables, folder / "mlflow"

    def copied(engine: sa.Engine) -> None:
        url = to_driver(engine.url, "psycopg")
        if kept.exists():
            load_database(kept, url)
            return
        migrate(engine)
        written = folder / f"mlflow-{os.getpid()}"
        dump_database(url, written)
        written.rename(kept)

    utils._initialize_tables = sqlalchemy_store._initialize_tables = copied


def _read_migrations_once() -> None:
    """MLflow reads all its migrations in each process that opens a database."""
    from mlflow.store.db import utils

    newest = utils._get_latest_schema_revision()
    utils._get_latest_schema_revision = lambda: newest


def _stand_in(command: Sequence[str]) -> int:
    """Wait for the fork that does a command with the files of this process; its exit code."""
    files = (sys.stdin, sys.stdout, sys.stderr)
    with _forked(command, os.environ, Path.cwd(), files) as (_, told):
        return int(told.readline())


if __name__ == "__main__":
    if sys.argv[1].isdecimal():
        _serve(int(sys.argv[1]))
    else:
        sys.exit(_stand_in(sys.argv[sys.argv.index("-c") :]))
