"""What a worker keeps of today: each signal once, within bounds, until the lists know it."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from firstchair.signals.today import MOST_OF_ONE_LISTENER, Signal, Today, signal_of, unknown_to

CLICK = {
    "event_id": "e1",
    "event_type": "click",
    "occurred_at": "2026-02-01T09:00:00+01:00",
    "user_id": "anna",
    "source": "app",
    "source_seq": 1,
    "artist_id": "a001",
    "slate_id": "s",
    "position": 1,
}
ANNA, BEN = b"a" * 16, b"b" * 16


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def click(number: int, when: float = 0.0) -> Signal:
    return Signal(f"e{number}", "click", "a001", "", 0, when)


def test_a_signal_carries_what_the_event_said() -> None:
    play = CLICK | {"event_type": "play", "track_id": "t1", "ms_played": 7}

    assert signal_of(CLICK) == (
        "anna",
        Signal("e1", "click", "a001", "", 0, at("2026-02-01T08:00")),
    )
    assert signal_of(play) == (
        "anna",
        Signal("e1", "play", "a001", "t1", 7, at("2026-02-01T08:00")),
    )


@pytest.mark.parametrize(
    "event",
    [
        7,
        [],
        CLICK | {"event_type": "impression"},
        CLICK | {"event_type": ["click"]},
        CLICK | {"artist_id": None},
        CLICK | {"artist_id": 4},
        CLICK | {"occurred_at": "yesterday"},
        CLICK | {"occurred_at": "2026-02-01T09:00:00"},
        CLICK | {"event_type": "play", "track_id": "t1", "ms_played": -1},
        CLICK | {"event_type": "play", "track_id": 3, "ms_played": 1},
    ],
)
def test_what_is_no_signal_is_passed_over(event: Any) -> None:
    assert signal_of(event) is None


def test_an_event_counts_once_however_often_it_comes() -> None:
    today = Today()

    assert [today.add(ANNA, click(1)), today.add(ANNA, click(1)), today.add(ANNA, click(2))] == [
        True,
        False,
        True,
    ]
    assert today.users == {ANNA: (click(1), click(2))}


def test_memory_is_bounded_and_who_was_heard_of_first_is_forgotten_first() -> None:
    today = Today(most=10)
    users = [bytes([number]) * 16 for number in range(8)]

    for user in users:
        for number in range(3):
            today.add(user, click(number))

    assert today.signals == sum(map(len, today.users.values())) <= 10
    assert list(today.users) == users[-3:]


def test_of_one_listener_the_newest_signals_are_kept() -> None:
    today = Today()

    for number in range(MOST_OF_ONE_LISTENER + 5):
        today.add(ANNA, click(number))

    assert [signal.event_id for signal in today.users[ANNA]][:1] == ["e5"]
    assert today.signals == MOST_OF_ONE_LISTENER


def test_what_is_over_is_forgotten_and_does_not_come_back() -> None:
    today = Today()
    today.add(ANNA, click(1, 100.0))
    today.add(ANNA, click(2, 200.0))
    today.add(BEN, click(3, 100.0))

    today.forget_before(150.0)

    assert today.users == {ANNA: (click(2, 200.0),)}
    assert not today.add(BEN, click(4, 149.0))
    assert today.signals == 1


@pytest.mark.parametrize(
    ("as_of", "now", "since"),
    [
        (
            date(2026, 2, 2),
            "2026-02-02T12:00",
            "2026-02-02T00:00",
        ),  # lists of the day: today's signals
        (
            date(2026, 2, 1),
            "2026-02-02T01:00",
            "2026-02-01T00:00",
        ),  # after midnight, before the new lists
        (
            date(2026, 1, 1),
            "2026-02-02T12:00",
            "2026-02-01T00:00",
        ),  # old lists: yesterday's and today's, no more
    ],
)
def test_signals_count_until_lists_know_them_and_no_longer_than_two_days(
    as_of: date, now: str, since: str
) -> None:
    assert unknown_to(as_of, at(now)) == at(since)
