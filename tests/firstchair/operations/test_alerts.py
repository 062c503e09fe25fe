"""Alerts from state alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firstchair.operations import open_platform
from firstchair.operations.alerts import Alert, open_alerts, send_new
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


def test_an_alert_is_remembered_while_it_is_open_and_forgotten_when_it_is_over() -> None:
    stale = Alert("stale_data", "old")

    once = send_new([stale], already="", url=None)
    over = send_new([], already=once, url=None)

    assert json.loads(once) == ["stale_data"]
    assert json.loads(over) == []


def test_an_alert_nobody_took_is_sent_again(free_address: Callable[[], str]) -> None:
    assert json.loads(send_new([Alert("stale_data", "old")], already="", url=free_address())) == []


@pytest.fixture
def free_address() -> Callable[[], str]:
    return lambda: "http://127.0.0.1:9/nobody-listens"
