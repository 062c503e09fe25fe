"""What is wrong now, from state alone, and telling it once."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from firstchair import events
from firstchair.lake import tables as t
from firstchair.operations.platform import Platform
from firstchair.promotion import ALIAS_MOVED, out_of_line

STALE_AFTER = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong: a stable code, and a sentence for the person on call."""

    code: str
    text: str


def open_alerts(platform: Platform) -> tuple[Alert, ...]:
    """Stale data, stale lists, refused records over the limit, holes in sequence numbers."""
    reconciliation = events.reconcile(platform.lake)
    if not reconciliation.read:
        return (Alert("no_data", "No event has been read yet: deliver events and run `firstchair run`."),)
    found = []
    last = platform.complete_days()[1]
    if platform.now.date() - last > STALE_AFTER:
        found.append(Alert("stale_data", f"The newest complete day of events is {last}."))
    if moved := _moved(platform):
        found.append(Alert("alias_moved", moved))
    lists = platform.lake.partitions(t.RECOMMENDATIONS)
    if not lists or lists[-1] <= last:
        found.append(Alert("stale_lists", f"The newest lists are of {lists[-1] if lists else 'no day'}."))
    refused = sum(reconciliation.quarantined.values())
    if refused > platform.settings.max_quarantine_rate * max(1_000, reconciliation.read):
        found.append(Alert("quarantine_rate", f"{refused:,} of {reconciliation.read:,} records are in quarantine."))
    if not reconciliation.balanced:
        found.append(Alert("records_unaccounted", "Read is not accepted + duplicates + quarantined; rebuild the days."))
    if holes := {source: count for source, count in reconciliation.gaps.items() if count}:
        found.append(Alert("sequence_gaps", f"Sequence numbers are missing, by source: {holes}."))
    return tuple(found)


def _moved(platform: Platform) -> str | None:
    """What somebody moved behind our back, now or within the last day."""
    last = platform.ledger.last()
    if last is None:
        return None
    if ALIAS_MOVED in last.reason_codes and platform.now - last.decided_at < STALE_AFTER / 2:
        return last.reasons[0]
    pointed = out_of_line(platform.registry, platform.ledger)
    if pointed and platform.registry.followed() == last.sequence:
        return f"Aliases point elsewhere than entry {last.sequence} has them: {pointed}."
    return None


def send_new(found: Sequence[Alert], *, already: str, url: str | None) -> str:
    """Post the alerts that were not open at the last look; returns what to pass as `already` next time.

    An alert that the receiver did not take is not remembered, so the next look sends it again.
    """
    known = set(json.loads(already)) if already else set()
    sent = {alert.code for alert in found if alert.code in known or url is None or _post(url, alert)}
    return json.dumps(sorted(sent))


def _post(url: str, alert: Alert) -> bool:
    body = json.dumps({"service": "firstchair", **asdict(alert)}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(200 <= answer.status < 300)
    except OSError:
        return False
