"""`firstchair up` as a person runs it: pages that answer, a death mended, one Ctrl-C for all."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from firstchair.commands.up import up
from firstchair.errors import RunError
from firstchair.settings import Settings
from tests.service import COMMAND, Lived

PATIENCE_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def command_of(process: psutil.Process) -> str:
    """Its command line; empty if it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def refusal(url: str, method: str = "GET", host: str = "localhost") -> int:
    request = urllib.request.Request(url, method=method, headers={"Host": host})
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(request, timeout=20)
    found.value.close()
    return int(found.value.code)


@pytest.fixture
def ports() -> tuple[int, int, int]:
    return free_port(), free_port(), free_port()


@pytest.fixture
def running(lived: Lived, ports: tuple[int, int, int]) -> Iterator[subprocess.Popen[str]]:
    names = ("FIRSTCHAIR_DAGSTER_PORT", "FIRSTCHAIR_MLFLOW_PORT", "FIRSTCHAIR_API_PORT")
    own = dict(zip(names, map(str, ports), strict=True))
    with subprocess.Popen(
        [str(COMMAND), "up"],
        env=lived.service.environment() | own,
        cwd=lived.service.home.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.terminate()


def services(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """What it keeps alive, by the program's name."""
    found = {}
    for child in psutil.Process(process.pid).children():
        if child.status() == psutil.STATUS_ZOMBIE:
            continue
        name = re.search(r"dagster-webserver|dagster-daemon|door|mlflow", command_of(child))
        if name:
            found[name.group()] = child
    return found


def test_pages_answer_a_death_is_mended_and_one_interrupt_ends_all(
    running: subprocess.Popen[str], ports: tuple[int, int], lived: Lived
) -> None:
    assert running.stdout is not None
    told = ""
    while f":{ports[1]}" not in told:
        told += running.stdout.readline()
    dagster, mlflow, api = (f"http://127.0.0.1:{port}" for port in ports)
    assert dagster in told
    assert api in told
    wait_for(
        lambda: (
            answers(f"{dagster}/server_info")
            and answers(f"{mlflow}/health")
            and answers(f"{api}/readyz")
        )
    )

    stop = '/graphql?query=mutation{stopRunningSchedule(id:"a"){__typename}}'
    assert refusal(f"{dagster}{stop}") == 403
    assert refusal(f"{mlflow}/api/2.0/mlflow/registered-models/alias", "DELETE") == 403
    assert refusal(f"{dagster}/server_info", host="evil.example") == 421
    every = psutil.Process(running.pid).children(recursive=True)
    lines = [command_of(child) for child in every]
    assert any("firstchair.http.door" in line for line in lines)
    assert not [line for line in lines if re.search(r"postgres\S*://", line)]

    before = services(running)["door"]  # is ready again the soonest
    before.kill()
    wait_for(lambda: services(running).get("door", before) != before)
    wait_for(lambda: answers(f"{dagster}/server_info"))

    left = psutil.Process(running.pid).children(recursive=True)
    postgres = psutil.Process(
        int((lived.service.home / "postgres" / "postmaster.pid").read_text().split()[0])
    )
    for _ in range(2):  # a second Ctrl-C leaves nothing behind
        running.send_signal(signal.SIGINT)
    assert running.wait() == 0
    wait_for(
        lambda: (
            not [
                child
                for child in left
                if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
            ]
        )
    )
    assert not answers(dagster)
    handles = json.loads(
        (lived.service.home / "postgres" / ".handle_pids.json").read_text() or "[]"
    )
    # The suite's own process may still hold the server; nobody else does.
    assert not set(handles) - {os.getpid()}
    assert handles or not postgres.is_running()


@pytest.mark.parametrize(
    ("listens_at", "api_host"), [("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("::1", "::")]
)
def test_the_api_is_looked_for_at_its_own_address(
    tmp_path: Path, listens_at: str, api_host: str
) -> None:
    family = socket.AF_INET6 if ":" in listens_at else socket.AF_INET
    with socket.socket(family) as taken:
        try:
            taken.bind((listens_at, 0))
        except OSError:
            pytest.skip(f"this machine has no {listens_at}")
        taken.listen()
        settings = Settings(
            home=tmp_path,
            api_host=api_host,
            api_port=taken.getsockname()[1],
            mlflow_tracking_uri="x",
        )
        platform: Any = SimpleNamespace(settings=settings)
        host = f"[{api_host}]" if ":" in api_host else api_host

        with pytest.raises(RunError, match=re.escape(f"API at http://{host}:{settings.api_port}:")):
            up(platform, started=lambda _: None, tell=print, no_ui=True)


def test_a_taken_port_is_named_and_nothing_is_started(lived: Lived) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = lived.service.environment() | {"FIRSTCHAIR_DAGSTER_PORT": str(port)}

        refused = subprocess.run(
            [str(COMMAND), "up"], env=environment, capture_output=True, text=True, check=False
        )

    assert refused.returncode == 1
    assert f"Dagster at http://127.0.0.1:{port}: the port is in use." in refused.stderr
    assert "FIRSTCHAIR_DAGSTER_PORT" in refused.stderr
    assert "Traceback" not in refused.stderr
