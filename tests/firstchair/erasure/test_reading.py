"""A user is found wherever they stand, however nested, and no other user is mistaken for them."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from firstchair.erasure.identity import Identities, Identity, Match
from firstchair.erasure.reading import Search, matches_in

KEY = b"a test's key"
ANN = Identity.of("user-ann", KEY, email="ann@example.org")
Packed = Callable[[str], bytes]


def names(data: bytes, identity: Identity = ANN) -> set[str]:
    found = matches_in(io.BytesIO(data), Search(Identities([identity])))
    assert {match.identity for match in found} <= {identity}
    return {match.name for match in found}


def found(data: bytes, identity: Identity) -> set[str]:
    """By which names a user is found in plain bytes."""
    return {match.name for match in Identities([identity]).found_in(data)}


def _parquet(columns: dict[str, pa.Array]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def _nested(text: str) -> bytes:
    inner = pa.array([[{"who": "somebody"}], [{"who": text}, {"who": text}]])
    pairs = pa.array([[(text, 1.0)], []], pa.map_(pa.string(), pa.float64()))
    return _parquet({"rows": inner, "pairs": pairs})


def _npy(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def _zip(text: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt", text * 3 + " " + text)
    return sink.getvalue()


def _npz(text: str) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, ids=np.array(["somebody", text]))
    return sink.getvalue()


FORMS: dict[str, Packed] = {
    "plain": lambda text: f"before {text}, after".encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zstandard": lambda text: zstandard.compress(f"{text} {text}".encode()),
    "zip": _zip,
    "npz": _npz,
    "npy": lambda text: _npy(np.array(["x", text])),
    "parquet": lambda text: _parquet({"a": pa.array(["x", text]), "n": pa.array([1, 2])}),
    "dictionary": lambda text: _parquet({"a": pa.array([text, text]).dictionary_encode()}),
    "nested": _nested,
    "twice": lambda text: gzip.compress(_zip(text)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["user_id", "email", "user_key"])
def test_each_name_is_found_in_each_form(form: str, name: str) -> None:
    assert names(FORMS[form](getattr(ANN, name))) == {name}
    assert names(FORMS[form]("user-bob")) == set()


def test_a_pseudonym_is_found_as_numbers() -> None:
    packed = bytes.fromhex(ANN.user_key)
    halves = np.frombuffer(packed, dtype=">u8").astype(np.uint64)

    assert names(_npy(halves)) == {"user_key"}
    assert names(save({"a": np.frombuffer(packed, dtype=np.uint8)})) == {"user_key"}
    column = pa.array(halves, pa.uint64())
    assert names(_parquet({"a": pa.concat_arrays([column, column])})) == {"user_key"}
    assert names(_npy(halves + np.uint64(1))) == set()


def test_a_name_on_the_border_of_two_pieces_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstchair.erasure.reading.PIECE_BYTES", 7)

    assert names(b"-" * 100 + b" user-ann " + b"-" * 100) == {"user_id"}


@pytest.mark.parametrize("form", ["gzip", "zstandard", "zip", "parquet"])
def test_what_cannot_be_unpacked_to_its_end_is_an_error(form: str) -> None:
    whole = FORMS[form]("user-ann")

    with pytest.raises((OSError, EOFError, ValueError)):
        names(whole[: len(whole) // 2])


@given(
    st.text(min_size=6, max_size=20).filter(lambda text: any(map(str.isalpha, text))),
    st.sampled_from("-/:, \"'\n"),
)
def test_any_account_key_is_found_as_a_whole_word_alone(user_id: str, beside: str) -> None:
    identity = Identity.of(user_id, KEY)
    text = f"{beside}{user_id}{beside}".encode("utf-8", "surrogatepass")

    assert "user_id" in found(text, identity)
    assert "user_id" in found(json.dumps({"user_id": user_id}).encode(), identity)
    masked = identity.masked(text)
    assert len(masked) == len(text)
    assert not found(masked, identity) or set(user_id) <= {"x"}


def test_a_longer_key_is_another_user() -> None:
    one = Identity.of("user-1", KEY)

    assert found(b'{"user_id":"user-1"}', one) == {"user_id"}
    assert found(b"user-12, xuser-1, user-1a and user_1", one) == set()


def test_a_short_key_is_looked_for_in_fields_of_its_name_alone() -> None:
    seven = Identity.of("7", KEY)

    assert found(b'{"user_id": "7", "position": 7}', seven) == {"user_id"}
    assert found(b'{"user_id": "77", "position": 7}', seven) == set()
    assert found(rb'{"body": "{\"user_id\": \"7\"}"}', seven) == {"user_id"}
    assert seven.masked(b'{"user_id": "7", "position": 7}') == b'{"user_id": "x", "position": 7}'


def test_a_key_without_a_letter_is_no_number_that_has_its_digits() -> None:
    digits = Identity.of("123456", KEY)
    numbers = b'{"alpha": 0.123456, "at": "2026-01-01T00:00:00.123456+00:00", "n": 123456}'

    assert digits.masked(numbers) == numbers
    assert found(numbers, digits) == set()
    assert found(b'{"user_id": 123456}', digits) == {"user_id"}
    assert digits.sql("extra", regexp="regexp_matches").count("123456") == 0


# Account keys of one to three characters, and what stands around them in a field.
SHORT_KEYS = st.text("7a_\"' é%", min_size=1, max_size=3)
FIELDS = ('{"user_id":"', "userid = ", "USER_ID': '", '"user_id" :\n  ', "user ", "")
BEFORE = st.sampled_from(FIELDS)


@given(st.lists(SHORT_KEYS, unique=True, max_size=4), st.lists(st.tuples(BEFORE, SHORT_KEYS)))
def test_users_who_are_looked_for_together_are_found_as_each_alone(
    user_ids: list[str], fields: list[tuple[str, str]]
) -> None:
    users = [Identity.of(user_id, KEY) for user_id in user_ids]
    data = "".join(before + key + '",' for before, key in fields).encode()

    matches = Identities(users).found_in(data)

    assert matches == {Match(user, name) for user in users for name in found(data, user)}
    assert {user for user in users if user.masked(data) != data} == {one for one, _ in matches}


def test_users_of_one_object_are_told_apart() -> None:
    bob, seven = Identity.of("user-bob", KEY), Identity.of("7", KEY)
    together = Search(Identities([ANN, bob, seven]))
    packed = gzip.compress(b'{"user_id": "7"} {"user_id": "77"} mail ann@example.org')

    assert matches_in(io.BytesIO(packed), together) == {
        Match(ANN, "email"),
        Match(seven, "user_id"),
    }
