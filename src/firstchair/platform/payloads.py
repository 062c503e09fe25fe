"""What is posted of an incident, in the format that its receiver reads."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from firstchair.platform.journal import Incident

# Text before the alert's own, for receivers that show only the text.
SIMULATED = "Simulated data, no real service: "
SERVICE = "firstchair"
# Limits of a section of Slack's, and of the summary of an event of PagerDuty's, in characters.
SLACK_TEXT, PAGERDUTY_SUMMARY = 3_000, 1_024
# Codes where users may be served lists that are old or wrong; others wait for working hours.
URGENT = frozenset({"no_data", "failed_run", "stale_lists", "damaged_lists", "version_deleted"})


class WebhookFormat(StrEnum):
    """Receivers whose format is known: any that checks our signature, and two of others."""

    FIRSTCHAIR = "firstchair"
    SLACK = "slack"
    PAGERDUTY = "pagerduty"


class Event(StrEnum):
    """What is told of an incident."""

    OPENED = "opened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Post:
    """What a post is made of.

    routing_key: integration key of a PagerDuty service. simulated: whether an event of the home is.
    """

    incident: Incident
    event: Event
    simulated: bool
    routing_key: str = ""

    @property
    def text(self) -> str:
        """The alert in words."""
        return f"{SIMULATED if self.simulated else ''}{self.incident.detail}"


def encoded(post: Post, form: WebhookFormat) -> bytes:
    """The JSON body of a post."""
    return json.dumps(_FORMATS[form](post)).encode()


def _own(post: Post) -> dict[str, Any]:
    incident = post.incident
    ended = None if post.event is Event.OPENED else incident.resolved_at
    return {
        "service": SERVICE,
        "event": str(post.event),
        "incident_id": incident.incident_id,
        "code": incident.code,
        "text": post.text,
        "simulated": post.simulated,
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": None if ended is None else ended.isoformat(),
    }


def _slack(post: Post) -> dict[str, Any]:
    """A message to an incoming webhook; `<`, `>` and `&` begin markup there, and are escaped."""
    heading = f"{SERVICE}: {post.incident.code.replace('_', ' ')} {post.event}"
    text = _shortened(_escaped(post.text), SLACK_TEXT)
    since = f"since {post.incident.opened_at:%Y-%m-%d %H:%M} UTC"
    return {
        "text": heading,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": heading}},
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": since}]},
        ],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(post: Post) -> dict[str, Any]:
    """An event of the Events API v2; beginning and end of an incident have one key."""
    incident = post.incident
    named = {"routing_key": post.routing_key, "dedup_key": incident.incident_id}
    if post.event is Event.RESOLVED:
        return named | {"event_action": "resolve"}
    return named | {
        "event_action": "trigger",
        "payload": {
            "summary": _shortened(post.text, PAGERDUTY_SUMMARY),
            "source": SERVICE,
            "severity": "critical" if incident.code in URGENT else "warning",
            "timestamp": incident.opened_at.isoformat(),
            "class": incident.code,
            "custom_details": {"text": post.text, "simulated": post.simulated},
        },
    }


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


_FORMATS: Mapping[WebhookFormat, Callable[[Post], dict[str, Any]]] = {
    WebhookFormat.FIRSTCHAIR: _own,
    WebhookFormat.SLACK: _slack,
    WebhookFormat.PAGERDUTY: _pagerduty,
}
