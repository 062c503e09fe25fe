"""Accounts into the lake: every user with what is known, nothing exact, every refused row named."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from firstchair.errors import SourceError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.mappings import TableMapping
from firstchair.privacy import UsersReport, build_users, sample_users, user_key
from firstchair.sources import Tombstone, Tombstones, accounts, tables

KEY = b"a test's key"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
SINCE = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)


@pytest.fixture
def source(new_database: Callable[[], sa.URL]) -> sa.Engine:
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    return engine


def put(source: sa.Engine, *rows: dict[str, Any]) -> None:
    with source.begin() as connection:
        for row in rows:
            connection.execute(accounts.USERS.insert(), {"created_at": SINCE, **row})


def test_the_account_of_a_forgotten_user_is_left_out_and_counted(
    source: sa.Engine, lake: Lake, tmp_path: Path
) -> None:
    tombstones = Tombstones(tmp_path, lambda: b"another key")
    tombstones.put(Tombstone(tombstones.hash_of("user-ann"), "one", "2026-02-01T00:00:00Z"))
    put(source, {"user_id": "user-ann"}, {"user_id": "user-bob"})

    report = build_users(lake, source.url, pseudonym_key=KEY, now=NOW, tombstones=tombstones)

    assert (report.read, report.rows, report.forgotten) == (2, 1, 1)
    assert set(users(lake)) == {user_key("user-bob", KEY)}


def build(source: sa.Engine, lake: Lake) -> UsersReport:
    return build_users(lake, source.url, pseudonym_key=KEY, now=NOW)


def users(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row.pop("user_key"): row for row in lake.read(t.USERS).to_pylist()}


def test_an_account_becomes_a_user_without_pii(source: sa.Engine, lake: Lake) -> None:
    person = {
        "email": "ann@example.org",
        "birth_date": date(1990, 5, 17),
        "gender": "f",
        "country": "DE",
    }
    put(source, {"user_id": "user-ann", "latitude": 48.1372, "longitude": 11.5755, **person})

    report = build(source, lake)

    assert users(lake) == {
        user_key("user-ann", KEY): {
            "age_group": "35-44",
            "gender": "female",
            "country": "DE",
            "state": "Bavaria",
            "city": "Munich",
            "created_at": SINCE,
        }
    }
    assert (report.rows, report.read, report.quarantined, report.age_groups) == (
        1,
        1,
        {},
        {"35-44": 1},
    )


def test_a_user_with_nothing_but_a_key_and_a_date_is_accepted_as_unknown(
    source: sa.Engine, lake: Lake
) -> None:
    put(source, {"user_id": "bare"})

    report = build(source, lake)

    unknown = dict.fromkeys(("age_group", "gender", "country", "state", "city"), "unknown")
    assert users(lake) == {user_key("bare", KEY): {**unknown, "created_at": SINCE}}
    assert report.unknown == {"age_group": 1, "gender": 1, "country": 1, "city": 1}


FACTS: list[tuple[dict[str, Any], str, object]] = [
    ({"age": 30}, "age_group", "25-34"),
    ({"age": -1337}, "age_group", "unknown"),
    ({"age": 300}, "age_group", "unknown"),
    ({"birth_date": date(2027, 1, 1)}, "age_group", "unknown"),
    ({"birth_date": date(1, 1, 1), "age": 30}, "age_group", "25-34"),
    ({"birth_date": date(2008, 2, 2), "age": 99}, "age_group", "under-18"),
    ({"gender": "Prefer not to say"}, "gender", "unknown"),
    ({"country": "Atlantis"}, "country", "unknown"),
    ({"country": "Perugia", "latitude": 43.1122, "longitude": 12.3888}, "country", "IT"),
    ({"country": "Lebanon, PA", "latitude": 40.3409, "longitude": -76.4114}, "country", "US"),
    ({"country": "Scotland", "latitude": 55.9533, "longitude": -3.1883}, "country", "GB"),
    ({"latitude": -33.4489, "longitude": -70.6693}, "country", "CL"),
    ({"country": "US", "latitude": 0.0, "longitude": -30.0}, "city", "unknown"),
    ({"country": "US", "latitude": 0.0, "longitude": -30.0}, "country", "US"),
    ({"latitude": 1e300, "longitude": float("nan")}, "city", "unknown"),
    ({"created_at": datetime(1, 2, 3, tzinfo=UTC)}, "created_at", datetime(1, 2, 3, tzinfo=UTC)),
]


@pytest.fixture(scope="module")
def known(
    new_session_database: Callable[[], sa.URL], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """The users that accounts of the `FACTS` become in one build, account n for the n-th."""
    source = sa.create_engine(new_session_database(), poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(source)
    put(
        source,
        *({"user_id": f"account {number}", **row} for number, (row, _, _) in enumerate(FACTS)),
    )
    lake = Lake(str(tmp_path_factory.mktemp("facts") / "lake"))
    build(source, lake)
    return users(lake)


@pytest.mark.parametrize(
    ("number", "column", "value"), [(n, *fact[1:]) for n, fact in enumerate(FACTS)]
)
def test_a_fact_is_made_coarse_or_unknown(
    known: dict[str, dict[str, Any]], number: int, column: str, value: object
) -> None:
    assert known[user_key(f"account {number}", KEY)][column] == value


def test_country_is_the_accounts_and_city_the_coordinates(source: sa.Engine, lake: Lake) -> None:
    munich = {"latitude": 48.1372, "longitude": 11.5755}
    put(
        source,
        {"user_id": "abroad", "country": "CL", **munich},
        {"user_id": "home", "country": "de", **munich},
    )

    report = build(source, lake)

    user = users(lake)[user_key("abroad", KEY)]
    assert (user["country"], user["state"], user["city"]) == ("CL", "Bavaria", "Munich")
    assert report.elsewhere == 1


def located(count: int) -> list[dict[str, Any]]:
    """Accounts at distinct coordinates near Mainz, born and created at distinct times."""
    return [
        {
            "user_id": f"user-{n}",
            "latitude": 50.0 + n / 1_000,
            "longitude": 8.0,
            "birth_date": date(1960, 1, 1) + timedelta(days=97 * n),
            "created_at": SINCE + timedelta(hours=n + 1),
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("default", [date(1970, 1, 1), date(1900, 1, 1)])
def test_a_date_of_birth_that_far_more_accounts_share_than_chance_allows_is_unknown(
    source: sa.Engine, lake: Lake, default: date
) -> None:
    epoch = {"birth_date": default}
    aged = [{"user_id": f"epoch-{n}", "age": 20, **epoch} for n in range(20)]
    put(source, *located(120), *aged, {"user_id": "epoch-bare", **epoch})

    report = build(source, lake)

    assert report.defaults == {"coordinates": 0, "birth_date": 21, "created_at": 21}
    assert {users(lake)[user_key(f"epoch-{n}", KEY)]["age_group"] for n in range(20)} == {"18-24"}
    assert users(lake)[user_key("epoch-bare", KEY)]["age_group"] == "unknown"
    assert report.unknown["age_group"] == 1


def test_a_source_that_knows_years_of_birth_alone_keeps_them(source: sa.Engine, lake: Lake) -> None:
    days = [date(1950 + n % 55, 1, 1) for n in range(55 * 21)] + [date(2000, 2, 29)] * 19
    born = [{"user_id": f"year-{n}", "birth_date": day} for n, day in enumerate(days)]
    put(source, *located(120), *born)

    report = build(source, lake)

    assert report.defaults["birth_date"] == 0
    assert report.unknown["age_group"] == 0


def test_a_source_of_users_of_nearly_one_age_keeps_their_dates(
    source: sa.Engine, lake: Lake
) -> None:
    """Of one year and a bit, with some older users in each of the ten years before."""
    days = [date(2005, 1, 1) + timedelta(days=n) for n in range(380)]
    old = [date(1995 + n, 6, 15) for n in range(10)]
    with source.begin() as connection:
        connection.execute(
            sa.text(
                "insert into users (user_id, birth_date, created_at)"
                " select d || '-' || n, d, now() from unnest(:days) d, generate_series(1, 21) n"
            ),
            {"days": days + old},
        )

    report = build(source, lake)

    assert report.defaults["birth_date"] == 0
    assert report.unknown["age_group"] == 0


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(51.165691, 10.451526), (0.0, 0.0), (999.0, 999.0)],
    ids=["centre of Germany", "0, 0", "no coordinates"],
)
def test_coordinates_that_far_more_accounts_share_than_live_there_are_unknown(
    source: sa.Engine, lake: Lake, latitude: float, longitude: float
) -> None:
    there = {"latitude": latitude, "longitude": longitude}
    put(source, *located(120), *[{"user_id": f"there-{n}", **there} for n in range(20)])

    report = build(source, lake)

    assert report.defaults["coordinates"] == 20
    user = users(lake)[user_key("there-0", KEY)]
    assert (user["country"], user["state"], user["city"]) == ("unknown",) * 3
    assert (report.unknown["country"], report.unknown["city"]) == (20, 20)


def test_a_source_that_knows_cities_alone_keeps_them(source: sa.Engine, lake: Lake) -> None:
    berlin, munich = (52.52, 13.405), (48.1372, 11.5755)
    cities = [
        {"user_id": f"city-{n}", "latitude": city[0], "longitude": city[1]}
        for n, city in enumerate([berlin] * 40 + [munich] * 20)
    ]
    put(source, *located(300), *cities)

    report = build(source, lake)

    assert report.defaults["coordinates"] == 0
    assert report.unknown["city"] == 0


def test_a_table_of_few_values_is_not_judged(source: sa.Engine, lake: Lake) -> None:
    alike = {"latitude": 51.165691, "longitude": 10.451526, "birth_date": date(1970, 1, 1)}
    put(source, *[{"user_id": f"alike-{n}", **alike} for n in range(50)])

    report = build(source, lake)

    assert report.defaults == {"coordinates": 0, "birth_date": 0, "created_at": 0}
    assert report.unknown == {"age_group": 0, "gender": 50, "country": 0, "city": 0}


def test_a_refused_account_is_named_and_the_others_are_accepted(
    source: sa.Engine, lake: Lake
) -> None:
    put(
        source,
        {"user_id": "sound"},
        {"user_id": "undated", "created_at": None},
        {"user_id": "early", "created_at": NOW + timedelta(days=1)},
        {"user_id": "far", "created_at": datetime(9999, 1, 1, tzinfo=UTC)},
        {"user_id": ""},
    )

    report = build(source, lake)

    refused = {row["user_key"]: row["reason"] for row in lake.read(t.QUARANTINE_USERS).to_pylist()}
    assert refused == {
        user_key("undated", KEY): "missing_field",
        user_key("early", KEY): "future_timestamp",
        user_key("far", KEY): "future_timestamp",
        None: "missing_field",
    }
    assert list(users(lake)) == [user_key("sound", KEY)]
    assert (report.read, report.rows, report.quarantined) == (
        5,
        1,
        {"missing_field": 2, "future_timestamp": 2},
    )


def test_chunks_of_the_source_change_nothing(
    source: sa.Engine, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(
        source,
        *[
            {"user_id": f"user-{n}", "age": n, "created_at": None if n % 3 == 0 else SINCE}
            for n in range(10)
        ],
    )
    build(source, lake)
    chunked = Lake(str(tmp_path / "chunked"))

    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 3)
    build(source, chunked)

    for table in (t.USERS, t.QUARANTINE_USERS):
        assert chunked.fingerprint(table) == lake.fingerprint(table)


def close(source: sa.Engine, user_id: str) -> None:
    with source.begin() as connection:
        connection.execute(accounts.USERS.delete().where(accounts.USERS.c.user_id == user_id))


def test_a_closed_account_is_a_former_user_as_it_was_until_it_is_there_again(
    source: sa.Engine, lake: Lake
) -> None:
    goes = user_key("goes", KEY)
    put(source, {"user_id": "stays"}, {"user_id": "goes", "country": "CL"})
    build(source, lake)
    before = users(lake)[goes]

    close(source, "goes")
    for later in (0, 1):
        build_users(lake, source.url, pseudonym_key=KEY, now=NOW + timedelta(days=later))
    here, gone = list(users(lake)), lake.read(t.FORMER_USERS).to_pylist()
    put(source, {"user_id": "goes"})
    build(source, lake)

    assert here == [user_key("stays", KEY)]
    assert gone == [{"user_key": goes, **before, "left_on": NOW.date()}]
    assert (goes in users(lake), lake.count(t.FORMER_USERS)) == (True, 0)


def test_an_account_that_is_refused_now_is_a_former_user(source: sa.Engine, lake: Lake) -> None:
    put(source, {"user_id": "one"})
    build(source, lake)
    with source.begin() as connection:
        connection.execute(accounts.USERS.update().values(created_at=NOW + timedelta(days=9)))

    report = build(source, lake)

    assert report.quarantined == {"future_timestamp": 1}
    assert lake.read(t.FORMER_USERS).column("user_key").to_pylist() == [user_key("one", KEY)]


def test_a_forgotten_user_is_no_former_user(source: sa.Engine, lake: Lake, tmp_path: Path) -> None:
    put(source, {"user_id": "user-ann"}, {"user_id": "user-bob"})
    build(source, lake)
    close(source, "user-bob")
    build(source, lake)
    put(source, {"user_id": "user-bob"})
    tombstones = Tombstones(tmp_path, lambda: b"another key")
    for user in ("user-ann", "user-bob"):
        tombstones.put(Tombstone(tombstones.hash_of(user), user, "2026-02-01T00:00:00Z"))

    build_users(lake, source.url, pseudonym_key=KEY, now=NOW, tombstones=tombstones)

    assert (lake.count(t.USERS), lake.count(t.FORMER_USERS)) == (0, 0)


def test_an_empty_account_table_is_an_empty_table(source: sa.Engine, lake: Lake) -> None:
    assert build(source, lake).rows == 0
    assert lake.version(t.USERS) >= 0


def test_a_source_that_is_away_leaves_the_last_snapshot(source: sa.Engine, lake: Lake) -> None:
    put(source, {"user_id": "one"})
    build(source, lake)

    with pytest.raises(SourceError):
        build_users(lake, source.url.set(database="not_there"), pseudonym_key=KEY, now=NOW)

    assert list(users(lake)) == [user_key("one", KEY)]


def test_no_file_of_the_lake_holds_what_a_person_can_be_found_by(
    source: sa.Engine, lake: Lake
) -> None:
    secrets = ("user-ann", "ann@example.org", "1990-05-17", "52.520008", "13.404954")
    person = {
        "email": secrets[1],
        "birth_date": date(1990, 5, 17),
        "latitude": 52.520008,
        "longitude": 13.404954,
    }
    put(
        source,
        {"user_id": "user-ann", **person},
        {"user_id": "user-ann-2", **person, "created_at": None},
    )

    build(source, lake)

    values = " ".join(str(lake.read(table).to_pylist()) for table in (t.USERS, t.QUARANTINE_USERS))
    files = b"".join(path.read_bytes() for path in Path(lake.url).rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret in values or secret.encode() in files] == []


def test_accounts_under_other_names_are_read_by_their_mapping(
    new_database: Callable[[], sa.URL], lake: Lake
) -> None:
    engine = sa.create_engine(new_database(), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sa.text("create table members (id int, joined timestamp, sex text, age int)")
        )
        connection.execute(
            sa.text("insert into members values (1, '2024-05-17 08:30', 'f', 40), (2, null, '', 1)")
        )
    columns = {"user_id": "id", "created_at": "joined", "gender": "sex"}
    mapping = TableMapping.model_validate({"table": "members", "columns": columns})

    sample = sample_users(engine.url, now=NOW, at_most=10, mapping=mapping)
    report = build_users(lake, engine.url, pseudonym_key=KEY, now=NOW, mapping=mapping)

    assert (
        (sample.read, sample.refused)
        == (report.read, report.quarantined)
        == (2, {"missing_field": 1})
    )
    assert sample.understood["gender"] == 0.5
    user = users(lake)[user_key("1", KEY)]
    assert (user["created_at"], user["gender"], user["age_group"]) == (SINCE, "female", "35-44")


def test_of_the_rows_of_one_account_the_newest_is_a_user_and_the_others_are_quarantined(
    source: sa.Engine, lake: Lake
) -> None:
    put(source, {"user_id": "ann", "gender": "f"}, {"user_id": "bob", "gender": "m"})
    with source.begin() as connection:
        connection.execute(sa.text("create table told (id text, since timestamp, what text)"))
        connection.execute(
            sa.text("insert into told values ('ann', '2026-01-01', 'm'), ('ann', null, 'x')")
        )
    query = (
        "select user_id, what as gender, created_at, since as updated_at "
        "from users left join told on user_id = id"
    )
    mapping = TableMapping.model_validate({"query": query})

    sample = sample_users(source.url, now=NOW, at_most=10, mapping=mapping)
    report = build_users(lake, source.url, pseudonym_key=KEY, now=NOW, mapping=mapping)

    assert sample.refused == report.quarantined == {"duplicate_user_id": 1}
    assert (report.read, report.rows) == (3, 2)
    assert users(lake)[user_key("ann", KEY)]["gender"] == "male"
    refused = lake.read(t.QUARANTINE_USERS).to_pylist()
    assert [(row["user_key"], row["reason"]) for row in refused] == [
        (user_key("ann", KEY), "duplicate_user_id")
    ]
