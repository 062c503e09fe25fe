"""Sensors: they read state from tables, so a missed or repeated tick changes nothing."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from dagster_project.execution import (
    Wanted,
    close_orphans,
    requests,
    run_checks,
    runs_under_way,
)
from dagster_project.resources import PlatformResource
from dagster_project.schedules import Requests, decision, landing, rebuild, retraining
from firstchair import events
from firstchair.lake import is_simulated
from firstchair.lake.tables import BRONZE_EVENTS
from firstchair.platform import alerts, triggers, webhook
from firstchair.platform.observed import observe
from firstchair.platform.payloads import WebhookFormat
from firstchair.platform.start import settled_at
from firstchair.platform.work import at_work

RUNNING = dg.DefaultSensorStatus.RUNNING
ONE_DAY = timedelta(days=1)


@dg.sensor(jobs=[landing, rebuild], minimum_interval_seconds=60, default_status=RUNNING)
def landing_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> Requests:
    """New objects are ingested; a complete day that late events reached is built again."""
    p = platform.open()
    waiting = triggers.waiting_objects(p)
    wanted = [Wanted("landing", landing.name, state=waiting.fingerprint)] if waiting.objects else []
    version = str(p.lake.version(BRONZE_EVENTS))
    wanted += [
        Wanted(f"rebuild-{day}", rebuild.name, state=version, day=day)
        for day in events.stale_days(p.lake)
        if day < p.now.date()
    ]
    idle = "No new object under events_url, and no built day has late events."
    yield from requests(context.instance, wanted, now=p.now, idle=idle)


@dg.sensor(job=retraining, minimum_interval_seconds=300, default_status=RUNNING)
def retraining_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> Requests:
    """Fit all families on a cause: freshness, drift, engagement, overfit, volume, schedule."""
    p = platform.open()
    due = triggers.retraining_due(p)
    wanted = []
    until = settled_at(p)
    if due is not None and until is None:
        tags = {"firstchair/cause": due.cause, "firstchair/causes": ",".join(due.causes)}
        work, causes = f"retraining-{due.as_of}", "-".join(due.causes)
        wanted = [Wanted(work, retraining.name, state=causes, day=due.as_of - ONE_DAY, tags=tags)]
    idle = (
        "No cause: the newest models were fitted on the newest features, and nothing has drifted."
    )
    if until is not None:
        idle = f"The home has just been started: nothing is fitted before {until:%H:%M} UTC."
    yield from requests(context.instance, wanted, now=p.now, idle=idle)


@dg.sensor(job=decision, minimum_interval_seconds=60, default_status=RUNNING)
def promotion_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> Requests:
    """Put days with complete candidates and evidence before the gate; it alone moves aliases."""
    p = platform.open()
    wanted = [
        Wanted(f"decision-{due.as_of}", decision.name, state=due.why, day=due.as_of - ONE_DAY)
        for due in triggers.decisions_due(p)
    ]
    idle = (
        "Every day with candidates has its entry, and aliases and lists are as the last one says."
    )
    yield from requests(context.instance, wanted, now=p.now, idle=idle)


@dg.sensor(minimum_interval_seconds=60, default_status=RUNNING)
def alert_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """Report each alert to the journal, the log and alert_webhook_url when it begins and ends.

    Runs that no process works on are closed first: they are reported and asked for again.
    """
    p = platform.open()
    is_writing = at_work(p.databases.ledger) is not None
    close_orphans(context.instance, now=datetime.now(UTC), is_writing=is_writing)
    checks = run_checks(context.instance, now=p.now)
    seen = observe(p, checks, runs_under_way(context.instance))
    watched = alerts.watch(p, seen)
    found = alerts.alerts_of(watched, p)
    receiver = webhook.Receiver(
        p.settings.alert_webhook_url,
        p.settings.secret_webhook_key(),
        simulated=is_simulated(p.lake),
        form=WebhookFormat(p.settings.alert_webhook_format),
        routing_key=p.settings.alert_routing_key.get_secret_value(),
    )
    webhook.tell(p.journal, found, receiver, now=p.now, unknown=alerts.unknown_codes(watched))
    p.journal.note_tick(now=p.now)
    return dg.SkipReason("; ".join(alert.text for alert in found) or "Nothing is wrong.")
