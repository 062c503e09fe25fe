"""Refused records tried again: each has one fate, whatever was repaired or killed."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import events
from firstchair.errors import RunError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import user_key
from tests.firstchair.events.conftest import KEY, NOW, Delivery
from tests.firstchair.events.test_ingestion import DyingLake, Killed

# A clock that stands behind events of 5 January.
BEHIND = datetime(2026, 1, 4, 12, tzinfo=UTC)
KNOWN = "2026-01-03T10:00:00Z"


def replay(delivery: Delivery, lake: Lake | None = None, **chosen: Any) -> events.Tried:
    return events.replay_quarantine(
        lake or delivery.lake,
        events_url=str(delivery.folder),
        pseudonym_key=KEY,
        now=NOW,
        **chosen,
    )


def know_artist(delivery: Delivery) -> None:
    """Add the artist that an event names to the catalogue."""
    row = pa.Table.from_pylist([{"artist_id": "artist-x"}], schema=t.ARTISTS.schema)
    delivery.lake.append(t.ARTISTS, row)


def put_refused(delivery: Delivery, event: Any, *, now: datetime) -> None:
    """Objects with sound records and with some that are refused at `now` or by their day."""
    delivery.put(
        "a.jsonl",
        event(1),
        b"no event",
        event(2, occurred_at=KNOWN),
        event(3, artist_id="artist-x", occurred_at=KNOWN),
        event(1, position=2),
    )
    delivery.put("it's b.jsonl", event(4), event(5, user_id=7))
    delivery.ingest(now=now)
    delivery.put("c.jsonl", event(4), event(6))
    delivery.ingest()
    delivery.build()


@pytest.fixture(scope="module")
def mended(new_delivery: Callable[[], Delivery], event: Any, content: Any) -> dict[str, list[str]]:
    """The tables where nothing was amiss from the beginning."""
    delivery = new_delivery()
    know_artist(delivery)
    put_refused(delivery, event, now=NOW)
    return dict(content(delivery.lake))


@pytest.fixture(scope="module")
def refused(new_delivery: Callable[[], Delivery], event: Any) -> Delivery:
    """Records refused under a clock that stood behind, and for an artist who is known by now."""
    delivery = new_delivery()
    put_refused(delivery, event, now=BEHIND)
    know_artist(delivery)
    return delivery


@pytest.fixture
def to_mend(refused: Delivery, tmp_path: Path) -> Delivery:
    """A copy of its own of `refused`."""
    shutil.copytree(refused.lake.url, tmp_path / "lake")
    shutil.copytree(refused.folder, tmp_path / "landing")
    return Delivery(Lake(str(tmp_path / "lake")), tmp_path / "landing")


@pytest.fixture(scope="module")
def replayed(refused: Delivery, tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    """The same after a replay that nobody killed."""
    folder = tmp_path_factory.mktemp("replayed")
    shutil.copytree(refused.lake.url, folder / "lake")
    delivery = Delivery(Lake(str(folder / "lake")), refused.folder)
    build(delivery, replay(delivery))
    return delivery


def build(delivery: Delivery, tried: events.Tried) -> None:
    """Build the days that wait, as the next run does."""
    for day in tried.days:
        events.build_events(delivery.lake, day, day)


def test_mended_records_end_as_if_they_had_been_sound_from_the_beginning(
    to_mend: Delivery, content: Any, mended: Any
) -> None:
    tried = replay(to_mend)
    build(to_mend, tried)

    assert events.fates(to_mend.lake, tried.places) == events.Fates(
        accepted=2, duplicates=2, quarantined={"bad_type": 1, "not_json": 1}
    )
    assert tried.days == (date(2026, 1, 3), date(2026, 1, 5))
    found = events.reconcile(to_mend.lake)
    assert (found.read, found.accepted, found.duplicates) == (9, 5, 2)
    assert found.balanced
    # Of the two deliveries of event 4 the later one was read first; nothing else differs.
    of_lines = ("bronze/events", "bronze/objects")
    assert {n: rows for n, rows in content(to_mend.lake).items() if n not in of_lines} == {
        n: rows for n, rows in mended.items() if n not in of_lines
    }


def test_a_replay_of_a_replay_writes_nothing(replayed: Delivery) -> None:
    watched = DyingLake(replayed.lake.url)

    tried = replay(replayed, watched)

    assert events.fates(replayed.lake, tried.places).quarantined == {"bad_type": 1, "not_json": 1}
    assert (watched.writes, tried.days) == ([], ())


@pytest.mark.parametrize("dies_at", [3, 4, 5, 6])
def test_killed_before_any_write_a_rerun_gives_the_same_tables(
    to_mend: Delivery, content: Any, replayed: Delivery, dies_at: int
) -> None:
    with pytest.raises(Killed):
        replay(to_mend, DyingLake(to_mend.lake.url, dies_at=dies_at))
    if dies_at % 2:  # an ingestion may come before the rerun
        to_mend.ingest()
    replay(to_mend)
    to_mend.build()

    assert content(to_mend.lake) == content(replayed.lake)


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"reason": "unknown_artist"}, {"bad_type": 1, "future_timestamp": 3, "not_json": 1}),
        # The day of a record that was not parsed is that of most events of its object.
        ({"day": date(2026, 1, 3)}, {"bad_type": 1, "future_timestamp": 1, "not_json": 1}),
    ],
)
def test_only_records_of_the_chosen_reason_or_day_are_tried(
    to_mend: Delivery, chosen: dict[str, Any], left: dict[str, int]
) -> None:
    build(to_mend, replay(to_mend, **chosen))

    assert to_mend.reasons() == left


def test_where_the_object_is_gone_only_what_was_kept_whole_comes_back(
    delivery: Delivery, event: Any
) -> None:
    delivery.put("a.jsonl", event(1, mood="calm"), event(2, skipped=True))
    delivery.put("b.jsonl", event(3, artist_id="Ann X"), event(4))
    delivery.ingest(now=BEHIND)
    (delivery.folder / "a.jsonl").unlink()
    delivery.put("b.jsonl", event(5), event(6), event(7))

    tried = replay(delivery, extra_fields={"skipped"})
    build(delivery, tried)

    assert tried.unreadable == events.Unreadable(gone=1, changed=1, first="a.jsonl")
    assert delivery.ids() == ["event-1", "event-4"]
    assert delivery.reasons() == {"future_timestamp": 2}
    kept = delivery.rows(t.EVENTS, "event_id = 'event-1'")[0]
    assert (kept["extra"], kept["user_key"]) == ('{"mood":"***"}', user_key("user-ann", KEY))


RECORDS = st.lists(
    st.sampled_from(["sound", "future", "again", "text", "unknown"]), min_size=1, max_size=8
)


@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kinds=RECORDS, data=st.data())
def test_whatever_was_refused_the_fates_add_up(
    new_delivery: Callable[[], Delivery], event: Any, kinds: list[str], data: st.DataObject
) -> None:
    delivery = new_delivery()
    places = data.draw(
        st.lists(st.integers(0, 1), min_size=len(kinds), max_size=len(kinds)), label="objects"
    )
    of_kind = {
        "sound": lambda n: event(n, occurred_at=KNOWN),
        "future": event,
        "again": lambda n: event(1000, source_seq=n),
        "text": lambda n: f"record {n}".encode(),
        "unknown": lambda n: event(n, user_id="nobody", occurred_at=KNOWN),
    }
    for place in set(places):
        records = [of_kind[kinds[n]](n) for n in range(len(kinds)) if places[n] == place]
        delivery.put(f"{place}.jsonl", *records)
    delivery.ingest(now=BEHIND)
    delivery.build()
    for place in data.draw(st.sets(st.sampled_from(sorted(set(places)))), label="gone"):
        (delivery.folder / f"{place}.jsonl").unlink()

    tried = replay(delivery)
    delivery.build()

    found, fates = events.reconcile(delivery.lake), events.fates(delivery.lake, tried.places)
    assert (found.read, found.balanced) == (len(kinds), True)
    assert fates.accepted == kinds.count("future") + ("again" in kinds)
    assert fates.duplicates == max(0, kinds.count("again") - 1)
    assert sum(fates.quarantined.values()) == kinds.count("text") + kinds.count("unknown")


def test_a_clock_behind_the_newest_data_reads_nothing(delivery: Delivery, event: Any) -> None:
    delivery.put("a.jsonl", event(1))
    delivery.ingest()
    delivery.put("b.jsonl", event(2))
    before = {table.name: delivery.lake.version(table) for table in t.ALL_TABLES}

    with pytest.raises(RunError, match=r"46\.0 hours before the newest event"):
        delivery.ingest(now=datetime(2026, 1, 3, 12, tzinfo=UTC))

    assert {table.name: delivery.lake.version(table) for table in t.ALL_TABLES} == before
    assert delivery.ingest(now=datetime(2026, 1, 5, 9, 10, tzinfo=UTC)).accepted == 1
