from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from firstchair.definitions.follower_tiers import follower_tiers_of
from firstchair.features import user_features
from firstchair.features.segments import follower_tiers, user_segments
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

DAY = date(2026, 3, 10)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def segments_of(users: list[dict[str, Any]], day: date = DAY) -> dict[str, dict[str, str]]:
    with connect() as connection:
        connection.register("users", pa.Table.from_pylist(users, schema=t.USERS.schema))
        told = user_segments(day=f"date '{day}'")
        query = f"select user_key, {told} from users u"
        return {
            key: {s["segment"]: s["value"] for s in all_of}
            for key, all_of in connection.execute(query).fetchall()
        }


def test_a_user_has_one_value_in_every_segment_but_the_artists_own(scene: Any) -> None:
    told = segments_of([scene.user("anna", country=None, gender="other")])

    assert told["anna"] == {
        "all": "all",
        "lifecycle": "long_term",
        "country": "unknown",
        "age_group": "25-34",
        "gender": "other",
    }


def test_a_user_whose_account_is_gone_is_unknown_in_every_segment() -> None:
    with connect() as connection:
        query = f"""
            select {user_segments(day=f"date '{DAY}'")}
            from (select 'anna' as user_key) v left join
                 (select * from {Lake("nowhere").scan(t.USERS)}) u using (user_key)"""
        ((segments,),) = connection.execute(query).fetchall()

    assert {s["segment"]: s["value"] for s in segments} == {
        "all": "all",
        "lifecycle": "unknown",
        "country": "unknown",
        "age_group": "unknown",
        "gender": "unknown",
    }


@pytest.mark.parametrize(
    ("created_at", "lifecycle"),
    [
        (MIDNIGHT - timedelta(days=30), "long_term"),
        (MIDNIGHT - timedelta(days=30) + MOMENT, "new"),
        (MIDNIGHT - timedelta(days=29, hours=12), "new"),
        (MIDNIGHT - timedelta(days=30) - MOMENT, "long_term"),
        (MIDNIGHT + timedelta(hours=5), "new"),
        (None, "new"),
    ],
)
def test_the_lifecycle_is_the_one_of_the_features(
    scene: Any, created_at: datetime | None, lifecycle: str
) -> None:
    user = scene.user("anna", created_at=created_at)

    (features,) = user_features(scene.history([], users=[user]), as_of=DAY).to_pyarrow().to_pylist()

    assert segments_of([user])["anna"]["lifecycle"] == features["lifecycle"] == lifecycle


def tiers(lake: Lake, followers: dict[str, int | None]) -> dict[str, str]:
    """Tiers of a catalogue by SQL, which are those of the same numbers in an array."""
    rows = [
        dict.fromkeys(t.ARTISTS.schema.names) | {"artist_id": name, "followers": n}
        for name, n in followers.items()
    ]
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(rows, schema=t.ARTISTS.schema))
    query = f"select artist_id, follower_tier from {follower_tiers(lake)}"
    with connect() as connection:
        found = dict(connection.execute(query).fetchall())
    values = np.array([np.nan if n is None else n for n in followers.values()], dtype=float)
    assert dict(zip(followers, follower_tiers_of(values).tolist(), strict=True)) == found
    return found


def test_tiers_are_followers_over_the_median_of_the_catalogue(lake: Lake) -> None:
    followers = {
        "none": 0,
        "none either": 0,
        "a": 29,
        "b": 30,
        "c": 299,
        "median": 300,
        "d": 301,
        "e": 3000,
        "f": 3001,
        "g": 10**12,
        "most": 2**63 - 1,
    }

    assert tiers(lake, {**followers, "unknown": None}) == {
        "none": "<0.1",
        "none either": "<0.1",
        "a": "<0.1",
        "b": "0.1-1",
        "c": "0.1-1",
        "median": "0.1-1",
        "d": "1-10",
        "e": "1-10",
        "f": ">10",
        "g": ">10",
        "most": ">10",
        "unknown": "unknown",
    }


def test_a_catalogue_that_nobody_follows_is_its_own_median(lake: Lake) -> None:
    assert tiers(lake, {"a": 0, "b": 0, "c": 7}) == {"a": "0.1-1", "b": "0.1-1", "c": ">10"}
