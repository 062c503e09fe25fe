"""Alerts from state alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from firstchair.operations import open_platform
from firstchair.operations.alerts import open_alerts
from firstchair.operations.platform import Platform
from firstchair.promotion import Decision, Ledger, Reason
from firstchair.settings import load_settings
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


def test_before_any_event_that_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "empty"))

    assert [alert.code for alert in open_alerts(open_platform(now=FRESH))] == ["no_data"]
