"""Alerts from state alone."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair import publication
from firstchair.databases import Databases
from firstchair.definitions.checks import Check, CheckState
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.outbox.segment import SUFFIX
from firstchair.outbox.spooled import UNREADABLE
from firstchair.platform import open_platform
from firstchair.platform.alert_guides import GUIDES
from firstchair.platform.alerts import open_alerts, watch
from firstchair.platform.journal import Journal
from firstchair.platform.observed import Observed, last_observed, observe
from firstchair.platform.platform import Platform
from firstchair.platform.start import MARK
from firstchair.promotion import Decision, Ledger, Reason, Registry
from firstchair.settings import load_settings
from monitoring import Regression
from tests.dagster_project.test_sensors import without
from tests.service import Lived

FRESH = datetime(2026, 1, 31, 6, tzinfo=UTC)


@pytest.fixture
def platform(inside: Lived) -> Platform:
    return open_platform(now=FRESH)


def codes(platform: Platform, **settings: float) -> set[str]:
    changed = replace(platform, settings=load_settings().model_copy(update=settings))
    return {alert.code for alert in open_alerts(changed)}


def test_a_fresh_platform_tells_of_the_holes_that_were_planted_and_of_nothing_else(
    platform: Platform,
) -> None:
    assert codes(platform) == {"sequence_gaps"}


@contextmanager
def posted_today(lake: Lake, *more: date) -> Iterator[None]:
    """An event of a day that is not over, and of `more` days, as ingestion leaves them."""
    event = dict.fromkeys(t.BRONZE_EVENTS.schema.names) | {
        "event_id": "today",
        "event_date": FRESH.date(),
        "source": "api",
        "source_seq": 0,
        "batch_id": "today",
        "ingested_at": FRESH,
    }
    read = {
        "batch_id": "today",
        "object_url": "today",
        "status": "done",
        "ingested_at": FRESH,
        "records": 1,
    }
    read |= {"accepted": 1, "duplicates": 0, "conflicting_duplicates": 0, "quarantined": 0}
    landed = [event, *(event | {"event_id": str(day), "event_date": day} for day in more)]
    rows = {t.BRONZE_EVENTS: landed, t.OBJECTS: [read]}
    for table, added in rows.items():
        lake.append(table, pa.Table.from_pylist(added, schema=table.schema))
    try:
        yield
    finally:
        for table in rows:
            lake.delete(table, "batch_id = 'today'")


def test_traffic_of_today_is_no_loss(platform: Platform) -> None:
    with posted_today(platform.lake):
        found = {check.name: check for check in watch(platform)}

    assert found["records_unaccounted"].state is CheckState.PASSES
    assert "1 waiting for their day to be built" in found["records_unaccounted"].detail
    assert found["unbuilt_days"].state is CheckState.PASSES


def test_an_event_of_a_complete_day_that_nobody_builds_is_told_after_some_hours(
    platform: Platform,
) -> None:
    def told(at: datetime) -> bool:
        return "unbuilt_days" in {alert.code for alert in open_alerts(replace(platform, now=at))}

    with posted_today(platform.lake):
        night, noon = (told(FRESH + timedelta(hours=hours)) for hours in (20, 30))

    assert (night, noon) == (False, True)


def test_lists_are_stale_once_the_morning_has_passed_without_new_ones(platform: Platform) -> None:
    def told(at: datetime) -> bool:
        return "stale_lists" in {alert.code for alert in open_alerts(replace(platform, now=at))}

    with without(platform.lake, t.RECOMMENDATIONS, FRESH.date()):
        found = [told(FRESH.replace(hour=hour)) for hour in (0, 5, 6)]

    assert found == [False, False, True]


def test_lists_that_nobody_published_are_stale_too(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = replace(platform, now=FRESH.replace(hour=6))
    served = publication.serves(platform.settings.published)
    assert served is not None
    assert "stale_lists" not in codes(at)

    older = replace(served, as_of=served.as_of - timedelta(days=1))
    monkeypatch.setattr(publication, "serves", lambda _root: older)

    (told,) = (alert for alert in open_alerts(at) if alert.code == "stale_lists")
    assert f"those that are served, on events before {older.as_of}" in told.text


def test_a_day_without_lists_is_told_past_midnight_until_it_has_them(platform: Platform) -> None:
    def told(night: date) -> str | None:
        at = replace(platform, now=datetime(*night.timetuple()[:3], minute=5, tzinfo=UTC))
        return {alert.code: alert.text for alert in open_alerts(at)}.get("stale_lists")

    first, second = (FRESH.date() + timedelta(days=days) for days in (1, 2))
    with posted_today(platform.lake, first):
        found = [told(first), told(second)]

    known = "The newest lists rest on events before 2026-01-31"
    assert found == [None, f"{known}; 2026-01-31 has been over for more than six hours."]


def test_what_cannot_be_judged_is_told_apart_from_what_is_well(platform: Platform) -> None:
    found = {check.name: check.state for check in watch(platform)}

    assert found["stale_data"] is CheckState.PASSES
    assert found["refresh_held"] is CheckState.NOT_APPLICABLE
    assert not {
        check.name
        for check in watch(platform)
        if check.missing and check.state is CheckState.PASSES
    }


def test_what_was_last_seen_of_runs_and_aliases_is_told_and_no_more(
    platform: Platform, databases: Databases
) -> None:
    journal = Journal(databases.ledger)
    journal.migrate()
    at = replace(platform, journal=journal)
    failed = Check("failed_run", CheckState.FAILS, "The run of landing failed.")

    def states(seen: Observed | None = None) -> list[CheckState | None]:
        found = {check.name: check.state for check in watch(at, seen)}
        return [found.get(name) for name in ("failed_run", "alias_moved", "version_deleted")]

    before = states()
    seen = observe(at, (failed,), ())
    registry = replace(seen.registry, moved={"champion": "9"}, has_champion=False)
    moved = replace(seen, registry=registry)
    # Another entry was written since, so what was seen says nothing of the present.
    older = replace(seen, registry=replace(registry, entry=registry.entry - 1))

    fails, passes, unknown = CheckState.FAILS, CheckState.PASSES, CheckState.NOT_ENOUGH_DATA
    assert last_observed(at) == seen
    assert before == [unknown, passes, passes]
    assert states() == [fails, passes, passes]
    assert states(moved) == [fails, fails, fails]
    assert states(older) == [fails, unknown, unknown]


@pytest.mark.parametrize(("fallen_days", "told"), [(0, False), (1, False), (4, True)])
def test_engagement_has_fallen_once_two_mornings_in_a_row_say_so(
    platform: Platform, lake: Lake, fallen_days: int, told: bool
) -> None:
    last = FRESH.date() - timedelta(days=1)
    rows = [
        dict.fromkeys(t.ENGAGEMENT_DAILY.schema.names)
        | {"event_date": last - timedelta(days=1 + ago), "segment": "all", "segment_value": "all"}
        | {
            "model_version": "all",
            "ctr": (0.1 + 0.002 * (ago % 3)) * (0.6 if ago < fallen_days else 1),
        }
        for ago in range(28)
    ]
    lake.append(t.ENGAGEMENT_DAILY, pa.Table.from_pylist(rows, schema=t.ENGAGEMENT_DAILY.schema))
    for table in (t.OBJECTS, t.BRONZE_EVENTS):
        lake.append(table, platform.lake.read(table))

    codes = {alert.code for alert in open_alerts(replace(platform, lake=lake))}

    assert ("engagement_regression" in codes) is told


def test_accepted_events_that_are_spoilt_or_wait_for_an_hour_are_told(
    platform: Platform, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"closed{SUFFIX}").write_text("{}")
    written = datetime.fromtimestamp((spool / f"closed{SUFFIX}").stat().st_mtime, UTC)
    settings = platform.settings.model_copy(update={"home": tmp_path})

    def told(after: timedelta) -> dict[str, str]:
        found = watch(replace(platform, settings=settings, now=written + after))
        return {check.name: check.detail for check in found if check.state is CheckState.FAILS}

    within, later = told(timedelta(minutes=59)), told(timedelta(minutes=61))
    (spool / f"spoilt{UNREADABLE}").write_bytes(b"12345")

    assert "undelivered_events" not in within
    assert later["undelivered_events"].startswith(f"2 bytes of accepted events in {spool} wait")
    assert "unreadable_events" not in later
    assert told(timedelta())["unreadable_events"].startswith("5 bytes")


def test_days_without_events_are_stale(platform: Platform) -> None:
    later = replace(platform, now=datetime(2026, 2, 5, tzinfo=UTC))

    assert {alert.code for alert in open_alerts(later)} == {"sequence_gaps", "stale_data"}


def test_too_many_refused_records_are_told(platform: Platform) -> None:
    assert "quarantine_rate" in codes(platform, max_quarantine_rate=0.001)


@pytest.mark.parametrize(("day", "told"), [(date(2003, 5, 1), True), (FRESH.date(), False)])
def test_a_day_long_before_all_others_is_told(platform: Platform, day: date, told: bool) -> None:
    row = dict.fromkeys(t.QUARANTINE_EVENTS.schema.names)
    row |= {
        "reason": "out_of_range",
        "detail": "stray day: apart",
        "event_date": day,
        "quarantined_at": FRESH,
    }
    row |= {"source": "tv"}
    platform.lake.append(
        t.QUARANTINE_EVENTS, pa.Table.from_pylist([row], schema=t.QUARANTINE_EVENTS.schema)
    )
    try:
        texts = {alert.code: alert.text for alert in open_alerts(platform)}
    finally:
        platform.lake.delete(t.QUARANTINE_EVENTS, "detail = 'stray day: apart'")

    assert ("stray_days" in texts) is told
    if told:
        what, _, more = texts["stray_days"].partition(", ")
        assert what == "1 event(s) of 1 day(s) long before all others"
        assert more == "first 2003-05-01, sent by tv, are in quarantine."


def test_a_champion_that_was_never_confirmed_is_shown_to_a_person_for_some_days(
    platform: Platform,
    ledger: Ledger,
) -> None:
    ledger.append(
        Decision(
            decision_id="over",
            decided_at=FRESH,
            as_of=FRESH.date(),
            decision="hold",
            champion_before="2",
            champion_after="2",
            challenger="2",
            stage_before="probation",
            stage_after="champion",
            reason_codes=(Reason.DATA_QUALITY, Reason.PROBATION_OVER),
            reasons=("On day 42 one arm has no impression at all.",),
            evidence={"kind": "trial"},
            data_fingerprint="f" * 32,
            actor="run",
        )
    )
    at_once = replace(platform, ledger=ledger)
    later = replace(at_once, now=FRESH + timedelta(days=3))

    texts = {alert.code: alert.text for alert in open_alerts(at_once)}
    assert texts["unconfirmed"] == (
        "Version 2 was never confirmed: On day 42 one arm has no impression at all."
    )
    assert "unconfirmed" not in {alert.code for alert in open_alerts(later)}


def test_a_canary_whose_lists_are_not_served_is_shown_until_they_are(
    platform: Platform, ledger: Ledger
) -> None:
    held = Decision(
        decision_id="unseen",
        decided_at=FRESH,
        as_of=FRESH.date(),
        decision="hold",
        champion_before="1",
        champion_after="1",
        challenger="2",
        stage_before="canary",
        stage_after="canary",
        reason_codes=(Reason.DATA_QUALITY,),
        reasons=("Lists of these days were not served.",),
        evidence={"kind": "trial", "unseen": {"impressions": 100, "of_challenger": 3}},
        data_fingerprint="f" * 32,
        actor="run",
    )
    at_once = replace(platform, ledger=ledger)

    ledger.append(held)
    texts = {alert.code: alert.text for alert in open_alerts(at_once)}
    ledger.append(replace(held, decision_id="served", evidence={"kind": "trial"}))

    assert texts["not_served"] == "Lists of these days were not served."
    assert "not_served" not in {alert.code for alert in open_alerts(at_once)}


@pytest.mark.parametrize(
    ("champion", "text"),
    [
        (None, "Version 5 was deleted in MLflow during its canary."),
        ("999", "Champion 999 was deleted in MLflow; its published lists are served."),
    ],
)
def test_a_version_that_was_deleted_in_mlflow_is_told(
    platform: Platform, ledger: Ledger, champion: str | None, text: str
) -> None:
    last = platform.ledger.last()
    serving = champion or (last and last.champion_after)
    ledger.append(
        Decision(
            decision_id="deleted",
            decided_at=FRESH,
            as_of=FRESH.date(),
            decision="hold",
            champion_before=serving,
            champion_after=serving,
            challenger="5",
            stage_before="canary",
            stage_after="retired",
            reason_codes=(Reason.VERSION_DELETED,),
            reasons=("Version 5 was deleted in MLflow during its canary.",),
            evidence={"kind": "lost_canary"},
            data_fingerprint="f" * 32,
            actor="reconciliation",
        )
    )
    at_once = replace(platform, ledger=ledger)
    later = replace(at_once, now=FRESH + timedelta(days=3))

    (found,) = (alert for alert in open_alerts(at_once) if alert.code == "version_deleted")
    assert found.text == text
    assert "firstchair promote" in found.remedy
    still = "version_deleted" in {alert.code for alert in open_alerts(later)}
    assert still is (champion is not None)


def test_mlflow_that_says_nothing_holds_no_alert_back(
    platform: Platform, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(databases.ledger)
    journal.migrate()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    at = replace(platform, journal=journal)
    failed = Check("failed_run", CheckState.FAILS, "The run of landing failed.")

    before = observe(at, (), ())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        away = replace(at, registry=Registry(address, Path()))
        seen = observe(away, (failed,), (), patience_seconds=0.1)

    assert seen.registry == before.registry
    assert {"failed_run", "mlflow_away"} <= {alert.code for alert in open_alerts(away, seen)}
    assert "mlflow_away" not in {alert.code for alert in open_alerts(at, before)}


def test_sensors_that_no_longer_tick_are_told_by_who_does_not_depend_on_them(
    platform: Platform, databases: Databases, tmp_path: Path
) -> None:
    journal = Journal(databases.ledger)
    journal.migrate()
    settings = platform.settings.model_copy(update={"home": tmp_path})
    at = replace(platform, journal=journal, settings=settings)

    def state(minutes: int) -> CheckState:
        later = replace(at, now=FRESH + timedelta(minutes=minutes))
        return next(c.state for c in watch(later) if c.name == "silent_sensors")

    never = state(0)
    (tmp_path / MARK).write_text(FRESH.isoformat())
    started = [state(9), state(11)]
    journal.note_tick(now=FRESH + timedelta(minutes=30))
    ticked = [state(39), state(41)]

    fails, passes = CheckState.FAILS, CheckState.PASSES
    assert (never, started, ticked) == (
        CheckState.NOT_APPLICABLE,
        [passes, fails],
        [passes, fails],
    )
    own = observe(replace(at, now=FRESH + timedelta(days=1)), (), ())
    alone = watch(replace(at, now=own.seen_at), own)
    assert next(c.state for c in alone if c.name == "silent_sensors") is passes


def test_before_any_event_that_alone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "empty"))

    assert [alert.code for alert in open_alerts(open_platform(now=FRESH))] == ["no_data"]


@contextmanager
def measured(lake: Lake, *rows: dict[str, object], days_before: int = 0) -> Iterator[None]:
    """Failing figures of the newest complete day, or of one before, beside those measured."""
    day = FRESH.date() - timedelta(days=1 + days_before)
    of_day = {"event_date": day, "fails": True, "blocks": True}
    before = lake.read(t.DATA_QUALITY)
    lake.append(
        t.DATA_QUALITY,
        pa.Table.from_pylist([of_day | row for row in rows], schema=t.DATA_QUALITY.schema),
    )
    try:
        yield
    finally:
        lake.overwrite(t.DATA_QUALITY, before)


@pytest.mark.parametrize(
    ("code", "figures", "text"),
    [
        (
            "impossible_listening",
            [("impossible_listening", "all", 1.0, 20_000, 0.0)],
            "1 account(s) played more on 2026-01-30 than a day has hours, 20,000 plays in all; "
            "these do not count in popularity.",
        ),
        (
            "busy_accounts",
            [("busy_accounts", "all", 2.0, 8_100, 1_000.0)],
            "2 account(s) logged in, clicked or followed more than 1,000 times on 2026-01-30, "
            "8,100 times in all.",
        ),
        (
            "failed_check",
            [("silent", "hifi", 1.0, 7, 0.0), ("silent", "tv", 1.0, 6, 0.0)],
            "No event of 2026-01-30 was read from hifi, tv, heard on most days before.",
        ),
        (
            "failed_check",
            [("late", "all", 0.4, 1_000, 0.2)],
            "40.0% of the events of 2026-01-30 were read over 24 hours after its end; "
            "at most 20% may be.",
        ),
    ],
)
def test_a_bad_figure_of_the_day_is_told_in_words(
    platform: Platform, code: str, figures: list[tuple[str, str, float, int, float]], text: str
) -> None:
    names = ("measure", "key", "value", "of", "threshold")
    rows = [dict(zip(names, figure, strict=True)) for figure in figures]
    with measured(platform.lake, *rows):
        found = {alert.code: alert.text for alert in open_alerts(platform)}

    assert found[code].startswith(text)


@pytest.mark.parametrize(("days_before", "is_open"), [(1, True), (6, True), (7, False)])
def test_a_bad_day_stays_an_alert_for_a_week_when_nobody_mends_it(
    platform: Platform, days_before: int, is_open: bool
) -> None:
    late = {"measure": "late", "key": "all", "value": 0.4, "of": 1_000, "threshold": 0.2}
    with measured(platform.lake, late, days_before=days_before):
        codes = {alert.code for alert in open_alerts(platform)}

    assert ("failed_check" in codes) is is_open


def test_what_was_refused_of_a_silent_sender_is_told_with_it(platform: Platform) -> None:
    refused = {"source": "hifi", "reason": "future_timestamp", "quarantined_at": FRESH}
    refused |= {"batch_id": "hifi"}
    rows = pa.Table.from_pylist(
        [dict.fromkeys(t.QUARANTINE_EVENTS.schema.names) | refused] * 2,
        schema=t.QUARANTINE_EVENTS.schema,
    )
    silent = {"measure": "silent", "key": "hifi", "value": 1.0, "of": 7, "threshold": 0.0}
    platform.lake.append(t.QUARANTINE_EVENTS, rows)
    try:
        with measured(platform.lake, silent):
            found = {alert.code: alert.text for alert in open_alerts(platform)}
    finally:
        platform.lake.delete(t.QUARANTINE_EVENTS, "batch_id = 'hifi'")

    assert found["failed_check"].endswith(
        "before. Records of theirs that were read since are in quarantine: 2 future_timestamp."
    )


def test_the_reasons_of_refused_records_are_told_the_most_frequent_first(
    platform: Platform,
) -> None:
    shares = {"all": 0.12, "future_timestamp": 0.03, "bad_type": 0.09}
    rows = [
        {"measure": "refused", "key": key, "value": share, "of": 1_000, "fails": key == "all"}
        for key, share in shares.items()
    ]
    with measured(platform.lake, *rows):
        found = {alert.code: alert.text for alert in open_alerts(platform)}

    assert found["quarantine_rate"].startswith(
        "12.0% of the records of 2026-01-30 are in quarantine: 9.0% bad_type, 3.0% future_timestamp"
    )


def test_an_alert_says_its_likely_cause_where_to_look_and_what_to_do(platform: Platform) -> None:
    (alert,) = open_alerts(platform)

    assert alert.cause == "Objects are late or were lost on the way."
    assert alert.link == platform.settings.page("quality")
    assert alert.told() == (
        f"{alert.text} Likely cause: {alert.cause} What to do: {alert.remedy} See {alert.link}"
    )


def test_every_code_has_a_guide() -> None:
    text = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    table = text.partition("## Alerts")[2].partition("An alert")[0]
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, flags=re.MULTILINE)

    assert set(re.findall(r"`([a-z_]+)`", " ".join(first_cells))) == set(GUIDES)


def test_a_fall_after_a_release_names_days_baseline_and_release(
    platform: Platform, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = date(2026, 1, 28)
    ledger.append(
        Decision(
            decision_id="first",
            decided_at=FRESH,
            as_of=promoted,
            decision="promote",
            champion_before=None,
            champion_after="1",
            challenger="1",
            stage_before="candidate",
            stage_after="champion",
            reason_codes=(Reason.FIRST_CHAMPION,),
            reasons=("There was no champion.",),
            evidence={"kind": "first_champion", "families": {"challenger": "als"}},
            data_fingerprint="f" * 32,
            actor="run",
        )
    )
    found = Regression(
        relative_change=-0.177,
        fallen=True,
        recent=(date(2026, 1, 27), date(2026, 1, 29)),
        before=(date(2026, 1, 6), date(2026, 1, 26)),
        recent_ctr=0.0823,
        before_ctr=0.1,
    )
    mornings = (date(2026, 1, 30), date(2026, 1, 31))
    monkeypatch.setattr(
        "monitoring.engagement_regression", lambda *_, **__: dict.fromkeys(mornings, found)
    )

    alerts = {alert.code: alert for alert in open_alerts(replace(platform, ledger=ledger))}

    alert = alerts["engagement_regression"]
    assert alert.text == (
        "CTR of 2026-01-27 to 2026-01-29 is 8.23%: -17.7% against 2026-01-06 to 2026-01-26 "
        "(10.00%)."
    )
    assert alert.cause.startswith(
        "the champion changed in these days: entry 1 of 2026-01-28 (promote ALS 1)."
    )
