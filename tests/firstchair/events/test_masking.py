"""Nothing that names or places a person crosses the border, whatever a sender puts into a record."""

import json
from pathlib import Path
from typing import Any

import pytest

from firstchair.events.masking import masked, without_pii
from firstchair.lake import tables as t

SECRETS = ("user-ann", "user-eve", "ann@example.org", "52.520008", "13.404954", "1990-05-17", "203.0.113.7")


def upper(text: str) -> str:
    return f"<{text.upper()}>"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ('{"user_id":"ann","x":1}', '{"user_id":"<ANN>","x":1}'),
        ('{"user_id":7}', '{"user_id":"***"}'),
        ('{"Email":"a@b.org","AGE":34,"lat":1.5}', '{"Email":"***","AGE":"***","lat":"***"}'),
        ('{"a":{"b":[{"phone":"1"}]}}', '{"a":{"b":[{"phone":"***"}]}}'),
        ('{"note":"write to a.b@c.org now"}', '{"note":"write to *** now"}'),
        ('{"user_id":"user-ann","path":"/u/user-ann"}', '{"user_id":"<USER-ANN>","path":"/u/<USER-ANN>"}'),
        ('[{"user_id":"ann"}]', '[{"user_id":"<ANN>"}]'),
        ('{"user_id": "ann", "email": "a@b.org"', '{"user_id": <ANN>, "email": ***'),
        ('{"user_id": "an', '{"user_id": <AN>'),
        ("user_id=ann&birth_date=1990-05-17", "user_id=<ANN>&birth_date=***"),
        ("52.520008,13.404954,a@b.org", "***,***,***"),
    ],
)
def test_a_refused_record_is_kept_without_pii(raw: str, kept: str) -> None:
    assert masked(raw, upper) == kept


def test_a_refused_record_is_kept_to_2000_characters() -> None:
    assert masked("x" * 5_000, upper) == "x" * 2_000


@pytest.mark.parametrize("depth", [300, 900, 100_000])
def test_a_record_of_any_depth_is_masked(depth: int) -> None:
    raw = '{"email":"a@b.org","n":' + "[" * depth + "]" * depth + "}"

    assert "a@b.org" not in masked(raw, upper)


@pytest.mark.parametrize(
    ("extra", "kept"),
    [
        ('{"b":1,"a":"x"}', '{"a":"x","b":1}'),
        ('{"Latitude":52.52,"IP":"::1"}', None),
        ('{"device":{"os":"x","location":[1,2]},"user_id":"user-ann"}', '{"device":{"os":"x"}}'),
        ('{"from":"user-ann","n":12}', '{"from":"key","n":12}'),
    ],
)
def test_unknown_fields_are_kept_without_pii(extra: str, kept: str | None) -> None:
    assert without_pii(extra, "user-ann", "key") == kept


def test_a_short_account_key_takes_nothing_out_of_other_fields() -> None:
    assert without_pii('{"n":12,"version":"1.2.1"}', "1", "key") == '{"n":12,"version":"1.2.1"}'


def test_no_file_of_the_lake_holds_what_a_person_can_be_found_by(delivery: Any, event: Any) -> None:
    def person(number: int, user: str = "user-ann", **changes: Any) -> dict[str, Any]:
        device = {"ip": "203.0.113.7", "birth_date": "1990-05-17", "owner": f"{user} <ann@example.org>"}
        return event(number, user_id=user, email="ann@example.org", lat=52.520008, device=device, **changes)

    delivery.put(
        "a.jsonl",
        person(1),
        person(2, occurred_at="ann@example.org"),
        person(3, "user-eve", artist_id="artist-x"),
        json.dumps(person(4)).encode()[:-2],
        b"ann@example.org;52.520008;13.404954",
        [person(5)],
    )

    delivery.ingest()
    delivery.build()

    values = " ".join(str(delivery.lake.read(table).to_pylist()) for table in t.ALL_TABLES)
    files = b"".join(path.read_bytes() for path in Path(delivery.lake.url).rglob("*") if path.is_file())
    found = [secret for secret in SECRETS if secret in values or secret.encode() in files]
    assert found == []
    assert delivery.reasons() == {"bad_timestamp": 1, "not_an_object": 1, "not_json": 2, "unknown_artist": 1}
