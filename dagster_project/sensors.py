"""What acts on its own: sensors read state from tables, so a missed or doubled tick changes nothing."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from dagster_project.execution import ASKED_TAG, attempt, is_under_way
from dagster_project.resources import PlatformResource
from dagster_project.schedules import decision, landing, rebuild, retraining
from firstchair import events
from firstchair.lake.tables import BRONZE_EVENTS
from firstchair.operations import alerts, triggers, webhook

RUNNING = dg.DefaultSensorStatus.RUNNING
Requests = Iterator[dg.RunRequest | dg.SkipReason]


def _partition(as_of: date) -> str:
    return (as_of - timedelta(days=1)).isoformat()


@dg.sensor(jobs=[landing, rebuild], minimum_interval_seconds=60, default_status=RUNNING)
def landing_sensor(platform: PlatformResource) -> Requests:
    """New objects are ingested; a complete day that late events reached is built again."""
    p = platform.open()
    waiting = triggers.waiting_objects(p)
    if waiting.objects:
        yield dg.RunRequest(run_key=f"landing-{waiting.fingerprint}", job_name="landing")
        return
    stale = [day for day in events.stale_days(p.lake) if day < p.now.date()]
    if not stale:
        yield dg.SkipReason("No new object under events_url, and no built day has late events.")
    for day in stale:
        key = f"rebuild-{day}-{p.lake.version(BRONZE_EVENTS)}"
        yield dg.RunRequest(run_key=key, job_name="rebuild", partition_key=day.isoformat())


@dg.sensor(job=retraining, minimum_interval_seconds=300, default_status=RUNNING)
def retraining_sensor(platform: PlatformResource) -> Requests:
    """All families are fitted anew where a cause says so: freshness, drift, engagement, overfit, volume, schedule."""
    due = triggers.retraining_due(platform.open())
    if due is None:
        yield dg.SkipReason("No cause: the newest models were fitted on the newest features, and nothing has drifted.")
    else:
        tags = {"firstchair/cause": due.cause, "firstchair/causes": ",".join(due.causes)}
        key = f"retraining-{due.as_of}-{'-'.join(due.causes)}"
        yield dg.RunRequest(run_key=key, partition_key=_partition(due.as_of), tags=tags)


@dg.sensor(job=decision, minimum_interval_seconds=60, default_status=RUNNING)
def promotion_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> Requests:
    """Days whose candidates and evidence are complete are put before the gate; it alone moves an alias."""
    p = platform.open()
    due = triggers.decisions_due(p)
    if not due:
        yield dg.SkipReason("Every day with candidates has its entry, and aliases and lists are as the last one says.")
    elif is_under_way(context.instance, decision.name):
        yield dg.SkipReason(f"{due[0].as_of} is due, and a decision is under way.")
    else:
        yield from _attempts(context.instance, due, p.now)


def _attempts(instance: dg.DagsterInstance, due: list[triggers.DecisionDue], now: datetime) -> Requests:
    keys = [(decided, attempt(instance, decided.why, now=now)) for decided in due]
    if not any(key for _, key in keys):
        yield dg.SkipReason(f"The run for {due[0].as_of} has failed and is asked for again later.")
    for decided, key in keys:
        if key is not None:
            tags = {ASKED_TAG: decided.why}
            yield dg.RunRequest(run_key=key, partition_key=_partition(decided.as_of), tags=tags)


@dg.sensor(minimum_interval_seconds=60, default_status=RUNNING)
def alert_sensor(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    """What is wrong now goes to the journal, the log and alert_webhook_url, once for each time it begins and ends."""
    p = platform.open()
    found = alerts.open_alerts(p, context.instance)
    webhook.tell(p.journal, found, url=p.settings.alert_webhook_url, key=p.settings.secret_webhook_key(), now=p.now)
    return dg.SkipReason("; ".join(alert.text for alert in found) or "Nothing is wrong.")
