"""The image: what its file claims, and its commands run as the processes that they are."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from firstchair.settings import TELEMETRY_OFF
from tests.deploy.containerfile import ROOT, stages
from tests.deploy.test_kubernetes import pods
from tests.firstchair.commands.test_up import answers, free_port, wait_for
from tests.service import Lived

BIN = Path(sys.executable).parent


def test_it_runs_as_a_user_that_is_not_root_from_the_first_process_on() -> None:
    final = stages()[-1]

    assert final.instructions[-1][0] == "CMD"
    assert [user for stage in stages() for user in stage.all("USER")] == ["10001:10001"]
    assert any("useradd --uid 10001" in text for text in final.all("RUN"))


def test_every_package_comes_by_the_hash_of_a_lock() -> None:
    installs = [
        command
        for stage in stages()
        for text in stage.all("RUN")
        for command in text.split(" && ")
        if re.search(r"\bpip install\b|\buv build\b", command)
    ]

    by_hash = [command for command in installs if "--require-hashes" in command]
    local = [command for command in installs if "--no-deps --no-index" in command]
    assert len(by_hash) == 3
    assert local == [installs[-1]]
    assert "--constraint requirements.lock --requirement pyproject.toml" in by_hash[1]
    assert "--build-constraint requirements.lock" in by_hash[2]
    for lock in (ROOT / "deploy" / "uv.txt", ROOT / "requirements.lock"):
        pins = re.findall(
            r"^\S+==.*(?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+", lock.read_text(), re.MULTILINE
        )
        assert len(pins) == len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))


def test_it_is_made_of_two_stages_and_the_tools_stay_in_the_first() -> None:
    build, final = stages()

    assert {build.base, final.base} == {"python:3.11-slim"}
    assert not any(re.search(r"\b(pip|uv|curl|wget)\b", text) for text in final.all("RUN"))
    assert build.all("ADD") + final.all("ADD") == []


def test_what_is_copied_exists_and_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:].rstrip("/") for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for stage in stages()
        for text in stage.all("COPY")
        if "--from" not in text
        for source in shlex.split(text)[:-1]
        if not source.startswith("--")
    }

    assert "*" in ignored
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)
    assert os.access(ROOT / "deploy" / "serve", os.X_OK)


def test_telemetry_is_off_before_any_setting_is_read() -> None:
    assert TELEMETRY_OFF.items() <= stages()[-1].environment.items()


@pytest.fixture
def in_container(
    lived: Lived, new_database: Callable[[], sa.URL]
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs commands in the image's environment, over published lists; ended afterwards."""
    processes: list[subprocess.Popen[bytes]] = []
    url = new_database().set(drivername="postgresql").render_as_string(hide_password=False)

    def call(command: list[str], **more: str) -> subprocess.Popen[bytes]:
        environment = stages()[-1].environment | {
            **lived.service.environment(),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "FIRSTCHAIR_DATABASE_URL": url,
            "FIRSTCHAIR_SOURCE_DATABASE_URL": url,
            **more,
        }
        processes.append(subprocess.Popen(command, env=environment, cwd=lived.service.home.parent))
        return processes[-1]

    yield call
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


def pages_that_are_asked(deployment: str) -> set[str]:
    """Paths that probes of a Deployment and the scraper of metrics want."""
    pod = pods()[deployment]
    (container,) = pod["spec"]["containers"]
    probes = {
        probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")
    }
    scraped = {
        text
        for name, text in pod["metadata"].get("annotations", {}).items()
        if name.endswith("/path")
    }
    return probes | scraped


def test_its_command_serves_its_health_check_passes_and_a_signal_ends_it(
    in_container: Callable[..., subprocess.Popen[bytes]],
) -> None:
    port = str(free_port())
    image = stages()[-1]

    process = in_container(image.command, FIRSTCHAIR_API_PORT=port)
    # In the image the process is the first one, which the check looks at where none is named.
    check = [*image.health_check, str(process.pid)]
    assert in_container(check, FIRSTCHAIR_API_PORT=str(free_port())).wait() != 0
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz"))

    assert in_container(check, FIRSTCHAIR_API_PORT=port).wait() == 0
    assert in_container(check, FIRSTCHAIR_API_PORT=str(free_port())).wait() != 0
    assert all(
        answers(f"http://127.0.0.1:{port}{path}") for path in pages_that_are_asked("firstchair-api")
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_the_pages_of_the_platform_run_from_the_same_image(
    in_container: Callable[..., subprocess.Popen[bytes]],
) -> None:
    dagster, mlflow = str(free_port()), str(free_port())
    command = stages()[-1].command[:-1]

    in_container([*command, "dagster"], FIRSTCHAIR_DAGSTER_PORT=dagster)
    in_container([*command, "mlflow"], FIRSTCHAIR_MLFLOW_PORT=mlflow)

    (dagster_page,), (mlflow_page,) = (
        pages_that_are_asked(f"firstchair-{name}") for name in ("dagster", "mlflow")
    )
    wait_for(lambda: answers(f"http://127.0.0.1:{dagster}{dagster_page}"))
    wait_for(lambda: answers(f"http://127.0.0.1:{mlflow}{mlflow_page}"))


def test_the_health_check_asks_the_page_of_the_service_that_runs(tmp_path: Path) -> None:
    (tmp_path / "server_info").touch()
    program = tmp_path / "dagster-webserver"
    port = str(free_port())
    program.write_text(f"import http.server as s; s.test(s.SimpleHTTPRequestHandler, port={port})")
    check = [str(BIN / "python"), *stages()[-1].health_check[1:]]

    def is_well(process: subprocess.Popen[bytes], port: str) -> bool:
        environment = {**os.environ, "FIRSTCHAIR_DAGSTER_PORT": port}
        asked = [*check, str(process.pid)]
        return subprocess.run(asked, env=environment, check=False).returncode == 0

    with (
        subprocess.Popen([sys.executable, str(program)], cwd=tmp_path) as pages,
        subprocess.Popen(["sleep", "600"]) as daemon,
    ):
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/server_info"))

            assert is_well(pages, port) and not is_well(pages, str(free_port()))
            assert is_well(daemon, port)
        finally:
            pages.kill()
            daemon.kill()


def test_a_service_that_does_not_exist_is_told_in_words(
    in_container: Callable[..., subprocess.Popen[bytes]],
) -> None:
    assert in_container([*stages()[-1].command[:-1], "redis"]).wait() == 1
