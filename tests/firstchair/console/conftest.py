"""The console as people meet it: the real server over a small lived service, in a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.service import Lived

TOKEN = "a reviewer's token"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Visit:
    """A browser that has signed in, and everything that went wrong or elsewhere while it walked."""

    address: str
    page: Page
    errors: list[str] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        answer = self.page.goto(f"{self.address}{path}")
        assert answer is not None and answer.ok, f"{path}: {answer and answer.status}"
        return self.page

    def figure(self, name: str) -> str:
        return self.page.locator(f'[data-figure="{name}"]').inner_text()


@pytest.fixture(scope="session")
def served(lived: Lived) -> Iterator[str]:
    """Address of an API over the lived service, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (lived.service.home / "served.log").open("wb")
    command = [sys.executable, "-m", "firstchair.http.server"]
    environment = {
        **lived.service.environment(),
        "FIRSTCHAIR_API_TOKEN": TOKEN,
        "FIRSTCHAIR_API_PORT": str(port),
    }
    process = subprocess.Popen(
        command, env=environment, stdout=log, stderr=log, cwd=lived.service.home.parent
    )
    try:
        _until_it_answers(f"http://127.0.0.1:{port}/readyz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()


def _until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{address} never answered")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(QUIET), env={**os.environ}
        )
        yield found
        found.close()


def visiting(browser: Browser, address: str, **context: object) -> Visit:
    """A fresh browser that notes what it is told."""
    page = browser.new_context(**context).new_page()  # type: ignore[arg-type]
    visit = Visit(address, page)
    page.on(
        "console",
        lambda told: visit.errors.append(told.text) if told.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("request", lambda asked: visit.asked.append(asked.url))
    allowed = (address, "data:", "blob:", "about:")
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(allowed) else visit.strayed.append(asked.url),
    )
    return visit


def sign_in(visit: Visit, token: str = TOKEN) -> None:
    visit.open("/sign-in")
    visit.page.get_by_label("API token").fill(token)
    visit.page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="session")
def session(browser: Browser, served: str) -> StorageState:
    """Cookies of a browser that has signed in."""
    found = visiting(browser, served)
    sign_in(found)
    found.page.wait_for_url(f"{served}/")
    kept = found.page.context.storage_state()
    found.page.context.close()
    return kept


@pytest.fixture
def visit(browser: Browser, served: str, session: StorageState) -> Iterator[Visit]:
    """Signed in."""
    found = visiting(browser, served, storage_state=session)
    yield found
    found.page.context.close()
