"""Nothing that names or places a person crosses the border, whatever a record holds."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.envelopes import FAULTS, Canaries, corpus, values_with
from firstchair.erasure.reading import Search, matches_in
from firstchair.events.fields import NAMES
from firstchair.events.masking import is_whole, kept_extra, masked
from firstchair.events.personal import MASK
from firstchair.lake import tables as t
from tests.firstchair.events.conftest import Delivery, make_event

ALLOWED = frozenset({"artist_name", "track_title", "skipped", "device", "os"})


def upper(text: str) -> str:
    return f"<{text.upper()}>"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ('{"user_id":"ann","x":1}', '{"user_id":"<ANN>","x":"***"}'),
        ('{"user_id":7}', '{"user_id":"***"}'),
        ('{"Email":"a@b.org","AGE":34}', '{"Email":"***","AGE":"***"}'),
        ('{"user_id":"u7","slate_id":"for-u7"}', '{"user_id":"<U7>","slate_id":"***"}'),
        ('{"user_id":"u7","slate_id":"for-u77"}', '{"user_id":"<U7>","slate_id":"for-u77"}'),
        ('{"artist_id":"Ann Secret"}', '{"artist_id":"***"}'),
        ('{"artist_id":{"id":"a"},"track_id":["t"]}', '{"artist_id":"***","track_id":"***"}'),
        ('{"position":3,"propensity":0.5}', '{"position":3,"propensity":0.5}'),
        ('{"position":true,"simulated":1}', '{"position":"***","simulated":"***"}'),
        ('{"occurred_at":"1990-05-17"}', '{"occurred_at":"***"}'),
        ('{"occurred_at":"2010-05-17T00:00:00Z"}', '{"occurred_at":"2010-05-17T00:00:00Z"}'),
        ('{"user-eve-77":1,"a@b.org":2}', '{"***":"***"}'),
        ('[{"user_id":"ann"}]', '[{"user_id":"aaa"}]'),
        ('{"user_id": "ann", "email": "a@b', '{"user_id": "aaa", "aaaaa": "a@a'),
        ("52.520008;Ann,ünï", "99.999999;aaa,aaa"),
    ],
)
def test_of_a_refused_record_only_sound_fields_of_the_contract_can_be_read(
    raw: str, kept: str
) -> None:
    assert masked(raw, upper) == kept


@pytest.mark.parametrize(
    "raw", ["x" * 5_000, json.dumps({c + "b" * n: n for n in range(39) for c in "acdefgh"})]
)
def test_a_refused_record_is_kept_to_2000_characters(raw: str) -> None:
    assert len(masked(raw, upper)) == 2_000


@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_a_record_of_any_depth_is_masked(depth: int) -> None:
    raw = '{"email":"a@b.org","n":' + "[" * depth + "]" * depth + "}"

    assert "b.org" not in masked(raw, upper)


@pytest.mark.parametrize(
    ("extra", "kept"),
    [
        ('{"skipped":true,"artist_name":"Low"}', '{"artist_name":"Low","skipped":true}'),
        ('{"Latitude":52.52,"mood":"calm"}', '{"Latitude":"***","mood":"***"}'),
        ('{"device":{"os":"x","place":[1,2]}}', '{"device":{"os":"x","place":"***"}}'),
        ('{"artist_name":"by user-ann"}', '{"artist_name":"by key"}'),
        ('{"artist_name":"call +49 (151) 234-5678"}', '{"artist_name":"call ***"}'),
        ('{"artist_name":"48.85,2.35"}', '{"artist_name":"***"}'),
        ('{"artist_name":"{\\"dob\\":1}"}', '{"artist_name":"***"}'),
        ('{"artist_name":"[untitled]"}', '{"artist_name":"[untitled]"}'),
        ('{"artist_id":"a-1","position":"first"}', '{"artist_id":"a-1","position":"***"}'),
        ('{"of user-ann":1,"user-ann":2}', '{"***":"***"}'),
    ],
)
def test_fields_beyond_the_contract_are_kept_by_name_and_allowed_ones_by_value(
    extra: str, kept: str
) -> None:
    assert kept_extra(extra, "user-ann", "key", ALLOWED) == kept


def test_a_field_that_says_what_is_personal_cannot_be_allowed() -> None:
    extra = '{"age":34,"user_id":"u","geo_lat":52.5}'

    kept = json.loads(kept_extra(extra, "u", "key", {"age", "user_id", "geo_lat"}))

    assert set(kept.values()) == {MASK}


def test_no_field_inside_an_allowed_one_is_kept_for_its_name_in_the_contract() -> None:
    extra = json.dumps({"device": {"user_id": "other-77", "event_id": "e-1", "os": "ios"}})

    kept = json.loads(kept_extra(extra, "user-ann", "key", ALLOWED))

    assert kept == {"device": {"user_id": MASK, "event_id": MASK, "os": "ios"}}


def test_a_short_account_key_is_replaced_as_a_word_and_stands_in_other_texts_by_chance() -> None:
    kept = kept_extra('{"artist_name":"12 of u1, u12"}', "u1", "key", ALLOWED)

    assert kept == '{"artist_name":"12 of key, u12"}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from([*NAMES, "mood", "dob"]) | st.text(), JSON, max_size=6)


@given(fields=OBJECTS)
def test_no_value_that_nobody_allowed_is_kept(fields: dict[str, Any]) -> None:
    raw = json.dumps(fields)

    for kept in (json.loads(kept_extra(raw, "u", "k", ())), json.loads(masked(raw, upper))):
        assert all(value == MASK for name, value in kept.items() if name not in NAMES)
        assert all(re.fullmatch(r"[a-zA-Z_$.-]{1,40}|\*{3}", name, re.ASCII) for name in kept)
        texts = [value for value in kept.values() if isinstance(value, str)]
        assert not any(re.search(r"[\s@]", text) for text in texts if text[:1] != "<")


@given(text=st.text())
def test_of_a_text_that_is_no_record_only_its_form_is_kept(text: str) -> None:
    kept = masked(text, upper)

    if not text.lstrip().startswith("{"):
        assert len(kept) == len(text[:2_000])
        words = re.findall(r"[^\W_]+", kept)
        assert all(set(word) <= set("a9") for word in words if word not in "_".join(NAMES))


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        ('{"user_id":"1036b827e7a35bd2","mood":"***"}', True),
        ('{"user_id":"***"}', False),
        ('{"artist_name":"***"}', False),
        ('{"a":', False),
        ("[1]", False),
    ],
)
def test_a_masked_record_is_whole_where_nothing_that_is_judged_or_kept_is_masked(
    raw: str, whole: bool
) -> None:
    assert is_whole(raw, ALLOWED) is whole


@pytest.mark.parametrize("seed", [1])
def test_no_envelope_carries_a_person_into_any_byte_of_the_lake(
    delivery: Delivery, seed: int
) -> None:
    records = list(corpus(seed, lambda number, **more: make_event(number, "follow", **more)))
    delivery.put("hostile.jsonl", *records)

    report = delivery.ingest()
    delivery.build()

    search = Search(Canaries())  # type: ignore[arg-type] it asks no more of it
    files = [path for path in Path(delivery.lake.url).rglob("*") if path.is_file()]
    held = {path.name: matches_in(path.open("rb"), search) for path in files}
    rows = [delivery.lake.read(table).to_pylist() for table in t.ALL_TABLES]
    assert {name: words for name, words in held.items() if words} == {}
    assert values_with(rows) == set()
    assert len(records) == report.read
    assert report.accepted == len(records) // len(FAULTS)
    assert set(delivery.reasons()) == {
        "bad_timestamp", "bad_type", "missing_field", "not_an_object", "not_json"
    }  # fmt: skip


def test_the_log_of_delta_keeps_no_value_of_texts_that_senders_write(
    delivery: Delivery, event: Any
) -> None:
    delivery.put("a.jsonl", event(1, mood="calm"), event(2, user_id=7), event(3, artist_id="none"))
    delivery.ingest()
    delivery.build()

    logs = "".join(p.read_text() for p in Path(delivery.lake.url).rglob("_delta_log/*.json"))

    counted = set(re.findall(r'\\"(\w+)\\":', logs))
    assert {"source_seq", "reason", "numRecords"} <= counted
    assert {"extra", "raw", "detail"}.isdisjoint(counted)
