"""Checks of the platform's state; a check that fails is an alert for the person on call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from firstchair import events, publication
from firstchair.definitions.checks import Check, CheckState
from firstchair.errors import RunError
from firstchair.lake import tables as t
from firstchair.outbox.spooled import undelivered, unreadable_bytes
from firstchair.platform.alert_guides import guide_of
from firstchair.platform.observed import Observed, RegistryState, last_observed, registry_state
from firstchair.platform.platform import Platform
from firstchair.platform.start import first_start
from firstchair.platform.work import at_work
from firstchair.promotion import (
    ALIAS_MOVED,
    REFRESH,
    Entry,
    Reason,
    Stage,
    condition_checks,
    explained,
)
from firstchair.promotion.evidence_record import arms_of_entry
from firstchair.promotion.kinds import EXPERIMENT, UNSEEN

if TYPE_CHECKING:
    from monitoring import Regression

PASSES, FAILS = CheckState.PASSES, CheckState.FAILS
UNKNOWN, NOT_APPLICABLE = CheckState.NOT_ENOUGH_DATA, CheckState.NOT_APPLICABLE
ONE_DAY = timedelta(days=1)
STALE_AFTER = timedelta(days=2)
# `alert_sensor` ticks each minute; a busy machine may leave out some.
SILENT_AFTER = timedelta(minutes=10)
# By then, a complete day has its lists: the daily run begins 2.5 hours after the day ends.
BUILT_AFTER = timedelta(hours=6)
# A segment of the spool is brought to the event store within seconds of its end.
DELIVERED_AFTER = timedelta(hours=1)
# Days for which a rollback, or a probation that ended without a confirmation, stays an alert.
ROLLBACK_DAYS = 3
# Days for which the end of a canary whose version was deleted stays an alert.
LOST_CANARY_DAYS = 3
# Stages of a refit that was judged and did not take over, and reasons that only more test users
# mend.
HELD_STAGES = {Stage.SHADOW, Stage.REJECTED}
UNPROVEN = {Reason.REFRESH_NOT_PROVEN, Reason.TOO_FEW_USERS}
# How many of the newest changes of champion an alert names.
MOST_RELEASES = 3
# The reasons of refused records that an alert names.
MOST_REASONS = 3
# For so long a bad day stays an alert, if it is not mended: who comes back from a weekend sees it.
BAD_DAY_DAYS = 7
# So much of a pseudonym finds its user in the lake, and is not the pseudonym.
KEY_CHARACTERS = 8
# What accounts do that no person does, by measure of data quality: where none did, and where some.
ACCOUNT_ALERTS = {
    "impossible_listening": (
        "No account played for more hours than a day has.",
        "{accounts:,.0f} account(s) played more on {day} than a day has hours, {of:,} plays in "
        "all; these do not count in popularity.",
    ),
    "busy_accounts": (
        "No account did more than a person can on a day.",
        "{accounts:,.0f} account(s) logged in, clicked or followed more than {limit:,.0f} times "
        "on {day}, {of:,} times in all.",
    ),
}
REGRESSION = "engagement_regression"
VERSION_DELETED = "version_deleted"
# What asks Dagster and MLflow, and notes what they say.
LOOK = "the next minute of `firstchair up`, or the end of `firstchair run`"
SAMPLE_RATIO_CHECKS = {"sample_ratio", "sample_ratio_mismatch"}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong: a stable code, and a sentence for the person on call.

    cause: the likely one. remedy: what to do. link: page of the console to look at. They come from
    the code's guide (`alert_guides`) unless the state says something more exact.
    """

    code: str
    text: str
    cause: str = ""
    remedy: str = ""
    link: str = ""

    def told(self) -> str:
        """The alert as one text."""
        parts = (
            self.text,
            f"Likely cause: {self.cause}",
            f"What to do: {self.remedy}",
            f"See {self.link}",
        )
        return " ".join(part for part in parts if not part.endswith((": ", "See ")))


def open_alerts(platform: Platform, seen: Observed | None = None) -> tuple[Alert, ...]:
    """The alerts that are open now: the checks of `watch` that fail, at most one of a code."""
    return alerts_of(watch(platform, seen), platform)


def alerts_of(checks: Sequence[Check], platform: Platform) -> tuple[Alert, ...]:
    """An alert for the first failing check of each code, with its likely cause and remedy."""
    failing = [check for check in checks if check.state is FAILS]
    by_code = {check.name: check for check in reversed(failing)}
    return tuple(_guided(check, platform) for check in by_code.values())[::-1]


def unknown_codes(checks: Sequence[Check]) -> frozenset[str]:
    """Codes of which a check says neither that it fails nor that all is well."""
    return frozenset(check.name for check in checks if check.state is UNKNOWN)


def _guided(check: Check, platform: Platform) -> Alert:
    guide = guide_of(check.name)
    released = _released(platform) if check.name == REGRESSION else ""
    link = platform.settings.page(guide.page)
    return Alert(check.name, check.detail, released or guide.cause, guide.remedy, link)


def watch(platform: Platform, seen: Observed | None = None) -> tuple[Check, ...]:
    """Check data, lists, engagement, split, decisions, aliases, spool, asset checks and runs.

    Args:
        platform: The platform, and the instant of the check.
        seen: What Dagster and MLflow say. By default MLflow is asked, and of Dagster's runs and
            asset checks is known what was last seen.

    Returns:
        One check or more of each code; a code without a fault has one check that passes.
    """
    of_runs = (
        *_of_runs(last_observed(platform) if seen is None else seen),
        _sensors(platform, seen),
        *_spool(platform),
    )
    reconciliation = events.reconcile(platform.lake)
    if not reconciliation.read:
        what = "No event has been read yet: deliver events and run `firstchair run`."
        return (Check("no_data", FAILS, what), *of_runs)
    try:
        last = platform.complete_days()[1]
    except RunError as error:
        what = f"{error.what} {error.remedy}"
        return (Check("no_data", FAILS, what), *_changed(platform), *of_runs)
    return (
        Check("no_data", PASSES, f"{reconciliation.read:,} records have been read."),
        *_changed(platform),
        events.check_redirects(platform.lake),
        *_freshness(platform, last),
        *_records(platform, reconciliation, last),
        *_quality(platform, last),
        _engagement(platform, last),
        *_aliases(platform, None if seen is None else seen.registry),
        *_decisions(platform),
        *of_runs,
    )


def _spool(platform: Platform) -> Iterator[Check]:
    """Whether what the API accepted can be read, and is brought to the event store."""
    spool = platform.settings.spool
    spoilt, name = unreadable_bytes(spool), "unreadable_events"
    if spoilt:
        yield Check(name, FAILS, f"{spoilt:,} bytes of accepted events in {spool} are spoilt.")
    else:
        yield Check(name, PASSES, "All accepted events can be read.")
    waiting, oldest = undelivered(spool)
    since, name = datetime.fromtimestamp(oldest, UTC), "undelivered_events"
    if waiting and platform.now - since > DELIVERED_AFTER:
        text = f"{waiting:,} bytes of accepted events in {spool} wait to be delivered"
        yield Check(name, FAILS, f"{text}; the oldest since {since:%Y-%m-%d %H:%M} UTC.")
    else:
        yield Check(name, PASSES, "No accepted event has waited for an hour to be delivered.")


def _freshness(platform: Platform, last: date) -> Iterator[Check]:
    stale = platform.now.date() - last > STALE_AFTER
    newest = f"The newest complete day of events is {last}."
    yield Check("stale_data", FAILS if stale else PASSES, newest)
    yield _lists(platform, last)
    yield _damage(platform)


def _lists(platform: Platform, last: date) -> Check:
    """Whether the newest day that is over for long has lists, and they are served.

    The first ones may wait for it.
    """
    name, lists = "stale_lists", platform.lake.partitions(t.RECOMMENDATIONS)
    days, now = events.events_by_day(platform.lake), platform.now
    over = [day for day in days if day <= last and _is_due(now, day)]
    known = f"The newest lists rest on events before {lists[-1]}" if lists else "There are no lists"
    if over and (lists[-1] <= over[-1] if lists else over[-1] == last):
        text = f"{known}; {over[-1]} has been over for more than six hours."
        return Check(name, FAILS, text)
    served = publication.serves(platform.settings.published)
    if over and served is not None and served.as_of <= over[-1]:
        text = f"{known}, and those that are served, on events before {served.as_of}."
        return Check(name, FAILS, text)
    return Check(name, PASSES, f"{known}; the newest complete day of events is {last}.")


def _damage(platform: Platform) -> Check:
    """Whether the published lists are as they were written."""
    found = publication.damage(platform.settings.published)
    if found is None:
        return Check("damaged_lists", PASSES, "The published lists are as they were written.")
    text = f"The published lists are damaged; the newest whole ones are served. {found}."
    return Check("damaged_lists", FAILS, text)


def _is_due(now: datetime, day: date) -> bool:
    """Whether a day ended so long ago that it should be built."""
    return now >= datetime.combine(day + ONE_DAY, time(), UTC) + BUILT_AFTER


def _records(platform: Platform, found: events.Reconciliation, last: date) -> Iterator[Check]:
    why = platform.unusable(last + ONE_DAY)
    what = "Few records of the newest complete day, and of all days, are missing."
    yield Check(
        "quarantine_rate",
        FAILS if why else PASSES,
        f"Nothing is built on {last}: {why}" if why else what,
    )
    yield _accounting(platform, found)
    yield _unbuilt(platform, found, last)
    yield _strays(platform)
    before = last + ONE_DAY - timedelta(days=platform.settings.late_tolerance_days)
    # Gaps before a day are among all gaps, which have been counted.
    settled = events.sequence_gaps(platform.lake, before=before) if any(found.gaps.values()) else {}
    holes = {name: n for name, n in settled.items() if n}
    named = ", ".join(f"{count:,} from {source}" for source, count in sorted(holes.items()))
    text = f"Sequence numbers are missing before {before}: {named}."
    text = text if holes else f"No sequence number is missing before {before}."
    yield Check("sequence_gaps", FAILS if holes else PASSES, text)


def _accounting(platform: Platform, found: events.Reconciliation) -> Check:
    """Whether every record is accounted for; unknown while a writer is between two commits."""
    name = "records_unaccounted"
    if not found.balanced:
        if at_work(platform.databases.ledger) is not None:
            what, missing = "The tables are being written.", "the end of what is at work"
            return Check(name, UNKNOWN, what, missing)
        found = events.reconcile(platform.lake)  # a writer may have ended since
    return Check(name, PASSES if found.balanced else FAILS, _accounted(found))


def _accounted(found: events.Reconciliation) -> str:
    refused = sum(found.quarantined.values())
    fates = (
        f"{found.accepted:,} accepted, {found.duplicates:,} duplicates, {refused:,} in quarantine "
        f"and {found.waiting:,} waiting for their day to be built"
    )
    if found.balanced:
        return f"All {found.read:,} records are accounted for: {fates}."
    return (
        f"{found.read:,} records were read, and {found.accounted:,} are accounted for: {fates}. "
        "A table was changed by something else than firstchair: restore it, or read the objects "
        "into a new lake."
    )


def _unbuilt(platform: Platform, counts: events.Reconciliation, last: date) -> Check:
    """Complete days with events that have waited too long to be built or rebuilt."""
    since = platform.now - BUILT_AFTER
    days = events.waiting_days(platform.lake) if counts.waiting else ()
    waiting_long = (day for day in days if day.read_at <= since)
    found = [day for day in waiting_long if day.day <= last and _is_due(platform.now, day.day)]
    if not found:
        return Check("unbuilt_days", PASSES, "No event of a complete day waits for long.")
    waiting = sum(day.events for day in found)
    text = f"{waiting:,} events of {len(found):,} day(s), first {found[0].day}, wait to be built"
    remedy = "run `firstchair run`, or look why `rebuild` does not."
    return Check("unbuilt_days", FAILS, f"{text}: {remedy}")


def _strays(platform: Platform) -> Check:
    strays = events.stray_days(platform.lake, read_since=platform.now - STALE_AFTER)
    if not strays:
        return Check(
            "stray_days", PASSES, "No event of a day far from all others was read of late."
        )
    told = []
    if strays.events:
        days = f"{strays.days:,} day(s) long before all others, first {strays.first}"
        told.append(f"{strays.events:,} event(s) of {days}")
    if strays.future:
        told.append(f"{strays.future:,} record(s) dated after they were read")
    sent = f", sent by {', '.join(strays.sources)}," if strays.sources else ""
    return Check("stray_days", FAILS, f"{' and '.join(told)}{sent} are in quarantine.")


def _changed(platform: Platform) -> Iterator[Check]:
    names = events.changed_objects(platform.lake)
    if not names:
        yield Check("changed_objects", PASSES, "No object was written again after it was read.")
        return
    text = f"{len(names):,} object(s) were written again after they were read, first {names[0]}"
    yield Check(
        "changed_objects",
        FAILS,
        f"{text}: what they hold now is not read. Deliver it in objects with new names.",
    )


def _aliases(platform: Platform, seen: RegistryState | None) -> Iterator[Check]:
    """Whether MLflow holds what the ledger's last entry says; unknown if it was asked before that.

    seen: what it said when it was asked last; None: it is asked now.
    """
    last = platform.ledger.last()
    if last is None or last.champion_after is None:
        for name in (ALIAS_MOVED, VERSION_DELETED):
            yield Check(name, NOT_APPLICABLE, "There is no champion yet.")
        return
    found = registry_state(platform) if seen is None else seen
    yield _moved(platform, last, found)
    yield _deleted(platform, last, found)


def _moved(platform: Platform, last: Entry, found: RegistryState) -> Check:
    """An alias that somebody moved outside of firstchair, now or within the last day."""
    if ALIAS_MOVED in last.reason_codes and platform.now - last.decided_at < STALE_AFTER / 2:
        return Check(ALIAS_MOVED, FAILS, last.reasons[0])
    if found.entry != last.sequence:
        return _not_asked(ALIAS_MOVED, last)
    if found.moved and found.followed:
        text = f"Aliases point elsewhere than entry {last.sequence} has them: {found.moved}."
        return Check(ALIAS_MOVED, FAILS, text)
    return Check(ALIAS_MOVED, PASSES, f"Aliases are as entry {last.sequence} has them.")


def _deleted(platform: Platform, last: Entry, found: RegistryState) -> Check:
    """A version that somebody deleted in MLflow: the champion, or one that was in canary lately."""
    champion = f"Champion {last.champion_after}"
    if found.entry == last.sequence and not found.has_champion:
        text = f"{champion} was deleted in MLflow; its published lists are served."
        return Check(VERSION_DELETED, FAILS, text)
    entries = platform.ledger.entries(limit=50)
    lost = next((e for e in entries if Reason.VERSION_DELETED in e.reason_codes), None)
    if lost is not None and platform.now - lost.decided_at < timedelta(days=LOST_CANARY_DAYS):
        return Check(VERSION_DELETED, FAILS, lost.reasons[0])
    if found.entry != last.sequence:
        return _not_asked(VERSION_DELETED, last)
    return Check(VERSION_DELETED, PASSES, f"{champion} is in MLflow.")


def _not_asked(name: str, last: Entry) -> Check:
    text = f"MLflow was not asked since entry {last.sequence} was written."
    return Check(name, UNKNOWN, text, LOOK)


def _quality(platform: Platform, last: date) -> Iterator[Check]:
    """Data quality of the last complete days, newest first; the gate leaves bad days out itself."""
    import monitoring

    failing = monitoring.quality_of(platform.lake, last - (BAD_DAY_DAYS - 1) * ONE_DAY, last)
    days = sorted({row["event_date"] for row in failing}, reverse=True)
    for day in days:
        yield from _bad_day(platform, day, [row for row in failing if row["event_date"] == day])
    measures = {row["measure"] for row in failing}
    for measure, (passes, _) in ACCOUNT_ALERTS.items():
        if measure not in measures:
            yield Check(measure, PASSES, passes)
    if last not in platform.lake.partitions(t.DATA_QUALITY):
        what = f"Nothing is measured of {last} yet."
        yield Check("data_quality", UNKNOWN, what, f"the monitoring of {last}")
    elif not any(row["blocks"] for row in failing):
        what = f"No figure of the {BAD_DAY_DAYS} days up to {last} keeps a day from decisions."
        yield Check("data_quality", PASSES, what)


def _bad_day(platform: Platform, day: date, failing: Sequence[dict[str, Any]]) -> Iterator[Check]:
    """What is wrong with one day, by its failing figures."""
    import monitoring

    silent = [row["key"] for row in failing if row["measure"] == "silent"]
    if silent:
        yield Check("failed_check", FAILS, _silent(platform, day, silent))
    for row in failing:
        measure, value = row["measure"], row["value"]
        if measure == "refused":
            text = f"{value:.1%} of the records of {day} are in quarantine"
            yield Check("quarantine_rate", FAILS, f"{text}: {_reasons(platform, day)}.")
        elif measure == "late":
            hours = monitoring.load_rules().quality.late_after_hours
            text = f"{value:.1%} of the events of {day} were read over {hours} hours after its end;"
            text = f"{text} at most {row['threshold']:.0%} may be."
            yield Check("failed_check", FAILS, text)
        elif measure in ACCOUNT_ALERTS:
            yield Check(measure, FAILS, _accounts(platform, row))


def _accounts(platform: Platform, row: Mapping[str, Any]) -> str:
    """What some accounts did on a day, and the one that did most of it."""
    import monitoring

    _, text = ACCOUNT_ALERTS[row["measure"]]
    told = text.format(
        day=row["event_date"], accounts=row["value"], of=row["of"], limit=row["threshold"]
    )
    most = monitoring.busiest_account(platform.lake, row["measure"], row["event_date"])
    if most is None:
        return told
    key, amount = most
    return f"{told} The one with most begins with {key[:KEY_CHARACTERS]}: {amount}."


def _silent(platform: Platform, day: date, sources: Sequence[str]) -> str:
    """Who was not heard on a day, and what of theirs was refused since it began."""
    text = f"No event of {day} was read from {', '.join(sources)}, heard on most days before."
    since = datetime.combine(day, time(), UTC)
    refused = events.refused_of(platform.lake, sources, read_since=since)
    if not refused:
        return text
    named = ", ".join(f"{count:,} {reason}" for reason, count in refused.items())
    return f"{text} Records of theirs that were read since are in quarantine: {named}."


def _reasons(platform: Platform, day: date) -> str:
    """Why records of a day are in quarantine, most frequent reasons first."""
    where = f"event_date = date '{day}' and measure = 'refused' and key <> 'all'"
    rows = platform.lake.read(t.DATA_QUALITY, where).sort_by([("value", "descending")])
    return ", ".join(f"{row['value']:.1%} {row['key']}" for row in rows[:MOST_REASONS].to_pylist())


def _engagement(platform: Platform, last: date) -> Check:
    import monitoring

    rules = monitoring.load_rules()
    days = rules.triggers.engagement_regression.hold_days
    found = _regressions(platform, last)
    change = found.get(last + ONE_DAY)
    if change is None or len(found) < days:
        recent = rules.engagement.recent_days
        missing = f"{recent} complete days with clicks, and a week and more before them"
        return Check(REGRESSION, UNKNOWN, "The CTR of the last days cannot be compared.", missing)
    (first, newest), (before, until) = change.recent, change.before
    text = (
        f"CTR of {first} to {newest} is {change.recent_ctr:.2%}: {change.relative_change:+.1%} "
        f"against {before} to {until} ({change.before_ctr:.2%})."
    )
    fallen = all(one.fallen for one in found.values())
    return Check(REGRESSION, FAILS if fallen else PASSES, text)


def _regressions(platform: Platform, last: date) -> "Mapping[date, Regression]":
    """Change of CTR on the newest as_of days, as many as the trigger's `hold_days`."""
    import monitoring

    rules = monitoring.load_rules()
    return monitoring.engagement_regression(
        platform.lake,
        as_of=last + ONE_DAY,
        days=rules.triggers.engagement_regression.hold_days,
        rules=rules.engagement,
    )


def _released(platform: Platform) -> str:
    """A sentence about versions that began to serve in days of a CTR fall; empty without any."""
    last = platform.complete_days()[1]
    change = _regressions(platform, last)[last + ONE_DAY]
    found = []
    for entry in platform.ledger.champion_changes():
        _, treatment = arms_of_entry(entry)
        if treatment is not None and change.before[0] <= entry.as_of <= change.recent[1]:
            decided = f"({entry.decision} {treatment.name})"
            found.append(f"entry {entry.sequence} of {entry.as_of} {decided}")
    if not found:
        return ""
    more = f" and {len(found) - MOST_RELEASES} before" if len(found) > MOST_RELEASES else ""
    return (
        f"the champion changed in these days: {', '.join(found[:MOST_RELEASES])}{more}. "
        "Versions before and after were not shown on the same days, so this compares days and not "
        "versions; the gate compares versions."
    )


def _decisions(platform: Platform) -> Iterator[Check]:
    """Checks for a split, a refit, a rollback, an unconfirmed champion, a challenger not served."""
    entries = platform.ledger.entries(limit=50)
    yield _split(entries)
    yield _refresh(entries)
    back = next((entry for entry in entries if entry.decision == "roll_back"), None)
    if back is not None and platform.now - back.decided_at < timedelta(days=ROLLBACK_DAYS):
        yield Check("rollback", FAILS, explained(back).sentence)
    else:
        yield Check("rollback", PASSES, "No version was rolled back of late.")
    over = next((entry for entry in entries if Reason.PROBATION_OVER in entry.reason_codes), None)
    if over is not None and platform.now - over.decided_at < timedelta(days=ROLLBACK_DAYS):
        text = f"Version {over.champion_after} was never confirmed: {' '.join(over.reasons)}"
        yield Check("unconfirmed", FAILS, text)
    else:
        yield Check("unconfirmed", PASSES, "No champion was left unconfirmed of late.")
    yield _served(entries, platform.now)


def _served(entries: Sequence[Entry], now: datetime) -> Check:
    """Whether the challenger was served on the days that tested its safety."""
    newest = next((e for e in entries if e.evidence["kind"] == EXPERIMENT), None)
    recent = newest is not None and now - newest.decided_at < timedelta(days=ROLLBACK_DAYS)
    if newest is not None and recent and UNSEEN in newest.evidence:
        return Check("not_served", FAILS, newest.reasons[0])
    return Check("not_served", PASSES, "No canary waits for its lists to be served.")


def _split(entries: Sequence[Entry]) -> Check:
    """Whether users were assigned to the arms as planned."""
    found = condition_checks(entries[0].evidence) if entries else ()
    split = next((check for check in found if check.name in SAMPLE_RATIO_CHECKS), None)
    if split is None:
        return Check("sample_ratio", NOT_APPLICABLE, "No version is compared before users.")
    prefix = "The split is not as planned: " if split.state is FAILS else ""
    return Check("sample_ratio", split.state, f"{prefix}{split.detail}", split.missing)


def _refresh(entries: Sequence[Entry]) -> Check:
    name, entry = "refresh_held", next((e for e in entries if e.evidence["kind"] == REFRESH), None)
    if entry is None:
        return Check(name, NOT_APPLICABLE, "No refit of the champion has been judged.")
    if entry.stage_after not in HELD_STAGES:
        text = f"The refit of {entry.as_of} has taken over, or is before users."
        return Check(name, PASSES, text)
    text = f"{explained(entry).sentence} {' '.join(entry.reasons)}"
    if set(entry.reason_codes) <= UNPROVEN:
        return Check(name, UNKNOWN, text, "test users enough to prove it no worse")
    return Check(name, FAILS, text)


def _sensors(platform: Platform, seen: Observed | None) -> Check:
    """Whether the sensors tick; this alert cannot come from them, so only who asks is told."""
    name, now = "silent_sensors", platform.now
    if seen is not None and seen.seen_at == now:
        return Check(name, PASSES, "alert_sensor asks this itself.")
    ticked, started = platform.journal.last_tick(), first_start(platform)
    since = ticked or started
    if since is None:
        return Check(name, NOT_APPLICABLE, "The services of this home were never started.")
    text = f"The last tick of a sensor ended at {since:%Y-%m-%d %H:%M} UTC."
    if ticked is None:
        text = f"No sensor has ticked since the first start, at {since:%Y-%m-%d %H:%M} UTC."
    if now - since <= SILENT_AFTER:
        return Check(name, PASSES, text)
    return Check(name, FAILS, f"{text} No run starts by itself, and no alert is posted.")


def _of_runs(seen: Observed | None) -> tuple[Check, ...]:
    """The checks of runs and asset checks."""
    if seen is not None:
        return seen.checks
    text = "Dagster was not asked yet."
    return tuple(Check(name, UNKNOWN, text, LOOK) for name in ("failed_check", "failed_run"))
