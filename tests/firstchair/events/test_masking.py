"""Nothing that names or places a person crosses the border, whatever a sender puts into a record."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from firstchair.events import masking
from firstchair.events.masking import masked, without_pii
from firstchair.lake import tables as t

SECRETS = (
    "user-ann",
    "user-eve",
    "ann@example.org",
    "52.520008",
    "13.404954",
    "1990-05-17",
    "203.0.113.7",
)


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
        (
            '{"user_id":"user-ann","path":"/u/user-ann"}',
            '{"user_id":"<USER-ANN>","path":"/u/<USER-ANN>"}',
        ),
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


@pytest.mark.parametrize("pairs", [400, 4_000, 40_000])
def test_the_work_on_a_record_full_of_account_keys_is_bounded(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.dumps([{"user_id": f"user-{n:06d}", "t": "x"} for n in range(pairs)])
    work = 0

    def counted(text: str, own: dict[str, str]) -> str:
        nonlocal work
        work += len(own) * len(text)
        return replace_accounts(text, own)

    replace_accounts = masking._without_accounts
    monkeypatch.setattr(masking, "_without_accounts", counted)

    kept = masked(raw, upper)

    assert work <= masking.MASKED_BY_FIELD**2 // 100
    assert "user-0" not in kept
    assert "<USER-000001>" in kept


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


PERSONAL = {
    "birthday": "1990-05-17", "dob": "17.05.1990", "birthYear": 1990, "firstName": "Ann-Secret",
    "LAST_NAME": "Ann-Secret", "userAge": 34, "age": "34", "coords": [52.520008, 13.404954],
    "homeLat": 52.520008, "geo.lon": 13.404954, "ipAddress": "203.0.113.7", "client-ip": "::ffff:1",
    "X-Forwarded-For": "203.0.113.7", "e-mail": "ann@example.org", "phoneNumber": "0151 2345678",
    "userId": "user-ann", "USERNAME": "Ann-Secret", "gender": "f", "postalCode": "10115",
}  # fmt: skip
HARMLESS = {
    "os": "ios 17.2.1", "appVersion": "10.0.1", "page": "home", "usage": 12, "language": "de",
    "artist_name": "Low", "storage": 512.125, "session_id": "9f86d081", "client_time": "10:00:00",
    "sent_at": "2026-01-05T10:00:00.000Z", "releasedOn": "2026-01-05", "latency_ms": 31.25,
}  # fmt: skip
LEAKS = ("1990", "17.05", "Ann-Secret", "52.520008", "13.404954", "203.0.113.7", "ann@example.org",
         "2345678", "user-ann", "10115", "::ffff:1", "34")  # fmt: skip


def styles(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The same fields in the envelopes in which senders put them."""
    query = urlencode(fields)
    return {
        "flat": fields,
        "nested": {"context": {"device": [{"traits": fields}]}},
        "key and value": {"properties": [{"key": k, "value": v} for k, v in fields.items()]},
        "label and data": {"attributes": [{"label": k, "data": v} for k, v in fields.items()]},
        "pairs": {"tags": [[key, value] for key, value in fields.items()]},
        "JSON in a text": {"payload": json.dumps({"inner": json.dumps(fields)})},
        "query": {"url": f"https://example.org/a?{query}", "referrer": query},
        "headers": {"raw": "\r\n".join(f"{key}: {value}" for key, value in fields.items())},
        "upper case": {key.upper(): value for key, value in fields.items()},
        "prefixed": {f"user_{key}": value for key, value in fields.items()},
        "suffixed": {f"{key}_1": value for key, value in fields.items()},
        "full width": {
            "".join(WIDE.get(c, c) for c in key): value for key, value in fields.items()
        },
    }


WIDE = {
    chr(code): chr(code + 0xFEE0) for code in range(ord("A"), ord("z") + 1) if chr(code).isalpha()
}


@pytest.mark.parametrize("style", styles(PERSONAL))
def test_no_envelope_carries_a_person_across(style: str) -> None:
    extra = json.dumps(styles(PERSONAL)[style])

    kept = str(without_pii(extra, "user-ann", "key"))
    raw = masked(extra[:-1], upper) + masked(extra, upper)

    assert [leak for leak in LEAKS if leak in kept] == []
    assert [leak for leak in LEAKS if leak in raw] == []


@pytest.mark.parametrize("style", ["flat", "nested", "key and value", "pairs", "JSON in a text"])
def test_what_tells_nobody_is_kept_in_every_envelope(style: str) -> None:
    extra = styles(HARMLESS)[style]

    kept = without_pii(json.dumps(extra), "user-ann", "key")

    assert kept is not None
    assert json.loads(kept) == extra


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1990-05-17", "***"),
        ("born 17/05/1990", "born ***"),
        ("1990-05-17T00:00:00.000Z", "***"),
        ("52.520008, 13.404954", "***"),
        ([13.404954, 52.520008], "***"),
        ("call +49 (151) 234-5678", "call ***"),
        ("from 2001:db8::1 by 203.0.113.7", "from *** by ***"),
        ("2026-01-05", "2026-01-05"),
        ("1.2.1", "1.2.1"),
        ("10:00:00", "10:00:00"),
        ([0.5, 0.25], [0.5, 0.25]),
        ([1, 2], [1, 2]),
    ],
)
def test_a_value_is_masked_by_its_shape_where_no_name_tells(value: object, kept: object) -> None:
    assert json.loads(without_pii(json.dumps({"x": value}), "u", "k") or "") == {"x": kept}


def test_the_instant_of_a_refused_event_is_no_date_of_birth() -> None:
    raw = '{"occurred_at":"2010-05-17T00:00:00Z","user_id":7}'

    assert masked(raw, upper) == raw.replace("7}", '"***"}')


def test_no_file_of_the_lake_holds_what_a_person_can_be_found_by(delivery: Any, event: Any) -> None:
    def person(number: int, user: str = "user-ann", **changes: Any) -> dict[str, Any]:
        device = {
            "ipAddress": "203.0.113.7",
            "sender": {"DOB": "1990-05-17"},
            "birth_date": "1990-05-17",
            "owner": f"{user} <ann@example.org>",
        }
        return event(
            number, user_id=user, email="ann@example.org", lat=52.520008, device=device, **changes
        )

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
    files = b"".join(
        path.read_bytes() for path in Path(delivery.lake.url).rglob("*") if path.is_file()
    )
    found = [secret for secret in SECRETS if secret in values or secret.encode() in files]
    assert found == []
    assert delivery.reasons() == {
        "bad_timestamp": 1,
        "not_an_object": 1,
        "not_json": 2,
        "unknown_artist": 1,
    }
