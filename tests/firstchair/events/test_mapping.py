"""Records of another form are read through a mapping by the same parser; without it, as before."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstchair import events
from firstchair.events.staging import parsing_sql
from firstchair.mappings import PRESETS, EventMapping
from firstchair.sources import Record
from tests.firstchair.events.conftest import make_event

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SEGMENT = {
    "type": "track",
    "event": "Song Played",
    "messageId": "ajs-1",
    "timestamp": "2026-01-05T12:00:00.250+02:00",
    "userId": "ann",
    "context": {"ip": "203.0.113.9", "locale": "de"},
    "properties": {"artistId": 7, "track_id": "t1", "ms_played": "1500", "artist": "Lime"},
}


def record(value: Any) -> Record:
    return Record(1, json.dumps(value))


def read(mapping: dict[str, Any], *values: Any) -> list[dict[str, Any]]:
    found = EventMapping.model_validate(mapping)
    return events.parsed_fields([record(value) for value in values], now=NOW, mapping=found)


def refused(mapping: dict[str, Any], *values: Any) -> list[tuple[int, str, str]]:
    found = EventMapping.model_validate(mapping)
    refusals = events.refusals([record(value) for value in values], now=NOW, mapping=found)
    return [(one.index, one.reason, one.detail) for one in refusals]


@pytest.mark.parametrize("preset", ["segment", "rudderstack"])
def test_a_track_call_is_an_event_and_the_rest_of_it_is_dropped(preset: str) -> None:
    (event,) = read({"preset": preset}, SEGMENT)

    assert event["occurred_at"] == datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
    assert {name: event[name] for name in ("event_id", "event_type", "user_id", "source")} == {
        "event_id": "ajs-1",
        "event_type": "play",
        "user_id": "ann",
        "source": preset,
    }
    assert (event["artist_id"], event["track_id"], event["ms_played"]) == ("7", "t1", 1500)
    assert event["source_seq"] is None
    assert json.loads(event["extra"]) == {"artist_name": "Lime"}


def test_structured_and_self_describing_events_of_snowplow_are_events() -> None:
    common = {"event_id": "e", "user_id": "ann", "app_id": "web", "se_action": None}
    played = {"artist_id": "a", "track_id": "t", "ms_played": 9}
    described = {"unstruct_event": {"data": {"schema": "iglu:x", "data": played}}}
    naive = {"derived_tstamp": "2026-01-05 10:00:00.5", "event_name": "play"}
    structured = {"se_action": "follow", "se_label": "a"}

    first, second = read(
        {"preset": "snowplow"},
        common | described | naive,
        common | structured | {"collector_tstamp": "2026-01-05T10:00:00Z"},
    )

    assert (first["event_type"], first["ms_played"], first["source"]) == ("play", 9, "web")
    assert first["occurred_at"] == datetime(2026, 1, 5, 10, 0, 0, 500_000, tzinfo=UTC)
    assert (second["event_type"], second["artist_id"]) == ("follow", "a")


def test_a_structured_play_of_snowplow_came_from_no_recommendation() -> None:
    play = {"event_id": "e", "user_id": "ann", "collector_tstamp": "2026-01-05T10:00:00Z"}
    play |= {"se_action": "play", "se_label": "a", "se_property": "t"}

    (event,) = read({"preset": "snowplow"}, play | {"se_value": 200000.0})

    assert (event["artist_id"], event["track_id"], event["ms_played"]) == ("a", "t", 200_000)
    assert event["slate_id"] is None


@pytest.mark.parametrize("preset", PRESETS)
def test_no_two_fields_of_a_preset_are_read_from_one_place(preset: str) -> None:
    mapping = EventMapping.model_validate({"preset": preset})

    paths = [path for _, field in mapping.fields for path in field.paths]

    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("field", "value", "instant"),
    [
        ({"unit": "s"}, 1767610800, "2026-01-05T11:00:00"),
        ({"unit": "s"}, "1767610800.5", "2026-01-05T11:00:00.500000"),
        ({"unit": "ms"}, 1767610800250, "2026-01-05T11:00:00.250000"),
        ({"unit": "us"}, 1767610800000001, "2026-01-05T11:00:00.000001"),
        ({"time_zone": "Europe/Berlin"}, "2026-01-05 12:00:00", "2026-01-05T11:00:00"),
        ({"time_zone": "America/New_York"}, "2025-07-01T07:00", "2025-07-01T11:00:00"),
        ({"time_zone": "Europe/Berlin"}, "2026-01-05T12:00:00Z", "2026-01-05T12:00:00"),
    ],
)
def test_instants_are_read_as_the_mapping_says(
    field: dict[str, str], value: Any, instant: str
) -> None:
    event = make_event(1, "login", occurred_at=..., event_id=...) | {"at": value}

    (found,) = read({"occurred_at": {"path": "at", **field}}, event)

    assert found["occurred_at"] == datetime.fromisoformat(instant).replace(tzinfo=UTC)


def test_what_cannot_be_converted_is_refused_as_it_stands() -> None:
    mapping = {
        "occurred_at": {"path": "at", "unit": "ms"},
        "ms_played": {"path": "seconds", "unit": "s"},
        "event_type": {"path": "what", "names": {"listen": "play"}},
    }
    sound = {"at": 1767610800000, "user_id": "u", "source": "s", "artist_id": "a", "track_id": "t"}
    rows = [
        sound | {"what": "listen", "seconds": 2.5},
        sound | {"what": "listen", "seconds": "long"},
        sound | {"what": "listen", "seconds": 1, "at": "noon"},
        sound | {"what": "dance", "seconds": 1},
        sound | {"what": "listen", "seconds": 1, "user_id": {"id": 1}},
        sound | {"what": "listen", "seconds": 1, "at": 1e30},
    ]

    assert refused(mapping, *rows) == [
        (1, "bad_type", "ms_played is not an integer but varchar"),
        (2, "bad_timestamp", "occurred_at is no RFC 3339 instant: a text like aaaa"),
        (3, "unknown_event_type", "event_type: dance"),
        (4, "bad_type", "user_id is not a string but object"),
        (5, "bad_timestamp", "occurred_at is no RFC 3339 instant: a text like 9a99"),
    ]
    assert [event["ms_played"] for event in read(mapping, rows[0])] == [2500]


def test_a_number_may_be_written_in_any_form_of_it() -> None:
    mapping = EventMapping.model_validate({"preset": "segment"})
    played = ["210000", "210000.0", "2.1e5", "21E+4", "0.5", "1e20", "-3.0"]
    forms = [form for number in played for form in (number, f'"{number}"')]
    shown = SEGMENT | {"event": "Recommendation Viewed"}
    shown |= {"properties": {"artist_id": 7, "slate_id": "s", "position": 1, "model_version": "1"}}
    chances = ["1e-07", "0.0000001", "1.0E-7", '"1e-07"']
    records = [
        *(json.dumps(SEGMENT).replace('"1500"', form) for form in forms),
        *(json.dumps(shown)[:-2] + f', "propensity": {form}}}}}' for form in chances),
    ]
    records = [text.replace("ajs-1", f"ajs-{n}") for n, text in enumerate(records)]

    rows = [Record(n, text) for n, text in enumerate(records, start=1)]
    found = events.parsed_fields(rows, now=NOW, mapping=mapping)
    reasons = {one.index: one.reason for one in events.refusals(rows, now=NOW, mapping=mapping)}

    whole = {one["index"]: one["ms_played"] for one in found if one["index"] not in reasons}
    assert [whole.get(n, reasons.get(n)) for n in range(len(forms))] == [
        *[210_000] * 8,
        *["bad_type"] * 4,
        *["out_of_range"] * 2,
    ]
    assert [one["propensity"] for one in found if one["propensity"] is not None] == [1e-7] * 4


def test_an_id_is_of_the_records_text_where_the_source_has_none() -> None:
    event = make_event(1, "login", event_id=..., source_seq=...)

    first, again, other = read({}, event, event, event | {"user_id": "user-ben"})

    assert first["event_id"] == again["event_id"] != other["event_id"]
    assert first["source_seq"] is None
    assert refused({"event_id": "id"}, event) == [(0, "missing_field", "event_id is missing")]


def test_what_the_api_wrote_beside_is_read_without_the_mapping() -> None:
    shown = make_event(1, "impression", note="kept")

    with_mapping = read({"preset": "segment", "root": "payload"}, shown, {"payload": SEGMENT})
    without = events.parsed_fields([record(shown)], now=NOW)

    assert with_mapping[0] == without[0]
    assert with_mapping[1]["artist_id"] == "7"


def test_without_a_mapping_the_statement_is_what_it_was() -> None:
    assert "mapped" not in parsing_sql(NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["event", "timestamp", "userId", "messageId", "properties", "artist_id", "ms_played"]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), json_values, max_size=7), min_size=20))
def test_no_record_breaks_a_mapping_and_each_has_one_fate(values: list[Any]) -> None:
    mapping = {"preset": "segment", "occurred_at": {"path": "timestamp", "unit": "us"}}
    mapping |= {"ms_played": {"path": "ms_played", "unit": "s"}, "user_id": "properties.userId"}
    texts = [json.dumps(value, ensure_ascii=True) for value in values]
    sound = [text for text in texts if "\\ud" not in text]

    accepted = read(mapping, *map(json.loads, sound))
    left = refused(mapping, *map(json.loads, sound))

    assert sorted([*(one["index"] for one in accepted), *(one[0] for one in left)]) == list(
        range(len(sound))
    )


@pytest.mark.parametrize(
    ("mapping", "fault"),
    [
        ({"artistid": "a"}, "artist_id is meant"),
        ({"preset": "mixpanel"}, ", ".join(PRESETS)),
        ({"user_id": "a..b"}, "is no path"),
        ({"position": {"path": "p", "unit": "s"}}, "position has no unit"),
        ({"occurred_at": {"path": "p", "time_zone": "Mars"}}, "no time zone 'Mars'"),
        ({"user_id": {}}, "name a path or a value"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(mapping: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        EventMapping.model_validate(mapping)
