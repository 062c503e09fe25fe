"""Alerts to a webhook: signed, tried again with patience, once an incident and once when it is over."""

import hashlib
import hmac
import json
import logging
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from firstchair.databases import advisory_lock
from firstchair.platform.alerts import Alert
from firstchair.platform.journal import Incident, Journal

LOG = logging.getLogger("firstchair.alerts")
SIGNATURE, DELIVERY = "X-Firstchair-Signature", "X-Firstchair-Delivery"
# The wait doubles from the first fault on, up to an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
TIMEOUT_SECONDS = 10
OPENED, RESOLVED = "opened", "resolved"
# Before the text of a post, for receivers that show nothing else of it.
SIMULATED = "Simulated data, no real service: "


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where alerts are posted.

    url: None where they are not. key: secret of the signature. simulated: some event of the home
    is, so that every post says it is of no real service.
    """

    url: str | None
    key: bytes
    simulated: bool


def tell(
    journal: Journal,
    found: Sequence[Alert],
    receiver: Receiver,
    *,
    now: datetime,
) -> list[Incident]:
    """Open and resolve incidents by what is wrong now, and post what the receiver has not taken yet.

    An incident's beginning is posted until the receiver answers 2xx, then never again; so is its
    end, after it. A fault is tried again no sooner than its wait allows. Posts carry
    `X-Firstchair-Signature`: `sha256=` and the hex HMAC-SHA256 of the body under the key, and
    `X-Firstchair-Delivery`, the same at each try of the same post: where an answer is lost on the
    way, the receiver can tell by it that it has the post already. One process tells at a time.

    Without an address incidents are kept and nothing is posted; what was over before the first try
    is not told of.

    Returns:
        Incidents that are open now.

    Raises:
        LedgerError: The journal cannot be written.
    """
    with advisory_lock(journal.url, "firstchair alerts", wait=True):
        journal.see({alert.code: alert.told() for alert in found}, now=now)
        _log(journal, now)
        for incident in journal.undelivered(now=now) if receiver.url is not None else []:
            _deliver(journal, incident, receiver, now)
        return journal.incidents(only_open=True)


def _log(journal: Journal, now: datetime) -> None:
    """What began or ended at this look."""
    for incident in journal.incidents(limit=100):
        if incident.opened_at == now:
            LOG.warning("%s: %s", incident.code, incident.detail)
        if incident.resolved_at == now:
            LOG.info("%s is over.", incident.code)


def signature(body: bytes, key: bytes) -> str:
    """What the signature header of a body holds.

    >>> signature(b"{}", b"key")[:15]
    'sha256=9acd0f5e'
    """
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def _deliver(journal: Journal, incident: Incident, receiver: Receiver, now: datetime) -> None:
    """Post the beginning, then the end, as far as they are due; a fault ends this try."""
    if incident.delivered_at is None:
        if not _posted(journal, incident, OPENED, receiver, now):
            return
        journal.note(incident.incident_id, delivered_at=now, attempts=0, last_fault=None)
    if incident.resolved_at is not None and _posted(journal, incident, RESOLVED, receiver, now):
        journal.note(incident.incident_id, resolution_delivered_at=now, attempts=0, last_fault=None)


def _posted(
    journal: Journal,
    incident: Incident,
    event: str,
    receiver: Receiver,
    now: datetime,
) -> bool:
    fault = _post(receiver, incident, event)
    if fault is None:
        return True
    wait = min(FIRST_WAIT * 2**incident.attempts, LONGEST_WAIT)
    journal.note(
        incident.incident_id, attempts=incident.attempts + 1, next_attempt_at=now + wait, last_fault=fault[:500]
    )
    return False


def _post(receiver: Receiver, incident: Incident, event: str) -> str | None:
    """Why the receiver did not take it; None where it did."""
    mark = SIMULATED if receiver.simulated else ""
    body = json.dumps(
        {
            "service": "firstchair",
            "event": event,
            "incident_id": incident.incident_id,
            "code": incident.code,
            "text": f"{mark}{incident.detail}",
            "simulated": receiver.simulated,
            "opened_at": incident.opened_at.isoformat(),
            "resolved_at": None
            if event == OPENED or incident.resolved_at is None
            else incident.resolved_at.isoformat(),
        }
    ).encode()
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: signature(body, receiver.key),
        DELIVERY: f"{incident.incident_id}-{event}",
    }
    try:
        with urllib.request.urlopen(
            urllib.request.Request(str(receiver.url), data=body, headers=headers),
            timeout=TIMEOUT_SECONDS,
        ) as answer:
            return None if 200 <= answer.status < 300 else f"answered {answer.status}"
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
