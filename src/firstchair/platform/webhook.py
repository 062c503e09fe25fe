"""Alerts to a webhook: one signed post when an incident opens, one when it ends, with retries."""

import hashlib
import hmac
import logging
import urllib.error
import urllib.request
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any

from firstchair.databases import advisory_lock
from firstchair.platform.alerts import Alert
from firstchair.platform.journal import Incident, Journal
from firstchair.platform.payloads import Event, Post, WebhookFormat, encoded

LOG = logging.getLogger("firstchair.alerts")
SIGNATURE, DELIVERY = "X-Firstchair-Signature", "X-Firstchair-Delivery"
# The wait doubles with each failed try, up to an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where alerts are posted.

    url: None where they are not. key: secret of the signature. simulated: whether an event of the
    home is simulated; then each post says that it is about no real service. form: the format that
    it reads. routing_key: integration key, for PagerDuty.
    """

    url: str | None
    key: bytes
    simulated: bool
    form: WebhookFormat = WebhookFormat.FIRSTCHAIR
    routing_key: str = ""


def tell(
    journal: Journal,
    found: Sequence[Alert],
    receiver: Receiver,
    *,
    now: datetime,
    unknown: Collection[str] = (),
) -> list[Incident]:
    """Open and resolve incidents by the present alerts, and post what is not delivered yet.

    An incident of one of the codes in `unknown`, whose check could not be made, goes on.

    An incident's beginning is posted until the receiver answers 2xx, then never again; so is its
    end, after its beginning. A failed post is tried again no sooner than its wait allows. Posts
    carry `X-Firstchair-Signature`: `sha256=` and the hex HMAC-SHA256 of the body under the key, and
    `X-Firstchair-Delivery`, which is the same at each try of the same post, so that a receiver
    whose answer was lost can recognise the post. One process posts at a time. Without an address
    incidents are kept and nothing is posted. An incident that ended before the first try is not
    posted.

    Returns:
        Incidents that are open now.

    Raises:
        LedgerError: The journal cannot be written.
    """
    with advisory_lock(journal.url, "firstchair alerts", wait=True):
        journal.see({alert.code: alert.told() for alert in found}, now=now, unknown=unknown)
        _log(journal, now)
        for incident in journal.undelivered(now=now) if receiver.url is not None else []:
            _deliver(journal, incident, receiver, now)
        return journal.incidents(only_open=True)


def _log(journal: Journal, now: datetime) -> None:
    """Log the incidents that began or ended at this check."""
    for incident in journal.incidents(limit=100):
        if incident.opened_at == now:
            LOG.warning("%s: %s", incident.code, incident.detail)
        if incident.resolved_at == now:
            LOG.info("%s is over.", incident.code)


def signature(body: bytes, key: bytes) -> str:
    """The value of the signature header of a body.

    >>> signature(b"{}", b"key")[:15]
    'sha256=a777724d'
    """
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def _deliver(journal: Journal, incident: Incident, receiver: Receiver, now: datetime) -> None:
    """Post the beginning, then the end, if they are due; stop at a failed post."""
    if incident.delivered_at is None:
        if not _posted(journal, incident, Event.OPENED, receiver, now):
            return
        journal.note(incident.incident_id, delivered_at=now, attempts=0, last_fault=None)
    if incident.resolved_at is not None and _posted(
        journal, incident, Event.RESOLVED, receiver, now
    ):
        journal.note(incident.incident_id, resolution_delivered_at=now, attempts=0, last_fault=None)


def _posted(
    journal: Journal,
    incident: Incident,
    event: Event,
    receiver: Receiver,
    now: datetime,
) -> bool:
    fault = _post(receiver, incident, event)
    if fault is None:
        return True
    wait = FIRST_WAIT * min(2**incident.attempts, LONGEST_WAIT // FIRST_WAIT)
    journal.note(
        incident.incident_id,
        attempts=incident.attempts + 1,
        next_attempt_at=now + wait,
        last_fault=fault[:500],
    )
    return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would repeat the post as a GET without its body."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Leave the answer as it is, which `open` then raises as an `HTTPError`."""


_OPENER = urllib.request.build_opener(_NoRedirect)


def _post(receiver: Receiver, incident: Incident, event: Event) -> str | None:
    """Post once; why the receiver did not accept it, None if it did."""
    post = Post(incident, event, receiver.simulated, receiver.routing_key)
    body = encoded(post, receiver.form)
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: signature(body, receiver.key),
        DELIVERY: f"{incident.incident_id}-{event}",
    }
    try:
        request = urllib.request.Request(str(receiver.url), data=body, headers=headers)
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return None if 200 <= answer.status < 300 else f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        to = error.headers.get("location", "")
        error.close()
        moved = f" and points to {to}; set alert_webhook_url to that address" if to else ""
        return f"answered {error.code} {error.reason}{moved}"
    except (OSError, ValueError, HTTPException) as error:
        return str(error) or type(error).__name__
