"""What ingestion makes of sound records, and that it is the same whatever way they arrive."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import events
from firstchair.errors import SourceError
from firstchair.events import ingestion
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.sources import EventStore, user_key

KEY = b"a test's key"


def test_an_event_stands_in_silver_with_the_columns_of_the_contract(
    delivery: Any, event: Any
) -> None:
    delivery.put(
        "a.json",
        event(1, "impression", occurred_at="2026-01-05T23:30:00.25-02:00", simulated=True, ab="x"),
    )

    delivery.ingest()
    delivery.build()

    assert delivery.rows(t.EVENTS) == [
        {
            "event_id": "event-1",
            "event_type": "impression",
            "occurred_at": datetime(2026, 1, 6, 1, 30, 0, 250_000, tzinfo=UTC),
            "event_date": date(2026, 1, 6),
            "user_key": user_key("user-ann", KEY),
            "source": "app",
            "source_seq": 1,
            "simulated": True,
            "slate_id": "slate-1",
            "position": 1,
            "artist_id": "artist-1",
            "track_id": None,
            "model_version": "7",
            "propensity": 0.25,
            "surface": "home",
            "ms_played": None,
            "extra": '{"ab":"***"}',
        }
    ]


def test_optional_fields_may_be_absent_or_null(delivery: Any, event: Any) -> None:
    delivery.put(
        "a.jsonl",
        event(1, "play", slate_id=None),
        event(2, "play", slate_id="s"),
        event(3, "login"),
    )

    delivery.ingest()
    delivery.build()

    assert {row["event_id"]: row["slate_id"] for row in delivery.rows(t.EVENTS)} == {
        "event-1": None,
        "event-2": "s",
        "event-3": None,
    }
    assert not any(row["simulated"] for row in delivery.rows(t.EVENTS))


def test_a_field_of_another_event_type_is_extra_and_keeps_a_value_of_its_type(
    delivery: Any, event: Any
) -> None:
    delivery.put("a.jsonl", event(1, "login", position="first", artist_id="artist-x"))

    delivery.ingest()
    delivery.build()

    row = delivery.rows(t.EVENTS)[0]
    assert (row["position"], row["artist_id"]) == (None, None)
    assert json.loads(row["extra"]) == {"artist_id": "artist-x", "position": "***"}


@pytest.mark.parametrize(
    "name",
    [
        "a.json",
        "deep/er/b.jsonl",
        "no name at all.ndjson",
        "c.jsonl.gz",
        "2026/d.ndjson.zst",
        "ünï.json.gz",
    ],
)
def test_an_object_of_any_allowed_name_in_any_depth_is_read(
    delivery: Any, event: Any, name: str
) -> None:
    data = json.dumps(event(1)).encode()

    delivery.put_bytes(
        name, zstandard.ZstdCompressor().compress(data) if name.endswith(".zst") else data
    )

    assert delivery.ingest().accepted == 1


def test_objects_of_other_names_are_left_alone(delivery: Any, event: Any) -> None:
    for name in ("a.csv", "b.json.bz2", "_SUCCESS", "c.jsonl.tmp", "json"):
        delivery.put(name, event(1))

    assert delivery.ingest() == events.IngestReport(skipped=5)


def test_a_missing_folder_holds_no_objects(delivery: Any) -> None:
    assert delivery.ingest() == events.IngestReport()


def test_byte_order_mark_crlf_blank_lines_and_a_printed_object_are_read(
    delivery: Any, event: Any
) -> None:
    first, second = json.dumps(event(1)).encode(), json.dumps(event(2)).encode()
    delivery.put_bytes("windows.jsonl", b"\xef\xbb\xbf" + first + b"\r\n\r\n" + second + b"\r\n")
    delivery.put_bytes("printed.json", json.dumps(event(3), indent=4).encode())

    report = delivery.ingest()

    assert (report.read, report.accepted) == (3, 3)


def test_an_object_is_read_once(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1))
    delivery.ingest()
    delivery.put("b.jsonl", event(2))

    assert events.waiting(delivery.lake, events_url=str(delivery.folder)) == ["b.jsonl"]
    assert delivery.ingest().objects == 1
    assert delivery.ingest() == events.IngestReport()


def test_duplicates_are_found_across_all_history(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1, occurred_at="2026-01-05T10:00:00Z"))
    delivery.ingest()
    delivery.put("b.jsonl", event(1, occurred_at="2026-01-09T10:00:00Z"))

    report = delivery.ingest()

    assert (report.accepted, report.duplicates, report.conflicting_duplicates) == (0, 1, 1)
    assert events.event_days(delivery.lake) == (date(2026, 1, 5), date(2026, 1, 5))


def test_the_order_of_unknown_fields_makes_no_other_body(delivery: Any, event: Any) -> None:
    delivery.put("a.jsonl", event(1, a=1, b=2), event(1, b=2, a=1))

    assert delivery.ingest().conflicting_duplicates == 0


def test_progress_is_told_after_each_batch(
    delivery: Any, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "BATCH_OBJECTS", 2)
    for number in range(5):
        delivery.put(f"{number}.json", event(number))
    told: list[tuple[int, int]] = []

    events.ingest(
        delivery.lake,
        events_url=str(delivery.folder),
        pseudonym_key=KEY,
        now=datetime(2026, 2, 1, tzinfo=UTC),
        progress=lambda done, of: told.append((done, of)),
    )

    assert told == [(2, 5), (4, 5), (5, 5)]


def test_a_store_that_cannot_be_opened_is_a_source_error(lake: Lake) -> None:
    with pytest.raises(SourceError, match="nosuchstore"):
        events.ingest(
            lake,
            events_url="nosuchstore://x",
            pseudonym_key=KEY,
            now=datetime(2026, 2, 1, tzinfo=UTC),
        )


class Killed(BaseException):
    """Ends the process, as far as the code under test can tell."""


@dataclass(frozen=True)
class DyingLake(Lake):
    """A lake whose process dies just before a write."""

    writes: list[str] = field(default_factory=list)
    dies_at: int = 0

    def _before(self, what: str) -> None:
        self.writes.append(what)
        if len(self.writes) == self.dies_at:
            raise Killed

    def append(self, table: Any, data: Any) -> None:
        self._before(f"append {table.name}")
        super().append(table, data)

    def replace_where(self, table: Any, data: Any, predicate: str) -> None:
        self._before(f"replace {table.name}")
        super().replace_where(table, data, predicate)

    def delete(self, table: Any, predicate: str) -> None:
        self._before(f"delete {table.name}")
        super().delete(table, predicate)


def put_mixture(delivery: Any, event: Any) -> None:
    """Three records that are sound, refused or repeated in each of two objects."""
    delivery.put("a.jsonl", event(1), b"no event", event(2, artist_id="artist-x"))
    delivery.put("b.jsonl", event(1), event(3), b"none either")


@pytest.fixture(scope="module")
def unbroken(new_delivery: Callable[[], Any], event: Any, content: Any) -> dict[str, list[str]]:
    """What the mixture comes to where nobody is killed."""
    delivery = new_delivery()
    put_mixture(delivery, event)
    delivery.ingest()
    delivery.build()
    return dict(content(delivery.lake))


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_killed_before_any_write_a_rerun_gives_the_same_tables(
    delivery: Any,
    event: Any,
    content: Any,
    unbroken: Any,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: int,
) -> None:
    monkeypatch.setattr(
        ingestion, "CHUNK_RECORDS", 3
    )  # so that half of a batch can stand in bronze
    put_mixture(delivery, event)

    dying = DyingLake(delivery.lake.url, dies_at=dies_at)
    with pytest.raises(Killed):
        delivery.ingest(lake=dying)
        delivery.build(lake=dying)
    delivery.ingest()
    delivery.build()

    assert content(delivery.lake) == unbroken


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_killed_while_undoing_a_dead_batch_a_rerun_gives_the_same_tables(
    delivery: Any, event: Any, content: Any, unbroken: Any, dies_at: int
) -> None:
    put_mixture(delivery, event)

    with pytest.raises(Killed):
        delivery.ingest(lake=DyingLake(delivery.lake.url, dies_at=4))
    with pytest.raises(Killed):
        delivery.ingest(lake=DyingLake(delivery.lake.url, dies_at=dies_at))
    delivery.ingest()
    delivery.build()

    assert content(delivery.lake) == unbroken


RECORDS = st.lists(
    st.one_of(
        st.tuples(
            st.just("sound"), st.integers(0, 5), st.integers(1, 2)
        ),  # number of the event, and of its body
        st.tuples(
            st.sampled_from(["text", "array", "naive", "unknown"]),
            st.integers(100, 10**6),
            st.just(0),
        ),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda record: record if record[0] == "sound" else record[1],
)
REASONS = {
    "text": "not_json",
    "array": "not_an_object",
    "naive": "bad_timestamp",
    "unknown": "unknown_user",
}


def written(event: Any, kind: str, number: int, body: int) -> Any:
    """A record of the kind; every event keeps its number, so no sequence number is taken twice."""
    if kind == "text":
        return f"record {number}".encode()
    if kind == "array":
        return [number]
    changes = {"naive": {"occurred_at": "2026-01-05T10:00:00"}, "unknown": {"user_id": "nobody"}}
    return event(number, **changes.get(kind, {"position": body}))


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=RECORDS, data=st.data())
def test_any_mixture_in_any_order_and_any_objects_adds_up_to_the_same(
    new_delivery: Callable[[], Any],
    event: Any,
    records: list[tuple[str, int, int]],
    data: st.DataObject,
) -> None:
    delivery = new_delivery()
    arrival = data.draw(st.permutations(records))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arrival)), max_size=3)) | {len(arrival)})
    start = 0
    for number, end in enumerate(cuts):
        if arrival[start:end]:
            delivery.put(
                f"{data.draw(st.integers(0, 9))}-{number}.jsonl",
                *[written(event, *r) for r in arrival[start:end]],
            )
            if data.draw(st.booleans()):
                delivery.ingest()
        start = end
    delivery.ingest()
    delivery.build()

    sound = [number for kind, number, _ in records if kind == "sound"]
    refused = [REASONS[kind] for kind, _, _ in records if kind != "sound"]
    found = events.reconcile(delivery.lake)
    assert delivery.ids() == sorted(f"event-{number}" for number in set(sound))
    assert found.duplicates == found.conflicting_duplicates == len(sound) - len(set(sound))
    assert found.quarantined == {reason: refused.count(reason) for reason in sorted(set(refused))}
    assert (found.read, found.balanced) == (len(records), True)


def test_a_store_that_fails_half_way_and_lists_an_object_late_loses_and_doubles_nothing(
    delivery: Any, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        delivery.put(f"{number}.jsonl", event(2 * number), event(2 * number + 1))
    pieces, listing = EventStore.pieces, EventStore.listing

    def failing(*asked: Any) -> Iterator[Any]:
        yield next(pieces(*asked))
        raise SourceError("The store failed.", where="", data="", remedy="")

    def late(store: EventStore) -> Any:
        found = listing(store)
        return replace(found, states={n: s for n, s in found.states.items() if n != "1.jsonl"})

    with monkeypatch.context() as away:
        away.setattr(EventStore, "pieces", failing)
        with pytest.raises(SourceError, match="The store failed"):
            delivery.ingest()
    with monkeypatch.context() as unlisted:
        unlisted.setattr(EventStore, "listing", late)
        first = delivery.ingest()
    second = delivery.ingest()

    assert (first.accepted, second.accepted) == (6, 2)
    assert (first.duplicates, second.duplicates) == (0, 0)
    assert first.balanced and second.balanced
    ids = delivery.lake.read(t.BRONZE_EVENTS).column("event_id").to_pylist()
    assert sorted(ids) == [f"event-{number}" for number in range(8)]
