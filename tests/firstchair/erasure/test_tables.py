"""Texts of refused records that name a user are emptied, whatever the name is spelt like."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.tables import erase_rows
from firstchair.errors import LakeError
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

KEY = b"a test's key"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("user_id", ["user-1", "a.b+c|d(é)'[x]{2}^$\\", "東京 <ann> 100%_"])
def test_a_refused_record_that_names_the_user_keeps_its_place_alone(
    lake: Lake, user_id: str
) -> None:
    identity = Identity.of(user_id, KEY, email="ann+x@example.org")
    texts = [f"by {user_id}.", "mail ann+x@example.org", f"k={identity.user_key}", f"{user_id}0"]
    rows = [
        {"object_url": "o", "line": line, "reason": "bad_type", "raw": text, "event_id": f"e{line}"}
        for line, text in enumerate(texts)
    ]
    lake.append(t.QUARANTINE_EVENTS, pa.Table.from_pylist(rows, schema=t.QUARANTINE_EVENTS.schema))

    assert erase_rows(lake, Identities([identity]), now=NOW) == {identity: {"quarantine/events": 3}}

    kept = lake.read(t.QUARANTINE_EVENTS).sort_by("line").to_pylist()
    assert [(row["line"], row["reason"], row["raw"], row["event_id"]) for row in kept] == [
        *((line, "unknown_user", None, None) for line in range(3)),
        (3, "bad_type", f"{user_id}0", "e3"),
    ]


KEYS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=6, max_size=12)


@given(KEYS.filter(lambda text: any(map(str.isalpha, text))))
def test_any_account_key_is_found_by_the_engine_too(user_id: str) -> None:
    found = Identity.of(user_id, KEY).sql("raw", regexp="regexp_matches")

    with connect() as connection:
        assert connection.execute(
            f"select {found} from (select ?) t(raw)", [user_id]
        ).fetchone() == (True,)


def test_rows_of_users_who_leave_together_are_counted_for_each(lake: Lake) -> None:
    ann, bob, eve = (Identity.of(f"user-{name}", KEY) for name in ("ann", "bob", "eve"))
    owners = [ann, ann, bob, eve]
    events = [{"user_key": one.user_key, "event_id": str(n)} for n, one in enumerate(owners)]
    lake.append(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))
    refused = [{"object_url": "o", "line": 1, "raw": "user-ann user-bob"}]
    lake.append(
        t.QUARANTINE_EVENTS, pa.Table.from_pylist(refused, schema=t.QUARANTINE_EVENTS.schema)
    )

    erased = erase_rows(lake, Identities([ann, bob]), now=NOW)

    assert erased == {
        ann: {"silver/events": 2, "quarantine/events": 1},
        bob: {"silver/events": 1, "quarantine/events": 1},
    }
    assert lake.read(t.EVENTS).column("user_key").to_pylist() == [eve.user_key]
    assert lake.read(t.QUARANTINE_EVENTS).column("raw").to_pylist() == [None]


@pytest.mark.parametrize(
    ("user_id", "readable"), [("user-typo", True), ("user-ann", False), ("user-bob", False)]
)
def test_earlier_versions_stay_where_no_file_of_the_lake_names_the_user(
    lake: Lake, user_id: str, *, readable: bool
) -> None:
    """Ann has rows; Bob had some in an earlier version alone, as after a killed erasure."""
    ann, bob, eve = (Identity.of(f"user-{name}", KEY).user_key for name in ("ann", "bob", "eve"))
    versions = []
    for keys in ([ann, bob], [ann, eve]):
        rows = [{"user_key": key} for key in keys]
        lake.overwrite(t.USERS, pa.Table.from_pylist(rows, schema=t.USERS.schema))
        versions.append(lake.version(t.USERS))

    erase_rows(lake, Identities([Identity.of(user_id, KEY)]), now=NOW)

    earlier = lake.at({t.USERS.name: versions[0]})
    if readable:
        assert earlier.count(t.USERS) == 2
    else:
        with pytest.raises(LakeError):
            earlier.count(t.USERS)
