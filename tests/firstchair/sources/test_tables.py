"""Tables of the account database, whatever their owners put into them."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from firstchair.errors import SourceError
from firstchair.mappings import TableMapping
from firstchair.sources import accounts, read_table, tables, value_counts, values_by_key


@pytest.fixture
def source(new_database: Callable[[], sa.URL]) -> sa.Engine:
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    return engine


def execute(source: sa.Engine, statement: str) -> None:
    with source.begin() as connection:
        connection.execute(sa.text(statement))


def test_a_table_comes_in_chunks_in_the_order_of_its_key(
    source: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    execute(source, "insert into users (user_id) select 'u' || n from generate_series(1, 7) n")

    chunks = [list(frame["user_id"]) for frame in read_table(source.url, accounts.USERS)]

    assert chunks == [["u1", "u2", "u3"], ["u4", "u5", "u6"], ["u7"]]


def test_of_rows_with_one_key_the_one_that_was_updated_last_comes_first(
    source: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
    execute(source, "alter table users drop constraint users_pkey, alter user_id drop not null")
    execute(
        source,
        "insert into users (user_id, gender, updated_at) values "
        "('b', 'never', null), ('b', 'old', '2026-01-01Z'), ('b', 'new', '2026-02-01Z'), "
        "('c', 'z', null), ('c', 'a', null), ('a', 'alone', null), (null, 'x', null), (null, 'y', "
        "null)",
    )

    frames = list(read_table(source.url, accounts.USERS))

    found = [row for frame in frames for row in zip(frame["gender"], frame["repeats"], strict=True)]
    assert found == [
        ("alone", False),
        ("new", False),
        ("old", True),
        ("never", True),
        ("a", False),
        ("z", True),
        ("x", False),
        ("y", False),
    ]


def test_values_come_as_they_are_and_null_as_none(source: sa.Engine) -> None:
    execute(source, "insert into users (user_id, birth_date, age) values ('u', '1990-05-17', null)")

    row = next(iter(read_table(source.url, accounts.USERS))).iloc[0]

    assert (row["user_id"], row["birth_date"], row["age"]) == ("u", date(1990, 5, 17), None)


def test_dates_beyond_the_calendar_come_as_none(source: sa.Engine) -> None:
    execute(
        source,
        "insert into users (user_id, birth_date, created_at) values "
        "('a', 'infinity', '-infinity'), ('b', '0044-03-15 BC', '12026-01-01Z'), "
        "('c', '2000-02-29', '2026-01-01Z')",
    )

    frame = next(iter(read_table(source.url, accounts.USERS)))

    assert list(frame["birth_date"]) == [None, None, date(2000, 2, 29)]
    assert list(frame["created_at"]) == [None, None, datetime(2026, 1, 1, tzinfo=UTC)]


def test_values_are_counted_over_the_whole_table(source: sa.Engine) -> None:
    execute(
        source,
        "insert into users (user_id, latitude, longitude, birth_date) values "
        "('a', 1, 2, null), ('b', 1, 2, '2000-02-29'), "
        "('c', 1, 3, 'infinity'), ('d', null, 2, null)",
    )

    pairs = value_counts(source.url, accounts.USERS, "latitude", "longitude")
    born = value_counts(source.url, accounts.USERS, "birth_date")

    assert sorted(pairs.itertuples(index=False, name=None), key=str) == [
        (1.0, 2.0, 2),
        (1.0, 3.0, 1),
        (None, 2.0, 1),
    ]
    assert set(born.itertuples(index=False, name=None)) == {(None, 3), (date(2000, 2, 29), 1)}


def test_values_of_some_keys_are_read_through_a_mapping_too(source: sa.Engine) -> None:
    execute(source, "create table people (id int, mail text)")
    execute(source, "insert into people values (1, 'a@example.org'), (2, null), (3, 'c@x.org')")
    execute(source, "insert into users (user_id, email) values ('1', 'z@example.org')")
    people = TableMapping(table="people", columns={"user_id": "id", "email": "mail"})
    email = accounts.USERS.c.email

    mapped = values_by_key(source.url, accounts.USERS, email, ["1", "2", "9"], mapping=people)
    plain = values_by_key(source.url, accounts.USERS, email, ["1", "2"])

    assert mapped == {"1": "a@example.org", "2": None}
    assert plain == {"1": "z@example.org"}


def test_a_table_without_rows_has_no_chunks(source: sa.Engine) -> None:
    assert list(read_table(source.url, accounts.USERS)) == []


def test_a_missing_table_and_a_missing_column_are_source_errors(source: sa.Engine) -> None:
    execute(source, "alter table users drop column gender; drop table tracks")

    for table, said in ((accounts.USERS, "gender"), (accounts.TRACKS, "tracks")):
        with pytest.raises(SourceError, match=said):
            list(read_table(source.url, table))


def test_the_password_of_the_source_is_never_told(source: sa.Engine) -> None:
    away = source.url.set(password="top-secret", database="not_there")

    with pytest.raises(SourceError) as caught:
        list(read_table(away, accounts.USERS))

    assert "top-secret" not in f"{caught.value} {caught.value.where}"
