"""One listener's list, out of lists that stand in the table."""

from collections.abc import Callable
from datetime import date, timedelta

import pyarrow as pa
import pytest

from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender
from firstchair.privacy import user_key
from firstchair.promotion import Registry
from firstchair.serving import ListenerList, list_of

KEY = b"a test's key"
AS_OF = date(2026, 2, 1)
ARTISTS = [f"a{number:03d}" for number in range(40)]


def publish(lake: Lake, user: str, as_of: date, artists: list[str], version: str = "1") -> None:
    rows = {
        "user_key": [user_key(user, KEY)] * len(artists),
        "as_of": [as_of] * len(artists),
        "model_version": [version] * len(artists),
        "position": list(range(1, len(artists) + 1)),
        "artist_id": artists,
        "score": [0.9 - number / 100 for number in range(len(artists))],
        "reason": [f"because you play {artist}" for artist in artists],
    }
    lake.append(t.RECOMMENDATIONS, pa.table(rows, schema=t.RECOMMENDATIONS.schema))


@pytest.fixture
def ask(lake: Lake, registry: Registry, fitted: dict[Family, Recommender]) -> Callable[..., ListenerList]:
    """A catalogue, a champion (version 1) and a trending model of the day; lists are the test's own."""
    unknown = {name: pa.nulls(len(ARTISTS), t.ARTISTS.schema.field(name).type) for name in t.ARTISTS.schema.names}
    known = {"artist_id": pa.array(ARTISTS), "name": pa.array([f"The {artist}s" for artist in ARTISTS])}
    lake.overwrite(t.ARTISTS, pa.table(unknown | known, schema=t.ARTISTS.schema))
    for family in (Family.ALS, Family.TRENDING):
        registry.register(fitted[family], as_of=AS_OF, data_fingerprint="one", metrics={}, seed=1)
    registry.set_alias("champion", "1")

    def call(user: str, k: int = 3) -> ListenerList:
        return list_of(lake, registry, user_id=user, pseudonym_key=KEY, k=k)

    return call


def test_a_user_gets_the_champions_list_in_its_order_with_names(ask: Callable[..., ListenerList], lake: Lake) -> None:
    publish(lake, "anna", AS_OF, ["a007", "a003", "a020", "a001"])
    publish(lake, "anna", AS_OF, ["a011"], version="2")

    listed = ask("anna")

    assert [(i.position, i.artist_id, i.name) for i in listed.items] == [
        (1, "a007", "The a007s"),
        (2, "a003", "The a003s"),
        (3, "a020", "The a020s"),
    ]
    assert (listed.fallback, listed.as_of, listed.model.version) == (None, AS_OF, "1")


def test_a_user_left_out_of_the_newest_lists_gets_the_last_one_and_is_told(
    ask: Callable[..., ListenerList], lake: Lake
) -> None:
    publish(lake, "anna", AS_OF - timedelta(days=1), ["a007"])
    publish(lake, "ben", AS_OF, ["a003"])

    listed = ask("anna")

    assert (listed.fallback, listed.as_of) == ("stale", AS_OF - timedelta(days=1))


def test_a_stranger_gets_what_is_trending(ask: Callable[..., ListenerList], lake: Lake) -> None:
    publish(lake, "anna", AS_OF, ["a007"])

    listed = ask("nobody", k=10)

    assert (listed.fallback, listed.model.name, listed.model.role) == ("cold_start", "trending", "cold_start")
    assert [item.position for item in listed.items] == list(range(1, 11))
    assert all(-1 <= item.score <= 1 and item.reason and item.name for item in listed.items)


def test_without_lists_the_listener_is_not_told_a_story(ask: Callable[..., ListenerList]) -> None:
    with pytest.raises(ModelError, match="No list has been published yet"):
        ask("anna")
