"""Names of users in a database are replaced, and nothing else of its texts."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.reading import Search
from firstchair.erasure.rows import erase, held_in

KEY = b"a test's key"


@pytest.fixture(scope="module")
def database(new_session_database: Callable[..., sa.URL]) -> sa.Engine:
    return sa.create_engine(new_session_database(), poolclass=sa.pool.NullPool)


def texts(database: sa.Engine, *bodies: Any, changed_for: Identity) -> list[Any]:
    """The texts and documents of a table after a user was erased; as they were given: JSON."""
    with database.begin() as connection:
        connection.execute(sa.text("drop table if exists notes"))
        connection.execute(sa.text("create table notes (n int, text text, body jsonb)"))
        for number, body in enumerate(bodies):
            of = {"n": number, "text": body if isinstance(body, str) else None}
            of["body"] = None if isinstance(body, str) else json.dumps(body)
            connection.execute(
                sa.text("insert into notes values (:n, :text, cast(:body as jsonb))"), of
            )
    erase(database.url, Identities([changed_for]))
    assert held_in(database.url, Search(Identities([changed_for]))) == []
    with database.connect() as connection:
        rows = connection.execute(sa.text("select text, body from notes order by n"))
        return [text if text is not None else body for text, body in rows]


def test_a_longer_key_and_a_number_with_the_same_digits_stay(database: sa.Engine) -> None:
    one = Identity.of("user-1", KEY, email="one@example.org")
    found = texts(
        database,
        f"user-1, user-12 and one@example.org; key {one.user_key}",
        {"of": "user-1", "other": "user-12", "mail": "someone@example.org"},
        changed_for=one,
    )

    assert found == [
        "erased, user-12 and erased; key erased",
        {"of": "erased", "other": "user-12", "mail": "someone@example.org"},
    ]


def test_a_key_of_digits_is_replaced_in_fields_of_its_name_alone(database: sa.Engine) -> None:
    found = texts(
        database,
        {"rows": 123456, "at": 1769100234.123456, "user_id": "123456"},
        {"user_id": 123456, "text": json.dumps({"userId": "123456", "n": 123456})},
        "user_id=123456, took 0.123456 s for 123456 rows",
        changed_for=Identity.of("123456", KEY),
    )

    assert found == [
        {"rows": 123456, "at": 1769100234.123456, "user_id": "erased"},
        {"user_id": 0, "text": '{"userId": "erased", "n": 123456}'},
        "user_id=0, took 0.123456 s for 123456 rows",
    ]


@pytest.mark.parametrize("user_id", ["u42", "a.b+c|d(é)'[x]{2}^$\\", '東京 "ann" 100%_'])
def test_a_key_of_any_letters_is_replaced(database: sa.Engine, user_id: str) -> None:
    of = {"user_id": user_id}
    found = texts(database, of, json.dumps(of), changed_for=Identity.of(user_id, KEY))

    assert found == [{"user_id": "erased"}, '{"user_id": "erased"}']
