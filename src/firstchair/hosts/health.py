"""Whether the service of a container is well: the health check of the image.

    python -m firstchair.hosts.health

It ends with 0 if the page of health of the service answers, else with 1. What has no page, such as
Dagster's daemon, is well for as long as it runs. Only the standard library: it runs every few
seconds, beside the service.
"""

import os
import sys
import urllib.request
from pathlib import Path

SECONDS = 2
# Setting of the port, its default, and page, by the program that a service runs.
PAGES = {
    "firstchair.http.server": ("FIRSTCHAIR_API_PORT", "8000", "/healthz"),
    "dagster-webserver": ("FIRSTCHAIR_DAGSTER_PORT", "3000", "/server_info"),
    "mlflow": ("FIRSTCHAIR_MLFLOW_PORT", "5000", "/health"),
}
# It becomes one of these programs, and is none yet.
STARTS = "firstchair.commands.container"


def is_well(process: int = 1) -> bool:
    """Whether the service that is this process, or a child of it, answers.

    Args:
        process: The first one of the container, which may be an init that `docker run --init` adds.
    """
    every = [_programs(one) for one in (process, *_children(process))]
    programs = {name for names in every for name in names}
    page = next((page for name, page in PAGES.items() if name in programs), None)
    if page is None:  # an init's own command line names what it started for ever
        return STARTS not in every[-1]
    return _answers(*page)


def _answers(setting: str, default: str, page: str) -> bool:
    port = os.environ.get(setting, default)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=SECONDS):
            return True
    except OSError:
        return False


def _programs(process: int) -> list[str]:
    """Names of the words of a process's command line; none where it is gone."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except (OSError, UnicodeDecodeError):
        return []
    return [Path(word).name for word in words]


def _children(process: int) -> list[int]:
    try:
        return [
            int(child)
            for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(not is_well(*map(int, sys.argv[1:])))
