"""`firstchair up`: start, watch and end the API, the Dagster webserver and daemon, and MLflow."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from firstchair.commands.supervision import Supervisor
from firstchair.databases import forget_dead_handles, to_driver
from firstchair.definitions.mlflow_pages import model_page
from firstchair.errors import RunError
from firstchair.files import replace_file
from firstchair.platform.platform import Platform
from firstchair.platform.start import note_first_start
from firstchair.promotion import NAME
from firstchair.settings import Settings

GRACE_SECONDS = 10
ENDING = (signal.SIGINT, signal.SIGTERM)
# Where a service that listens at every address is asked.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
NAMES = ("API", "Dagster", "Dagster daemon", "MLflow")
DOOR = "Door"
PAGES = ("Dagster", "MLflow", DOOR)
WORKSPACE = """\
load_from:
  - python_module: {module_name: dagster_project.definitions, location_name: firstchair}
"""
# By default, MLflow keeps eight workers for jobs that are never started here.
LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


@dataclass(frozen=True, slots=True)
class Service:
    """One process that `up` keeps alive.

    address: for a browser. page: address of its first page, if it is another one. listens_at: host
    and port of the process itself, where a door stands before it. secrets: of its environment; a
    command line can be read by everybody on the machine.
    """

    name: str
    command: tuple[str, ...]
    address: str | None
    page: str | None = None
    listens_at: tuple[str, int] | None = None
    secrets: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the process."""
        return {**os.environ, **LEAN, **dict(self.secrets)}

    @property
    def slug(self) -> str:
        """The service's name in a file's name or on a command line."""
        return slug_of(self.name)


def slug_of(name: str) -> str:
    """Return the name of a service as it stands in a file's name or on a command line."""
    return name.lower().replace(" ", "-")


def services(platform: Platform, *, host: str | None = None) -> tuple[Service, ...]:
    """The services that `up` starts, with the addresses for a browser.

    Args:
        platform: The settings and the databases behind them.
        host: Where all of them listen, without a door, as in containers that nothing else reaches.
            By default, the API at the address of its settings, and Dagster and MLflow behind a
            door, at addresses of this machine alone that are made anew at each call.
    """
    s = platform.settings
    workspace = _workspace_file(s.home)
    at_dagster = (host, s.dagster_port) if host else _private_address()
    at_mlflow = (host, s.mlflow_port) if host else _private_address()
    mlflow_uri = s.mlflow_tracking_uri or to_driver(
        platform.databases.mlflow, "psycopg2"
    ).render_as_string(hide_password=False)
    binary = Path(sys.executable).parent
    _, dagster, daemon, mlflow = NAMES
    return (
        api_service(s, host=host),
        Service(
            dagster,
            (
                str(binary / "dagster-webserver"),
                "-w",
                workspace,
                "-h",
                at_dagster[0],
                "-p",
                str(at_dagster[1]),
            ),
            s.dagster_address,
            listens_at=at_dagster,
        ),
        Service(daemon, (str(binary / "dagster-daemon"), "run", "-w", workspace), None),
        Service(
            mlflow,
            (
                *(str(binary / "mlflow"), "server"),
                *("--host", at_mlflow[0], "--port", str(at_mlflow[1]), "--workers", "1"),
                *("--default-artifact-root", (s.home / "mlartifacts").as_uri()),
                # Uploads would land in the folder that `up` was started from.
                "--no-serve-artifacts",
            ),
            s.mlflow_address,
            f"{s.mlflow_address}/{model_page(NAME)}",
            listens_at=at_mlflow,
            secrets=(
                ("MLFLOW_BACKEND_STORE_URI", mlflow_uri),
                *(() if host else (("MLFLOW_SERVER_ALLOWED_HOSTS", f"{at_mlflow[0]}:*"),)),
            ),
        ),
        *(() if host else (_door(at_dagster, at_mlflow),)),
    )


def _door(*behind: tuple[str, int]) -> Service:
    """The proxy before Dagster and MLflow; it listens at their ports of the settings."""
    addresses = tuple(f"http://{host}:{port}" for host, port in behind)
    return Service(DOOR, (sys.executable, "-m", "firstchair.http.door", *addresses), None)


def _private_address() -> tuple[str, int]:
    """A free port at an address of loopback that nobody guesses.

    Where the whole of 127.0.0.0/8 is this machine, as on Linux, a web page that tries all ports of
    127.0.0.1 in a browser here does not find it.
    """
    random_host = ".".join(("127", *(str(secrets.randbelow(253) + 1) for _ in range(3))))
    for host in (random_host, "127.0.0.1"):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, 0))
            return host, int(probe.getsockname()[1])
    raise AssertionError("loopback takes no port")


def api_service(s: Settings, *, host: str | None = None) -> Service:
    """The API; it reads the settings of this process, with `host` in place of theirs if given."""
    command = (sys.executable, "-m", "firstchair.http.server", *((host,) if host else ()))
    return Service(NAMES[0], command, s.api_address)


def up(
    platform: Platform,
    *,
    started: Callable[[tuple[Service, ...]], None],
    answers: Callable[[Service], None] = lambda _: None,
    tell: Callable[[str], None],
    no_ui: bool = False,
) -> None:
    """Start the services, restart those that end, and end all, and embedded Postgres, on Ctrl-C.

    `answers` is called with each service whose port answers, `started` once all of them do but
    those that are down, and `tell` with a sentence about each that has ended (`Supervisor`). The
    embedded Postgres stays if another process still uses it. With `no_ui`, only the services
    without pages start: the API and the daemon. The first start of a home is recorded, since
    retraining and the daily build wait a while after it.

    Raises:
        RunError: A port is taken.
    """
    from dagster_project.instance import prepare_home

    wanted = tuple(
        service for service in services(platform) if not (no_ui and service.name in PAGES)
    )
    _require_free_ports(wanted)
    prepare_home(platform.settings)
    note_first_start(platform)
    logs = platform.settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for number in ENDING:  # a shell starts what goes to the background deaf to Ctrl-C
        signal.signal(number, _stop)
    processes: dict[Service, subprocess.Popen[bytes]] = {}

    def start(service: Service) -> subprocess.Popen[bytes]:
        processes[service] = _start(service, logs)
        return processes[service]

    starts = {service.name: partial(start, service) for service in wanted}
    supervisor = Supervisor(starts, tell=lambda text: tell(f"{text} The logs are in {logs}."))
    try:
        _watch(supervisor, wanted, answers=answers, ready=lambda: started(wanted))
    except KeyboardInterrupt:
        pass
    finally:
        _heed_no_signal()
        _end(list(processes.values()))
        forget_dead_handles(platform.settings.home)


def _watch(
    supervisor: Supervisor,
    wanted: tuple[Service, ...],
    *,
    answers: Callable[[Service], None],
    ready: Callable[[], None],
) -> None:
    waiting = [service for service in wanted if service.address]
    announced = False
    while True:
        supervisor.check()
        for service in [service for service in waiting if _answers(service) and _listens(service)]:
            waiting.remove(service)
            answers(service)
        # What is down was told; the addresses of the others are told without it.
        if not announced and all(supervisor.is_down(service.name) for service in waiting):
            announced = True
            ready()
        time.sleep(0.5)


def _start(service: Service, logs: Path) -> subprocess.Popen[bytes]:
    with _log(service, logs).open("ab") as log:
        return subprocess.Popen(
            service.command,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=service.environment,
            start_new_session=True,
        )


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask every process group to end, and kill those that do not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if _is_alive(process):
                os.killpg(process.pid, number)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(map(_is_alive, processes)) and time.monotonic() < deadline:
            time.sleep(0.1)


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process, or another process of its group, still runs."""
    if process.poll() is None:
        return True
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _require_free_ports(wanted: tuple[Service, ...]) -> None:
    taken = [service for service in wanted if service.address and _answers(service)]
    if taken:
        raise RunError(
            f"{', '.join(f'{service.name} at {service.address}' for service in taken)}: the port "
            "is in use.",
            where=str(taken[0].address),
            data="Nothing was started.",
            remedy="End what listens there, or set FIRSTCHAIR_API_PORT, FIRSTCHAIR_DAGSTER_PORT "
            "or _MLFLOW_PORT.",
        )


def _answers(service: Service) -> bool:
    """Whether something answers at the service's address for a browser."""
    address = urlsplit(str(service.address))
    host = str(address.hostname)
    return _is_open(LOOPBACK.get(host, host), int(address.port or 80))


def _listens(service: Service) -> bool:
    """Whether the process itself answers, and not only the door before it."""
    return service.listens_at is None or _is_open(*service.listens_at)


def _is_open(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=0.5):
        return True
    return False


def _log(service: Service, logs: Path) -> Path:
    return logs / f"{service.slug}.log"


def _stop(_number: int, _frame: FrameType | None) -> None:
    _heed_no_signal()
    raise KeyboardInterrupt


def _heed_no_signal() -> None:
    """From here on all is ended, and a second Ctrl-C would leave services that nobody ends."""
    for number in ENDING:  # a process that is started would inherit that it is ignored
        signal.signal(number, lambda *_: None)


def _workspace_file(home: Path) -> str:
    """Path of workspace.yaml: that of the checkout, or an equal one for an installed wheel."""
    beside = Path(__file__).parents[3] / "workspace.yaml"
    if beside.exists():
        return str(beside)
    written = home / "dagster" / "workspace.yaml"
    if not written.exists():
        replace_file(written, WORKSPACE.encode())
    return str(written)
