"""Pictures of the review console as it is now: `python -m docs.scripts.console HOME`.

HOME is the home of a finished demo (`firstchair demo --no-ui`). Its API is started on a free port
and ended again; nothing in it is changed. Chromium has to be installed.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
PAGES = {"console-now": "/", "console-audition": "/audition"}
PATIENCE_SECONDS = 120


def main(home: Path) -> None:
    """Start the API over the home, sign in, and keep a picture of each page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "FIRSTCHAIR_HOME": str(home), "FIRSTCHAIR_API_PORT": str(port)}
    server = subprocess.Popen([sys.executable, "-m", "firstchair.http.server"], env=environment)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/readyz")
        _take(address, (home / "api_token").read_text().strip())
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{address} does not answer.")


def _take(address: str, token: str) -> None:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1180, "height": 900})
        page.goto(f"{address}/sign-in")
        page.get_by_label("API token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{address}/")
        for name, path in PAGES.items():
            page.goto(f"{address}{path}")
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
