"""Alerts from state alone."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstchair.operations import open_platform
from firstchair.operations.alerts import open_alerts
from firstchair.operations.platform import Platform
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


def test_before_any_event_that_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "empty"))

    assert [alert.code for alert in open_alerts(open_platform(now=FRESH))] == ["no_data"]
