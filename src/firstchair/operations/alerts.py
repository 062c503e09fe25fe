"""What is wrong now, from state alone: each with a stable code and a sentence for the person on call."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from firstchair import events
from firstchair.errors import RunError
from firstchair.lake import tables as t
from firstchair.operations.alert_guides import guide_of
from firstchair.operations.platform import Platform
from firstchair.promotion import ALIAS_MOVED, REFRESH, Reason, Stage, out_of_line
from firstchair.promotion.evidence_record import arms_of_entry

if TYPE_CHECKING:
    import dagster as dg

STALE_AFTER = timedelta(days=2)
# A rollback, or a probation that ended without a confirmation, is shown to a person for so long.
ROLLBACK_DAYS = 3
# A run that failed longer ago is history, even where nobody did its work.
FAILED_RUN_DAYS = 7
# Stages of a refit that was judged and did not take over.
HELD_STAGES = {Stage.SHADOW, Stage.REJECTED}
# The newest changes of champion that an alert names.
MOST_RELEASES = 3
SAMPLE_RATIO_CHECKS = {"sample_ratio", "sample_ratio_mismatch"}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong: a stable code, and a sentence for the person on call.

    cause: the likely one. remedy: what to do. link: page of the console to look at. They are the
    code's own (`alert_guides`) where a look at the state says nothing better.
    """

    code: str
    text: str
    cause: str = ""
    remedy: str = ""
    link: str = ""

    def told(self) -> str:
        """All of it in one text."""
        parts = (self.text, f"Likely cause: {self.cause}", f"What to do: {self.remedy}", f"See {self.link}")
        return " ".join(part for part in parts if not part.endswith((": ", "See ")))


def open_alerts(platform: Platform, instance: "dg.DagsterInstance | None" = None) -> tuple[Alert, ...]:
    """What is wrong with data, lists, engagement, the split, decisions, aliases, runs and checks.

    At most one of a code. With `instance`, Dagster's runs and the newest outcome of every blocking
    asset check are looked at; without it, what `alert_sensor` last found of them is told.
    """
    reconciliation = events.reconcile(platform.lake)
    if not reconciliation.read:
        nothing = Alert("no_data", "No event has been read yet: deliver events and run `firstchair run`.")
        return tuple(_guided(alert, platform) for alert in (nothing, *_runs(platform, instance)))
    try:
        last = platform.complete_days()[1]
    except RunError as error:
        nothing = Alert("no_data", f"{error.what} {error.remedy}")
        found = [nothing, *_changed(platform), *_runs(platform, instance)]
        return tuple(_guided(alert, platform) for alert in found)
    found = [
        *_changed(platform),
        *_freshness(platform, last),
        *_records(platform, reconciliation, last),
        *_quality(platform, last),
    ]
    found += [*_engagement(platform, last), *_moved(platform), *_decisions(platform), *_runs(platform, instance)]
    once = tuple({alert.code: alert for alert in reversed(found)}.values())[::-1]
    return tuple(_guided(alert, platform) for alert in once)


def _guided(alert: Alert, platform: Platform) -> Alert:
    """The alert with what is known of its code, where it does not say better itself."""
    guide = guide_of(alert.code)
    return replace(
        alert,
        cause=alert.cause or guide.cause,
        remedy=alert.remedy or guide.remedy,
        link=alert.link or platform.settings.page(guide.page),
    )


def _freshness(platform: Platform, last: date) -> Iterator[Alert]:
    if platform.now.date() - last > STALE_AFTER:
        yield Alert("stale_data", f"The newest complete day of events is {last}.")
    lists = platform.lake.partitions(t.RECOMMENDATIONS)
    if not lists or lists[-1] <= last:
        yield Alert("stale_lists", f"The newest lists are of {lists[-1] if lists else 'no day'}.")


def _records(platform: Platform, reconciliation: events.Reconciliation, last: date) -> Iterator[Alert]:
    if (why := platform.unusable(last + timedelta(days=1))) is not None:
        yield Alert("quarantine_rate", f"Nothing is built on {last}: {why}")
    if not reconciliation.balanced:
        yield Alert("records_unaccounted", "Read is not accepted + duplicates + quarantined; rebuild the days.")
    if holes := {source: count for source, count in reconciliation.gaps.items() if count}:
        told = ", ".join(f"{count:,} from {source}" for source, count in sorted(holes.items()))
        yield Alert("sequence_gaps", f"Sequence numbers are missing: {told}.")


def _changed(platform: Platform) -> Iterator[Alert]:
    if names := events.changed_objects(platform.lake):
        yield Alert(
            "changed_objects",
            f"{len(names):,} object(s) were written again after they were read, first {names[0]}: what they "
            "hold now is not read. Deliver it in objects with new names.",
        )


def _moved(platform: Platform) -> Iterator[Alert]:
    """What somebody moved behind our back, now or within the last day."""
    last = platform.ledger.last()
    if last is None:
        return
    if ALIAS_MOVED in last.reason_codes and platform.now - last.decided_at < STALE_AFTER / 2:
        yield Alert("alias_moved", last.reasons[0])
        return
    pointed = out_of_line(platform.registry, platform.ledger)
    if pointed and platform.registry.followed() == last.sequence:
        yield Alert("alias_moved", f"Aliases point elsewhere than entry {last.sequence} has them: {pointed}.")


def _quality(platform: Platform, last: date) -> Iterator[Alert]:
    """The newest complete day's own figures; older days are told by the gate that leaves them out."""
    import monitoring

    for row in monitoring.quality_of(platform.lake, last, last):
        if row["measure"] == "refused":
            yield Alert("quarantine_rate", f"{row['value']:.1%} of the records of {last} are in quarantine.")
        elif row["measure"] == "impossible_listening":
            yield Alert(
                "impossible_listening",
                f"{row['value']:,.0f} account(s) played more on {last} than a day has hours, "
                f"{row['of']:,} plays in all; these do not count in popularity.",
            )
        elif row["blocks"]:
            yield Alert(
                "failed_check", f"Data quality of {last}: {row['measure']} of {row['key']}: {row['value']:.3g}."
            )


def _engagement(platform: Platform, last: date) -> Iterator[Alert]:
    import monitoring

    rules, as_of = monitoring.load_rules().engagement, last + timedelta(days=1)
    change = monitoring.engagement_regression(platform.lake, as_of=as_of, days=1, rules=rules).get(as_of)
    if change is not None and change.fallen:
        (first, newest), (before, until) = change.recent, change.before
        text = (
            f"CTR of {first} to {newest} is {change.recent_ctr:.2%}: {change.relative_change:+.1%} "
            f"against {before} to {until} ({change.before_ctr:.2%})."
        )
        yield Alert("engagement_regression", text, cause=_released(platform, before, newest))


def _released(platform: Platform, first: date, last: date) -> str:
    """Versions that began to serve in these days, in words; empty where none did."""
    found = []
    for entry in platform.ledger.champion_changes():
        _, treatment = arms_of_entry(entry)
        if treatment is not None and first <= entry.as_of <= last:
            found.append(f"entry {entry.sequence} of {entry.as_of} ({entry.decision} {treatment.name})")
    if not found:
        return ""
    more = f" and {len(found) - MOST_RELEASES} before" if len(found) > MOST_RELEASES else ""
    return (
        f"the champion changed in these days: {', '.join(found[:MOST_RELEASES])}{more}. "
        "Versions before and after were not shown on the same days, so this compares days and not "
        "versions; the gate compares versions."
    )


def _decisions(platform: Platform) -> Iterator[Alert]:
    """A broken split; a refit that was held; a rollback or an unconfirmed champion that is still new."""
    entries = platform.ledger.entries(limit=50)
    checks = entries[0].evidence.get("checks", ()) if entries else ()
    for check in checks:
        if check.get("name") in SAMPLE_RATIO_CHECKS and not check.get("passes", True):
            yield Alert("sample_ratio", f"The split is not as planned: {check.get('detail', '')}")
    refresh = next((e for e in entries if e.evidence["kind"] == REFRESH), None)
    if refresh is not None and refresh.stage_after in HELD_STAGES:
        yield Alert(
            "refresh_held",
            f"The refit of {refresh.as_of} does not take over from version {refresh.champion_after}: "
            f"{' '.join(refresh.reasons)}",
        )
    back = next((entry for entry in entries if entry.decision == "roll_back"), None)
    if back is not None and platform.now - back.decided_at < timedelta(days=ROLLBACK_DAYS):
        yield Alert("rollback", f"Version {back.champion_before} was rolled back: {' '.join(back.reasons)}")
    over = next((entry for entry in entries if Reason.PROBATION_OVER in entry.reason_codes), None)
    if over is not None and platform.now - over.decided_at < timedelta(days=ROLLBACK_DAYS):
        text = f"Version {over.champion_after} was never confirmed: {' '.join(over.reasons)}"
        yield Alert("unconfirmed", text)


def _runs(platform: Platform, instance: "dg.DagsterInstance | None") -> Iterator[Alert]:
    """Runs that failed and whose work nobody has done since; asset checks that failed at last."""
    if instance is None:
        for incident in platform.journal.incidents(only_open=True):
            if incident.code in {"failed_run", "failed_check"}:
                yield Alert(incident.code, incident.detail)
        return
    from dagster_project.execution import failed_checks, failed_runs

    if failed := failed_checks(instance):
        yield Alert("failed_check", f"Failed at their last run: {', '.join(failed)}.")
    if runs := failed_runs(instance, since=platform.now - timedelta(days=FAILED_RUN_DAYS)):
        more = f" {len(runs) - 1:,} more failed before it." if len(runs) > 1 else ""
        yield Alert("failed_run", f"{runs[0].sentence()}{more}")
