"""Keeps the lists of this host those of the bucket `published_url`, for the API beside it.

    python -m firstchair.hosts.lists

It needs no database. The API maps what is fetched within a second.
"""

import logging
import signal
import sys
from threading import Event

from firstchair.errors import FirstchairError, SettingsError
from firstchair.publication import fetch
from firstchair.settings import Settings, load_settings

log = logging.getLogger(__name__)


def follow(settings: Settings, stop: Event) -> None:
    """Fetch the newest lists again and again until `stop` is set; log what changes.

    Raises:
        SettingsError: No bucket is set.
    """
    if not settings.published_url:
        raise SettingsError(
            "published_url is not set, so there is nothing to fetch lists from.",
            where="FIRSTCHAIR_PUBLISHED_URL",
            data="Nothing was read or written.",
            remedy="Set it to the address that lists are copied to where they are published.",
        )
    known = ""
    while not stop.is_set():
        found = _fetched(settings)
        if found != known:
            log.log(logging.INFO if found.startswith("Served") else logging.ERROR, "%s", found)
            known = found
        stop.wait(settings.published_poll_seconds)


def _fetched(settings: Settings) -> str:
    """What a call fetched, or why it could not, in a sentence."""
    try:
        name = fetch(settings.published_url, settings.published)
    except FirstchairError as error:
        return str(error)
    if name is None:
        return f"Nothing is published at {settings.published_url} yet."
    return f"Served from here are the lists {name}."


def main() -> None:
    """Fetch until a signal ends it."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        follow(load_settings(), stop)
    except FirstchairError as error:
        sys.exit(f"{error.what} [{error.code}, {error.where}]\n{error.data} {error.remedy}")


if __name__ == "__main__":
    main()
