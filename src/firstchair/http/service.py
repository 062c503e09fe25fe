"""What a worker runs behind its interface: the published lists, the spool, the signals of today."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstchair.access.authorizer import Authorizer, Refusal
from firstchair.access.hosts import AllowedHosts
from firstchair.access.scopes import Scope
from firstchair.errors import ModelError, SettingsError
from firstchair.http.answers import NOT_ALLOWED, Answer
from firstchair.http.connections import TRANSPORT, Connections
from firstchair.http.pages import OpenConsole
from firstchair.login.logins import Logins
from firstchair.login.signal_feed import SignalFeed
from firstchair.memory import collect_seldom
from firstchair.outbox.delivery import DELIVER_SECONDS, Delivery
from firstchair.outbox.spool import Spool
from firstchair.publication.published import Published, open_published, to_serve
from firstchair.sources import Tombstones

log = logging.getLogger(__name__)

RELOAD_SECONDS = 0.25
TOKENS_SECONDS = 1.0
SIGNALS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """What a worker needs to know, all of it from the settings.

    authorizer: judges tokens. champion, decisions: called per request; they return what
    `firstchair status` and `firstchair decisions` show, `decisions` given the number of the entry
    that the page ends before, or None. hosts: names under which the service answers.
    connections: most open ones. tombstones: the users
    who were forgotten; None: none can be. console: opens the review console over what is served;
    None: no pages. logins: makes what answers them, called once in each worker.
    """

    published: Path
    spool: Path
    events_url: str
    pseudonym_key: bytes
    authorizer: Authorizer
    seed: int
    champion: Callable[[], object]
    decisions: Callable[[int | None], Sequence[Mapping[str, Any]]]
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    connections: int = 4_096
    fold_in: bool = True
    tombstones: Tombstones | None = None
    console: OpenConsole | None = None
    logins: Callable[..., Logins] = Logins


class Service:
    """One worker without its interface: published lists, a spool of its own, background threads."""

    def __init__(self, config: ApiConfig) -> None:
        self.config = config
        # Headers of authorized logins, byte for byte as a client sends them (`LoginProtocol`).
        self.known_headers: set[bytes] = set()
        self._tokens_changed = False
        self.connections = Connections(config.connections)
        self.spool = Spool(config.spool)
        self.signal_feed = SignalFeed(
            config.spool / "signals",
            self.spool.source,
            events_url=config.events_url,
            pseudonym_key=config.pseudonym_key,
        )
        self._delivery = Delivery(config.spool, config.events_url)
        self.logins: Logins | None = None
        self.served: str | None = None
        self._read: tuple[str, int] | None = None
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._every, args=(RELOAD_SECONDS, self.reload), daemon=True),
            threading.Thread(
                target=self._every, args=(TOKENS_SECONDS, self.refresh_tokens), daemon=True
            ),
            threading.Thread(
                target=self._every, args=(DELIVER_SECONDS, self._delivery.keep), daemon=True
            ),
        ]
        if config.fold_in:
            self._threads.append(
                threading.Thread(
                    target=self._every, args=(SIGNALS_SECONDS, self.read_signals), daemon=True
                )
            )

    def start(self) -> None:
        """Map what is published, and begin to sync, reload and deliver."""
        self._delivery.keep()  # before the first request, because starting it takes time
        self.reload()
        _spare_the_collector()
        self.spool.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the background threads and bring what is in the spool to the event store."""
        self._stop.set()
        self.signal_feed.close()
        for thread in self._threads:
            thread.join()
        self.spool.close()
        self._delivery.end()

    def reload(self) -> None:
        """Serve the version that the pointer names; keep the present one if that cannot be read.

        Users who were forgotten since are read too.
        """
        if self.config.tombstones is not None:
            self.config.tombstones.refresh()
        wanted = to_serve(self.config.published)
        if wanted in {None, self._read}:
            return
        try:
            published = open_published(self.config.published)
            for ranker in published.rankers.values() if self.config.fold_in else ():
                ranker.load()
        except ModelError:
            return
        if self.logins is None:
            config = self.config
            self.logins = config.logins(
                published,
                self.spool,
                pseudonym_key=config.pseudonym_key,
                seed=config.seed,
                today=self.signal_feed.today,
                tombstones=config.tombstones,
            )
        else:
            self.logins.serve(published)
        self.served, self._read = published.version, wanted
        if published.refused:
            log.error("Damaged lists are not served: %s.", "; ".join(published.refused))

    def refusal(self, authorization: bytes, address: str, scope: Scope) -> Answer | None:
        """Why a request may not do what it asks for; None if it may.

        Args:
            authorization: Value of the header, empty if there is none.
            address: Of the client.
            scope: What the request asks for.
        """
        found = self.config.authorizer.of_header(authorization, address, scope)
        return NOT_ALLOWED[found] if isinstance(found, Refusal) else None

    def keep_connection(self, scope: Mapping[str, Any]) -> None:
        """Keep the connection of an ASGI request that was authorized, however many there are."""
        self.connections.authorized(scope.get(TRANSPORT))

    def refresh_tokens(self) -> None:
        """Read the tokens that changed, and forget the headers of those that no longer hold."""
        try:
            changed = self.config.authorizer.tokens.refresh(datetime.now(UTC))
        except SettingsError as error:
            log.error("%s %s", error.what, error.data)
            return
        # Once more at the next look, for a header that was judged while the tokens changed.
        if changed or self._tokens_changed:
            self.known_headers.clear()
        self._tokens_changed = changed

    def published(self) -> Published | None:
        """What is served now; None before the first."""
        return None if self.logins is None else self.logins.rendered.published

    def read_signals(self) -> None:
        """Read the signals that the other workers have accepted since the last call."""
        self.signal_feed.step(time.time())

    def take(self, lines: Sequence[bytes]) -> None:
        """Make signals among accepted events count from the next login on."""
        if self.config.fold_in:
            self.signal_feed.take(lines, time.time())

    def _every(self, seconds: float, work: Callable[[], object]) -> None:
        while not self._stop.wait(seconds):
            try:
                work()
            except OSError:  # the disk is full or unreachable; the next round tries again
                continue


def _spare_the_collector() -> None:
    """Keep what lives as long as the worker out of garbage collection, and collect seldom.

    A login makes no reference cycles. A full collection during a login would walk the whole
    catalogue, and write to pages that workers share.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()
