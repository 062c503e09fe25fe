"""Commands in processes of their own that need not import again what a command uses.

The libraries of one run take a dozen seconds of processor time to import. One process imports them, and each
command is a fork of it: with arguments, environment, folder, output, exit code and life of its own.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

FORKS = multiprocessing.get_context("forkserver")
# Nothing of ours that reads settings or the lake when it is imported, such as Dagster's partitions.
FORKS.set_forkserver_preload(
    [
        "dagster_postgres",
        "evidently.metrics",
        "firstchair.cli",
        "firstchair.operations",
        "great_expectations",
        "ibis.backends.duckdb",
        "implicit.cpu.als",
        "mlflow.pyfunc",
        "monitoring",
        "xgboost",
    ]
)


def run(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line `command` (`firstchair` and its arguments) to its end, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder) / "out", Path(folder) / "err"]
        process = FORKS.Process(target=_run, args=(command, env, cwd, streams))
        process.start()
        process.join()
        out, err = (stream.read_text() for stream in streams)
    assert process.exitcode is not None
    return subprocess.CompletedProcess(command, process.exitcode, out, err)


def kill_at(marker: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> bool:
    """Start a command and SIGKILL it when it writes `marker` to standard error; whether it ever did."""
    reader, writer = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_run_into, args=(command, env, cwd, writer))
    process.start()
    writer.close()
    with open(reader.fileno(), closefd=False) as lines:
        told = any(marker in line for line in lines)
        process.kill()
        process.join()
    reader.close()
    return told


def script(source: str, *, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python source to its end, as `subprocess.run([sys.executable, "-c", source])` would."""
    return run(["-c", source], env=env, cwd=cwd)


def _run(command: Sequence[str], env: Mapping[str, str], cwd: Path, streams: Sequence[Path]) -> None:
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT), number)
    _become(command, env, cwd)


def _run_into(command: Sequence[str], env: Mapping[str, str], cwd: Path, writer: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(writer.fileno(), 2)
    _become(command, env, cwd)


def _become(command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
    """What a fresh interpreter would do with this command line, ended by its exit handlers."""
    from firstchair.cli import main

    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = list(command)
    try:
        if command[0] == "-c":
            exec(command[1], {"__name__": "__main__"})
        else:
            main()
    finally:
        atexit._run_exitfuncs()
