"""Commands in processes of their own that need not import again what a command uses.

The libraries of one run take a dozen seconds of processor time to import. One server imports them
for all processes of a test run, and each command is a fork of it: with arguments, environment,
folder, output, exit code and life of its own.
"""

import atexit
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

# Nothing of ours that reads settings or the lake when it is imported, such as Dagster's partitions.
IMPORTED = (
    "dagster_postgres",
    "evidently.metrics",
    "firstchair.cli",
    "firstchair.commands",
    "great_expectations",
    "ibis.backends.duckdb",
    "implicit.cpu.als",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "monitoring",
    "psycopg2.extras",
    "safetensors.numpy",
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
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("out", "err"))
        with _forked(command, env, cwd, out, err) as (_, told):
            code = int(told.readline())
        return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())


def kill_at(
    marker: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path
) -> list[str] | None:
    """Start a command and SIGKILL it when it writes `marker` to standard error.

    Returns what it wrote there up to that line; None if it ended and never wrote it.
    """
    with tempfile.TemporaryDirectory() as folder:
        err = Path(folder) / "err"
        os.mkfifo(err)
        with _forked(command, env, cwd, Path(os.devnull), err) as (process, told):
            written: list[str] = []
            with err.open() as lines:
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


@contextmanager
def _forked(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, out: Path, err: Path
) -> Iterator[tuple[int, TextIO]]:
    """The process of a command, and what tells its exit code in a line."""
    start()
    wanted = {
        "command": list(command), "env": dict(env), "cwd": str(cwd), "out": str(out),
        "err": str(err),
    }  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[ADDRESS])
        with connection.makefile("rw") as told:
            told.write(json.dumps(wanted) + "\n")
            told.flush()
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


class _Handler(socketserver.StreamRequestHandler):
    """Starts a command, tells its process id, waits for its end and tells its exit code."""

    def handle(self) -> None:
        wanted = json.loads(self.rfile.readline())
        process = multiprocessing.get_context("fork").Process(target=_become, kwargs=wanted)
        process.start()
        self._tell(process.pid)
        process.join()
        self._tell(process.exitcode)

    def _tell(self, number: int | None) -> None:
        with suppress(BrokenPipeError):
            self.wfile.write(f"{number}\n".encode())


def _become(command: list[str], env: dict[str, str], cwd: str, out: str, err: str) -> None:
    """What a fresh interpreter would do with this command line, ended by its exit handlers."""
    from firstchair.cli import main

    for number, path in enumerate((out, err), start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
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
    gc.disable()
    for name in IMPORTED:
        importlib.import_module(name)
    _read_migrations_once()
    # What is imported lives on in every fork: none has to look through it, or to copy it for that.
    gc.freeze()
    gc.enable()
    inherited = socket.socket(fileno=listening)
    inherited.set_inheritable(False)
    _Server(inherited).serve_forever()


def _read_migrations_once() -> None:
    """MLflow reads all its migrations in each process that opens a database."""
    from mlflow.store.db import utils

    newest = utils._get_latest_schema_revision()
    utils._get_latest_schema_revision = lambda: newest


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
