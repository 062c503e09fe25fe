"""Alerts from state alone."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair.lake import tables as t
from firstchair.operations import open_platform
from firstchair.operations.alert_guides import GUIDES
from firstchair.operations.alerts import open_alerts
from firstchair.operations.platform import Platform
from firstchair.promotion import Decision, Ledger, Reason
from firstchair.settings import load_settings
from monitoring import Regression
from tests.service import Lived

FRESH = datetime(2026, 1, 31, 6, tzinfo=UTC)


@pytest.fixture
def platform(inside: Lived) -> Platform:
    return open_platform(now=FRESH)


def codes(platform: Platform, **settings: float) -> set[str]:
    changed = replace(platform, settings=load_settings().model_copy(update=settings))
    return {alert.code for alert in open_alerts(changed)}


def test_a_fresh_platform_tells_of_the_holes_that_were_planted_and_of_nothing_else(platform: Platform) -> None:
    assert codes(platform) == {"sequence_gaps"}


def test_days_without_events_are_stale(platform: Platform) -> None:
    later = replace(platform, now=datetime(2026, 2, 5, tzinfo=UTC))

    assert {alert.code for alert in open_alerts(later)} == {"sequence_gaps", "stale_data"}


def test_too_many_refused_records_are_told(platform: Platform) -> None:
    assert "quarantine_rate" in codes(platform, max_quarantine_rate=0.001)


def test_listening_for_more_hours_than_a_day_has_is_told(platform: Platform) -> None:
    row = {"event_date": FRESH.date() - timedelta(days=1), "measure": "impossible_listening", "key": "all"}
    row |= {"value": 1.0, "of": 20_000, "threshold": 0.0, "fails": True, "blocks": False}
    platform.lake.append(t.DATA_QUALITY, pa.Table.from_pylist([row], schema=t.DATA_QUALITY.schema))
    try:
        texts = {alert.code: alert.text for alert in open_alerts(platform)}
    finally:
        platform.lake.delete(t.DATA_QUALITY, "measure = 'impossible_listening'")

    assert texts["impossible_listening"] == (
        "1 account(s) played more on 2026-01-30 than a day has hours, 20,000 plays in all; "
        "these do not count in popularity."
    )


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
    assert texts["unconfirmed"] == ("Version 2 was never confirmed: On day 42 one arm has no impression at all.")
    assert "unconfirmed" not in {alert.code for alert in open_alerts(later)}


def test_an_alert_says_its_likely_cause_where_to_look_and_what_to_do(platform: Platform) -> None:
    (alert,) = open_alerts(platform)

    assert alert.cause == "Objects are late or were lost on the way."
    assert alert.link == platform.settings.page("quality")
    assert alert.told() == (f"{alert.text} Likely cause: {alert.cause} What to do: {alert.remedy} See {alert.link}")


def test_every_code_has_a_guide() -> None:
    text = (Path(__file__).parents[3] / "docs" / "monitoring.md").read_text()
    (listed,) = re.findall(r"Codes: `([a-z_ ]+)`", text)

    assert set(listed.split()) == set(GUIDES)


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
        p_value=0.001,
        fallen=True,
        recent=(date(2026, 1, 27), date(2026, 1, 29)),
        before=(date(2026, 1, 6), date(2026, 1, 26)),
        recent_ctr=0.0823,
        before_ctr=0.1,
    )
    as_of = date(2026, 1, 31)
    monkeypatch.setattr("monitoring.engagement_regression", lambda *_, **__: {as_of: found})

    alerts = {alert.code: alert for alert in open_alerts(replace(platform, ledger=ledger))}

    alert = alerts["engagement_regression"]
    assert alert.text == ("CTR of 2026-01-27 to 2026-01-29 is 8.23%: -17.7% against 2026-01-06 to 2026-01-26 (10.00%).")
    assert alert.cause.startswith("the champion changed in these days: entry 1 of 2026-01-28 (promote ALS 1).")


def test_before_any_event_that_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "empty"))

    assert [alert.code for alert in open_alerts(open_platform(now=FRESH))] == ["no_data"]
